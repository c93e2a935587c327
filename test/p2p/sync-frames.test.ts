import { describe, expect, test } from "vitest";
import * as fc from "fast-check";
import type { SyncEntry, SyncWant } from "../../src/core/mesh/sync-entry.ts";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import { compareBytes, concatBytes, toHex } from "../../src/core/std/bytes.ts";
import { type CborValue, encodeCbor } from "../../src/core/std/cbor.ts";
import {
  ENVELOPE_BYTES_MAX,
  SYNC_COMPARED_DOMAINS_MAX,
  SYNC_REPLY_BYTES_MAX,
  SYNC_REPLY_RECORDS_MAX,
  SYNC_WANTS_MAX,
} from "../../src/core/std/limits.ts";
import { sha256 } from "../../src/core/std/sha256.ts";
import {
  REQUEST_BYTES_MAX,
  decodeComparison,
  decodeRecords,
  decodeRequest,
  encodeComparison,
  encodeRecords,
  encodeRequest,
  syncRoot,
} from "../../src/p2p/sync-frames.ts";

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
const byName = (left: { trustDomain: string }, right: { trustDomain: string }): number =>
  left.trustDomain < right.trustDomain ? -1 : 1;
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
  .map((some) => some.sort(byName));
const hash = new Uint8Array(32);
const longName = (index: number): TrustDomain =>
  `${"x".repeat(250)}${String(index).padStart(5, "0")}` as TrustDomain;

describe("sync root", () => {
  test("two sides that hold the same agree, whatever the order", () => {
    fc.assert(
      fc.property(
        entries.chain((held) =>
          fc.tuple(fc.constant(held), fc.shuffledSubarray(held, { minLength: held.length })),
        ),
        ([held, heldElsewhere]) => {
          expect(syncRoot(held)).toEqual(syncRoot(heldElsewhere));
        },
      ),
    );
  });

  test("any change of a version, an id or the set of domains shows", () => {
    fc.assert(
      fc.property(entries, fc.nat(), versions, (held, at, version) => {
        const changed = held[at % Math.max(held.length, 1)];
        fc.pre(changed !== undefined && changed.version.sequence !== version.sequence);
        const rest = held.filter((entry) => entry !== changed);
        const [id = hash] = changed.recordIds;
        const roots = [
          held,
          rest,
          [...rest, { ...changed, version }],
          [...rest, { ...changed, recordIds: [sha256(id)] }],
        ].map((each) => toHex(syncRoot(each)));
        expect(new Set(roots).size).toBe(4);
      }),
    );
  });

  test("is SHA-256 over 256 buckets, an empty one being the hash of 0x80", () => {
    const trustDomain = "bravo.test" as TrustDomain;
    const bucket = sha256(Buffer.from(trustDomain))[0] ?? -1;
    const entry = { trustDomain, version: { epoch: 1, rev: 2, sequence: 3n }, recordIds: [hash] };
    const full = encodeCbor([[0, trustDomain, 1, 2, 3, [hash]]]);
    const expected = Array.from({ length: 256 }, (_, index) =>
      sha256(index === bucket ? full : Uint8Array.of(0x80)),
    );
    expect(syncRoot([entry])).toEqual(sha256(concatBytes(...expected)));
  });
});

