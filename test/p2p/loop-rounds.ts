/** Rounds of the event loop in place of milliseconds: a slow machine has as many. */
import { vi } from "vitest";
import { Turn } from "../../src/p2p/turn.ts";

/** A turn and the read that spends it, see turn.ts. */
export const TURN_BYTES_MAX = 2 * 64 * 1024;

export const nextRound = async (): Promise<void> =>
  await new Promise((resolve) => setImmediate(resolve));

/** What happens between two rounds of the event loop. Restore all mocks afterwards. */
export class LoopRounds {
  readonly #spend = vi.spyOn(Turn.prototype, "spend");
  count = 0;
  /** Bytes that were read of members in the fullest one. */
  most = 0;
  isOver = false;

  constructor() {
    this.#next();
  }

  #next(): void {
    this.count += 1;
    const bytes = this.#spend.mock.calls.reduce((sum, [each]) => sum + each, 0);
    this.most = Math.max(this.most, bytes);
    this.#spend.mockClear();
    if (!this.isOver) setImmediate(() => this.#next());
  }
}
