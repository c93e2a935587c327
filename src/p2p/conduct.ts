/**
 * How the nodes of one trust domain have behaved, all together (account.ts). gossipsub forgets a
 * score when the peer's stream or connection ends and begins anew (17.1.1), so what shall last is
 * counted here.
 *
 *     heard ── invalid, or far above its budget ──▶ graylisted: no gossip for a minute, sync goes on
 *       │
 *       └──── more work than any honest peer makes ──▶ barred: no connection for five minutes
 *
 * Pure: the caller brings a clock that never goes backwards.
 */
import { FadingCount } from "../core/std/fading-count.ts";
import { type Rate, TokenBucket } from "../core/std/token-bucket.ts";

/**
 * An honest peer forwards nothing that gets the verdict reject; eight are left to a bug of ours.
 * Above: the trust domain is graylisted.
 */
const INVALID_MAX = 8;
const INVALID_FADES_MS = 25_000;
/**
 * Twice what comes when all 10,000 trust domains rotate in the same moment and one node forwards it
 * all. 5,000 a second pass it after five seconds; 2,000 a second never do, which is what four nodes
 * forward that verify 500 a second each.
 */
const OVER_BUDGET_MAX = 20_000;
const OVER_BUDGET_FADES_MS = 10_000;
/** Above either: nothing that it gossips is looked at for so long. Sync repairs what that costs. */
const GRAYLISTED_MS = 60_000;
/**
 * Work in units of 1 to 10 µs of our time (measured): a frame, a field of an RPC, a KiB of gossip are
 * 1, a message 2 besides, a new stream or a ping 200. The mass rotation above makes 150,000 for
 * each node that forwards it to us: four in a mesh of four, when all we know is one trust domain.
 * Above: the trust domain is barred, its connections are cut.
 */
const WORK: Rate = { perSecond: 5_000, burst: 600_000 };
/**
 * RPCs without messages besides, 5 µs and more each: an honest node sends a few in a heartbeat, and one
 * for each message that it wants no more copies of (measured). In the mass rotation above that is 10,000,
 * then 500 a second as it verifies; times four. Above: barred as well.
 */
const CONTROL: Rate = { perSecond: 2_000, burst: 50_000 };
/** Above: its connections are cut, and none is taken or made for so long. */
export const BARRED_MS = 5 * 60_000;

export class Conduct {
  readonly #invalid = new FadingCount(INVALID_FADES_MS);
  readonly #overBudget = new FadingCount(OVER_BUDGET_FADES_MS);
  readonly #work: TokenBucket;
  readonly #control: TokenBucket;
  #graylistedUntilMs = -Infinity;
  #barredUntilMs = -Infinity;

  constructor(nowMs: number) {
    this.#work = new TokenBucket(WORK, nowMs);
    this.#control = new TokenBucket(CONTROL, nowMs);
  }

  /** A node of it sent what no honest node sends. */
  onInvalid(nowMs: number): void {
    if (this.#invalid.add(1, nowMs) > INVALID_MAX) this.#graylist(nowMs);
  }

  /** A node of it sent a message more than we promise to look at. */
  onOverBudget(nowMs: number): void {
    if (this.#overBudget.add(1, nowMs) > OVER_BUDGET_MAX) this.#graylist(nowMs);
  }

  /** A node of it made us work. */
  onWork(units: number, nowMs: number): void {
    this.#barUnless(this.#work, units, nowMs);
  }

  /** A node of it sent an RPC without messages. */
  onControl(nowMs: number): void {
    this.#barUnless(this.#control, 1, nowMs);
  }

  graylisted(nowMs: number): boolean {
    return nowMs < this.#graylistedUntilMs;
  }

  barred(nowMs: number): boolean {
    return nowMs < this.#barredUntilMs;
  }

  #barUnless(budget: TokenBucket, count: number, nowMs: number): void {
    if (!this.barred(nowMs) && !budget.take(nowMs, count)) this.#barredUntilMs = nowMs + BARRED_MS;
  }

  #graylist(nowMs: number): void {
    this.#graylistedUntilMs = nowMs + GRAYLISTED_MS;
  }
}
