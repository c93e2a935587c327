/**
 * What the nodes of one trust domain may make us verify of what was gossiped: after step 6 a record
 * is known to be signed by a listed node, so that node pays for the certificates and signatures that
 * follow, and nobody can spend its budget but itself (docs/protocol.md 3).
 *
 * Two budgets: a relay may repeat old blocks of the held record, which must not cost its node the
 * next one. Sync is not metered here; it brings what we asked for.
 */
import { NODES_MAX, NODE_RECORDS_AT_ONCE_MAX, NODE_RECORDS_A_SECOND_MAX } from "../std/limits.ts";
import { type Rate, TokenBucket } from "../std/token-bucket.ts";

const NODE_RATE: Rate = {
  perSecond: NODE_RECORDS_A_SECOND_MAX,
  burst: NODE_RECORDS_AT_ONCE_MAX,
};

/** What a record is paid from: a higher version or a sibling, or another block of the held one. */
export type Budget = "record" | "block";

export class NodeMeter {
  /** By node in hex and budget; the oldest go first. */
  readonly #buckets = new Map<string, TokenBucket>();

  /** Whether the node may make us verify one more. */
  takes(node: string, budget: Budget, nowMs: number): boolean {
    const key = `${node} ${budget}`;
    const bucket = this.#buckets.get(key) ?? new TokenBucket(NODE_RATE, nowMs);
    this.#buckets.set(key, bucket);
    // Only listed nodes come here, so what goes belongs to one that left.
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size > 2 * NODES_MAX && oldest !== undefined) this.#buckets.delete(oldest);
    return bucket.take(nowMs);
  }
}
