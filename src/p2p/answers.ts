/**
 * Which of our answers to sync goes out next. Until the peer has taken it, an answer is memory of ours.
 * So a trust domain has one under way at the most, on however many streams of its nodes it asks, and all
 * together have few; those that wait are served in the order of their trust domains.
 *
 *     asked ── none of its trust domain, and a place free ──▶ under way ──▶ taken
 *       └── not in time ──▶ refused                               └── slow, and others wait ──▶ reset
 *
 * An answer has its place for two seconds in any case. So behind 31 trust domains that read nothing
 * another one waits for 4 s at the most, and its peer for 5.
 */
import type { Account } from "./account.ts";
import type { Member } from "./admission.ts";
import { type Result, no } from "../core/std/result.ts";

/** Answers under way: 16 MiB of the largest that nobody reads. Above: the next one waits. */
const ANSWERS_AT_ONCE = 16;
/** Of one trust domain: one for each of its nodes, and one of a stream just closing. Above: refused. */
const WAITING_MAX = 32;
/**
 * The largest answer at 4 Mbit/s. After that: its stream is reset as soon as another answer waits for
 * its place.
 */
const PLACE_MS = 2_000;

/** What came of an answer, or why there was none. */
type Outcome = Result<void, string>;

interface Answer {
  readonly account: Account;
  /** Whether its turn came in time. */
  readonly turn: PromiseWithResolvers<boolean>;
  /** Ends its stream. */
  readonly giveWay: () => void;
  /** It had its time. */
  isSlow: boolean;
}

export class Answers {
  readonly #waitMs: number;
  /** The oldest first. */
  readonly #underWay = new Map<Account, Answer>();
  /** The trust domain that was served longest ago first. */
  readonly #waiting = new Map<Account, Set<Answer>>();

  /** @param waitMs Nobody waits longer: who asked has given up by then. */
  constructor(waitMs: number) {
    this.#waitMs = waitMs;
  }

  /**
   * Runs `send` when its turn has come. It resolves when the peer has taken the answer, and rejects once
   * `giveWay` has ended the stream.
   */
  async inTurn(
    member: Member,
    giveWay: () => void,
    send: () => Promise<Outcome>,
  ): Promise<Outcome> {
    const account = this.#accountOf(member);
    const answer = { account, turn: Promise.withResolvers<boolean>(), giveWay, isSlow: false };
    const waiting = this.#waiting.get(account) ?? new Set();
    if (waiting.size === WAITING_MAX) return no("more answers at once than it needs");
    this.#waiting.set(account, waiting.add(answer));
    this.#begin();
    const over = setTimeout(() => this.#giveUp(answer), this.#waitMs);
    const hasTurn = await answer.turn.promise;
    clearTimeout(over);
    if (!hasTurn) return no("no turn in its time");
    const slow = setTimeout(() => {
      answer.isSlow = true;
      this.#begin();
    }, PLACE_MS);
    try {
      return await send();
    } finally {
      clearTimeout(slow);
      if (this.#underWay.get(account) === answer) this.#underWay.delete(account);
      this.#begin();
    }
  }

  /** Begins all answers that may be under way now. Who has others waiting comes by once more, in vain. */
  #begin(): void {
    for (const [account, waiting] of this.#waiting) {
      const [next] = waiting;
      const before = this.#inPlaceOf(account);
      if (next === undefined || before?.isSlow === false) continue;
      if (before !== undefined) {
        this.#underWay.delete(before.account);
        before.giveWay();
      }
      this.#leave(next);
      this.#underWay.set(account, next);
      next.turn.resolve(true);
    }
  }

  /** The answer that another one of the trust domain waits for, if any. */
  #inPlaceOf(account: Account): Answer | undefined {
    const own = this.#underWay.get(account);
    if (own !== undefined || this.#underWay.size < ANSWERS_AT_ONCE) return own;
    const [oldest] = this.#underWay.values();
    return oldest;
  }

  #giveUp(answer: Answer): void {
    if (this.#waiting.get(answer.account)?.has(answer) !== true) return;
    this.#leave(answer);
    answer.turn.resolve(false);
  }

  /** Waits no more, and others of its trust domain wait behind all other trust domains. */
  #leave(answer: Answer): void {
    const waiting = this.#waiting.get(answer.account);
    this.#waiting.delete(answer.account);
    waiting?.delete(answer);
    if (waiting !== undefined && waiting.size > 0) this.#waiting.set(answer.account, waiting);
  }

  /** Of the trust domains that list the node, the one of which the fewest wait. */
  #accountOf(member: Member): Account {
    const load = (account: Account): number =>
      (this.#waiting.get(account)?.size ?? 0) + (this.#underWay.has(account) ? 1 : 0);
    return [...member.accounts.values()].reduce((a, b) => (load(b) < load(a) ? b : a));
  }
}
