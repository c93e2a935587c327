/**
 * The frames of `/spire-mesh/sync/1.0.0` and the root that two daemons compare. One side asks, the
 * other answers each request with one reply:
 *
 *     compare [1, wanted, root]      →  same [2]  or  entries [3, entries]
 *     fetch   [4, wants]             →  records [5, envelopes]
 *
 * Deterministic CBOR, positional arrays (docs/protocol.md 2 and 5). Pure. Every list has a bound,
 * and a frame at all its bounds fits the frame limit of its direction; a law test proves it.
 */
import assert from "node:assert/strict";
import type { SyncEntry, SyncWant } from "../core/mesh/sync-entry.ts";
import { compareBytes, concatBytes, toUtf8 } from "../core/std/bytes.ts";
import { type CborValue, encodeCbor } from "../core/std/cbor.ts";
import {
  ENVELOPE_BYTES_MAX,
  SYNC_COMPARED_DOMAINS_MAX,
  SYNC_REPLY_BYTES_MAX,
  SYNC_REPLY_RECORDS_MAX,
  SYNC_WANTS_MAX,
} from "../core/std/limits.ts";
import { type Result, no } from "../core/std/result.ts";
import { SHA256_BYTES, sha256 } from "../core/std/sha256.ts";
import * as shape from "../core/std/shape.ts";
import { TRUST_DOMAIN_NAME, type TrustDomain } from "../core/spiffe/trust-domain.ts";
import type { Version } from "../core/record/state.ts";

export type SyncRequest =
  /** Ascending names, and the root over what the asking side holds of them. */
  | { readonly kind: "compare"; readonly wanted: readonly TrustDomain[]; readonly root: Uint8Array }
  /** At most one want a domain. */
  | { readonly kind: "fetch"; readonly wants: readonly SyncWant[] };

export type SyncComparison =
  | { readonly kind: "same" }
  /** What the answering side holds of the wanted domains, ascending by name. */
  | { readonly kind: "entries"; readonly entries: readonly SyncEntry[] };

/**
 * A comparison of the most and longest names takes 263,207 bytes. Above: the stream ends, the rest
 * unread.
 */
export const REQUEST_BYTES_MAX = 272 * 1024;

/** CBOR items of the longest frame of each kind. Above: refused before they are decoded. */
const COMPARE_ITEMS_MAX = 4 + SYNC_COMPARED_DOMAINS_MAX;
const FETCH_ITEMS_MAX = 3 + SYNC_WANTS_MAX * 7;
const ENTRIES_ITEMS_MAX = 3 + SYNC_COMPARED_DOMAINS_MAX * 9;
const RECORDS_ITEMS_MAX = 3 + SYNC_REPLY_RECORDS_MAX;
/**
 * A fetch of the most and longest wants takes 18,756 bytes. Above: refused before it is decoded.
 */
const FETCH_BYTES_MAX = 20 * 1024;

const COMPARE = 1;
const SAME = 2;
const ENTRIES = 3;
const FETCH = 4;
const RECORDS = 5;
/** First position of an entry about a trust domain's state. */
const STATE_ENTRY = 0;
/** A record's head in CBOR and, once, the frame's own. */
const RECORD_HEAD_BYTES = 5;
const RECORDS_HEAD_BYTES = 8;
const BUCKETS = 256;
const EMPTY_BUCKET_HASH = sha256(encodeCbor([]));

/**
 * The root over entries in any order: SHA-256 of 256 bucket hashes. A bucket is the first byte of
 * SHA-256(name), its hash SHA-256 of the sorted entries in CBOR (docs/protocol.md 5).
 */
export function syncRoot(entries: readonly SyncEntry[]): Uint8Array {
  const buckets = new Map<number, Uint8Array[]>();
  for (const entry of entries) {
    const bucket = sha256(toUtf8(entry.trustDomain))[0] ?? 0;
    const before = buckets.get(bucket) ?? [];
    buckets.set(bucket, [...before, encodeCbor(entryValue(entry))]);
  }
  const hashes = Array.from({ length: BUCKETS }, (_, bucket) => {
    const encoded = buckets.get(bucket);
    if (encoded === undefined) return EMPTY_BUCKET_HASH;
    return sha256(concatBytes(arrayHead(encoded.length), ...encoded.sort(compareBytes)));
  });
  return sha256(concatBytes(...hashes));
}

/** How an array of so many items begins; a zero takes one byte. */
function arrayHead(items: number): Uint8Array {
  return encodeCbor(Array.from({ length: items }, () => 0)).subarray(0, -items);
}

export function encodeRequest(request: SyncRequest): Uint8Array {
  return request.kind === "compare"
    ? encodeCbor([COMPARE, request.wanted, request.root])
    : encodeCbor([FETCH, sortedByName(request.wants).map(wantValue)]);
}

export function encodeComparison(comparison: SyncComparison): Uint8Array {
  if (comparison.kind === "same") return encodeCbor([SAME]);
  return encodeCbor([ENTRIES, sortedByName(comparison.entries).map(entryValue)]);
}

/** As many of the envelopes, from the first, as one reply may carry; the rest is asked for again. */
export function encodeRecords(envelopes: readonly Uint8Array[]): Uint8Array {
  let bytes = RECORDS_HEAD_BYTES;
  const fitting = envelopes.slice(0, SYNC_REPLY_RECORDS_MAX).filter((envelope) => {
    bytes += RECORD_HEAD_BYTES + envelope.length;
    return bytes <= SYNC_REPLY_BYTES_MAX;
  });
  return encodeCbor([RECORDS, fitting]);
}

/**
 * Whether a reply may lack what had no room in it. It is filled in the order of the wants, so the
 * first one has its answer even then.
 */
