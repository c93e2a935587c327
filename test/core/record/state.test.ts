import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type State,
  type Version,
  compareVersions,
  decodeState,
  encodeState,
  noLineage,
} from "../../../src/core/record/state.ts";
import type { TrustDomain } from "../../../src/core/spiffe/trust-domain.ts";
import { compareBytes, toHex } from "../../../src/core/std/bytes.ts";
import { type CborValue, encodeCbor } from "../../../src/core/std/cbor.ts";
import { sha256 } from "../../../src/core/std/sha256.ts";

const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
const unique = (length: number, minLength: number, maxLength: number): fc.Arbitrary<Uint8Array[]> =>
  fc.uniqueArray(fc.uint8Array({ minLength: length, maxLength: length }), {
    minLength,
    maxLength,
    selector: toHex,
  });
const keyId = fc.string({
  unit: fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code)),
  minLength: 1,
  maxLength: 128,
});
const recovery = unique(32, 1, 5).chain((keyHashes) =>
  fc.record({
    threshold: fc.integer({ min: 1, max: keyHashes.length }),
    keyHashes: fc.constant(keyHashes.sort(compareBytes)),
  }),
);

/** Any state that is no genesis. */
const states: fc.Arbitrary<State> = fc
  .record({
    trustDomain: fc
      .constantFrom("a", "alpha.test", "__proto__", "..", "x".repeat(255))
      .map((name) => name as TrustDomain),
    lineage: bytes32.filter((bytes) => bytes.some((byte) => byte > 0)),
    version: fc.record({
      epoch: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      rev: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      sequence: fc.bigInt(0n, 2n ** 64n - 1n),
    }),
    nodes: unique(32, 1, 16),
    removed: fc.array(bytes32, { maxLength: 32 }),
    recovery: fc.option(recovery, { nil: undefined }),
    x509Authorities: fc.uniqueArray(
      fc.record({ der: fc.uint8Array({ minLength: 1, maxLength: 60 }), tainted: fc.boolean() }),
      { minLength: 1, maxLength: 64, selector: ({ der }) => toHex(der) },
    ),
    jwtAuthorities: fc.uniqueArray(
      fc.record({
        keyId,
        spki: fc.uint8Array({ minLength: 1, maxLength: 60 }),
        expiresAtS: fc.maxSafeNat(),
        tainted: fc.boolean(),
      }),
      { maxLength: 64, selector: ({ keyId }) => keyId },
    ),
  })
  .map(asOnTheWire);

/** The sets of a state in the order in which they travel. */
function asOnTheWire(state: State): State {
  return {
    ...state,
    nodes: [...state.nodes].sort(compareBytes),
    x509Authorities: [...state.x509Authorities].sort((left, right) =>
      compareBytes(sha256(left.der), sha256(right.der)),
    ),
    jwtAuthorities: [...state.jwtAuthorities].sort((left, right) =>
      left.keyId < right.keyId ? -1 : 1,
    ),
  };
}

const version: fc.Arbitrary<Version> = fc.record({
  epoch: fc.nat(2),
  rev: fc.nat(2),
  sequence: fc.bigInt(0n, 2n),
});

const number = ({ epoch, rev, sequence }: Version): bigint =>
  BigInt(epoch) * 100n + BigInt(rev) * 10n + sequence;