describe("sync frames", () => {
  test("what one side writes the other reads", () => {
    fc.assert(
      fc.property(
        entries,
        wants,
        hashes,
        fc.array(hashes, { maxLength: 64 }),
        (held, asked, root, envelopes) => {
          const wanted = held.map(({ trustDomain }) => trustDomain).sort();
          if (wanted.length > 0) {
            const compare = { kind: "compare", wanted, root } as const;
            expect(decodeRequest(encodeRequest(compare))).toEqual({ ok: true, value: compare });
          }
          const fetch = { kind: "fetch", wants: asked } as const;
          expect(decodeRequest(encodeRequest(fetch))).toEqual({ ok: true, value: fetch });
          expect(decodeComparison(encodeComparison({ kind: "entries", entries: held }))).toEqual({
            ok: true,
            value: { kind: "entries", entries: held.sort(byName) },
          });
          expect(decodeRecords(encodeRecords(envelopes))).toEqual({ ok: true, value: envelopes });
        },
      ),
    );
    expect(decodeComparison(encodeComparison({ kind: "same" }))).toEqual({
      ok: true,
      value: { kind: "same" },
    });
  });

  test("random and cut bytes are refused, never a crash", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), entries, fc.nat(), (noise, held, cut) => {
        const frame = encodeComparison({ kind: "entries", entries: held });
        const short = frame.subarray(0, cut % frame.length);
        for (const decode of [decodeRequest, decodeComparison, decodeRecords]) {
          decode(noise);
          expect(decode(short).ok).toBe(false);
        }
      }),
    );
  });

  test("a frame at all its bounds fits the frame limit", () => {
    const wanted = Array.from({ length: SYNC_COMPARED_DOMAINS_MAX }, (_, index) => longName(index));
    const version = { epoch: 2 ** 32 - 1, rev: 2 ** 32 - 1, sequence: 2n ** 64n - 1n };
    const recordIds = [hash, sha256(hash)];
    const held = wanted.map((trustDomain) => ({ trustDomain, version, recordIds }));
    const asked = wanted
      .slice(0, SYNC_WANTS_MAX)
      .map((trustDomain) => ({ trustDomain, above: undefined, recordId: hash }));
    const compare = encodeRequest({ kind: "compare", wanted, root: hash });
    expect(compare).toHaveLength(263_207);
    expect(compare.length).toBeLessThanOrEqual(REQUEST_BYTES_MAX);
    const fetch = encodeRequest({ kind: "fetch", wants: asked });
    expect(fetch).toHaveLength(18_756);
    expect(decodeRequest(fetch)).toMatchObject({ ok: true });
    expect(decodeRequest(compare)).toMatchObject({ ok: true });
    const comparison = encodeComparison({ kind: "entries", entries: held });
    expect(comparison.length).toBeLessThanOrEqual(SYNC_REPLY_BYTES_MAX);
    expect(decodeComparison(comparison)).toMatchObject({ ok: true });
    const largest = Array.from({ length: 64 }, () => new Uint8Array(ENVELOPE_BYTES_MAX));
    const records = encodeRecords(largest);
    expect(records.length).toBeLessThanOrEqual(SYNC_REPLY_BYTES_MAX);
    expect(decodeRecords(records)).toEqual({ ok: true, value: largest.slice(0, 7) });
  });

  const td = "bravo.test";
  const refused: readonly [string, typeof decodeRequest | typeof decodeRecords, CborValue][] = [
    ["an unknown request", decodeRequest, [9, [td], hash]],
    ["nothing wanted", decodeRequest, [1, [], hash]],
    ["wanted names out of order", decodeRequest, [1, ["b", "a"], hash]],
    ["a wanted name twice", decodeRequest, [1, ["a", "a"], hash]],
    ["a name in capitals", decodeRequest, [1, ["A"], hash]],
    [
      "more names than one comparison takes",
      decodeRequest,
      [1, Array.from({ length: 1_025 }, (_, index) => longName(index)), hash],
    ],
    ["a root of 31 bytes", decodeRequest, [1, [td], hash.subarray(1)]],
    ["a position too many", decodeRequest, [1, [td], hash, 0]],
    ["no wants", decodeRequest, [4, []]],
    [
      "65 wants",
      decodeRequest,
      [4, Array.from({ length: 65 }, (_, index) => [longName(index), [], hash])],
    ],
    [
      "two wants of one domain",
      decodeRequest,
      [
        4,
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
        4,
        [
          ["b", [], hash],
          ["a", [], hash],
        ],
      ],
    ],
    ["a want for nothing", decodeRequest, [4, [[td, [], new Uint8Array()]]]],
    ["a want for both", decodeRequest, [4, [[td, [0, 0, 1], hash]]]],
    ["a want by a short id", decodeRequest, [4, [[td, [], hash.subarray(1)]]]],
    ["records above 128 KiB", decodeRecords, [5, [new Uint8Array(ENVELOPE_BYTES_MAX + 1)]]],
    ["an empty record", decodeRecords, [5, [new Uint8Array()]]],
    [
      "65 records",
      decodeRecords,
      [5, Array.from({ length: SYNC_REPLY_RECORDS_MAX + 1 }, () => hash)],
    ],
  ];
  test.each(refused)("%s is refused", (_, decode, value) => {
    expect(decode(encodeCbor(value)).ok).toBe(false);
  });

  const wrongEntries: readonly [string, CborValue][] = [
    ["an entry of an unknown kind", [1, td, 0, 0, 1, [hash]]],
    ["an epoch above 32 bits", [0, td, 2 ** 32, 0, 1, [hash]]],
    ["no record id", [0, td, 0, 0, 1, []]],
    ["three record ids", [0, td, 0, 0, 1, [hash, sha256(hash), sha256(sha256(hash))]]],
    ["a record id twice", [0, td, 0, 0, 1, [hash, hash]]],
  ];
  test.each(wrongEntries)("%s is refused", (_, entry) => {
    expect(decodeComparison(encodeCbor([3, [entry]])).ok).toBe(false);
  });
});
