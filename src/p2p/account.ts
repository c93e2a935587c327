/**
 * What one trust domain may make us do, all its nodes together. Its record lists the nodes, so keys
 * cost it nothing: a budget for each node would be sixteen, and sixteen new ones for each record.
 * Hence an account is the trust domain's, and is kept when its nodes change.
 *
 * Replicas of an honest domain share it without harm. They sync with each other more often than with
 * us, so together they ask us for no more than one alone; what gossip or sync with one of them lacks
 * comes with the next round.
 */
import type { PeerId } from "@libp2p/interface";
import { type Rate, TokenBucket } from "../core/std/token-bucket.ts";
import { Conduct } from "./conduct.ts";

/** Messages new to us: the same one from another node costs nothing. Sync repairs what is beyond. */
const GOSSIP_RATE: Rate = { perSecond: 20, burst: 100 };
/**
 * Heads new to us: 10,000 trust domains send one a minute each, 167 a second, and one peer may bring
 * them all. Each is a signature to check, so this is 2 % of a core. Above: left, the next head says more.
 */
const HEAD_RATE: Rate = { perSecond: 200, burst: 1_000 };
/**
 * Connections of sixteen nodes that restart together: two daemons that dial each other at once, and
 * once more. Each costs a handshake. Above: refused once the key is proved.
 */
const CONNECT_RATE: Rate = { perSecond: 2, burst: 64 };
/**
 * Attempts of ours to reach a node without waiting: it is new, or has a new address, or hung up on
 * us. Sixteen new nodes, and as many hung up on; addresses are hints, and may be of somebody who
 * never asked for it. Above: after the longest wait.
 */
const DIAL_RATE: Rate = { perSecond: 0.5, burst: 32 };
/**
 * Sync requests: a cold join of 10,000 domains makes 180, of large records 1,270. Above: the round
 * ends.
 */
const REQUEST_RATE: Rate = { perSecond: 20, burst: 1_536 };
/**
 * What these may make us look up: a want is one (1.5 ms of store, measured), eight names that are said
 * or listed are one. A cold join of 10,000 domains costs 12,520 and is not slowed, a round that finds
 * nothing 11. Above: the round ends; replicas that join at once get the rest from each other.
 */
const LOOKUP_RATE: Rate = { perSecond: 150, burst: 16_384 };
/** What we send in answers: the 51 MB of a cold join at once, a large one goes on slower. */
const ANSWER_RATE: Rate = { perSecond: 2 * 1024 * 1024, burst: 128 * 1024 * 1024 };
/**
 * Records that we are given in sync and that are of no use, of usual size: 1 s of verification, then 10 a second at
 * 2 ms each, or 2 %. An honest node holds few partners that we refuse, and a round asks for each once.
 * Above: the round ends, and the next one goes on behind what was refused.
 */
const USELESS_RATE: Rate = { perSecond: 10, burst: 512 };
/**
 * What we send in answers to IWANT: gossipsub has no bound, 119 bytes out for one in (measured). Four
 * thousand usual records at once; after that 256 a second, sixteen nodes in a mass rotation ask for
 * 380. Above: left out; another peer or sync brings them.
 */
const IWANT_RATE: Rate = { perSecond: 512 * 1024, burst: 8 * 1024 * 1024 };

const RATES = {
  connect: CONNECT_RATE,
  dial: DIAL_RATE,
  gossip: GOSSIP_RATE,
  head: HEAD_RATE,
  request: REQUEST_RATE,
  lookup: LOOKUP_RATE,
  answer: ANSWER_RATE,
  iwant: IWANT_RATE,
  useless: USELESS_RATE,
} as const;

export type BudgetName = keyof typeof RATES;

export class Account {
  /** The nodes that the trust domain lists, by public key as hex. */
  readonly nodes = new Map<string, PeerId>();
  readonly conduct: Conduct;
  readonly #budgets: ReadonlyMap<BudgetName, TokenBucket>;

  constructor(nowMs: number) {
    this.conduct = new Conduct(nowMs);
    const names = Object.keys(RATES) as BudgetName[];
    this.#budgets = new Map(names.map((name) => [name, new TokenBucket(RATES[name], nowMs)]));
  }

  /** Takes `count` from a budget, or says no and takes nothing. */
  take(name: BudgetName, nowMs: number, count = 1): boolean {
    return this.#budgets.get(name)?.take(nowMs, count) === true;
  }

  left(name: BudgetName, nowMs: number): number {
    return this.#budgets.get(name)?.left(nowMs) ?? 0;
  }
}