describe("a state", () => {
  test("comes back as it was written", () => {
    fc.assert(
      fc.property(states, (state) => {
        expect(decodeState(encodeState(state))).toEqual({ ok: true, value: state });
      }),
    );
  });

  test("has the same bytes whatever the order of its sets", () => {
    fc.assert(
      fc.property(states, (state) => {
        const turned = {
          ...state,
          nodes: state.nodes.toReversed(),
          recovery: state.recovery && {
            ...state.recovery,
            keyHashes: state.recovery.keyHashes.toReversed(),
          },
          x509Authorities: state.x509Authorities.toReversed(),
          jwtAuthorities: state.jwtAuthorities.toReversed(),
        };
        expect(toHex(encodeState(turned))).toBe(toHex(encodeState(state)));
      }),
    );
  });

  test("that decodes from damaged bytes encodes to the same bytes", () => {
    fc.assert(
      fc.property(states, fc.nat(), fc.nat(255), (state, place, byte) => {
        const damaged = encodeState(state);
        damaged[place % damaged.length] = byte;
        const read = decodeState(damaged);
        if (read.ok) expect(toHex(encodeState(read.value))).toBe(toHex(damaged));
      }),
      { numRuns: 1_000 },
    );
  });

  test("is ordered by epoch, then rev, then sequence", () => {
    fc.assert(
      fc.property(version, version, (left, right) => {
        const order = Number(number(left) - number(right));
        expect(Math.sign(compareVersions(left, right))).toBe(Math.sign(order));
      }),
    );
  });
});

const der = (length: number): Uint8Array => new Uint8Array(length).fill(0x30);
const node = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);
const byHash = (items: readonly Uint8Array[]): CborValue[] =>
  [...items]
    .sort((left, right) => compareBytes(sha256(left), sha256(right)))
    .map((item) => [item, false]);
const many = (count: number): Uint8Array[] =>
  Array.from({ length: count }, (_, index) => Uint8Array.of(0x30, index >> 8, index & 0xff));
const keys = (count: number): CborValue[] =>
  Array.from({ length: count }, (_, index) => [`k${1_000 + index}`, der(1), 0, false]);
const nodes = (count: number): Uint8Array[] =>
  Array.from({ length: count }, (_, index) => node(index));

/** A good state as it stands on the wire, with some positions replaced. */
function positions(change: Readonly<Record<number, CborValue>> = {}): readonly CborValue[] {
  const good: CborValue[] = [
    1,
    "alpha.test",
    node(9),
    0,
    1,
    5,
    [node(1)],
    [],
    [],
    [[der(10), false]],
    [],
  ];
  return good.map((item, index) => change[index] ?? item);
}

describe("the lineage of a genesis", () => {
  test("is 32 zero bytes, and a copy: writing to it changes no other", () => {
    const lineage = noLineage();
    expect(lineage).toEqual(new Uint8Array(32));
    lineage.fill(1);
    expect(noLineage()).toEqual(new Uint8Array(32));
  });
});

