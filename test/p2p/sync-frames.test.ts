import { describe, expect, test } from "vitest";
import * as fc from "fast-check";
import type { SyncEntry, SyncWant } from "../../src/core/mesh/sync-entry.ts";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import { compareBytes, toHex } from "../../src/core/std/bytes.ts";
import { type CborValue, encodeCbor } from "../../src/core/std/cbor.ts";
import {
  ENVELOPE_BYTES_MAX,
  SYNC_ENTRIES_MAX,
  SYNC_REPLY_BYTES_MAX,
  SYNC_REPLY_RECORDS_MAX,
  SYNC_WANTED_MAX,
  SYNC_WANTS_MAX,
  WANTED_DOMAINS_MAX,
} from "../../src/core/std/limits.ts";
import { sha256 } from "../../src/core/std/sha256.ts";
import {
  REQUEST_BYTES_MAX,
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
} from "../../src/p2p/sync-frames.ts";
import { BUCKETS, HASHES_BYTES, inSyncOrder, syncOrder } from "../../src/p2p/sync-order.ts";
import { allBits } from "../rogue/sync-answers.ts";

const names = fc.stringMatching(/^[a-z0-9._-]{1,20}$/).map((name) => name as TrustDomain);
const hashes = fc.uint8Array({ minLength: 32, maxLength: 32 });
const u32 = fc.nat({ max: 2 ** 32 - 1 });
const versions = fc.record({ epoch: u32, rev: u32, sequence: fc.bigInt(0n, 2n ** 64n - 1n) });
const entries = fc.uniqueArray(
  fc.record<SyncEntry>({
    trustDomain: names,
    version: versions,
    recordIds: fc
      .uniqueArray(hashes, { minLength: 1, maxLength: 2, selector: toHex })
      .map((ids) => ids.sort(compareBytes)),
  }),
  { maxLength: 20, selector: ({ trustDomain }) => trustDomain },
);
const sorted = <Item extends { readonly trustDomain: string }>(items: readonly Item[]) =>
  inSyncOrder(items, ({ trustDomain }) => trustDomain);
const wants = fc
  .uniqueArray(
    fc.oneof(
      fc.record<SyncWant>({
        trustDomain: names,
        above: versions,
        recordId: fc.constant(undefined),
      }),
      fc.record<SyncWant>({
        trustDomain: names,
        above: fc.constant(undefined),
        recordId: hashes,
      }),
    ),
    { minLength: 1, maxLength: SYNC_WANTS_MAX, selector: ({ trustDomain }) => trustDomain },
  )
  .map(sorted);
const hash = new Uint8Array(32);
const longName = (index: number): TrustDomain =>
  `${"x".repeat(250)}${String(index).padStart(5, "0")}` as TrustDomain;

const manyNames = (count: number): readonly string[] =>
  inSyncOrder(
    Array.from({ length: count }, (_, index) => longName(index)),
    (each) => each,
  );
const decodeEightBits = (bytes: Uint8Array) => decodeShared(bytes, 8);
/** What stands first counts most. */
const orderInWords = (name: string): string => {
  const bucket = String(sha256(Buffer.from(name))[0]).padStart(3, "0");
  return `${bucket} ${String(name.length).padStart(3, "0")} ${name}`;
};

