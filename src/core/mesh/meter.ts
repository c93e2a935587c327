/**
 * What one trust domain may make us verify (docs/protocol.md 3). Two prices, because each alone is
 * open to somebody:
 *
 * - *a node pays for a gossiped record* after step 6, when the record is known to be signed by a
 *   listed node and before a certificate is read: nobody can spend another's budget. Old blocks of
 *   the held record, which a relay may repeat, are paid from a budget of their own. Its trust domain
 *   pays with it, or sixteen nodes would have sixteen budgets: each record taken is stored,
 *   forwarded and written to SPIRE, which costs more than its verification (measured: 27 to 5 ms).
 * - *the trust domain pays for the work* that its records made, by whatever carrier, after it was
 *   done: one valid record may cost fifty times what another does, and sixteen nodes sixteen times
 *   what one does. Only what its listed nodes signed is work; but a relay may bring such records
 *   again and out of order by sync, and spend this budget with refusals (docs/threat-model.md).
 */
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

/** What a gossiped record is paid from: a higher version or a sibling, or a block of the held one. */
export type Budget = "record" | "block";

export class Meter {
  /** By node in hex and budget. Only listed nodes come here; above the bound it is one that left. */
  readonly #buckets = new Map<string, TokenBucket>();
  #records: TokenBucket | undefined;
  #work: TokenBucket | undefined;

  /** Whether the node may make us verify one more gossiped record. */
  takes(node: string, budget: Budget, nowMs: number): boolean {
    const key = `${node} ${budget}`;
    const bucket = this.#buckets.get(key) ?? new TokenBucket(NODE_RATE, nowMs);
    this.#buckets.delete(key); // It goes behind the others: the first was not heard for the longest.
    this.#buckets.set(key, bucket);
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size > 2 * NODES_MAX && oldest !== undefined) this.#buckets.delete(oldest);
    this.#records ??= new TokenBucket(DOMAIN_RATE, nowMs);
    return bucket.take(nowMs) && (budget === "block" || this.#records.take(nowMs));
  }

  /** Whether the trust domain has paid for all work so far. */
  isPaid(nowMs: number): boolean {
    this.#work ??= new TokenBucket(WORK_RATE, nowMs);
    return this.#work.take(nowMs, 0);
  }

  /** Work was done for the trust domain: signatures checked, certificates and keys read. */
  charge(work: number): void {
    this.#work?.owe(work);
  }
}
