/**
 * Whether a member that floods hurts the others: rotations go on while it sends 5,000 messages a
 * second to the publisher and to each partner in turn, first such as no honest node sends, then old
 * ones of its own. In turn, as sites do not share cores and these do.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { callAdmin } from "../src/admin-contract/client.ts";
import type { Figure, Part } from "./figure.ts";
import { HOSTILE, importRecords, makeHostileDomain } from "./hostile-records.ts";
import { type Watched, refusedBy, startWatched } from "./monitored.ts";
import { usageOf } from "./process-usage.ts";
import { rotate } from "./rotation.ts";
import type { Done, Orders } from "./rogue.ts";
import { startRogueProcess } from "./rogue-process.ts";
import { Sites, meet, untilEqual } from "./sites.ts";

const MESSAGES_A_SECOND = 5_000;
/** More than are looked at or counted before the rogue is cut off; then they come again. */
const STALE_RECORDS = 60_000;
/** Rotations begin so much apart, and a random part of the poll interval. */
const PAUSE_MS = 2_000;
const POLL_INTERVAL_MS = 250;
const ANCHOR_ROTATIONS = 10;
const SAMPLE_MS = 250;
const SETTLE_MS = 5_000;
const ARRIVAL_MS_MAX = 2_000;
/** Far above what is met: how long it took is the answer. */
const ARRIVAL_LIMIT_MS = 120_000;
const GROWTH_MIB_MAX = 100;
const HEARD_S_MAX = 10;
/** More messages with the verdict reject, and nothing that it gossips is looked at (conduct.ts). */
const REJECTED_MAX = 8;
const MIB = 1024 * 1024;

/** What one daemon shows while it is flooded. */
interface Sample {
  readonly atS: number;
  readonly rssMib: number;
  /** Records refused so far with the code that the flood gets. */
  readonly heard: number;
  /** Honest peers that are not listened to, or were cut off. */
  readonly wronged: number;
}

interface Flood {
  readonly what: string;
  /** Refusal that its messages get while they are looked at. */
  readonly code: string;
  readonly seed: Uint8Array;
  readonly orders: Partial<Orders>;
}

/** What came of a flood of one daemon. */
interface Flooded {
  readonly done: Done;
  /** The first one from right before. */
  readonly samples: readonly Sample[];
  readonly arrivalsMs: readonly number[];
  /** Samples that the daemon did not give in time. */
  readonly unanswered: number;
}

export async function measureFlood({ seconds }: { readonly seconds: number }): Promise<Part> {
  return await Sites.with(async (sites) => {
    const alpha = await startWatched(sites, "alpha");
    const partners = [await startWatched(sites, "bravo"), await startWatched(sites, "charlie")];
    const all = [alpha, ...partners];
    await meet(all);
    await untilEqual(all);
    const floods = [await prepareInvalid(all), await prepareStale(all)];
    await sleep(SETTLE_MS);
    const calmMs: number[] = [];
    for (let index = 0; index < ANCHOR_ROTATIONS; index += 1) {
      calmMs.push(await arrival(alpha, partners));
    }
    const anchor: Figure = { what: "without a flood", unit: "ms", values: calmMs };
    const figures: Figure[] = [anchor];
    const notes: string[] = [];
    for (const flood of floods) {
      const flooded: Flooded[] = [];
      for (const target of all) {
        flooded.push(await run(flood, target, alpha, partners, seconds));
        await sleep(SETTLE_MS);
      }
      figures.push(...figuresOf(flood, flooded, anchor));
      notes.push(noteOf(flood, flooded));
    }
    return {
      title: `flood: a member sends ${MESSAGES_A_SECOND} messages a second for ${seconds} s, to each of three daemons in turn`,
      figures,
      notes: [
        ...notes,
        "a rogue that is cut off connects again, all the time, from the honest ones' own subnet",
        `heard: until the last time that a daemon looked at one of its messages, told to ${SAMPLE_MS} ms`,
        "memory: the most in a sample above the one right before the flood, one value a daemon",
      ],
    };
  });
}

async function prepareInvalid(all: readonly Watched[]): Promise<Flood> {
  const domain = makeHostileDomain("rogue-invalid");
  for (const at of all) await importRecords(at, [domain.genesis]);
  const orders = { strategy: "invalid-messages" };
  return { what: "invalid", code: "ENVELOPE_MALFORMED", seed: domain.seed, orders };
}

async function prepareStale(all: readonly Watched[]): Promise<Flood> {
  const domain = makeHostileDomain("rogue-stale");
  const made = HOSTILE["5 stale"]?.(domain, STALE_RECORDS);
  if (made === undefined) throw new Error("no stale records");
  for (const at of all) await importRecords(at, made.held);
  const orders = { strategy: "records", envelopes: made.envelopes };
  return { what: "stale", code: "STALE", seed: domain.seed, orders };
}

