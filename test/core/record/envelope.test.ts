import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Envelope,
  decodeEnvelope,
  encodeEnvelope,
} from "../../../src/core/record/envelope.ts";
import { compareBytes, toHex } from "../../../src/core/std/bytes.ts";
import { type CborValue, encodeCbor } from "../../../src/core/std/cbor.ts";
import { ENVELOPE_BYTES_MAX } from "../../../src/core/std/limits.ts";

const exactly = (length: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: length, maxLength: length });
const chain = fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), {
  minLength: 1,
  maxLength: 4,
});
const block = fc.integer({ min: 1, max: 2 }).chain((chains) =>
  fc.record({
    nodePublicKey: exactly(32),
    signedAtS: fc.maxSafeNat(),
    chains: fc.array(chain, { minLength: chains, maxLength: chains }),
    svidSignatures: fc.array(exactly(64), { minLength: chains, maxLength: chains }),
    nodeSignature: exactly(64),
  }),
);
const envelopes: fc.Arbitrary<Envelope> = fc.record({
  kind: fc.constant(1 as const),
  payload: fc.uint8Array({ minLength: 1, maxLength: 300 }),
  blocks: fc.uniqueArray(block, {
    minLength: 1,
    maxLength: 8,
    selector: ({ nodeSignature }) => toHex(nodeSignature),
  }),
  recovery: fc
    .uniqueArray(fc.tuple(exactly(32), exactly(64)), { maxLength: 5, selector: ([k]) => toHex(k) })
    .map((keys) => keys.sort(([left], [right]) => compareBytes(left, right))),
});

describe("an envelope", () => {
  test("comes back as it was written", () => {
    fc.assert(
      fc.property(envelopes, (envelope) => {
        expect(decodeEnvelope(encodeEnvelope(envelope))).toEqual({ ok: true, value: envelope });
      }),
    );
  });

  test("that decodes from damaged bytes encodes to the same bytes", () => {
    fc.assert(
      fc.property(envelopes, fc.nat(), fc.nat(255), (envelope, place, byte) => {
        const damaged = encodeEnvelope(envelope);
        damaged[place % damaged.length] = byte;
        const read = decodeEnvelope(damaged);
        if (read.ok) expect(toHex(encodeEnvelope(read.value))).toBe(toHex(damaged));
      }),
      { numRuns: 1_000 },
    );
  });
});

const fill = (length: number, byte = 7): Uint8Array => new Uint8Array(length).fill(byte);
const GOOD_BLOCK: readonly CborValue[] = [fill(32), 5, [[fill(9)]], [fill(64)], fill(64)];

function blockWith(change: Readonly<Record<number, CborValue>>): readonly CborValue[] {
  return GOOD_BLOCK.map((item, index) => change[index] ?? item);
}

/** A good envelope as it stands on the wire, with some positions replaced. */
function positions(change: Readonly<Record<number, CborValue>> = {}): CborValue {
  const good: CborValue[] = [1, fill(9), [GOOD_BLOCK], []];
  return good.map((item, index) => change[index] ?? item);
}

const blocks = (count: number): CborValue[] =>
  Array.from({ length: count }, (_, index) => blockWith({ 4: fill(64, index) }));
const key = (byte: number): CborValue => [fill(32, byte), fill(64)];

