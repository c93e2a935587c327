/**
 * The readers of the positional arrays that travel or are stored. Their law: what is taken is written
 * again as the same bytes, so nothing has two spellings.
 */
import type { SyncWant } from "../../../src/core/mesh/sync-entry.ts";
import { decodeEnvelope, encodeEnvelope } from "../../../src/core/record/envelope.ts";
import {
  EXPORT_FILE_BYTES_MAX,
  decodeExportFile,
  encodeExportFile,
} from "../../../src/core/record/export-file.ts";
import { decodeState, encodeState } from "../../../src/core/record/state.ts";
import type { TrustDomain } from "../../../src/core/spiffe/trust-domain.ts";
import { compareBytes, concatBytes, equalBytes } from "../../../src/core/std/bytes.ts";
import { type CborValue, encodeCbor } from "../../../src/core/std/cbor.ts";
import type { Result } from "../../../src/core/std/result.ts";
import { sha256 } from "../../../src/core/std/sha256.ts";
import { Fault } from "../../../src/fault.ts";
import {
  type SyncComparison,
  type SyncRequest,
  decodeComparison,
  decodeEntries,
  decodeRecords,
  decodeRequest,
  decodeShared,
  encodeComparison,
  encodeEntries,
  encodeRecords,
  encodeRequest,
  encodeShared,
} from "../../../src/p2p/sync-frames.ts";
import { HASHES_BYTES, inSyncOrder } from "../../../src/p2p/sync-order.ts";
import {
  type Codec,
  domainCodec,
  metaCodec,
  pinCodec,
  seal,
  stepCodec,
  unseal,
} from "../../../src/store/stored-value.ts";
import { type Loose, readLoose, withPart, writeLoose } from "../loose-cbor.ts";
import { Random } from "../random.ts";
import {
  ANY_MESSAGE,
  BAD_ENVELOPES,
  BAD_STATES,
  OF_ANOTHER_TYPE,
  type ShapeMutant,
} from "../shape-mutants.ts";
import { type Outcome, type TargetSource, hold } from "../target.ts";

interface Message {
  readonly name: string;
  readonly inputs: number;
  /** A right message. */
  readonly right: (random: Random) => Uint8Array;
  readonly wrong: readonly ShapeMutant[];
  readonly judge: (input: Uint8Array) => Outcome;
}

function messageTarget(message: Message): TargetSource {
  const { name, inputs, right, wrong, judge } = message;
  return {
    name,
    inputs,
    open: () => ({
      setting: {},
      valid: [0, 1, 2].map((each) => right(new Random("valid", name, each))),
      makers: [
        { name: "right", expected: ["taken"], make: right },
        ...wrong.map((mutant) => ({
          name: mutant.name,
          expected: ["refused"],
          make: (random: Random) => mutant.write(readLoose(right(random)), random),
        })),
      ],
      judge,
    }),
  };
}

/** Decodes, and writes again what was taken. */
function judgeBy<Value, Reason>(
  decode: (bytes: Uint8Array) => Result<Value, Reason>,
  encode: (value: Value) => Uint8Array,
): (input: Uint8Array) => Outcome {
  return (input) => {
    const read = decode(input);
    if (!read.ok) return "refused";
    hold(equalBytes(encode(read.value), input), "what is taken is written as the same bytes");
    return "taken";
  };
}

const u32 = (random: Random): number => random.pick([0, 1, 7, 2 ** 32 - 1, random.below(2 ** 32)]);
const u64 = (random: Random): bigint =>
  random.pick([0n, 1n, 2n ** 53n, 2n ** 64n - 1n, BigInt(random.below(2 ** 32))]);
const hash = (random: Random): Uint8Array => random.bytes(32);
const ascending = (items: readonly Uint8Array[]): Uint8Array[] => [...items].sort(compareBytes);
const hashes = (random: Random, count: number): Uint8Array[] =>
  ascending(Array.from({ length: count }, () => hash(random)));
const times = <Item>(count: number, make: (index: number) => Item): Item[] =>
  Array.from({ length: count }, (_, index) => make(index));
