/**
 * What one trust domain may make us verify (docs/protocol.md 3). Two prices, because each alone is
 * open to somebody:
 *
 * - *a node pays for a gossiped record* after step 6, when the record is known to be signed by a
 *   listed node and before a certificate is read. Old blocks of the held record, which a relay may
 *   repeat, are paid from a budget of their own. Its trust domain pays with it, or sixteen nodes
 *   would have sixteen budgets: each record taken is stored, forwarded and written to SPIRE, which
 *   costs more than its verification (measured: 27 to 5 ms).
 * - *work is paid after it was done*, by whatever carrier but a file: one valid record may cost fifty
 *   times what another does, and sixteen nodes sixteen times what one does. The trust domain pays
 *   for what is taken of it and for what its own nodes bring.
 *
 * Who else brings its records pays for those that change nothing, from a share of its own: a relay
 * can serve true records out of order and again. The share is in *this* trust domain's work and no
 * other's, as the relay may be honest and hold what the domain forked: it is then heard of others
 * as before. So a relay spends neither the domain's budget nor another relay's; sixteen together
 * spend what all relays have.
 */
import { BoundedMap } from "../std/bounded-map.ts";
import {
  DOMAIN_RECORDS_AT_ONCE_MAX,
  DOMAIN_RECORDS_A_SECOND_MAX,
  DOMAIN_WORK_AT_ONCE_MAX,
  DOMAIN_WORK_A_SECOND_MAX,
  NODES_MAX,
  NODE_RECORDS_AT_ONCE_MAX,
  NODE_RECORDS_A_SECOND_MAX,
} from "../std/limits.ts";
import { type Rate, TokenBucket } from "../std/token-bucket.ts";

const NODE_RATE: Rate = {
  perSecond: NODE_RECORDS_A_SECOND_MAX,
  burst: NODE_RECORDS_AT_ONCE_MAX,
};
const DOMAIN_RATE: Rate = {
  perSecond: DOMAIN_RECORDS_A_SECOND_MAX,
  burst: DOMAIN_RECORDS_AT_ONCE_MAX,
};
const WORK_RATE: Rate = {
  perSecond: DOMAIN_WORK_A_SECOND_MAX,
  burst: DOMAIN_WORK_AT_ONCE_MAX,
};
/**
 * What one relay brings of one trust domain and we refuse, in the same units. A record out of order
 * takes two to ten, and who has no other gives it in each sync, every 10 s. Above: OVER_BUDGET until
 * it is earned; the domain's own nodes and other relays bring the record.
 */
const RELAY_RATE: Rate = { perSecond: 1, burst: 64 };
/** Relays remembered, twice as many as spend all; the one asked for the longest ago goes, and begins anew. */
const RELAYS_MAX = 2 * (DOMAIN_WORK_AT_ONCE_MAX / RELAY_RATE.burst);

/** What gossip is paid from: a higher version or a sibling, a block of the held one, or a head. */
export type Budget = "record" | "block" | "head";

export class Meter {
  /** By node in hex and budget. Only listed nodes come here; above the bound it is one that left. */
  readonly #nodes = new BucketMap(NODE_RATE, 3 * NODES_MAX);
  readonly #domain: Readonly<Record<Budget, TokenBucket>> = {
    record: new TokenBucket(DOMAIN_RATE, 0),
    block: new TokenBucket(DOMAIN_RATE, 0),
    head: new TokenBucket(DOMAIN_RATE, 0),
  };
  readonly #work = new TokenBucket(WORK_RATE, 0);
  /** What all relays together have, and by relay. */
  readonly #relayed = new TokenBucket(WORK_RATE, 0);
  readonly #relays = new BucketMap(RELAY_RATE, RELAYS_MAX);

  /** Whether the node may make us verify one more gossiped record. */
  takes(node: string, budget: Budget, nowMs: number): boolean {
    const isPaid = this.#nodes.get(`${node} ${budget}`, nowMs).take(nowMs);
    return isPaid && this.#domain[budget].take(nowMs);
  }

  /**
   * Whether all work so far is paid.
   *
   * @param relays The trust domains of the node that brings a record; none when it is the domain's
   *   own. A node that several list is heard while one of their shares lasts: who lists a foreign
   *   node lends it a share, and cannot spend the one it has.
   */
  isPaid(relays: readonly string[], nowMs: number): boolean {
    if (this.#work.left(nowMs) < 0) return false;
    if (relays.length === 0) return true;
    return this.#relayed.left(nowMs) >= 0 && this.#shareOf(relays, nowMs) !== undefined;
  }

  /** Work was done: signatures checked, certificates and keys read. Nobody named: the domain pays. */
  charge(work: number, relays: readonly string[], nowMs: number): void {
    if (relays.length === 0) {
      this.#work.owe(work);
      return;
    }
    this.#relayed.owe(work);
    this.#shareOf(relays, nowMs)?.owe(work);
  }

  #shareOf(relays: readonly string[], nowMs: number): TokenBucket | undefined {
    return relays
      .map((relay) => this.#relays.get(relay, nowMs))
      .find((share) => share.left(nowMs) >= 0);
  }
}

/** Buckets by name, all of one rate. At the bound goes the one that was asked for the longest ago. */
class BucketMap {
  readonly #rate: Rate;
  readonly #buckets: BoundedMap<string, TokenBucket>;

  constructor(rate: Rate, max: number) {
    this.#rate = rate;
    this.#buckets = new BoundedMap(max);
  }

  get(name: string, nowMs: number): TokenBucket {
    const bucket = this.#buckets.get(name) ?? new TokenBucket(this.#rate, nowMs);
    this.#buckets.set(name, bucket);
    return bucket;
  }
}
