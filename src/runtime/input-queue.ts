/**
 * Inputs on their way to the core: first in, first out, taken by one reader. What peers send is
 * bounded here; what the daemon's own rooms put in is bounded by them (one bundle read, one list of
 * rows, one outcome for each order) and never dropped.
 */
import type { Input } from "../core/mesh/input.ts";
import { REMOTE_BYTES_MAX, REMOTE_INPUTS_MAX } from "../core/std/limits.ts";

export class InputQueue {
  readonly #inputs: Input[] = [];
  #remote = 0;
  #remoteBytes = 0;
  #hasTick = false;
  #wake: (() => void) | undefined;
  #closed = false;

  /** Adds an input. False when it came from a peer and the queue is full of such. */
  put(input: Input): boolean {
    if (this.#closed) return false;
    if (input.kind === "tick") {
      if (this.#hasTick) return true; // The one that waits says as much.
      this.#hasTick = true;
    }
    if (isRemote(input)) {
      if (this.#remote >= REMOTE_INPUTS_MAX || this.#remoteBytes >= REMOTE_BYTES_MAX) return false;
      this.#remote += 1;
      this.#remoteBytes += bytesOf(input);
    }
    this.#inputs.push(input);
    this.#wake?.();
    return true;
  }

  /** The next input, or undefined once the queue is closed. What still waits then is dropped. */
  async take(): Promise<Input | undefined> {
    while (!this.#closed) {
      const input = this.#inputs.shift();
      if (input !== undefined) {
        if (input.kind === "tick") this.#hasTick = false;
        if (isRemote(input)) {
          this.#remote -= 1;
          this.#remoteBytes -= bytesOf(input);
        }
        return input;
      }
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
    }
    return undefined;
  }

  close(): void {
    this.#closed = true;
    this.#inputs.length = 0;
    this.#wake?.();
  }
}

function bytesOf(input: Input): number {
  return input.kind === "record-received" ? input.envelope.length : 0;
}

function isRemote(input: Input): boolean {
  return input.kind === "record-received" || input.kind === "peer-synced";
}