describe("sync frames", () => {
  test("what one side writes the other reads", () => {
    const requests: fc.Arbitrary<SyncRequest> = fc.oneof(
      fc
        .tuple(entries, fc.nat({ max: 5_000 }), fc.nat({ max: 5_000 }))
        .filter(([held]) => held.length > 0)
        .map(([held, at, more]) => {
          const wanted = sorted(held).map(({ trustDomain }) => trustDomain);
          return { kind: "wanted", at, total: at + wanted.length + more, names: wanted } as const;
        }),
      hashes.map((root) => ({ kind: "compare", root }) as const),
      fc
        .tuple(
          fc.uniqueArray(fc.nat({ max: 255 }), { minLength: 1 }),
          fc.option(names, { nil: undefined }),
        )
        .map(([buckets, after]) => {
          return { kind: "list", buckets: buckets.toSorted((a, b) => a - b), after } as const;
        }),
      wants.map((asked) => ({ kind: "fetch", wants: asked }) as const),
    );
    fc.assert(
      fc.property(
        requests,
        entries.map(sorted),
        fc.array(hashes, { maxLength: 64 }),
        (request, held, envelopes) => {
          expect(decodeRequest(encodeRequest(request))).toEqual({ ok: true, value: request });
          expect(decodeEntries(encodeEntries(held))).toEqual({ ok: true, value: held });
          expect(decodeRecords(encodeRecords(envelopes))).toEqual({ ok: true, value: envelopes });
        },
      ),
    );
    const comparisons: readonly SyncComparison[] = [
      { kind: "same" },
      { kind: "unknown" },
      { kind: "hashes", hashes: new Uint8Array(HASHES_BYTES).fill(7) },
    ];
    for (const value of comparisons) {
      expect(decodeComparison(encodeComparison(value))).toEqual({ ok: true, value });
    }
    for (const count of [1, 7, 8, 9, SYNC_WANTED_MAX]) {
      const value = allBits(count);
      expect(decodeShared(encodeShared(value), count)).toEqual({ ok: true, value });
      expect(decodeShared(encodeShared(value), count + 8).ok).toBe(false);
    }
  });

  test("random and cut bytes are refused, never a crash", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), entries, fc.nat(), (noise, held, cut) => {
        const frame = encodeEntries(sorted(held));
        const short = frame.subarray(0, cut % frame.length);
        for (const decode of [
          decodeRequest,
          decodeComparison,
          decodeEntries,
          decodeRecords,
          decodeEightBits,
        ]) {
          decode(noise);
          expect(decode(short).ok).toBe(false);
        }
      }),
    );
  });

  test("a frame at all its bounds fits the frame limit", () => {
    const wanted = inSyncOrder(
      Array.from({ length: SYNC_WANTED_MAX }, (_, index) => longName(index)),
      (each) => each,
    );
    const version = { epoch: 2 ** 32 - 1, rev: 2 ** 32 - 1, sequence: 2n ** 64n - 1n };
    const recordIds = [hash, sha256(hash)];
    const held = wanted.map((trustDomain) => ({ trustDomain, version, recordIds }));
    const asked = wanted
      .slice(0, SYNC_WANTS_MAX)
      .map((trustDomain) => ({ trustDomain, above: undefined, recordId: hash }));
    const [after] = wanted;
    const buckets = Array.from({ length: BUCKETS }, (_, bucket) => bucket);
    const total = WANTED_DOMAINS_MAX;
    const at = total - wanted.length;
    const part = encodeRequest({ kind: "wanted", at, total, names: wanted });
    expect(part).toHaveLength(263_179);
    expect(part.length).toBeLessThanOrEqual(REQUEST_BYTES_MAX);
    const list = encodeRequest({ kind: "list", buckets, after });
    const fetch = encodeRequest({ kind: "fetch", wants: asked });
    expect(fetch).toHaveLength(18_756);
    for (const request of [part, list, fetch]) {
      expect(decodeRequest(request)).toMatchObject({ ok: true });
    }
    const entriesFrame = encodeEntries(held);
    expect(held).toHaveLength(SYNC_ENTRIES_MAX);
    expect(entriesFrame.length).toBeLessThanOrEqual(SYNC_REPLY_BYTES_MAX);
    expect(decodeEntries(entriesFrame)).toMatchObject({ ok: true });
    const largest = Array.from({ length: 64 }, () => new Uint8Array(ENVELOPE_BYTES_MAX));
    const records = encodeRecords(largest);
    expect(records.length).toBeLessThanOrEqual(SYNC_REPLY_BYTES_MAX);
    expect(decodeRecords(records)).toEqual({ ok: true, value: largest.slice(0, 7) });
  });

  const td = "bravo.test";
  const [first, second] = inSyncOrder(["a", "b"], (each) => each) as [string, string];
  const refused: readonly [string, typeof decodeRequest | typeof decodeRecords, CborValue][] = [
    ["an unknown request", decodeRequest, [0, hash]],
    ["nothing wanted", decodeRequest, [1, 0, 1, []]],
    ["wanted names out of order", decodeRequest, [1, 0, 2, [second, first]]],
    ["a wanted name twice", decodeRequest, [1, 0, 2, [first, first]]],
    ["a name in capitals", decodeRequest, [1, 0, 1, ["A"]]],
    ["more names than were announced", decodeRequest, [1, 0, 1, [first, second]]],
    ["names behind the last one", decodeRequest, [1, 1, 1, [first]]],
    ["more names than a daemon may want", decodeRequest, [1, 0, WANTED_DOMAINS_MAX + 1, [first]]],
    ["more names than one frame has", decodeRequest, [1, 0, 2_000, manyNames(1_025)]],
    ["a root of 31 bytes", decodeRequest, [3, hash.subarray(1)]],
    ["a position too many", decodeRequest, [3, hash, 0]],
    ["no bucket", decodeRequest, [7, [], []]],
    ["a bucket twice", decodeRequest, [7, [1, 1], []]],
    ["buckets backwards", decodeRequest, [7, [2, 1], []]],
    ["bucket 256", decodeRequest, [7, [256], []]],
    ["a list behind no name", decodeRequest, [7, [1], ""]],
    ["no wants", decodeRequest, [9, []]],
    ["65 wants", decodeRequest, [9, manyNames(65).map((each) => [each, [], hash])]],
    [
      "two wants of one domain",
      decodeRequest,
      [
        9,
        [
          [td, [], hash],
          [td, [0, 0, 1], new Uint8Array()],
        ],
      ],
    ],
    [
      "wants out of order",
      decodeRequest,
      [
        9,
        [
          [second, [], hash],
          [first, [], hash],
        ],
      ],
    ],
    ["a want for nothing", decodeRequest, [9, [[td, [], new Uint8Array()]]]],
    ["a want for both", decodeRequest, [9, [[td, [0, 0, 1], hash]]]],
    ["a want by a short id", decodeRequest, [9, [[td, [], hash.subarray(1)]]]],
    ["records above 128 KiB", decodeRecords, [10, [new Uint8Array(ENVELOPE_BYTES_MAX + 1)]]],
    ["an empty record", decodeRecords, [10, [new Uint8Array()]]],
    [
      "65 records",
      decodeRecords,
      [10, Array.from({ length: SYNC_REPLY_RECORDS_MAX + 1 }, () => hash)],
    ],
  ];
  test.each(refused)("%s is refused", (_, decode, value) => {
    expect(decode(encodeCbor(value)).ok).toBe(false);
  });

  const wrongEntries: readonly [string, CborValue][] = [
    ["an entry of a kind that is not built", [1, td, 0, 0, 1, [hash]]],
    ["an epoch above 32 bits", [0, td, 2 ** 32, 0, 1, [hash]]],
    ["no record id", [0, td, 0, 0, 1, []]],
    ["three record ids", [0, td, 0, 0, 1, [hash, sha256(hash), sha256(sha256(hash))]]],
    ["a record id twice", [0, td, 0, 0, 1, [hash, hash]]],
  ];
  test.each(wrongEntries)("%s is refused", (_, entry) => {
    expect(decodeEntries(encodeCbor([8, [entry]])).ok).toBe(false);
  });

  test.each([
    ["backwards", [second, first]],
    ["of one domain twice", [first, first]],
  ])("entries %s are refused", (_, order) => {
    const frame = encodeCbor([8, order.map((each) => [0, each, 0, 0, 1, [hash]])]);
    expect(decodeEntries(frame).ok).toBe(false);
  });

  test.each<readonly [string, CborValue]>([
    ["of another count", [2, Uint8Array.of(0xff, 0x80)]],
    ["of no name", [2, Uint8Array.of(0b1111_1000)]],
    ["in place of a comparison", [4]],
  ])("bits %s are refused", (_, value) => {
    expect(decodeShared(encodeCbor(value), 4).ok).toBe(false);
  });

  test.each<readonly [string, CborValue]>([
    ["of half the buckets", [6, new Uint8Array(HASHES_BYTES / 2)]],
    ["in an array", [6, [hash]]],
    ["that are no answer", [3, hash]],
  ])("hashes %s are refused", (_, value) => {
    expect(decodeComparison(encodeCbor(value)).ok).toBe(false);
  });
});

test("names are in sync order by their bucket, then by their length, then by themselves", () => {
  fc.assert(
    fc.property(fc.uniqueArray(names, { maxLength: 30 }), (some) => {
      const expected = some.toSorted((left, right) =>
        orderInWords(left) < orderInWords(right) ? -1 : 1,
      );
      expect(inSyncOrder(some, (each) => each)).toEqual(expected);
      expect(some.every((each) => syncOrder(each)[0] === sha256(Buffer.from(each))[0])).toBe(true);
    }),
  );
});
