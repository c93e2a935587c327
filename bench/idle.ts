/** What a daemon uses that has two partners and nothing to do, beside a bare libp2p process. */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type Child, startChild } from "../peers/child.ts";
import { freePort } from "../peers/site.ts";
import type { Figure, Part } from "./figure.ts";
import { type Usage, usageOf } from "./process-usage.ts";
import { Sites, startPartners } from "./sites.ts";
import { medianOf } from "./spread.ts";

const BARE = fileURLToPath(new URL("bare-libp2p.ts", import.meta.url));
/** What start-up leaves behind is collected, and the first syncs are over. */
const SETTLE_MS = 20_000;
const BARE_START_MS = 3_000;
const RSS_ABOVE_BARE_MB = 45;
const CPU_TARGET_PERCENT = 1.5;
const MB = 1024 * 1024;

export interface IdleOptions {
  readonly seconds: number;
  readonly spireServer: string | undefined;
}

export async function measureIdle(options: IdleOptions): Promise<Part> {
  return await Sites.with(async (sites) => await measureIn(sites, options));
}

async function measureIn(sites: Sites, { seconds, spireServer }: IdleOptions): Promise<Part> {
  const benches = await startPartners(sites, ["alpha", "bravo", "charlie"], { spireServer });
  const bare = await startBare(sites.directory);
  await sleep(SETTLE_MS);
  const daemons = benches.flatMap(({ site }) => site.daemon ?? []);
  const [ofDaemons, ofBare] = await Promise.all([
    Promise.all(daemons.map(async ({ pid }) => await useOver(pid, seconds))),
    Promise.all(bare.map(async ({ pid }) => await useOver(pid, seconds))),
  ]);
  for (const child of bare) await child.end("SIGTERM");
  return {
    title: `idle: ${seconds} s with 2 partners connected`,
    figures: figuresOf(ofDaemons, ofBare),
    notes: [
      "one value for each of three daemons and two bare processes, all in the same seconds",
      "bare: libp2p with tcp, noise, yamux, identify, ping, gossipsub and one connection",
    ],
  };
}

async function startBare(directory: string): Promise<Child[]> {
  const port = String(await freePort());
  const children: Child[] = [];
  for (const role of ["listen", "dial"]) {
    const log = join(directory, `bare-${role}.log`);
    const child = startChild(process.execPath, [BARE, role, port], log);
    await sleep(BARE_START_MS);
    if (child.ended !== undefined) throw new Error(`bare libp2p ended:\n${await child.log()}`);
    children.push(child);
  }
  return children;
}

interface Use {
  readonly rssMb: number;
  readonly cpuPercent: number;
}

async function useOver(pid: number, seconds: number): Promise<Use> {
  const startMs = performance.now();
  const before = await usageOf(pid);
  await sleep(seconds * 1_000);
  const after: Usage = await usageOf(pid);
  const elapsedMs = performance.now() - startMs;
  return {
    rssMb: after.rssBytes / MB,
    cpuPercent: (100 * (after.cpuMs - before.cpuMs)) / elapsedMs,
  };
}

function figuresOf(daemons: readonly Use[], bare: readonly Use[]): Figure[] {
  const rss = (uses: readonly Use[]) => uses.map(({ rssMb }) => rssMb);
  const cpu = (uses: readonly Use[]) => uses.map(({ cpuPercent }) => cpuPercent);
  const bareRss: Figure = { what: "RSS, bare libp2p", unit: "MB", values: rss(bare) };
  const bareCpu: Figure = { what: "CPU of a core, bare libp2p", unit: "%", values: cpu(bare) };
  const rssMax = medianOf(bareRss.values) + RSS_ABOVE_BARE_MB;
  return [
    {
      what: "RSS, daemon",
      unit: "MB",
      values: rss(daemons),
      anchor: bareRss,
      target: {
        text: `≤ bare + ${RSS_ABOVE_BARE_MB}`,
        met: medianOf(rss(daemons)) <= rssMax,
      },
    },
    bareRss,
    {
      what: "CPU of a core, daemon",
      unit: "%",
      values: cpu(daemons),
      anchor: bareCpu,
      target: {
        text: `≤ ${CPU_TARGET_PERCENT}`,
        met: medianOf(cpu(daemons)) <= CPU_TARGET_PERCENT,
      },
    },
    bareCpu,
  ];
}
