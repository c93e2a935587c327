/** What a reader gets of a stream of messages, however it was cut on its way. */
import type { Stream } from "@libp2p/interface";
import { StreamMessageEvent } from "@libp2p/interface";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { watchMessages } from "../../src/p2p/length-prefixes.ts";
import { framed } from "../rogue/gossip-rpcs.ts";

const PIECE_BYTES_MIN = 1024;

/** Sends the bytes cut at these places, and returns what came to the reader, piece by piece. */
function read(bytes: Uint8Array, cuts: readonly number[], takes = (): boolean => true): Buffer[] {
  const stream = new EventTarget() as unknown as Stream;
  watchMessages(stream, takes);
  const pieces: Buffer[] = [];
  stream.addEventListener("message", ({ data }) => pieces.push(Buffer.from(data.subarray())));
  const at = [0, ...cuts.map((cut) => cut % bytes.length).toSorted((a, b) => a - b), bytes.length];
  for (const [index, from] of at.slice(0, -1).entries()) {
    const piece = bytes.subarray(from, at[index + 1]);
    if (piece.length > 0) stream.dispatchEvent(new StreamMessageEvent(piece));
  }
  return pieces;
}

const messages = fc
  .array(fc.nat({ max: 3_000 }), { minLength: 1, maxLength: 5 })
  .map((lengths) => Buffer.concat(lengths.map((length) => framed(Buffer.alloc(length, length)))));

describe("a reader", () => {
  test("gets all that came, in order, wherever it was cut", () => {
    fc.assert(
      fc.property(messages, fc.array(fc.nat()), (bytes, cuts) => {
        expect(Buffer.concat(read(bytes, cuts))).toEqual(bytes);
      }),
    );
  });

  test("gets no piece below 1 KiB of a message that is not whole, sent byte by byte", () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 20_000 }), (length) => {
        const whole = framed(Buffer.alloc(length));
        const pieces = read(
          whole,
          Array.from({ length: whole.length }, (_, index) => index),
        );
        expect(pieces.slice(0, -1).every((piece) => piece.length === PIECE_BYTES_MIN)).toBe(true);
        expect(Buffer.concat(pieces)).toEqual(whole);
      }),
      { numRuns: 20 },
    );
  });

  test("gets nothing of what is not taken", () => {
    expect(read(framed(Buffer.alloc(100)), [], () => false)).toEqual([]);
  });
});
