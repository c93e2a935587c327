/** How often a change is written to a partner's SPIRE Server, and what is called when nothing changes. */
import { setTimeout as sleep } from "node:timers/promises";
import { activate, prepare, revoke, taintOld } from "../peers/rotation.ts";
import { CountingSpire } from "./counting-spire.ts";
import type { Part } from "./figure.ts";
import { Sites, startPartners, untilEqual } from "./sites.ts";

/** Longer than the pause between two writes of one row and its second look. */
const SETTLE_MS = 2_500;

export interface WritesOptions {
  readonly runs: number;
  readonly seconds: number;
  readonly spireServer: string | undefined;
}

export async function measureWrites(options: WritesOptions): Promise<Part> {
  return await Sites.with(async (sites) => await measureIn(sites, options));
}

async function measureIn(sites: Sites, options: WritesOptions): Promise<Part> {
  const { runs, seconds, spireServer } = options;
  const benches = await startPartners(sites, ["alpha", "bravo"], { spireServer });
  const [alpha, bravo] = benches;
  if (alpha === undefined || bravo === undefined) throw new Error("no sites");
  await bravo.site.stopDaemon();
  const spire = await CountingSpire.at(bravo.site.spireSocket);
  try {
    await bravo.site.startDaemon();
    const changes: number[] = [];
    const countOne = async (change: () => Promise<void>): Promise<void> => {
      await sleep(SETTLE_MS);
      spire.reset();
      await change();
      await untilEqual(benches);
      await sleep(SETTLE_MS);
      changes.push(spire.writes);
    };
    for (let run = 0; run < runs; run += 1) {
      let prepared = "";
      await countOne(async () => {
        prepared = await prepare(alpha.api);
      });
      await activate(alpha.api, prepared);
      const old = await taintOld(alpha.api);
      await countOne(async () => await revoke(alpha.api, old));
    }
    spire.reset();
    await sleep(seconds * 1_000);
    const idleWrites = spire.writes;
    const calls = [...spire.counts].map(([method, count]) => `${method} ${count}`).join(", ");
    return {
      title: "writes: calls at a partner's SPIRE Server that change a row",
      figures: [
        {
          what: "a change: prepare or revoke",
          unit: "calls",
          values: changes,
          target: { text: "exactly 1", met: changes.every((count) => count === 1) },
        },
        {
          what: `${seconds} idle seconds`,
          unit: "calls",
          values: [idleWrites],
          target: { text: "0", met: idleWrites === 0 },
        },
      ],
      notes: [`all calls in the idle seconds: ${calls}`],
    };
  } finally {
    await bravo.site.stopDaemon();
    await spire.close();
  }
}
