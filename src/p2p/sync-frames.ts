/**
 * The frames of `/spire-mesh/sync/1.0.0`. One side asks, the other answers each request with one reply:
 *
 *     wanted  [1, at, total, names]      →  shared [2, bits]
 *     compare [3, root]                  →  same [4]  or  unknown [5]  or  hashes [6, hashes]
 *     list    [7, buckets, after]        →  entries [8, entries]
 *     fetch   [9, wants]                 →  records [10, envelopes]
 *
 * Deterministic CBOR, positional arrays (docs/protocol.md 2 and 5). Pure. Every list has a bound,
 * and a frame at all its bounds fits the frame limit of its direction; a law test proves it.
 */
import assert from "node:assert/strict";
import type { SyncEntry, SyncWant } from "../core/mesh/sync-entry.ts";
import { type CborValue, encodeCbor } from "../core/std/cbor.ts";
import {
  ENVELOPE_BYTES_MAX,
  SYNC_ENTRIES_MAX,
  SYNC_REPLY_BYTES_MAX,
  SYNC_REPLY_RECORDS_MAX,
  SYNC_WANTED_MAX,
  SYNC_WANTS_MAX,
  WANTED_DOMAINS_MAX,
} from "../core/std/limits.ts";
import { type Result, no } from "../core/std/result.ts";
import { SHA256_BYTES } from "../core/std/sha256.ts";
import * as shape from "../core/std/shape.ts";
import { TRUST_DOMAIN_NAME, type TrustDomain } from "../core/spiffe/trust-domain.ts";
import type { Version } from "../core/record/state.ts";
import { BUCKETS, HASHES_BYTES, bytesForBits, inSyncOrder, syncOrder } from "./sync-order.ts";

export type SyncRequest =
  /** A part of what the asking side wants, in sync order; `at` of `total` names were said before. */
  | {
      readonly kind: "wanted";
      readonly at: number;
      readonly total: number;
      readonly names: readonly TrustDomain[];
    }
  /** The root over what the asking side holds of the shared domains. */
  | { readonly kind: "compare"; readonly root: Uint8Array }
  /** Ascending buckets; of the first one only what comes behind `after`. */
  | {
      readonly kind: "list";
      readonly buckets: readonly number[];
      readonly after: TrustDomain | undefined;
    }
  /** At most one want a domain. */
  | { readonly kind: "fetch"; readonly wants: readonly SyncWant[] };

export type SyncComparison =
  | { readonly kind: "same" }
  /** The answering side does not know, or not any more, which domains are shared. */
  | { readonly kind: "unknown" }
  /** Of the 256 buckets. */
  | { readonly kind: "hashes"; readonly hashes: Uint8Array };

/**
 * A part of the most and longest names takes 263,179 bytes. Above: the stream ends, the rest unread.
 */
export const REQUEST_BYTES_MAX = 272 * 1024;

/** CBOR items of the longest frame of each kind. Above: refused before they are decoded. */
const WANTED_ITEMS_MAX = 5 + SYNC_WANTED_MAX;
const COMPARE_ITEMS_MAX = 3;
const LIST_ITEMS_MAX = 4 + BUCKETS;
const FETCH_ITEMS_MAX = 3 + SYNC_WANTS_MAX * 7;
const ENTRIES_ITEMS_MAX = 3 + SYNC_ENTRIES_MAX * 9;
const RECORDS_ITEMS_MAX = 3 + SYNC_REPLY_RECORDS_MAX;
/**
 * A fetch of the most and longest wants takes 18,756 bytes. Above: refused before it is decoded.
 */
const FETCH_BYTES_MAX = 20 * 1024;

const WANTED = 1;
const SHARED = 2;
const COMPARE = 3;
const SAME = 4;
const UNKNOWN = 5;
const HASHES = 6;
const LIST = 7;
const ENTRIES = 8;
const FETCH = 9;
const RECORDS = 10;
/** First position of an entry about a trust domain's state; 1 is kept for statements. */
const STATE_ENTRY = 0;
/** A record's head in CBOR and, once, the frame's own. */
const RECORD_HEAD_BYTES = 5;
const RECORDS_HEAD_BYTES = 8;

export function encodeRequest(request: SyncRequest): Uint8Array {
  switch (request.kind) {
    case "wanted":
      return encodeCbor([WANTED, request.at, request.total, request.names]);
    case "compare":
      return encodeCbor([COMPARE, request.root]);
    case "list":
      return encodeCbor([LIST, request.buckets, request.after ?? []]);
    case "fetch":
      return encodeCbor([
        FETCH,
        inSyncOrder(request.wants, ({ trustDomain }) => trustDomain).map(wantValue),
      ]);
  }
}

/** Which of the names of one part both sides want, a bit for each. */
export function encodeShared(bits: Uint8Array): Uint8Array {
  return encodeCbor([SHARED, bits]);
}

export function encodeComparison(comparison: SyncComparison): Uint8Array {
  switch (comparison.kind) {
    case "same":
      return encodeCbor([SAME]);
    case "unknown":
      return encodeCbor([UNKNOWN]);
    case "hashes":
      return encodeCbor([HASHES, comparison.hashes]);
  }
}

