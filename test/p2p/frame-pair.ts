/** Two ends of a stream of frames within one process. */
import type { SyncFrames } from "../../src/p2p/sync-stream.ts";

export interface Channel {
  /** Undefined ends it. */
  put(frame: Uint8Array | undefined): void;
  take(): Promise<Uint8Array | undefined>;
}

export function makeChannel(): Channel {
  const frames: (Uint8Array | undefined)[] = [];
  const waiting: ((frame: Uint8Array | undefined) => void)[] = [];
  return {
    put: (frame) => {
      const next = waiting.shift();
      if (next === undefined) frames.push(frame);
      else next(frame);
    },
    take: async () => {
      if (frames.length > 0) return frames.shift();
      const { promise, resolve } = Promise.withResolvers<Uint8Array | undefined>();
      waiting.push(resolve);
      return await promise;
    },
  };
}

export function endOf(
  out: Channel,
  into: Channel,
  onFrame: (frame: Uint8Array) => void = () => {},
): SyncFrames {
  return {
    send: async (frame) => {
      onFrame(frame);
      out.put(frame);
    },
    receive: async () => await into.take(),
    finish: async () => out.put(undefined),
  };
}

/** The kind of a frame that carries records. */
const RECORDS = 10;
const VARINT_BITS = 7;

/** What a frame takes on its stream, with its length in front; nothing if it carries records. */
export function weightOf(frame: Uint8Array): number {
  if (frame[1] === RECORDS) return 0;
  return frame.length + Math.max(1, Math.ceil(Math.log2(frame.length + 1) / VARINT_BITS));
}
