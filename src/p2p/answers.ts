/**
 * Which of our answers to sync goes out next. Until the peer's window had room for all of it, an answer
 * is memory of ours. So a trust domain has one under way at the most, on however many streams of its
 * nodes it asks, and all together have few places; those that wait get them in the order of their trust
 * domains.
 *
 *     asked ── none of its trust domain, and a place free ──▶ under way ──▶ taken
 *       ├── not in time ──▶ refused                               └── slow, and others wait ──▶ reset
 *       └── its stream ended ──▶ forgotten
 *
 * An answer has its place for two seconds in any case. So behind 31 trust domains that read nothing
 * another one waits for 4 s at the most, and its peer for 20. What peers have room for and their
 * connections do not take is bounded there (wire.ts).
 */
import { addAbortListener } from "node:events";
import type { Account } from "./account.ts";
import type { Member } from "./admission.ts";
import { type Result, no, ok } from "../core/std/result.ts";
import type { SyncStream } from "./sync-stream.ts";

/** Answers under way: 16 MiB of the largest for which no peer has room. Above: the next one waits. */
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

/** What an answer goes out on. */
type AnswerStream = Pick<SyncStream, "ended" | "abort">;

interface Answer {
  /** Of the trust domains that list the node: whose place it has, or waits for. */
  account: Account;
  readonly accounts: readonly Account[];
  readonly stream: AnswerStream;
  /** Settled once it has a place, or will have none. */
  readonly place: PromiseWithResolvers<Outcome>;
  /** It had its time. */
  isSlow: boolean;
}

export class Answers {
  readonly #waitMs: number;
  /** Those that have a place, the oldest first, each of another account. */
  readonly #underWay = new Set<Answer>();
  /** The trust domain that had a place longest ago first. */
  readonly #waiting = new Map<Account, Set<Answer>>();

  /** @param waitMs Nobody waits longer: who asked has given up by then. */
  constructor(waitMs: number) {
    this.#waitMs = waitMs;
  }

  /**
   * Runs `send` once there is a place for it, and resolves with what came of it, or with why there was
   * no place. Rejects when `send` does. `send` must reject once `stream` has ended, as this class may end
   * it for others that wait.
   */
  async run(member: Member, stream: AnswerStream, send: () => Promise<Outcome>): Promise<Outcome> {
    const accounts = [...member.accounts.values()];
    const account = this.#leastBusy(accounts);
    const waiting = this.#waiting.get(account) ?? new Set();
    if (waiting.size === WAITING_MAX) return no("more answers at once than it needs");
    const place = Promise.withResolvers<Outcome>();
    const answer: Answer = { account, accounts, stream, place, isSlow: false };
    this.#waiting.set(account, waiting.add(answer));
    this.#begin();
    const over = setTimeout(() => this.#giveUp(answer, "no place in its time"), this.#waitMs);
    const listening = addAbortListener(stream.ended, () =>
      this.#giveUp(answer, "its stream ended"),
    );
    const given = await place.promise;
    clearTimeout(over);
    listening[Symbol.dispose]();
    if (!given.ok) return given;
    const slow = setTimeout(() => {
      answer.isSlow = true;
      this.#begin();
    }, PLACE_MS);
    try {
      return await send();
    } finally {
      clearTimeout(slow);
      this.#underWay.delete(answer);
      this.#begin();
    }
  }

  /**
   * Gives all places that there are. A trust domain of which more answers wait moves to the end of the
   * map, so the loop meets it once more: its one place is just taken, unless the answer there moves
   * away to another trust domain that lists its node. Each time one answer waits less, so it ends.
   */
  #begin(): void {
    for (const [account, waiting] of this.#waiting) {
      const [next] = waiting;
      this.#moveAway(account);
      const before = this.#holderFor(account);
      if (next === undefined || before?.isSlow === false) continue;
      if (before !== undefined) {
        this.#underWay.delete(before);
        before.stream.abort("slow, and others wait");
      }
      waiting.delete(next);
      this.#waiting.delete(account);
      if (waiting.size > 0) this.#waiting.set(account, waiting);
      this.#underWay.add(next);
      next.place.resolve(ok(undefined));
    }
  }

  /**
   * Whose place a trust domain needs may have that of another one: who lists a foreign node lends it a
   * place, and cannot take the one it has.
   */
  #moveAway(account: Account): void {
    const answer = this.#of(account);
    const free = answer?.accounts.find((each) => this.#of(each) === undefined);
    if (answer !== undefined && free !== undefined) answer.account = free;
  }

  /** The answer whose place another one of the trust domain waits for, if any. */
  #holderFor(account: Account): Answer | undefined {
    const own = this.#of(account);
    if (own !== undefined || this.#underWay.size < ANSWERS_AT_ONCE) return own;
    const [oldest] = this.#underWay;
    return oldest;
  }

  /** The one under way. */
  #of(account: Account): Answer | undefined {
    return [...this.#underWay].find((each) => each.account === account);
  }

  #giveUp(answer: Answer, reason: string): void {
    const waiting = this.#waiting.get(answer.account);
    if (waiting?.delete(answer) !== true) return;
    if (waiting.size === 0) this.#waiting.delete(answer.account);
    answer.place.resolve(no(reason));
  }

  /** The one of which the fewest wait. */
  #leastBusy(accounts: readonly Account[]): Account {
    const load = (account: Account): number =>
      (this.#waiting.get(account)?.size ?? 0) + (this.#of(account) === undefined ? 0 : 1);
    return accounts.reduce((a, b) => (load(b) < load(a) ? b : a));
  }
}
