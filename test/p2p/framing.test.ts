import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LengthPrefixes } from "../../src/p2p/length-prefixes.ts";
import { YamuxFrames } from "../../src/p2p/yamux-frames.ts";
import { framed } from "../rogue/gossip-rpcs.ts";
import { yamuxHeader } from "../rogue/yamux-header.ts";

const DATA = 0;
const PING = 2;
const SYN = 1;
/** That opens a stream or is a ping. */
const ASKING_FRAME_WEIGHT = 11;

const frame = fc.record({
  type: fc.nat({ max: 3 }),
  flags: fc.nat({ max: 15 }),
  streamId: fc.nat({ max: 2 ** 32 - 1 }),
  length: fc.nat({ max: 300 }),
});
type Frame = typeof frame extends fc.Arbitrary<infer Value> ? Value : never;
const cuts = fc.array(fc.integer({ min: 1, max: 400 }), { maxLength: 50 });

function pieces(bytes: Uint8Array, lengths: readonly number[]): Uint8Array[] {
  let at = 0;
  const parts = lengths.map((length) => bytes.subarray(at, (at += length)));
  return [...parts, bytes.subarray(at)];
}

function bytesOf(frames: readonly Frame[]): Uint8Array {
  return Buffer.concat(
    frames.flatMap(({ type, flags, streamId, length }) => [
      yamuxHeader(type, flags, streamId, length),
      Buffer.alloc(type === DATA ? length : 0, 0xff),
    ]),
  );
}

describe("frames on a connection", () => {
  test("are seen the same, wherever the bytes are cut", () => {
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 40 }), cuts, (frames, lengths) => {
        const bytes = bytesOf(frames);
        const reader = new YamuxFrames();
        const seen = pieces(bytes, lengths).map((piece) => reader.read(piece));
        const asking = frames.filter(({ type, flags }) => type >= PING || (flags & SYN) !== 0);
        const bodies = frames.map(({ type, length }) => (type === DATA ? length : 0));
        expect(seen.reduce((sum, each) => sum + each.frames, 0)).toBe(frames.length);
        expect(seen.reduce((sum, each) => sum + each.asking, 0)).toBe(asking.length);
        expect(Math.max(...seen.map(({ longest }) => longest))).toBe(Math.max(0, ...bodies));
      }),
    );
  });

  test("are taken in parts of a weight, each from a header on", () => {
    const weights = fc.integer({ min: 1, max: 64 });
    fc.assert(
      fc.property(
        fc.array(frame, { minLength: 1, maxLength: 40 }),
        weights,
        (frames, weightMax) => {
          const bytes = bytesOf(frames);
          const reader = new YamuxFrames();
          let seen = 0;
          for (let at = 0; at < bytes.length;) {
            const part = reader.read(bytes.subarray(at), weightMax);
            const alone = new YamuxFrames().read(bytes.subarray(at, at + part.end));
            expect(part).toEqual(alone);
            expect(part.weight).toBeLessThan(weightMax + ASKING_FRAME_WEIGHT);
            expect(part.weight >= weightMax || at + part.end === bytes.length).toBe(true);
            seen += part.frames;
            at += part.end;
          }
          expect(seen).toBe(frames.length);
        },
      ),
    );
  });

  test("of 4 GiB are seen before their first byte", () => {
    expect(new YamuxFrames().read(yamuxHeader(DATA, SYN, 1, 2 ** 32 - 1)).longest).toBe(
      2 ** 32 - 1,
    );
  });
});

describe("lengths of messages on a stream", () => {
  test("are seen the same, wherever the bytes are cut", () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 300 }), { minLength: 1 }), cuts, (lengths, cutsAt) => {
        const bytes = Buffer.concat(lengths.map((length) => framed(Buffer.alloc(length, 0xff))));
        const reader = new LengthPrefixes();
        const seen = pieces(bytes, cutsAt).map((piece) => reader.read(piece));
        expect(Math.min(...seen.map(({ shortest }) => shortest))).toBe(Math.min(...lengths));
        expect(Math.max(...seen.map(({ longest }) => longest))).toBe(Math.max(...lengths));
      }),
    );
  });

  test("say whether one has begun that is not whole", () => {
    fc.assert(
      fc.property(fc.nat({ max: 300 }), fc.nat(), (length, cut) => {
        const bytes = framed(Buffer.alloc(length, 0xff));
        const at = cut % bytes.length;
        const reader = new LengthPrefixes();
        reader.read(bytes.subarray(0, at));
        expect(reader.isWithin).toBe(at > 0);
        reader.read(bytes.subarray(at));
        expect(reader.isWithin).toBe(false);
      }),
    );
  });

  test("are seen to be long before they end, also when they never do", () => {
    const reader = new LengthPrefixes();
    const longest = Array.from({ length: 9 }, () => reader.read(Uint8Array.of(0x80)).longest);
    expect(longest).toEqual(Array.from({ length: 9 }, (_, index) => 128 ** (index + 1)));
  });
});