describe("an envelope on the wire", () => {
  test.each<readonly [string, CborValue]>([
    ["as it is", positions()],
    ["a payload of 96 KiB", positions({ 1: fill(96 * 1024) })],
    ["eight blocks", positions({ 2: blocks(8) })],
    [
      "two chains",
      positions({ 2: [blockWith({ 2: [[fill(1)], [fill(1)]], 3: [fill(64), fill(64)] })] }),
    ],
    [
      "four certificates of 8 KiB",
      positions({ 2: [blockWith({ 2: [Array.from({ length: 4 }, () => fill(8_192))] })] }),
    ],
    ["five recovery keys", positions({ 3: [1, 2, 3, 4, 5].map(key) })],
  ])("with %s is read", (_, value) => {
    expect(decodeEnvelope(encodeCbor(value)).ok).toBe(true);
  });

  test.each<readonly [string, CborValue]>([
    ["kind 0", positions({ 0: 0 })],
    ["a kind that is not built", positions({ 0: 2 })],
    ["an empty payload", positions({ 1: fill(0) })],
    ["a payload above 96 KiB", positions({ 1: fill(96 * 1024 + 1) })],
    ["no block", positions({ 2: [] })],
    ["nine blocks", positions({ 2: blocks(9) })],
    ["one block twice", positions({ 2: [...blocks(2), ...blocks(1)] })],
    ["a node's signature under another block", positions({ 2: [GOOD_BLOCK, blockWith({ 1: 6 })] })],
    ["a node key of 31 bytes", positions({ 2: [blockWith({ 0: fill(31) })] })],
    ["a time of 2^53", positions({ 2: [blockWith({ 1: 2n ** 53n })] })],
    ["no chain", positions({ 2: [blockWith({ 2: [], 3: [] })] })],
    ["three chains", positions({ 2: [blockWith({ 2: [[fill(1)], [fill(1)], [fill(1)]] })] })],
    ["an empty chain", positions({ 2: [blockWith({ 2: [[]] })] })],
    [
      "five certificates",
      positions({ 2: [blockWith({ 2: [Array.from({ length: 5 }, () => fill(1))] })] }),
    ],
    ["an empty certificate", positions({ 2: [blockWith({ 2: [[fill(0)]] })] })],
    ["a certificate above 8 KiB", positions({ 2: [blockWith({ 2: [[fill(8_193)]] })] })],
    ["no SVID signature", positions({ 2: [blockWith({ 3: [] })] })],
    [
      "one SVID signature for two chains",
      positions({ 2: [blockWith({ 2: [[fill(1)], [fill(1)]] })] }),
    ],
    [
      "two SVID signatures for one chain",
      positions({ 2: [blockWith({ 3: [fill(64), fill(64)] })] }),
    ],
    [
      "two SVID signatures for one chain in its last block",
      positions({ 2: [GOOD_BLOCK, blockWith({ 3: [fill(64), fill(64)], 4: fill(64, 1) })] }),
    ],
    ["an SVID signature as DER", positions({ 2: [blockWith({ 3: [fill(71)] })] })],
    ["a node signature of 63 bytes", positions({ 2: [blockWith({ 4: fill(63) })] })],
    ["six recovery keys", positions({ 3: [1, 2, 3, 4, 5, 6].map(key) })],
    ["unsorted recovery keys", positions({ 3: [key(2), key(1)] })],
    ["a recovery key twice", positions({ 3: [key(1), key(1)] })],
    ["false for no recovery", positions({ 3: false })],
    ["a position too many", [1, fill(9), [GOOD_BLOCK], [], 0]],
    ["a payload that is an array", positions({ 1: [] })],
  ])("with %s is refused", (_, value) => {
    expect(decodeEnvelope(encodeCbor(value)).ok).toBe(false);
  });

  test("may have 128 KiB and not a byte more", () => {
    const cert = fill(8_192);
    const wide = Array.from({ length: 4 }, (_, index) =>
      blockWith({ 2: [[cert, cert, cert, cert]], 4: fill(64, index) }),
    );
    const sizeWith = (length: number): Uint8Array =>
      encodeCbor(positions({ 1: fill(length), 2: wide.slice(1) }));
    const payload = ENVELOPE_BYTES_MAX - sizeWith(30_000).length + 30_000;
    expect(sizeWith(payload)).toHaveLength(ENVELOPE_BYTES_MAX);
    expect(decodeEnvelope(sizeWith(payload)).ok).toBe(true);
    expect(decodeEnvelope(sizeWith(payload + 1))).toEqual({
      ok: false,
      reason: "envelope: above 128 KiB",
    });
  });
});
