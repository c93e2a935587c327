/**
 * What an attack costs us and what it costs the attacker, in CPU time, until it is cut off: each step
 * at which a record is refused, and each way to keep the network below busy.
 */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { SYNC_REPLY_RECORDS_MAX } from "../src/core/std/limits.ts";
import { callAdmin } from "../src/admin-contract/client.ts";
import type { StrategyName } from "../test/rogue/strategies.ts";
import type { Figure, Part } from "./figure.ts";
import {
  HOSTILE,
  type HostileDomain,
  importRecords,
  makeHostileDomain,
  resigned,
  worst,
} from "./hostile-records.ts";
import { refusedBy, startWatched, type Watched } from "./monitored.ts";
import { usageOf } from "./process-usage.ts";
import type { Done, Orders } from "./rogue.ts";
import { startRogueProcess } from "./rogue-process.ts";
import { Sites } from "./sites.ts";

/** An attack that nothing ends goes on for so long. */
const SECONDS_MAX = 20;
/** What is queued is done, and connections are gone. */
const SETTLE_MS = 2_000;
const IDLE_MS = 15_000;
const WATCH_MS = 500;
/** More messages with the verdict reject, and nothing that it gossips is looked at (conduct.ts). */
const REJECTED_MAX = 8;
/** /proc tells CPU time in steps of 10 ms. */
const GRAIN_MS = 10;
const OURS_TO_THEIRS_MAX = 2;
/** So little in all that no second of an attacker's CPU buys more. */
const OURS_MS_MAX = 2_000;
/** What a peer may gossip at once and in each second: whoever sends more pays and gains nothing. */
const GOSSIP_BURST = 110;
const GOSSIP_A_SECOND = 20;
/** More than cut anybody off at any speed. */
const FLOOD_RECORDS = 60_000;

const MEMBERS: readonly StrategyName[] = [
  "oversize-messages",
  "repeated-messages",
  "empty-rpcs",
  "undecodable-rpcs",
  "oversize-rpcs",
  "half-rpc",
  "ihave",
  "iwant",
  "idontwant",
  "graft-prune",
  "subscriptions",
  "sync-junk",
  "sync-equal-wants",
  "sync-fetches",
  "sync-compares",
  "sync-wanted",
  "sync-stall",
  "many-streams",
  "stream-churn",
  "yamux-pings",
  "endless-frame",
  "noise-zeros",
  "noise-pieces",
  "connect-churn",
  "same-key",
];
const STRANGERS: readonly string[] = [
  "half-open",
  "half-noise",
  "tcp-garbage",
  "connect-churn",
  "many-streams",
  "identify",
  "yamux-pings",
  "strangers",
];

interface Trial {
  readonly what: string;
  /** Undefined for a stranger. */
  readonly domain: HostileDomain | undefined;
  readonly orders: Partial<Orders>;
}

interface Cost {
  readonly oursMs: number;
  readonly theirsMs: number;
  readonly done: Done;
  /** Records that were refused meanwhile, by code. */
  readonly refused: ReadonlyMap<string, number>;
  /** Messages that got the verdict reject, as last seen. */
  readonly rejected: number;
}

/** @param options.only What the rows' names contain that are measured. */
export async function measureAttackCost(options: {
  readonly seconds: number;
  readonly only: string;
}): Promise<Part> {
  const seconds = Math.min(options.seconds, SECONDS_MAX);
  return await Sites.with(async (sites) => {
    const victim = await startWatched(sites, "alpha");
    const all = await prepare(victim, seconds);
    const trials = all.filter(({ what }) => what.includes(options.only));
    await sleep(SETTLE_MS);
    const idle = await idleShare(victim);
    const figures: Figure[] = [];
    for (const trial of trials) figures.push(shown(trial, await run(victim, trial, seconds, idle)));
    return {
      title: `attacks: CPU time of ours until cut off, or for ${seconds} s`,
      figures,
      notes: [
        "ratio: to the CPU time of the attacker's process from its first byte on; a Node as well",
        "records are signed beforehand and cost the attacker nothing here: that favours it",
        "connecting, and code that was never run, take the attacker about 100 ms: that favours us, so what we spend in all counts as well",
        `ours: less ${(100 * idle).toFixed(1)} % of a core, as it takes idle in this run; grain ${GRAIN_MS} ms`,
        `met: at most ${OURS_TO_THEIRS_MAX} ×, or else at most ${OURS_MS_MAX} ms in all, which is then the target shown`,
        "numbers are steps of docs/protocol.md 3; a record's rate is what its forwarder has: 100 at once, 20 a second",
      ],
    };
  });
}