const inOrder = (names: readonly string[]): readonly TrustDomain[] =>
  inSyncOrder(names, (name) => name).map((name) => name as TrustDomain);
const NAMES = inOrder(["a.test", "alpha.test", "b", "c..d", "x".repeat(255)]);
const MANY_NAMES = inOrder(times(64, (index) => `d${100 + index}.test`));
/** Each behind the one before it. */
const [FIRST = "", SECOND = ""] = inOrder(["a", "b"]);
const ADDRESS = "/dns4/mesh.alpha.test/tcp/7843/p2p/12D3KooW";

const rightState = (random: Random): Uint8Array =>
  encodeState({
    trustDomain: random.pick(NAMES),
    lineage: hash(random),
    version: { epoch: u32(random), rev: u32(random), sequence: u64(random) },
    nodes: hashes(random, random.between(2, 16)),
    removed: hashes(random, random.pick([0, 1, 32])),
    recovery: random.oneIn(2)
      ? undefined
      : { threshold: random.between(1, 2), keyHashes: hashes(random, random.between(2, 5)) },
    // A set: its members differ by their first byte, however short they are.
    x509Authorities: times(random.pick([2, 3, 64]), (index) => ({
      der: concatBytes(Uint8Array.of(index), random.bytes(random.below(90))),
      tainted: random.oneIn(2),
    })),
    jwtAuthorities: times(random.pick([2, 3, 64]), (index) => ({
      keyId: `key-${String(index).padStart(2, "0")}~`,
      spki: random.bytes(random.between(1, 90)),
      expiresAtS: random.pick([0, 1, 2 ** 53 - 1]),
      tainted: random.oneIn(2),
    })),
  });

const rightEnvelope = (random: Random): Uint8Array =>
  encodeEnvelope({
    kind: 1,
    payload: random.bytes(random.between(1, 300)),
    blocks: times(random.pick([1, 2, 8]), () => {
      const chains = times(random.between(1, 2), () =>
        times(random.between(1, 4), () => random.bytes(random.between(1, 80))),
      );
      return {
        nodePublicKey: hash(random),
        signedAtS: random.pick([0, 1, 2 ** 53 - 1]),
        chains,
        svidSignatures: chains.map(() => random.bytes(64)),
        nodeSignature: random.bytes(64),
      };
    }),
    recovery: hashes(random, random.pick([0, 1, 5])).map((key) => [key, random.bytes(64)] as const),
  });

const rightExport = (random: Random): Uint8Array =>
  encodeExportFile({
    envelope: random.bytes(random.between(1, 400)),
    addresses: times(random.pick([0, 1, 16]), () => ADDRESS),
  });

function rightWant(trustDomain: TrustDomain, random: Random): SyncWant {
  if (random.oneIn(2)) return { trustDomain, above: undefined, recordId: hash(random) };
  const above = { epoch: u32(random), rev: u32(random), sequence: u64(random) };
  return { trustDomain, above, recordId: undefined };
}

const rightRequest = (random: Random): Uint8Array =>
  encodeRequest(
    random.pick<() => SyncRequest>([
      () => {
        const names = [...random.some(NAMES.slice(0, -1)), ...NAMES.slice(-1)];
        const at = random.pick([0, 1, 1_024]);
        return { kind: "wanted", at, total: at + names.length + random.pick([0, 1, 99]), names };
      },
      () => ({ kind: "compare", root: hash(random) }),
      () => ({
        kind: "list",
        buckets: random.pick([[0], [255], [0, 1, 255], times(256, (bucket) => bucket)]),
        after: random.oneIn(2) ? undefined : random.pick(NAMES),
      }),
      () => ({
        kind: "fetch",
        wants: random
          .pick([NAMES.slice(0, 1), NAMES.slice(1), MANY_NAMES])
          .map((name) => rightWant(name, random)),
      }),
    ])(),
  );

const rightShared = (random: Random): Uint8Array => encodeShared(random.bytes(2));

const rightComparison = (random: Random): Uint8Array =>
  encodeComparison(
    random.pick<SyncComparison>([
      { kind: "same" },
      { kind: "unknown" },
      { kind: "hashes", hashes: random.bytes(HASHES_BYTES) },
    ]),
  );

