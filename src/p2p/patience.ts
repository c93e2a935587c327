/**
 * How long a peer may keep us waiting in one round of sync: a second for each frame, and beyond that
 * some seconds for all of them together, but never longer than the deadline of one. So a far or busy
 * peer may take all day, in frames that come; who lets us wait for each of them is soon done.
 */

/** What every frame may take: a far and busy peer needs half of it. A round may have hundreds. */
const FREE_A_FRAME_MS = 1_000;

export interface PatienceOptions {
  /** The longest that one frame may take. */
  readonly frameDeadlineMs: number;
  /** What all frames may take together, beyond a second each. */
  readonly silenceMs: number;
  /** A clock that never goes backwards. */
  readonly nowMs: () => number;
}

export class Patience {
  readonly #options: PatienceOptions;
  #leftMs: number;

  constructor(options: PatienceOptions) {
    this.#options = options;
    this.#leftMs = options.silenceMs;
  }

  /** Nothing took longer than each frame may. */
  get isWhole(): boolean {
    return this.#leftMs === this.#options.silenceMs;
  }

  /** How long the next frame may take. */
  get deadlineMs(): number {
    return Math.min(this.#options.frameDeadlineMs, FREE_A_FRAME_MS + this.#leftMs);
  }

  /** Waits for the peer until the deadline, which aborts the signal that the action is given. */
  async within<Value>(
    signal: AbortSignal,
    action: (signal: AbortSignal) => Promise<Value>,
  ): Promise<Value> {
    const { nowMs } = this.#options;
    const beganMs = nowMs();
    try {
      return await action(AbortSignal.any([signal, AbortSignal.timeout(this.deadlineMs)]));
    } finally {
      const beyondMs = Math.max(0, nowMs() - beganMs - FREE_A_FRAME_MS);
      this.#leftMs -= Math.min(this.#leftMs, beyondMs);
    }
  }
}
