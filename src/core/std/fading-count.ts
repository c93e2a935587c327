/** A count that fades: of a steady `rate` a second it comes to `rate × timeConstantMs / 1,000`. */
export class FadingCount {
  readonly #timeConstantMs: number;
  #count = 0;
  #atMs = 0;

  constructor(timeConstantMs: number) {
    this.#timeConstantMs = timeConstantMs;
  }

  /** Adds, and returns the count. */
  add(amount: number, nowMs: number): number {
    this.#count = this.at(nowMs) + amount;
    this.#atMs = nowMs;
    return this.#count;
  }

  at(nowMs: number): number {
    return this.#count * Math.exp((this.#atMs - nowMs) / this.#timeConstantMs);
  }
}
