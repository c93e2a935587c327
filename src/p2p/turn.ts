/**
 * How much is read of one trust domain before all others get their turn. libuv hands over 2 MiB of a
 * socket at once, which is 20,000 small messages and 2 s (measured), then goes on with the next socket,
 * and no timer runs meanwhile. Connections cost a trust domain nothing, so all of its nodes share one
 * turn.
 *
 *     reading ── spent ──▶ resting ── as long as the turn took ──▶ reading: those who waited, in order
 *
 * So one trust domain takes half of our time at the most, whatever its reads are made of; several
 * together may take all of it, a turn each in a round of the loop, until they are cut off.
 */
import type { Account } from "./account.ts";
import type { Member } from "./admission.ts";

/**
 * What is read of one trust domain while the event loop goes round once. 64 messages take 4 to 10 ms,
 * 64 KiB of the smallest RPCs 13 ms (measured), and a sync reply has few frames. Above: its connections
 * wait until every other socket and timer had its turn, and their senders for us.
 */
const TURN_BYTES_MAX = 64 * 1024;
const TURN_FRAMES_MAX = 64;
/** A turn that took longer is one in which the machine was asleep. Above: the rest ends all the same. */
const REST_MS_MAX = 1_000;

/** The turn of one trust domain. */
export class Turn {
  readonly #nowMs: () => number;
  /** When the first was read of it in this turn. */
  #beganMs: number | undefined;
  #bytes = 0;
  #frames = 0;
  readonly #waiting: (() => void)[] = [];

  /** @param nowMs A clock that never goes backwards. */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Nothing more is read of the trust domain until its next turn. */
  get isSpent(): boolean {
    return this.#bytes >= TURN_BYTES_MAX || this.framesLeft <= 0;
  }

  get framesLeft(): number {
    return TURN_FRAMES_MAX - this.#frames;
  }

  /** How many connections wait. */
  get waiting(): number {
    return this.#waiting.length;
  }

  spend(bytes: number, frames: number): void {
    if (this.#beganMs === undefined) {
      this.#beganMs = this.#nowMs();
      setImmediate(() => this.#end());
    }
    this.#bytes += bytes;
    this.#frames += frames;
  }

  /**
   * Calls `goOn` in a turn that is not spent, when those who came before had theirs. The caller bounds
   * it: once for each connection.
   */
  wait(goOn: () => void): void {
    this.#waiting.push(goOn);
  }

  /** Work of the turn is done, as all that came of a read is done before the loop goes round. */
  #end(): void {
    const tookMs = this.#nowMs() - (this.#beganMs ?? 0);
    const restMs = this.isSpent ? Math.min(Math.floor(tookMs), REST_MS_MAX) : 0;
    if (restMs === 0) this.#begin();
    else setTimeout(() => this.#begin(), restMs).unref();
  }

  #begin(): void {
    this.#beganMs = undefined;
    this.#bytes = 0;
    this.#frames = 0;
    while (!this.isSpent) {
      const goOn = this.#waiting.shift();
      if (goOn === undefined) return;
      goOn();
    }
  }
}

/** The turns of all trust domains; each lives as long as its account. */
export class Turns {
  readonly #nowMs: () => number;
  readonly #turns = new WeakMap<Account, Turn>();

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Of the trust domains that list the node, one whose turn is not spent, or for which the fewest wait. */
  of(member: Member): Turn {
    const turns = [...member.accounts.values()].map((account) => this.#ofAccount(account));
    const fewest = (): Turn => turns.reduce((a, b) => (b.waiting < a.waiting ? b : a));
    return turns.find((each) => !each.isSpent) ?? fewest();
  }

  #ofAccount(account: Account): Turn {
    const turn = this.#turns.get(account) ?? new Turn(this.#nowMs);
    this.#turns.set(account, turn);
    return turn;
  }
}
