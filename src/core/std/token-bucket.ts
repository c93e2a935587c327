/**
 * How often somebody may do something: `burst` times at once, then `perSecond`. A clock that is set
 * back earns nothing and costs nothing.
 */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

export class TokenBucket {
  readonly #rate: Rate;
  #tokens: number;
  #filledAtMs: number;

  constructor(rate: Rate, nowMs: number) {
    this.#rate = rate;
    this.#tokens = rate.burst;
    this.#filledAtMs = nowMs;
  }

  /** How many tokens there are; below zero while some are owed. */
  left(nowMs: number): number {
    const earned = (Math.max(0, nowMs - this.#filledAtMs) * this.#rate.perSecond) / 1_000;
    this.#tokens = Math.min(this.#rate.burst, this.#tokens + earned);
    this.#filledAtMs = nowMs;
    return this.#tokens;
  }

  /** Takes `count` tokens, or says no and takes nothing. */
  take(nowMs: number, count = 1): boolean {
    if (this.left(nowMs) < count) return false;
    this.#tokens -= count;
    return true;
  }

  /** Takes tokens that there may not be: nothing is to be had until the debt is earned. */
  owe(count: number): void {
    this.#tokens -= count;
  }
}
