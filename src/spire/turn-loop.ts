/**
 * One turn after the other, never two at once, with a sleep between them that the turn chose. Whoever
 * has news wakes it. A turn that throws is a bug of ours: the rejection is not caught, so the process
 * ends rather than go on without the loop.
 */
import assert from "node:assert/strict";
import type { Pace } from "./pace.ts";

export class TurnLoop {
  readonly #turn: () => Promise<number>;
  readonly #pace: Pace;
  #nap = new AbortController();
  #running: Promise<void> | undefined;
  #stopped = false;

  /** @param turn Does what is due; resolves with the milliseconds until the next turn. */
  constructor(turn: () => Promise<number>, pace: Pace) {
    this.#turn = turn;
    this.#pace = pace;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  start(): void {
    assert(this.#running === undefined, "a loop is started once");
    this.#running = this.#run();
  }

  /** The next turn begins at once, or right after the one under way. */
  wake(): void {
    this.#nap.abort();
  }

  /** Resolves when the turn under way has ended; none begins after. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.wake();
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      this.#nap = new AbortController(); // Before the turn: news that come during it shorten the sleep.
      const delayMs = await this.#turn();
      if (!this.#stopped) await this.#pace.sleep(delayMs, this.#nap.signal);
    }
  }
}
