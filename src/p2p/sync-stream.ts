/**
 * One stream of `/spire-mesh/sync/1.0.0`, or of the door: frames with a length in front, each of
 * bounded size and with a deadline.
 */
import { once } from "node:events";
import type { Stream, StreamCloseEvent } from "@libp2p/interface";
import { lpStream } from "@libp2p/utils";
import { watchMessages } from "./length-prefixes.ts";

export interface SyncStreamOptions {
  /** Largest frame taken. A longer one fails before any of it is read. */
  readonly frameBytesMax: number;
  /** The longest that the other side may keep us waiting for one frame to go or to come. */
  readonly frameDeadlineMs: number;
  /** Ends every wait. */
  readonly signal: AbortSignal;
}

/**
 * What waits to be read is one frame and its length: nobody sends the next one before its answer.
 * Above: the stream ends.
 */
const PREFIX_BYTES_MAX = 4;

/** The stream broke, a deadline passed or a frame was too large: weather, not a fault of ours. */
export class SyncStreamFailure extends Error {
  override readonly name = "SyncStreamFailure";
}

/** What a round needs of a stream; a simulator brings its own. */
export type SyncFrames = Pick<SyncStream, "send" | "receive" | "finish">;

/** Every method rejects with a `SyncStreamFailure`. */
export class SyncStream {
  readonly #stream: Stream;
  readonly #frames: ReturnType<typeof lpStream<Stream>>;
  readonly #options: SyncStreamOptions;
  readonly #ended = new AbortController();
  /** Aborted with the reason once the stream has ended, whoever ended it. */
  readonly ended = this.#ended.signal;
  /** Frames that came. */
  received = 0;

  constructor(stream: Stream, options: SyncStreamOptions) {
    this.#stream = stream;
    this.#options = options;
    watchMessages(stream, ({ shortest, longest }) => {
      const isTaken = shortest > 0 && longest <= options.frameBytesMax;
      if (!isTaken) stream.abort(new Error("an empty frame, or one above its limit"));
      return isTaken;
    });
    this.#frames = lpStream(stream, {
      maxDataLength: options.frameBytesMax,
      maxBufferSize: options.frameBytesMax + PREFIX_BYTES_MAX,
    });
    const end = ({ error }: StreamCloseEvent): void =>
      this.#ended.abort(error ?? new Error("the stream ended"));
    stream.addEventListener("close", end, { once: true });
  }

  /**
   * Resolves when the other side's window had room for all of the frame. What its connection has not
   * taken by then, wire.ts bounds with all else that waits there.
   */
  async send(frame: Uint8Array): Promise<void> {
    await this.#within(async (deadline) => {
      const signal = AbortSignal.any([deadline, this.ended]);
      await this.#frames.write(frame, { signal }); // It waits for room, not for the end.
      while (this.#stream.writeBufferLength > 0) await once(this.#stream, "idle", { signal });
      signal.throwIfAborted(); // A stream is idle, too, whose rest was thrown away.
    });
  }

  /** The next frame, or undefined when the other side has nothing more to say. */
  async receive(): Promise<Uint8Array | undefined> {
    return await this.#within(async (signal) => {
      try {
        const frame = await this.#frames.read({ signal });
        this.received += 1;
        return new Uint8Array(frame.subarray());
      } catch (error) {
        if (error instanceof Error && error.name === "UnexpectedEOFError") return undefined;
        throw error;
      }
    });
  }

  /** Says that nothing more comes, and waits until the other side says the same. */
  async finish(): Promise<void> {
    await this.#within((signal) => this.#stream.close({ signal }));
    if ((await this.receive()) !== undefined) throw new SyncStreamFailure("a frame after the last");
  }

  /** Both sides forget the stream at once. Whatever waits for it fails for this reason. */
  abort(reason: string): void {
    this.#stream.abort(new Error(reason));
  }

  async #within<Value>(action: (deadline: AbortSignal) => Promise<Value>): Promise<Value> {
    const { signal, frameDeadlineMs } = this.#options;
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(frameDeadlineMs)]);
    try {
      return await action(deadline);
    } catch (cause) {
      // What is thrown may say no more than that there was an event.
      const why: unknown = [deadline, this.ended].find(({ aborted }) => aborted)?.reason ?? cause;
      throw new SyncStreamFailure(why instanceof Error ? why.message : String(why), { cause });
    }
  }
}