export function mayBeCut(envelopes: readonly Uint8Array[]): boolean {
  const bytes = [...envelopes, { length: ENVELOPE_BYTES_MAX }].reduce(
    (sum, { length }) => sum + RECORD_HEAD_BYTES + length,
    RECORDS_HEAD_BYTES,
  );
  return bytes > SYNC_REPLY_BYTES_MAX || envelopes.length === SYNC_REPLY_RECORDS_MAX;
}

/**
 * Reads a request strictly. The reason is in words, for a log. A quarter megabyte of small integers
 * takes 0.2 s to decode, so a frame that is too long or holds too many items for what its first
 * bytes say is refused before.
 */
export function decodeRequest(frame: Uint8Array): Result<SyncRequest, string> {
  const isFetch = frame[1] === FETCH;
  if (isFetch && frame.length > FETCH_BYTES_MAX) return no("sync request: a fetch too long");
  const itemsMax = isFetch ? FETCH_ITEMS_MAX : COMPARE_ITEMS_MAX;
  const read = shape.readCbor(frame, "sync request", toRequest, itemsMax);
  if (read.ok && read.value.kind === "fetch" && !read.value.wants.every(asksOneThing)) {
    return no("sync request: a want is for steps or for one record");
  }
  return read;
}

/** Reads the reply to a comparison. */
export function decodeComparison(frame: Uint8Array): Result<SyncComparison, string> {
  return shape.readCbor(frame, "sync comparison", toComparison, ENTRIES_ITEMS_MAX);
}

/** Reads the reply to a fetch: envelopes of at most 128 KiB each, not looked into. */
export function decodeRecords(frame: Uint8Array): Result<readonly Uint8Array[], string> {
  return shape.readCbor(
    frame,
    "sync records",
    (value, at) => readRecords(value, at)[1],
    RECORDS_ITEMS_MAX,
  );
}

const name = shape.textLike(TRUST_DOMAIN_NAME);
const hash = shape.bytesExactly(SHA256_BYTES);
const hashOrNone: shape.Reader<Uint8Array | undefined> = (value, at) =>
  value instanceof Uint8Array && value.length === 0 ? undefined : hash(value, at);
const entryPositions = shape.tuple(
  shape.literal(STATE_ENTRY),
  name,
  shape.u32,
  shape.u32,
  shape.u64,
  shape.sortedArrayOf(hash, 1, 2, (id) => id),
);
const wantPositions = shape.tuple(
  name,
  shape.emptyOr(shape.tuple(shape.u32, shape.u32, shape.u64)),
  hashOrNone,
);

const readCompare = shape.tuple(
  shape.literal(COMPARE),
  shape.sortedArrayOf(name, 1, SYNC_COMPARED_DOMAINS_MAX, toUtf8),
  hash,
);
const readSame = shape.tuple(shape.literal(SAME));
const readEntries = shape.tuple(
  shape.literal(ENTRIES),
  shape.sortedArrayOf(entryPositions, 0, SYNC_COMPARED_DOMAINS_MAX, ([, trustDomain]) =>
    toUtf8(trustDomain),
  ),
);
const readFetch = shape.tuple(
  shape.literal(FETCH),
  shape.sortedArrayOf(wantPositions, 1, SYNC_WANTS_MAX, ([trustDomain]) => toUtf8(trustDomain)),
);
const readRecords = shape.tuple(
  shape.literal(RECORDS),
  shape.arrayOf(shape.bytesBetween(1, ENVELOPE_BYTES_MAX), 0, SYNC_REPLY_RECORDS_MAX),
);

function toRequest(value: CborValue, at: string): SyncRequest {
  if (Array.isArray(value) && value[0] === FETCH) {
    return { kind: "fetch", wants: readFetch(value, at)[1].map(toWant) };
  }
  const [, wanted, root] = readCompare(value, at);
  return { kind: "compare", wanted: wanted.map((each) => each as TrustDomain), root };
}

function toComparison(value: CborValue, at: string): SyncComparison {
  if (Array.isArray(value) && value[0] === SAME) {
    readSame(value, at);
    return { kind: "same" };
  }
  return { kind: "entries", entries: readEntries(value, at)[1].map(toEntry) };
}

function entryValue({ trustDomain, version, recordIds }: SyncEntry): CborValue {
  return [STATE_ENTRY, trustDomain, ...versionValue(version), recordIds];
}

function toEntry([, trustDomain, epoch, rev, sequence, recordIds]: ReturnType<
  typeof entryPositions
>): SyncEntry {
  return { trustDomain: trustDomain as TrustDomain, version: { epoch, rev, sequence }, recordIds };
}

function wantValue(want: SyncWant): CborValue {
  assert(asksOneThing(want), "a want is for steps or for one record");
  const { trustDomain, above, recordId } = want;
  return [
    trustDomain,
    above === undefined ? [] : versionValue(above),
    recordId ?? new Uint8Array(),
  ];
}

function toWant([trustDomain, above, recordId]: ReturnType<typeof wantPositions>): SyncWant {
  return {
    trustDomain: trustDomain as TrustDomain,
    above: above && { epoch: above[0], rev: above[1], sequence: above[2] },
    recordId,
  };
}

function asksOneThing({ above, recordId }: SyncWant): boolean {
  return (above === undefined) !== (recordId === undefined);
}

function versionValue({ epoch, rev, sequence }: Version): [number, number, bigint] {
  return [epoch, rev, sequence];
}

/** Names are ASCII, so their order as text is that of their bytes. */
function sortedByName<Item extends { readonly trustDomain: TrustDomain }>(
  items: readonly Item[],
): readonly Item[] {
  return [...items].sort((left, right) => (left.trustDomain < right.trustDomain ? -1 : 1));
}
