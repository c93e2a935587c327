/**
 * Whose round of sync is next. A trust domain has one round under way at the most, however many nodes
 * it lists, and of those that wait the one comes first that was served longest ago: who answers
 * slowly or never keeps nobody else from us.
 *
 *     wanted ── a place is free, no backoff ──▶ under way ──▶ finished: no backoff
 *       ▲                                           │ └──────▶ failed: a backoff, each twice as long
 *       └─────────── not done in its time ──────────┘
 *
 * A node that two trust domains list is served as whichever was served longest ago: who lists a
 * foreign node lends it a round and takes none. What is remembered lives as long as the account or the
 * member (admission.ts), so a new connection changes nothing.
 *
 * Pure: the caller brings a clock that never goes backwards.
 */
import type { Account } from "./account.ts";
import type { Member } from "./admission.ts";

/** Rounds of ours under way: each may bring 64 records for the core to verify. Above: they wait. */
const ROUNDS_AT_ONCE = 8;
/** After a round that failed, then twice as long after each; an honest peer recovers in seconds. */
const BACKOFF_FROM_MS = 5_000;
/** One round in so long is what a peer costs that never answers. */
const BACKOFF_TO_MS = 5 * 60_000;

/**
 * What came of a round. `refused`: the peer said no at once, as one does that has not imported us yet;
 * that costs nothing. `unfinished`: its time was up, and it goes on when the others had theirs.
 */
export type SyncOutcome = "finished" | "unfinished" | "refused" | "failed";

/** A round that may be: with which node, and as which trust domain's. */
interface Chance {
  readonly member: Member;
  readonly account: Account;
}

/** A round that was wanted. */
export interface SyncRound extends Chance {
  /** For those who wait until it is over. */
  readonly over: PromiseWithResolvers<void>;
}

interface Backoff {
  /** In a row. */
  readonly failures: number;
  readonly untilMs: number;
  readonly wasReset: boolean;
}

const NO_BACKOFF: Backoff = { failures: 0, untilMs: -Infinity, wasReset: false };

export class SyncQueue {
  /** The caller bounds it: connected members. */
  readonly #waiting = new Map<Member, PromiseWithResolvers<void>>();
  readonly #underWay = new Set<SyncRound>();
  readonly #backoffs = new WeakMap<Member, Backoff>();
  /** The number of the last round of each; 0 before the first. */
  readonly #served = new WeakMap<Account, number>();
  #rounds = 0;

  /** Resolves when a round is over that began after this call; all who wait for it share one. */
  async want(member: Member): Promise<void> {
    const over = this.#waiting.get(member) ?? Promise.withResolvers<void>();
    this.#waiting.set(member, over);
    await over.promise;
  }

  /** Begins the next round, which is under way until its {@link end}; undefined when none may begin. */
  begin(nowMs: number): SyncRound | undefined {
    if (this.#underWay.size >= ROUNDS_AT_ONCE) return undefined;
    const waiting = this.#chances(this.#waiting.keys(), nowMs);
    const longestAgo = this.#servedLongestAgo(waiting);
    const next = waiting.find(({ account }) => account === longestAgo);
    const over = next && this.#waiting.get(next.member);
    if (next === undefined || over === undefined) return undefined;
    const round = { ...next, over };
    this.#waiting.delete(next.member);
    this.#underWay.add(round);
    this.#rounds += 1;
    this.#served.set(next.account, this.#rounds);
    return round;
  }

  end(round: SyncRound, outcome: SyncOutcome, nowMs: number): void {
    const { member, over } = round;
    this.#underWay.delete(round);
    if (outcome === "finished") this.#backoffs.delete(member);
    if (outcome === "failed") this.#backOff(member, nowMs);
    if (outcome === "unfinished") void this.want(member);
    over.resolve();
  }

  /**
   * The peer may have got well, as it connected anew: its backoff is over. Once, until a round with it
   * is finished: else whoever connects again and again would have none.
   */
  resetBackoff(member: Member): void {
    const backoff = this.#backoffs.get(member);
    if (backoff === undefined || backoff.wasReset) return;
    this.#backoffs.set(member, { ...backoff, untilMs: -Infinity, wasReset: true });
  }

  /** When the first backoff of those that wait is over; undefined when none has one. */
  backoffUntilMs(nowMs: number): number | undefined {
    const untilMs = [...this.#waiting.keys()]
      .map((member) => this.#backoffOf(member).untilMs)
      .filter((each) => each > nowMs);
    return untilMs.length === 0 ? undefined : Math.min(...untilMs);
  }

  /**
   * Whom of these to ask for no reason but that time has passed: of the trust domain that was served
   * longest ago, any node.
   *
   * @param random From 0 up to 1.
   */
  pick(members: Iterable<Member>, nowMs: number, random: number): Member | undefined {
    const chances = this.#chances(members, nowMs);
    const account = this.#servedLongestAgo(chances);
    const nodes = chances.filter((each) => each.account === account);
    return nodes[Math.floor(random * nodes.length)]?.member;
  }

  /** Ends the waiting of all whose round has not begun. */
  clear(): void {
    for (const over of this.#waiting.values()) over.resolve();
    this.#waiting.clear();
  }

  /** The rounds that may begin with these, as many as trust domains list each. */
  #chances(members: Iterable<Member>, nowMs: number): readonly Chance[] {
    const underWay = [...this.#underWay];
    const busy = new Set<Account | Member>(
      underWay.flatMap((round) => [round.account, round.member]),
    );
    const free = [...members].filter(
      (member) => !busy.has(member) && this.#backoffOf(member).untilMs <= nowMs,
    );
    return free.flatMap((member) =>
      [...member.accounts.values()]
        .filter((account) => !busy.has(account))
        .map((account) => ({ member, account })),
    );
  }

  #servedLongestAgo(chances: readonly Chance[]): Account | undefined {
    const served = (account: Account): number => this.#served.get(account) ?? 0;
    return chances
      .map(({ account }) => account)
      .reduce<Account | undefined>(
        (first, each) => (first !== undefined && served(first) <= served(each) ? first : each),
        undefined,
      );
  }

  #backOff(member: Member, nowMs: number): void {
    const { failures, wasReset } = this.#backoffOf(member);
    const backoffMs = Math.min(BACKOFF_TO_MS, BACKOFF_FROM_MS * 2 ** failures);
    const untilMs = nowMs + backoffMs;
    this.#backoffs.set(member, { failures: failures + 1, untilMs, wasReset });
  }

  #backoffOf(member: Member): Backoff {
    return this.#backoffs.get(member) ?? NO_BACKOFF;
  }
}