const rightEntries = (random: Random): Uint8Array =>
  encodeEntries(
    NAMES.map((trustDomain) => ({
      trustDomain,
      version: { epoch: u32(random), rev: u32(random), sequence: u64(random) },
      recordIds: hashes(random, random.between(1, 2)),
    })),
  );

const rightRecords = (random: Random): Uint8Array =>
  encodeRecords(times(random.pick([1, 2, 64]), () => random.bytes(random.between(1, 200))));

/** A message with one part replaced by each of these. */
function parts(
  rows: readonly (readonly [name: string, path: readonly number[], ...values: readonly Loose[]])[],
): ShapeMutant[] {
  return rows.map(([name, path, ...values]) => ({
    name: `with ${name}`,
    write: (right, random) => writeLoose(withPart(right, path, () => random.pick(values))),
  }));
}

const BAD_NAMES = ["", "A", "a/b", "a".repeat(256), "é", "a\n"];
const noBytes = new Uint8Array();
const zeros = (length: number): Uint8Array => new Uint8Array(length);
/** The right requests of each kind, for changes that fit one of them only. */
const wantedFrame: Loose = [1, 0, 2, [FIRST, SECOND]];
const compareFrame: Loose = [3, zeros(32)];
const listFrame: Loose = [7, [0, 1], []];
const want = (name: string): Loose => [name, [0, 0, 1], noBytes];
const fetchFrame: Loose = [9, [want(FIRST)]];
const entry = (name: string, ...ids: readonly Uint8Array[]): Loose => [0, name, 0, 0, 1, ids];
const on = (base: Loose, mutants: readonly ShapeMutant[]): ShapeMutant[] =>
  mutants.map(({ name, write }) => ({ name, write: (_, random) => write(base, random) }));

const readExport = judgeBy(decodeExportFile, encodeExportFile);

const KEY = Uint8Array.of(0x70, 1, 0x61);

/** The reader of a stored value. Its hash is added by the judge, so that no damage hides behind it. */
function storedTarget<Value>(
  codec: Codec<Value>,
  right: (random: Random) => readonly CborValue[],
  wrong: readonly ShapeMutant[] = [],
): TargetSource {
  return messageTarget({
    name: `stored-${codec.name.replaceAll(" ", "-")}`,
    inputs: 3_000,
    right: (random) => encodeCbor(right(random)),
    wrong: [
      ...ANY_MESSAGE,
      ...parts([["another format", [0], 0, 3, 2 ** 40, 2n ** 64n - 1n]]),
      ...wrong,
    ],
    judge: (input) => {
      const read = (sealed: Uint8Array): Value | undefined => {
        try {
          return unseal(codec, KEY, sealed);
        } catch (error) {
          hold(
            error instanceof Fault && error.code === "STORE_DAMAGED",
            `a fault, not ${String(error)}`,
          );
          return undefined;
        }
      };
      hold(read(input) === undefined, "nothing is taken without its hash");
      const sealed = concatBytes(input, sha256(concatBytes(KEY, input)));
      const value = read(sealed);
      if (value === undefined) return "refused";
      const again = seal(codec, KEY, value);
      hold(equalBytes(again, sealed), "what is taken is written as the same bytes");
      return "taken";
    },
  });
}

const storedRecord = (random: Random): CborValue => [
  u32(random),
  u32(random),
  u64(random),
  hash(random),
  random.bytes(random.between(1, 200)),
];