async function run(
  flood: Flood,
  target: Watched,
  alpha: Watched,
  partners: readonly Watched[],
  seconds: number,
): Promise<Flooded> {
  const { node } = await callAdmin(target.site.adminSocket, "status", {});
  const [address = ""] = node.addresses;
  const pace = { seconds, rate: MESSAGES_A_SECOND, persistent: true };
  const rogue = await startRogueProcess({ ...flood.orders, ...pace, seed: flood.seed, address });
  const beganMs = performance.now();
  const samples = [await sampleOf(target, flood, beganMs)];
  const over = new AbortController();
  const ended = rogue.attack().finally(() => {
    over.abort();
    rogue.end(); // What it has not got out by then stays with it.
  });
  let unanswered = 0;
  const sample = async (): Promise<void> => {
    for (; !over.signal.aborted; await sleep(SAMPLE_MS)) {
      try {
        samples.push(await sampleOf(target, flood, beganMs));
      } catch {
        unanswered += 1;
      }
    }
  };
  const sampling = sample();
  const arrivalsMs: number[] = [];
  while (!over.signal.aborted) arrivalsMs.push(await arrival(alpha, partners));
  const done = await ended;
  await sampling;
  return { done, samples, arrivalsMs, unanswered };
}

async function arrival(alpha: Watched, partners: readonly Watched[]): Promise<number> {
  await sleep(PAUSE_MS + Math.random() * POLL_INTERVAL_MS);
  return (await rotate(alpha, partners, ARRIVAL_LIMIT_MS)).arrivedAfterMs;
}

async function sampleOf(at: Watched, { code }: Flood, beganMs: number): Promise<Sample> {
  const [usage, refused, peers, log] = await Promise.all([
    usageOf(at.pid),
    refusedBy(at),
    callAdmin(at.site.adminSocket, "peers", {}),
    readFile(join(at.site.directory, "daemon.log"), "utf8"),
  ]);
  const cutOff = log.split("\n").filter((line) => line.includes("peers: cut off"));
  const wronged = peers.filter(
    ({ peer_id, trust_domain, rejected }) =>
      trust_domain?.startsWith("rogue") !== true &&
      (rejected > REJECTED_MAX || cutOff.some((line) => line.includes(peer_id))),
  );
  return {
    atS: (performance.now() - beganMs) / 1_000,
    rssMib: usage.rssBytes / MIB,
    heard: refused.get(code) ?? 0,
    wronged: wronged.length,
  };
}

function noteOf({ what }: Flood, flooded: readonly Flooded[]): string {
  const all = (of: (each: Flooded) => number): string =>
    flooded.map((each) => of(each).toFixed(0)).join(", ");
  const rates = all(({ done }) => done.actions / done.seconds);
  const cut = all(({ done }) => done.cutOffAfterS ?? NaN);
  const connections = all(({ done }) => done.connections);
  const silent = all(({ unanswered }) => unanswered);
  return `${what}: cut off after ${cut} s, ${rates} messages a second sent over ${connections} connections; ${silent} times no answer of the admin API`;
}

function figuresOf({ what }: Flood, flooded: readonly Flooded[], anchor: Figure): Figure[] {
  const arrivalsMs = flooded.flatMap((each) => each.arrivalsMs);
  const growths = flooded.map(({ samples }) => {
    const [first = 0, ...rest] = samples.map(({ rssMib }) => rssMib);
    return Math.max(...rest) - first;
  });
  const heardS = flooded.map(({ samples }) => {
    const grew = samples.filter(({ heard }, index) => heard > (samples[index - 1]?.heard ?? heard));
    return grew.at(-1)?.atS ?? 0;
  });
  const wronged = flooded.map(({ samples }) => Math.max(...samples.map((each) => each.wronged)));
  return [
    {
      what: `${what}: prepared → rows at both partners`,
      unit: "ms",
      values: arrivalsMs,
      anchor,
      target: {
        text: `slowest < ${ARRIVAL_MS_MAX}`,
        met: Math.max(...arrivalsMs) < ARRIVAL_MS_MAX,
      },
    },
    {
      what: `${what}: memory`,
      unit: "MB",
      values: growths,
      target: { text: `< ${GROWTH_MIB_MAX} more`, met: Math.max(...growths) < GROWTH_MIB_MAX },
    },
    {
      what: `${what}: heard`,
      unit: "s",
      values: heardS,
      target: { text: `≤ ${HEARD_S_MAX}`, met: Math.max(...heardS) <= HEARD_S_MAX },
    },
    {
      what: `${what}: honest peers not listened to`,
      unit: "peers",
      values: wronged,
      target: { text: "0", met: Math.max(...wronged) === 0 },
    },
  ];
}