/** A trust domain of its own for each, so that none pays for the one before. */
async function prepare(victim: Watched, seconds: number): Promise<Trial[]> {
  const trials: Trial[] = [];
  const newDomain = (): HostileDomain => makeHostileDomain(`rogue${trials.length}`);
  const count = GOSSIP_BURST + GOSSIP_A_SECOND * seconds;
  const gossip = { strategy: "records", burst: GOSSIP_BURST, rate: GOSSIP_A_SECOND };
  for (const [what, make] of Object.entries(HOSTILE)) {
    const domain = newDomain();
    const { held, envelopes } = make(domain, count);
    await importRecords(victim, held);
    trials.push({ what, domain, orders: { ...gossip, envelopes } });
  }
  const add = async (what: string, orders: (domain: HostileDomain) => Partial<Orders>) => {
    const domain = newDomain();
    await importRecords(victim, [domain.genesis]);
    trials.push({ what, domain, orders: orders(domain) });
  };
  const atOnce = { strategy: "records", burst: Infinity };
  await add("held again, at full speed", ({ genesis }) => {
    return { ...atOnce, envelopes: [genesis.envelope] };
  });
  await add("held in other blocks, at full speed", ({ genesis, node }) => {
    return { ...atOnce, envelopes: resigned(genesis, node, FLOOD_RECORDS) };
  });
  await add("sync: replies full of records of no use", (domain) => {
    return { strategy: "sync-useless", envelopes: worst(domain, SYNC_REPLY_RECORDS_MAX).envelopes };
  });
  const held = trials.flatMap(({ domain }) => domain?.trustDomain ?? []);
  const names = held.slice(0, SYNC_REPLY_RECORDS_MAX).map((name) => Buffer.from(name));
  await add("sync: replies not read", () => ({ strategy: "sync-unread", envelopes: names }));
  for (const strategy of MEMBERS) await add(`member: ${strategy}`, () => ({ strategy }));
  for (const strategy of STRANGERS) {
    trials.push({ what: `stranger: ${strategy}`, domain: undefined, orders: { strategy } });
  }
  return trials;
}

async function run(
  victim: Watched,
  { domain, orders }: Trial,
  seconds: number,
  idle: number,
): Promise<Cost> {
  const { node } = await callAdmin(victim.site.adminSocket, "status", {});
  const [address = ""] = node.addresses;
  const seed = domain?.seed ?? randomBytes(32);
  const rogue = await startRogueProcess({ ...orders, address, seed, seconds });
  const { pid } = victim;
  const refusedBefore = await refusedBy(victim);
  const before = await usageOf(pid);
  const beganMs = performance.now();
  let rejected = 0;
  const watch = async (): Promise<void> => {
    const peers = await callAdmin(victim.site.adminSocket, "peers", {});
    const attacker = peers.find(({ trust_domain }) => trust_domain === domain?.trustDomain);
    rejected = Math.max(rejected, attacker?.rejected ?? 0);
  };
  const watching = setInterval(() => void watch(), WATCH_MS);
  const done = await rogue.attack();
  clearInterval(watching);
  rogue.end();
  await sleep(SETTLE_MS);
  const after = await usageOf(pid);
  const idleMs = idle * (performance.now() - beganMs);
  const refused = [...(await refusedBy(victim))]
    .map(([code, count]) => [code, count - (refusedBefore.get(code) ?? 0)] as const)
    .filter(([, count]) => count > 0);
  return {
    oursMs: Math.max(0, after.cpuMs - before.cpuMs - idleMs),
    theirsMs: done.cpuMs,
    done,
    refused: new Map(refused),
    rejected,
  };
}

function shown({ what }: Trial, cost: Cost): Figure {
  const { oursMs, theirsMs } = cost;
  const isCheap = oursMs / Math.max(theirsMs, GRAIN_MS) <= OURS_TO_THEIRS_MAX;
  return {
    what: `${what}: ${endOf(cost)}`,
    unit: "ms",
    values: [oursMs],
    anchor: { what: `${theirsMs.toFixed(0)} ms of the attacker`, values: [theirsMs] },
    target: isCheap
      ? { text: `≤ ${OURS_TO_THEIRS_MAX} ×`, met: true }
      : { text: `≤ ${OURS_MS_MAX} in all`, met: oursMs <= OURS_MS_MAX },
  };
}

/** What ended it: its connection, being heard, its budget, or only the time. */
function endOf({ done, refused, rejected }: Cost): string {
  const { cutOffAfterS, actions, refused: failed } = done;
  const judged = [...refused].map(([code, count]) => `${count} ${code}`).join(", ");
  const of = judged === "" ? "" : ` (${judged})`;
  if (cutOffAfterS !== undefined) return `cut off after ${cutOffAfterS.toFixed(1)} s${of}`;
  if (rejected > REJECTED_MAX) return `graylisted${of}`;
  return judged === "" ? `not cut off, ${actions} done, ${failed} refused` : `its budget${of}`;
}

/** Of a core. */
async function idleShare({ pid }: Watched): Promise<number> {
  const before = await usageOf(pid);
  await sleep(IDLE_MS);
  const after = await usageOf(pid);
  return (after.cpuMs - before.cpuMs) / IDLE_MS;
}