export const messageTargets: readonly TargetSource[] = [
  messageTarget({
    name: "state",
    inputs: 14_000,
    right: rightState,
    wrong: BAD_STATES,
    judge: judgeBy(decodeState, encodeState),
  }),
  messageTarget({
    name: "envelope",
    inputs: 14_000,
    right: rightEnvelope,
    wrong: BAD_ENVELOPES,
    judge: judgeBy(decodeEnvelope, encodeEnvelope),
  }),
  messageTarget({
    name: "export-file",
    inputs: 8_000,
    right: rightExport,
    wrong: [
      ...ANY_MESSAGE,
      ...parts([
        ["another format", [0], 0, 2, 255],
        ["no envelope", [1], noBytes],
        ["an envelope above 128 KiB", [1], zeros(128 * 1024 + 1)],
        ["too many addresses", [2], times(17, () => ADDRESS)],
        ["no address", [2], [""], ["a b"], ["a\n"], ["é"], ["x".repeat(513)], ["\u202e"]],
        ["more than 160 KiB", [1], zeros(EXPORT_FILE_BYTES_MAX)],
      ]),
    ],
    judge: readExport,
  }),
  messageTarget({
    name: "sync-request",
    inputs: 10_000,
    right: rightRequest,
    wrong: [
      // The last position of a list is a name or an empty array: for each the other is right, too.
      ...ANY_MESSAGE.filter((each) => each !== OF_ANOTHER_TYPE),
      ...on(wantedFrame, [OF_ANOTHER_TYPE]),
      ...parts([["another kind", [0], 0, 2, 4, 5, 6, 8, 10, 255]]),
      ...on(
        wantedFrame,
        parts([
          ["no wanted domain", [3], []],
          ["more wanted domains than announced", [2], 1],
          ["wanted domains behind the last", [1], 1, 2, 10_001],
          ["more wanted domains than anybody has", [2], 10_002, 2 ** 53 - 1, 2n ** 64n - 1n],
          ["wanted domains backwards", [3], [SECOND, FIRST]],
          ["a wanted domain twice", [3], [FIRST, FIRST]],
          ["no name", [3, 1], ...BAD_NAMES],
        ]),
      ),
      ...on(
        [1, 0, 5_000, [FIRST]],
        parts([["too many wanted domains", [3], inOrder(times(1_025, (each) => `d${each}`))]]),
      ),
      ...on(
        compareFrame,
        parts([["a root of another length", [1], noBytes, zeros(31), zeros(33)]]),
      ),
      ...on(
        listFrame,
        parts([
          ["no bucket", [1], []],
          ["buckets backwards", [1], [1, 0]],
          ["a bucket twice", [1], [1, 1]],
          ["a bucket above 255", [1, 1], 256, 2 ** 32],
          ["no name to go on behind", [2], ...BAD_NAMES, noBytes],
        ]),
      ),
      ...on(
        fetchFrame,
        parts([
          ["no wants", [1], []],
          ["too many wants", [1], inOrder(times(65, (index) => `d${100 + index}`)).map(want)],
          ["wants backwards", [1], [want(SECOND), want(FIRST)]],
          ["a domain wanted twice", [1], [want(FIRST), want(FIRST)]],
          ["a want of no domain", [1, 0, 0], ...BAD_NAMES],
          ["a want for nothing", [1, 0, 1], []],
          ["a want for steps and a record", [1, 0, 2], zeros(32)],
          ["a want with half an id", [1, 0, 2], zeros(16), zeros(31), zeros(33)],
          ["a version above 32 bits", [1, 0, 1], [2 ** 32, 0, 0], [0, 2 ** 32, 0]],
          ["a version of two numbers", [1, 0, 1], [0, 0], [0, 0, 0, 0]],
        ]),
      ),
    ],
    judge: judgeBy(decodeRequest, encodeRequest),
  }),
  messageTarget({
    name: "sync-shared",
    inputs: 2_000,
    right: rightShared,
    wrong: [
      ...ANY_MESSAGE,
      ...parts([
        ["another kind", [0], 0, 1, 3, 4, 255],
        ["bits of another count", [1], noBytes, zeros(1), zeros(3)],
      ]),
    ],
    judge: judgeBy((bytes) => decodeShared(bytes, 16), encodeShared),
  }),
  messageTarget({
    name: "sync-comparison",
    inputs: 3_000,
    right: rightComparison,
    wrong: [
      ...ANY_MESSAGE,
      ...parts([["another kind", [0], 0, 1, 2, 3, 7, 8, 255]]),
      ...on(
        [6, zeros(HASHES_BYTES)],
        parts([["hashes of other buckets", [1], noBytes, zeros(32), zeros(HASHES_BYTES - 1)]]),
      ),
    ],
    judge: judgeBy(decodeComparison, encodeComparison),
  }),
  messageTarget({
    name: "sync-entries",
    inputs: 3_000,
    right: rightEntries,
    wrong: [
      ...ANY_MESSAGE,
      ...parts([
        ["another kind", [0], 0, 1, 2, 4, 255],
        ["entries backwards", [1], [entry(SECOND, zeros(32)), entry(FIRST, zeros(32))]],
        ["an entry twice", [1], [entry(FIRST, zeros(32)), entry(FIRST, zeros(32))]],
        [
          "too many entries",
          [1],
          inOrder(times(1_025, (index) => String(10_000 + index))).map((name) =>
            entry(name, zeros(32)),
          ),
        ],
        ["no name", [1], ...BAD_NAMES.map((name) => [entry(name, zeros(32))])],
        ["an entry of another kind", [1, 0, 0], 1, 2, 255],
        ["an entry without an id", [1], [entry("a")]],
        [
          "an entry of three ids",
          [1],
          [entry("a", zeros(32), zeros(32).fill(1), zeros(32).fill(2))],
        ],
        ["an entry's ids backwards", [1], [entry("a", zeros(32).fill(1), zeros(32))]],
        ["an id of another length", [1], [entry("a", zeros(31))]],
      ]),
    ],
    judge: judgeBy(decodeEntries, encodeEntries),
  }),
  messageTarget({
    name: "sync-records",
    inputs: 8_000,
    right: rightRecords,
    wrong: [
      ...ANY_MESSAGE,
      ...parts([
        ["another kind", [0], 0, 1, 2, 3, 4, 5, 9, 255],
        ["an empty record", [1, 0], noBytes],
        ["a record above 128 KiB", [1, 0], zeros(128 * 1024 + 1)],
        ["65 records", [1], times(65, () => Uint8Array.of(1))],
      ]),
    ],
    judge: judgeBy(decodeRecords, encodeRecords),
  }),
  storedTarget(metaCodec, (random) => [
    2,
    random.bytes(16),
    u64(random),
    hash(random),
    u64(random),
  ]),
  storedTarget(stepCodec, (random) => [1, storedRecord(random)]),
  storedTarget(
    domainCodec,
    (random) => [
      2,
      [
        hash(random),
        times(random.pick([1, 16]), () => hash(random)),
        storedRecord(random),
        random.oneIn(2) ? [] : storedRecord(random),
        random.bytes(random.between(0, 200)),
      ],
      times(random.pick([1, 2, 64]), () => [
        u32(random),
        u32(random),
        u64(random),
        hash(random),
        random.between(1, 9_999),
        random.pick([0, 2 ** 53 - 1]),
      ]),
    ],
    parts([
      ["a lineage of another length", [1, 0], noBytes, zeros(31), zeros(33)],
      ["no node", [1, 1], []],
      ["too many nodes", [1, 1], times(17, () => zeros(32))],
      ["a record id of another length", [1, 2, 3], noBytes, zeros(31), zeros(33)],
      ["an empty record", [1, 2, 4], noBytes],
      ["a frame above 256 KiB", [1, 4], zeros(256 * 1_024 + 1)],
      ["no step", [2], []],
      ["too many steps", [2], times(65, () => [0, 0, 1, zeros(32), 1, 1])],
      ["a step of no bytes", [2], [[0, 0, 1, zeros(32), 0, 1]]],
      ["a step without a time", [2], [[0, 0, 1, zeros(32), 1]]],
    ]),
  ),
  storedTarget(
    pinCodec("a" as TrustDomain),
    (random) => [
      1,
      hash(random),
      random.pick([0, 1, 2 ** 53 - 1]),
      random.oneIn(2) ? [] : [hash(random)],
      times(random.pick([0, 1, 64]), () => ADDRESS),
    ],
    parts([
      ["an id of another length", [1], noBytes, zeros(31), zeros(33)],
      ["a time after 2^53", [2], 2n ** 53n],
      ["half an awaited id", [3], [zeros(31)], [zeros(32), zeros(32)]],
      ["too many hints", [4], times(65, () => ADDRESS)],
      ["no hint", [4], [""], ["a b"], ["x".repeat(513)]],
    ]),
  ),
];
