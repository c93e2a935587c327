/**
 * Virtual time and chance: a heap of events by (time, order of coming), and numbers from one seed.
 * Nothing else in the world has a clock or a die, so the same seed is the same run, byte for byte.
 */
import { setImmediate } from "node:timers/promises";
import { uniformInt } from "pure-rand/distribution/uniformInt";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import TinyQueue from "tinyqueue";

const START_MS = 1_790_000_000_000; // 2026-09-21

interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly happen: () => void;
}

export class Timeline {
  readonly #events = new TinyQueue<Event>([], (a, b) => a.atMs - b.atMs || a.order - b.order);
  readonly #generator: ReturnType<typeof xoroshiro128plus>;
  #nowMs = START_MS;
  /** Events put in so far. */
  #order = 0;

  constructor(seed: number) {
    this.#generator = xoroshiro128plus(seed);
  }

  readonly nowMs = (): number => this.#nowMs;
  readonly nowS = (): number => Math.floor(this.#nowMs / 1_000);
  readonly between = (from: number, to: number): number => uniformInt(this.#generator, from, to);
  readonly random = (): number => this.between(0, 2 ** 20 - 1) / 2 ** 20;
  readonly happens = (percent: number): boolean => this.between(1, 100) <= percent;

  oneOf<Value>(values: readonly Value[]): Value | undefined {
    return values.length === 0 ? undefined : values[this.between(0, values.length - 1)];
  }

  after(delayMs: number, happen: () => void): void {
    const atMs = this.#nowMs + Math.ceil(delayMs);
    this.#events.push({ atMs, order: (this.#order += 1), happen });
  }

  /** Again and again, with a jitter of 20 %. Returns what ends it. */
  readonly every = (intervalMs: number, happen: () => void): (() => void) => {
    let isOver = false;
    const again = (): void => {
      if (isOver) return;
      happen();
      this.after(intervalMs * (0.8 + 0.4 * this.random()), again);
    };
    this.after(intervalMs * this.random(), again);
    return () => (isOver = true);
  };

  async sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.after(delayMs, resolve);
    signal?.addEventListener("abort", () => resolve(), { once: true });
    if (signal?.aborted !== true) await promise;
  }

  /** Lets time pass. Before each event all promises have settled and `afterEach` was called. */
  async pass(durationMs: number, afterEach: () => void): Promise<void> {
    const untilMs = this.#nowMs + durationMs;
    for (;;) {
      await setImmediate();
      afterEach();
      const next = this.#events.peek();
      if (next === undefined || next.atMs > untilMs) break;
      this.#events.pop();
      this.#nowMs = next.atMs;
      next.happen();
    }
    this.#nowMs = untilMs;
  }
}