/** @param entries In sync order. */
export function encodeEntries(entries: readonly SyncEntry[]): Uint8Array {
  return encodeCbor([ENTRIES, entries.map(entryValue)]);
}

/** An entry as it stands in a list and in its bucket. */
export function encodeEntry(entry: SyncEntry): Uint8Array {
  return encodeCbor(entryValue(entry));
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
  const kind = frame[1];
  if (kind === FETCH && frame.length > FETCH_BYTES_MAX) return no("sync request: a fetch too long");
  const read = shape.readCbor(frame, "sync request", toRequest, requestItemsMax(kind));
  if (read.ok && read.value.kind === "fetch" && !read.value.wants.every(asksOneThing)) {
    return no("sync request: a want is for steps or for one record");
  }
  if (read.ok && read.value.kind === "wanted") {
    const { at, names, total } = read.value;
    if (at + names.length > total) return no("sync request: more names than were announced");
  }
  return read;
}

/** Reads the reply to a part of what we want: a bit for each of so many names, and none besides. */
export function decodeShared(frame: Uint8Array, names: number): Result<Uint8Array, string> {
  const bits = shape.bytesExactly(bytesForBits(names));
  const read = shape.readCbor(frame, "sync shared", (value, at) =>
    shape.tuple(shape.literal(SHARED), bits)(value, at),
  );
  if (!read.ok) return read;
  const [, value] = read.value;
  const unused = value.length * 8 - names;
  const isClean = ((value.at(-1) ?? 0) & ((1 << unused) - 1)) === 0;
  return isClean ? { ok: true, value } : no("sync shared: bits of no name");
}

/** Reads the reply to a comparison. */
export function decodeComparison(frame: Uint8Array): Result<SyncComparison, string> {
  return shape.readCbor(frame, "sync comparison", toComparison);
}

/** Reads the reply to a list. */
export function decodeEntries(frame: Uint8Array): Result<readonly SyncEntry[], string> {
  return shape.readCbor(
    frame,
    "sync entries",
    (value, at) => readEntries(value, at)[1].map(toEntry),
    ENTRIES_ITEMS_MAX,
  );
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

const readWanted = shape.tuple(
  shape.literal(WANTED),
  shape.integerBetween(0, WANTED_DOMAINS_MAX),
  shape.integerBetween(1, WANTED_DOMAINS_MAX),
  shape.sortedArrayOf(name, 1, SYNC_WANTED_MAX, syncOrder),
);
const readCompare = shape.tuple(shape.literal(COMPARE), hash);
const readList = shape.tuple(
  shape.literal(LIST),
  shape.sortedArrayOf(shape.integerBetween(0, BUCKETS - 1), 1, BUCKETS, (bucket) =>
    Uint8Array.of(bucket),
  ),
  shape.emptyOr(name),
);
const readFetch = shape.tuple(
  shape.literal(FETCH),
  shape.sortedArrayOf(wantPositions, 1, SYNC_WANTS_MAX, ([trustDomain]) => syncOrder(trustDomain)),
);
const readSame = shape.tuple(shape.literal(SAME));
const readUnknown = shape.tuple(shape.literal(UNKNOWN));
const readHashes = shape.tuple(shape.literal(HASHES), shape.bytesExactly(HASHES_BYTES));
const readEntries = shape.tuple(
  shape.literal(ENTRIES),
  shape.sortedArrayOf(entryPositions, 0, SYNC_ENTRIES_MAX, ([, trustDomain]) =>
    syncOrder(trustDomain),
  ),
);
const readRecords = shape.tuple(
  shape.literal(RECORDS),
  shape.arrayOf(shape.bytesBetween(1, ENVELOPE_BYTES_MAX), 0, SYNC_REPLY_RECORDS_MAX),
);

function requestItemsMax(kind: number | undefined): number {
  if (kind === WANTED) return WANTED_ITEMS_MAX;
  if (kind === LIST) return LIST_ITEMS_MAX;
  return kind === FETCH ? FETCH_ITEMS_MAX : COMPARE_ITEMS_MAX;
}

function toRequest(value: CborValue, at: string): SyncRequest {
  const kind = kindOf(value);
  if (kind === WANTED) {
    const [, before, total, names] = readWanted(value, at);
    return { kind: "wanted", at: before, total, names: names.map((each) => each as TrustDomain) };
  }
  if (kind === LIST) {
    const [, buckets, after] = readList(value, at);
    return { kind: "list", buckets, after: after as TrustDomain | undefined };
  }
  if (kind === FETCH) return { kind: "fetch", wants: readFetch(value, at)[1].map(toWant) };
  return { kind: "compare", root: readCompare(value, at)[1] };
}

function toComparison(value: CborValue, at: string): SyncComparison {
  const kind = kindOf(value);
  if (kind === HASHES) return { kind: "hashes", hashes: readHashes(value, at)[1] };
  if (kind === UNKNOWN) {
    readUnknown(value, at);
    return { kind: "unknown" };
  }
  readSame(value, at);
  return { kind: "same" };
}

function kindOf(value: CborValue): CborValue | undefined {
  return Array.isArray(value) ? value[0] : undefined;
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
