/**
 * Whether a daemon grows: memory, descriptors and timers of daemons that work for a long time while
 * partners rotate, restart, are forgotten and imported again, and strangers knock.
 *
 * V8 collects its old generation when it has grown by about 10 MB, so RSS goes up and down by as much
 * (measured), and between two collections goes up. Of one daemon what is held is looked at: its garbage
 * is collected before each sample. The other one is left alone.
 */
import { readdir } from "node:fs/promises";
import { createConnection } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { rotateAtOnce } from "../peers/rotation.ts";
import { callAdmin } from "../src/admin-contract/client.ts";
import type { Figure, Part } from "./figure.ts";
import { COLLECTING, type Watched, metricsOf, startWatched } from "./monitored.ts";
import { usageOf } from "./process-usage.ts";
import { type Bench, Sites, startPartners, untilEqual } from "./sites.ts";
import { medianOf } from "./spread.ts";

/** One round of churn, and one sample at its end, when everything is at rest again. */
const ROUND_MS = 15_000;
const REST_MS = 5_000;
/**
 * Memory of a young process only grows: until what is called is compiled, LevelDB's buffers are full
 * and malloc has met its largest day, which is rounds and not time. As many as 150 minutes have, without
 * rest. What they add is a figure; the slope begins after them.
 */
const WARM_UP_ROUNDS = 600;
const STRANGERS_A_ROUND = 20;
const KNOCK_DEADLINE_MS = 2_000;
const RSS_MIB_AN_HOUR_MAX = 1;
const MIB = 1024 * 1024;
const HOUR_MS = 3_600_000;

interface Sample {
  readonly atMs: number;
  readonly rssMib: number;
  readonly heapMib: number;
  readonly descriptors: number;
  readonly timers: number;
}

export async function measureSoak({ minutes }: { readonly minutes: number }): Promise<Part> {
  return await Sites.with(async (sites) => {
    const alpha = await startWatched(sites, "alpha", COLLECTING);
    const bravo = await startWatched(sites, "bravo");
    const [charlie] = await startPartners(sites, ["charlie"]);
    if (charlie === undefined) throw new Error("no sites");
    const all = [alpha, bravo, charlie];
    for (const at of all) for (const from of all) if (at !== from) await approve(at, from);
    await untilEqual(all);
    const samples = new Map<Watched, Sample[]>([
      [alpha, []],
      [bravo, []],
    ]);
    const takeSamples = async (): Promise<void> => {
      for (const [daemon, taken] of samples) taken.push(await sampleOf(daemon, daemon === alpha));
    };
    await takeSamples();
    const startMs = performance.now();
    for (let round = 0; round < WARM_UP_ROUNDS; round += 1)
      await churn(round, alpha, bravo, charlie);
    const warmUpMin = Math.round((performance.now() - startMs) / 60_000);
    await sleep(REST_MS);
    await takeSamples();
    const endMs = performance.now() + minutes * 60_000;
    for (let round = 0; performance.now() < endMs; round += 1) {
      const roundEndMs = performance.now() + ROUND_MS;
      await churn(round, alpha, bravo, charlie);
      await sleep(Math.max(REST_MS, roundEndMs - performance.now()));
      await takeSamples();
    }
    return {
      title: `soak: ${minutes} min of rotations, restarts, imports and strangers`,
      figures: [...samples].flatMap(([{ trustDomain }, taken]) => figuresOf(trustDomain, taken)),
      notes: [
        "slope: the median of the slopes between all pairs of samples (Theil and Sen)",
        "alpha's garbage is collected before each sample; bravo's when V8 does, once in hours of this",
        `after ${WARM_UP_ROUNDS} rounds without rest, ${warmUpMin} min; a sample every ${ROUND_MS / 1_000} s, at rest`,
      ],
    };
  });
}

