/** A row of failures, and which of them are told. */
import type { Fault } from "../fault.ts";

export class Outage {
  /** In a row; 0: there is none. */
  failures = 0;
  #told: string | undefined;
  #last: string | undefined;

  /** Whether to tell of it: the first, and once the reason is another, which came twice by then. */
  fail(fault: Fault): boolean {
    this.failures += 1;
    const reason = reasonOf(fault);
    const isTold = this.failures === 1 || (reason !== this.#told && reason === this.#last);
    if (isTold) this.#told = reason;
    this.#last = reason;
    return isTold;
  }

  end(): void {
    this.failures = 0;
    this.#told = undefined;
    this.#last = undefined;
  }
}

/** The same for each call that fails in one way, as its message is not (spire-fault.ts sets the details). */
function reasonOf({ advice, details: { status = "", errno = "" } }: Fault): string {
  return `${status} ${errno} ${advice}`;
}
