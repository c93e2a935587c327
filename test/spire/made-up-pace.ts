/** Time that moves only when a test says so, for one loop that sleeps between its turns. */
import type { Pace } from "../../src/spire/pace.ts";

/** Longest real time a turn may take: calls over a local socket take 1 ms. */
const TURN_MS_MAX = 5_000;

interface Sleeper {
  readonly untilMs: number;
  wake(): void;
}

export class MadeUpPace implements Pace {
  #nowMs = 0;
  #sleeper: Sleeper | undefined;
  #onAsleep: (() => void) | undefined;
  #random: () => number;

  /** @param random Constant 0 by default: delays are then the longest that the back-off gives. */
  constructor(random: () => number = () => 0) {
    this.#random = random;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  random(): number {
    return this.#random();
  }

  async sleep(delayMs: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        this.#sleeper = undefined;
        resolve();
      };
      this.#sleeper = { untilMs: this.#nowMs + delayMs, wake };
      signal.addEventListener("abort", wake, { once: true });
      this.#onAsleep?.();
    });
  }

  /** Resolves when the loop has done its turn and sleeps. */
  async asleep(): Promise<void> {
    await Promise.resolve(); // A wake-up of just now takes the sleeper away first.
    if (this.#sleeper !== undefined) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const limit = setTimeout(() => reject(new Error("the loop does not go to sleep")), TURN_MS_MAX);
    this.#onAsleep = resolve;
    await promise.finally(() => clearTimeout(limit));
    this.#onAsleep = undefined;
  }

  /** Lets time pass, with every turn that falls into it. */
  async advance(byMs: number): Promise<void> {
    const untilMs = this.#nowMs + byMs;
    await this.asleep();
    while (this.#sleeper !== undefined && this.#sleeper.untilMs <= untilMs) {
      this.#nowMs = Math.max(this.#nowMs, this.#sleeper.untilMs);
      this.#sleeper.wake();
      await this.asleep();
    }
    this.#nowMs = untilMs;
  }
}