describe("a state on the wire", () => {
  test.each<readonly [string, readonly CborValue[]]>([
    ["as it is", positions()],
    ["the largest numbers", positions({ 3: 2 ** 32 - 1, 4: 2 ** 32 - 1, 5: 2n ** 64n - 1n })],
    ["16 nodes", positions({ 6: nodes(16) })],
    ["32 removed nodes, unsorted", positions({ 7: nodes(32).reverse() })],
    ["a removed node twice", positions({ 7: [node(1), node(1)] })],
    ["five recovery keys, of which all must sign", positions({ 8: [5, nodes(5)] })],
    ["64 authorities", positions({ 9: byHash(many(64)) })],
    ["an authority of 8 KiB", positions({ 9: [[der(8_192), true]] })],
    ["64 JWT keys", positions({ 10: keys(64) })],
    ["a key id of 128 characters", positions({ 10: [["~".repeat(128), der(1), 0, false]] })],
    ["a genesis", positions({ 2: node(0), 4: 0 })],
    ["one authority of one byte", positions({ 9: [[der(1), false]] })],
    ["one recovery key", positions({ 8: [1, nodes(1)] })],
    ["a JWT key of one byte", positions({ 10: [["!", der(1), 0, true]] })],
    ["a JWT key of 2 KiB", positions({ 10: [["k", der(2_048), Number.MAX_SAFE_INTEGER, true]] })],
    ["a name of every kind of character", positions({ 1: "az09._-" })],
  ])("with %s is read", (_, items) => {
    expect(decodeState(encodeCbor(items)).ok).toBe(true);
  });

  test.each<readonly [string, CborValue]>([
    ["another format", positions({ 0: 2 })],
    ["a name in capitals", positions({ 1: "Alpha.test" })],
    ["a space before its name", positions({ 1: " alpha.test" })],
    ["a space after its name", positions({ 1: "alpha.test " })],
    ["no name", positions({ 1: "" })],
    ["NUL in its name", positions({ 1: "alpha\0.test" })],
    ["a name of 256 characters", positions({ 1: "a".repeat(256) })],
    ["a lineage of 31 bytes", positions({ 2: der(31) })],
    ["an epoch of 2^32", positions({ 3: 2 ** 32 })],
    ["a rev of 2^32", positions({ 4: 2 ** 32 })],
    ["no node", positions({ 6: [] })],
    ["17 nodes", positions({ 6: nodes(17) })],
    ["unsorted nodes", positions({ 6: [node(2), node(1)] })],
    ["a node twice", positions({ 6: [node(1), node(1)] })],
    ["a node of 33 bytes", positions({ 6: [der(33)] })],
    ["33 removed nodes", positions({ 7: nodes(33) })],
    ["a recovery threshold of 0", positions({ 8: [0, nodes(1)] })],
    ["a recovery threshold above its keys", positions({ 8: [2, nodes(1)] })],
    ["six recovery keys", positions({ 8: [1, nodes(6)] })],
    ["no recovery key", positions({ 8: [1, []] })],
    ["unsorted recovery keys", positions({ 8: [1, [node(2), node(1)]] })],
    ["no authority", positions({ 9: [] })],
    ["65 authorities", positions({ 9: byHash(many(65)) })],
    ["unsorted authorities", positions({ 9: byHash(many(2)).reverse() })],
    ["an authority twice", positions({ 9: byHash([der(1), der(1)]) })],
    [
      "an authority twice, tainted and not",
      positions({
        9: [
          [der(1), false],
          [der(1), true],
        ],
      }),
    ],
    ["an empty authority", positions({ 9: [[der(0), false]] })],
    ["an authority above 8 KiB", positions({ 9: [[der(8_193), false]] })],
    ["an authority without taint", positions({ 9: [[der(1)]] })],
    ["0 for a taint", positions({ 9: [[der(1), 0]] })],
    ["65 JWT keys", positions({ 10: keys(65) })],
    ["unsorted JWT keys", positions({ 10: keys(2).reverse() })],
    ["a key id twice", positions({ 10: [...keys(1), ...keys(1)] })],
    ["an empty key id", positions({ 10: [["", der(1), 0, false]] })],
    ["NUL in a key id", positions({ 10: [["k\0", der(1), 0, false]] })],
    ["a space in a key id", positions({ 10: [["k k", der(1), 0, false]] })],
    ["a key id of 129 characters", positions({ 10: [["k".repeat(129), der(1), 0, false]] })],
    ["a key id that is not ASCII", positions({ 10: [["kü", der(1), 0, false]] })],
    ["an empty JWT key", positions({ 10: [["k", der(0), 0, false]] })],
    ["a JWT key above 2 KiB", positions({ 10: [["k", der(2_049), 0, false]] })],
    ["an end of 2^53", positions({ 10: [["k", der(1), 2n ** 53n, false]] })],
    ["a genesis at epoch 1", positions({ 2: node(0), 3: 1, 4: 0 })],
    ["a genesis at rev 1", positions({ 2: node(0) })],
    ["a genesis with a removed node", positions({ 2: node(0), 4: 0, 7: [node(3)] })],
    ["a position too few", positions().slice(0, 10)],
    ["a position too many", [...positions(), 0]],
    ["text in place of it", "state"],
  ])("with %s is refused", (_, items) => {
    expect(decodeState(encodeCbor(items)).ok).toBe(false);
  });
});
