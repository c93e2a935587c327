/**
 * Inputs on their way to the core, taken by one reader. What the daemon's own rooms say comes first:
 * it is little, bounded by those rooms (one bundle read, one list of rows, one outcome for each
 * order) and never dropped. What peers send is bounded here, in order for each forwarder, and the
 * forwarders take turns, so that who sends much waits for itself.
 */
import type { Input } from "../core/mesh/input.ts";
import { REMOTE_BYTES_MAX, REMOTE_INPUTS_MAX } from "../core/std/limits.ts";

/** About what one entry of a peer's list takes. */
const SYNC_ENTRY_BYTES = 400;

export class InputQueue {
  readonly #own: Input[] = [];
  /** By forwarder, whose turn it is first. None is empty. */
  readonly #lanes = new Map<string, Input[]>();
  #remote = 0;
  #remoteBytes = 0;
  #hasTick = false;
  #wake: (() => void) | undefined;
  #closed = false;

  /** Adds an input. False when it came from a peer and the queue is full of such. */
  put(input: Input): boolean {
    if (this.#closed) return false;
    const lane = laneOf(input);
    if (lane === undefined) this.#putOwn(input);
    else if (!this.#putRemote(lane, input)) return false;
    this.#wake?.();
    return true;
  }

  /** The next input, or undefined once the queue is closed. What still waits then is dropped. */
  async take(): Promise<Input | undefined> {
    while (!this.#closed) {
      const input = this.#own.shift() ?? this.#takeRemote();
      if (input !== undefined) {
        if (input.kind === "tick") this.#hasTick = false;
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
    this.#own.length = 0;
    this.#lanes.clear();
    this.#wake?.();
  }

  #putOwn(input: Input): void {
    if (input.kind === "tick") {
      if (this.#hasTick) return; // The one that waits says as much.
      this.#hasTick = true;
    }
    this.#own.push(input);
  }

  #putRemote(lane: string, input: Input): boolean {
    if (this.#remote >= REMOTE_INPUTS_MAX || this.#remoteBytes >= REMOTE_BYTES_MAX) return false;
    this.#remote += 1;
    this.#remoteBytes += bytesOf(input);
    const waiting = this.#lanes.get(lane);
    if (waiting === undefined) this.#lanes.set(lane, [input]);
    else waiting.push(input);
    return true;
  }

  #takeRemote(): Input | undefined {
    const [first] = this.#lanes;
    if (first === undefined) return undefined;
    const [lane, waiting] = first;
    const input = waiting.shift();
    this.#lanes.delete(lane);
    if (waiting.length > 0) this.#lanes.set(lane, waiting); // Behind the others.
    if (input === undefined) return undefined;
    this.#remote -= 1;
    this.#remoteBytes -= bytesOf(input);
    return input;
  }
}

/** Whose turn an input waits for; undefined for what the daemon's own rooms say. */
function laneOf(input: Input): string | undefined {
  if (input.kind === "record-received") return input.from;
  if (input.kind === "peer-synced") return input.node;
  return undefined;
}

function bytesOf(input: Input): number {
  if (input.kind === "record-received") return input.envelope.length;
  return input.kind === "peer-synced" ? input.entries.length * SYNC_ENTRY_BYTES : 0;
}