/** Rotates, then one of: restarts charlie's daemon, forgets and imports it, lets strangers knock. */
async function churn(round: number, alpha: Bench, bravo: Bench, charlie: Bench): Promise<void> {
  for (const bench of [alpha, charlie]) await rotateAtOnce(bench.api);
  if (round % 3 === 0) {
    await charlie.site.stopDaemon(round % 2 === 0 ? "SIGTERM" : "SIGKILL");
    await rotateAtOnce(alpha.api);
    await charlie.site.startDaemon();
  } else if (round % 3 === 1) {
    await callAdmin(bravo.site.adminSocket, "forget", { trust_domain: charlie.trustDomain });
    await approve(bravo, charlie);
  } else {
    await knock(alpha, STRANGERS_A_ROUND);
  }
  await untilEqual([alpha, bravo, charlie]);
}

async function approve(at: Bench, from: Bench): Promise<void> {
  const exported = await callAdmin(from.site.adminSocket, "export", {});
  await callAdmin(at.site.adminSocket, "import", {
    file: from.trustDomain,
    content: exported.content,
    fingerprint: exported.record_id,
  });
}

/** Connections at once that say nothing, or what no libp2p node says, and go. */
async function knock({ site }: Bench, times: number): Promise<void> {
  const { node } = await callAdmin(site.adminSocket, "status", {});
  const port = Number(/\/tcp\/(\d+)/.exec(node.addresses.join(" "))?.[1]);
  const visits = Array.from({ length: times }, async (_, index) => {
    const socket = createConnection({ host: "127.0.0.1", port });
    socket.on("error", () => socket.destroy());
    socket.setTimeout(KNOCK_DEADLINE_MS, () => socket.destroy());
    if (index % 2 === 0) socket.write(Buffer.alloc(1_024, index));
    await new Promise((resolve) => socket.once("close", resolve));
  });
  await Promise.all(visits);
}

async function sampleOf(at: Watched, isCollected: boolean): Promise<Sample> {
  if (isCollected) await at.site.daemon?.ask("collect");
  const [usage, descriptors, page] = await Promise.all([
    usageOf(at.pid),
    readdir(`/proc/${at.pid}/fd`),
    metricsOf(at),
  ]);
  return {
    atMs: performance.now(),
    rssMib: usage.rssBytes / MIB,
    heapMib: Number(/^nodejs_heap_size_used_bytes (\S+)$/m.exec(page)?.[1]) / MIB,
    descriptors: descriptors.length,
    timers: Number(/^nodejs_active_resources\{type="Timeout"\} (\S+)$/m.exec(page)?.[1]),
  };
}

/** @param taken Before the warm-up, after it, and at the end of each round since. */
function figuresOf(name: string, [before, warm, ...samples]: readonly Sample[]): Figure[] {
  const slopes = (of: (sample: Sample) => number): number[] =>
    samples.flatMap((later, index) =>
      samples
        .slice(0, index)
        .map((earlier) => ((of(later) - of(earlier)) * HOUR_MS) / (later.atMs - earlier.atMs)),
    );
  const rss = slopes(({ rssMib }) => rssMib);
  const flat = (what: string, of: (sample: Sample) => number): Figure => {
    const values = samples.map(of);
    const half = Math.floor(values.length / 2);
    const met = medianOf(values.slice(half)) <= medianOf(values.slice(0, half));
    return { what: `${name}: ${what}`, unit: "open", values, target: { text: "flat", met } };
  };
  const rssAt = (what: string, at: Sample | undefined): Figure => {
    const values = at === undefined ? [] : [at.rssMib];
    return { what: `${name}: RSS ${what}`, unit: "MB", values };
  };
  return [
    rssAt("before", before),
    rssAt(`after ${WARM_UP_ROUNDS} rounds`, warm),
    rssAt("at the end", samples.at(-1)),
    { what: `${name}: RSS`, unit: "MB", values: samples.map(({ rssMib }) => rssMib) },
    { what: `${name}: heap in use`, unit: "MB", values: samples.map(({ heapMib }) => heapMib) },
    {
      what: `${name}: slope of RSS`,
      unit: "MiB/h",
      values: rss,
      target: { text: `< ${RSS_MIB_AN_HOUR_MAX}`, met: medianOf(rss) < RSS_MIB_AN_HOUR_MAX },
    },
    flat("descriptors", ({ descriptors }) => descriptors),
    flat("timers", ({ timers }) => timers),
  ];
}
