/** A row of failures, and which of them are told. */
import type { Fault } from "../fault.ts";

export class Outage {
  /** In a row; 0: there is none. */
  failures = 0;
  #told: string | undefined;
  #last: string | undefined;

  /** Whether to tell of it: the first, and once something else helps, which came twice by then. */
  fail({ advice }: Fault): boolean {
    this.failures += 1;
    const isTold = this.failures === 1 || (advice !== this.#told && advice === this.#last);
    if (isTold) this.#told = advice;
    this.#last = advice;
    return isTold;
  }

  end(): void {
    this.failures = 0;
    this.#told = undefined;
    this.#last = undefined;
  }
}
