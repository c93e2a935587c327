/**
 * Faults that a test switches on in a running server: what SPIRE Server answers when its datastore is
 * away or slow. Silence needs no switch: SIGSTOP makes it, and SIGKILL a crash.
 */
import { setTimeout as delay } from "node:timers/promises";
import { Code, ConnectError } from "../../src/spire-api/services.ts";

export interface Faults {
  /** So many items of Batch calls from now answer status 13 inside an OK reply. */
  readonly failItems?: number;
  /** So many calls from now fail with INTERNAL. */
  readonly failCalls?: number;
  /** So many calls from now are carried out, and then fail with UNAVAILABLE: the lost reply. */
  readonly loseReplies?: number;
  /** Every call waits so long before it is carried out, until changed. */
  readonly delayMs?: number;
}

export class FaultSwitch {
  #failItems = 0;
  #failCalls = 0;
  #loseReplies = 0;
  #delayMs = 0;

  /** Replaces what was set before; an empty object ends every fault. */
  set({ failItems = 0, failCalls = 0, loseReplies = 0, delayMs = 0 }: Faults): void {
    this.#failItems = failItems;
    this.#failCalls = failCalls;
    this.#loseReplies = loseReplies;
    this.#delayMs = delayMs;
  }

  /** Throws when the item under way shall fail. */
  beforeItem(): void {
    if (this.#failItems === 0) return;
    this.#failItems -= 1;
    throw new Error("datastore-sql: fault switched on");
  }

  /** Carries one call out, with whatever is switched on around it. */
  async around<Answer>(call: () => Answer): Promise<Awaited<Answer>> {
    if (this.#delayMs > 0) await delay(this.#delayMs);
    if (this.#failCalls > 0) {
      this.#failCalls -= 1;
      throw new ConnectError("fault switched on", Code.Internal);
    }
    const answer = await call();
    if (this.#loseReplies > 0) {
      this.#loseReplies -= 1;
      throw new ConnectError("fault switched on", Code.Unavailable);
    }
    return answer;
  }
}
