/**
 * One write in flight: 300 at once broke the connection limit of SPIRE's PostgreSQL (measured), and
 * all daemons of a datastore write at the same moment.
 */
import { SPIRE_WRITES_WAITING_MAX } from "../core/std/limits.ts";
import { Fault } from "../fault.ts";

export class WriteLane {
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  /** Runs a write after those before it have ended, however they ended. */
  async run<Outcome>(write: () => Promise<Outcome>): Promise<Outcome> {
    if (this.#waiting >= SPIRE_WRITES_WAITING_MAX) {
      throw new Fault(
        "SPIRE_UNREACHABLE",
        `${SPIRE_WRITES_WAITING_MAX} writes wait for SPIRE Server already`,
      );
    }
    this.#waiting += 1;
    const turn = this.#last.then(write).finally(() => {
      this.#waiting -= 1;
    });
    this.#last = turn.catch(() => undefined);
    return await turn;
  }
}
