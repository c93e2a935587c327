/**
 * Positions that values of the store and entries of the marks have in common: how each becomes CBOR,
 * and how it is read back.
 */
import type { Pin } from "../core/mesh/partner.ts";
import type { TrustDomain } from "../core/spiffe/trust-domain.ts";
import { fromHex, toHex } from "../core/std/bytes.ts";
import type { CborValue } from "../core/std/cbor.ts";
import { ADDRESS_HINTS_MAX, ENVELOPE_BYTES_MAX, NODES_MAX } from "../core/std/limits.ts";
import { SHA256_BYTES } from "../core/std/sha256.ts";
import * as shape from "../core/std/shape.ts";
import type { StoredDomain, StoredRecord } from "../ports/record-store.ts";

export interface Position<Value> {
  readonly encode: (value: Value) => CborValue;
  readonly read: shape.Reader<Value>;
}

/** Printable, and at most as long as a multiaddr with a DNS name and a peer id. Others are dropped. */
const ADDRESS_HINT = /^[\x21-\x7e]{1,512}$/;
const NODE_KEY_BYTES = 32;
/**
 * What the core knows beside the records of one trust domain: two of the largest records. A larger one
 * is refused, as our own mistake.
 */
const FRAME_BYTES_MAX = 256 * 1_024;

export const version = [shape.u32, shape.u32, shape.u64] as const;

/** 64 hex digits, as 32 bytes. */
export const id: Position<string> = {
  encode: fromHex,
  read: map(shape.bytesExactly(SHA256_BYTES), toHex),
};

/** A value, or the empty array in its stead. */
export function optional<Value>({ encode, read }: Position<Value>): Position<Value | undefined> {
  return {
    encode: (value) => (value === undefined ? [] : encode(value)),
    read: shape.emptyOr(read),
  };
}

export const timeMs = shape.integerBetween(0, Number.MAX_SAFE_INTEGER);

export const nodes: Position<readonly Uint8Array[]> = {
  encode: (keys) => keys,
  read: shape.arrayOf(shape.bytesExactly(NODE_KEY_BYTES), 1, NODES_MAX),
};

const envelope = shape.bytesBetween(1, ENVELOPE_BYTES_MAX);

export const record: Position<StoredRecord> = {
  encode: (stored) => [
    stored.epoch,
    stored.rev,
    stored.sequence,
    id.encode(stored.recordId),
    stored.envelope,
  ],
  read: map(
    shape.tuple(...version, id.read, envelope),
    ([epoch, rev, sequence, recordId, bytes]): StoredRecord => ({
      epoch,
      rev,
      sequence,
      recordId,
      envelope: bytes,
    }),
  ),
};

/** Everything held of a trust domain but its name. */
export const heldDomain: Position<Omit<StoredDomain, "trustDomain">> = {
  encode: (domain) => [
    id.encode(domain.lineage),
    nodes.encode(domain.nodes),
    record.encode(domain.held),
    optional(record).encode(domain.sibling),
    domain.frame,
  ],
  read: map(
    shape.tuple(
      id.read,
      nodes.read,
      record.read,
      optional(record).read,
      shape.bytesBetween(0, FRAME_BYTES_MAX),
    ),
    ([lineage, keys, held, sibling, frame]) => ({ lineage, nodes: keys, held, sibling, frame }),
  ),
};

/** A pin without its trust domain, which stands elsewhere. */
export function pinOf(trustDomain: TrustDomain, hintsMax = ADDRESS_HINTS_MAX) {
  return {
    encode: (pin: Pin): readonly CborValue[] => [
      id.encode(pin.approvedRecordId),
      pin.approvedAtMs,
      pin.awaitedRecordId === undefined ? [] : [id.encode(pin.awaitedRecordId)],
      pin.addressHints.filter((hint) => ADDRESS_HINT.test(hint)).slice(0, hintsMax),
    ],
    read: map(
      shape.tuple(
        id.read,
        timeMs,
        shape.emptyOr(shape.tuple(id.read)),
        shape.arrayOf(shape.textLike(ADDRESS_HINT), 0, hintsMax),
      ),
      ([approvedRecordId, approvedAtMs, awaited, addressHints]): Pin => ({
        trustDomain,
        approvedRecordId,
        approvedAtMs,
        awaitedRecordId: awaited?.[0],
        addressHints,
      }),
    ),
  };
}

export function map<From, To>(
  reader: shape.Reader<From>,
  to: (value: From) => To,
): shape.Reader<To> {
  return (value, at) => to(reader(value, at));
}
