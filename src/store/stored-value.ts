/**
 * Values of the level store: a CBOR array whose first position is its format, then SHA-256 over
 * key and array. LevelDB does not check what it reads (measured: a flipped bit in an uncompressed
 * block is returned as it is), and with the key in the hash a value under a wrong key shows too.
 */
import assert from "node:assert/strict";
import type { Pin } from "../core/mesh/partner.ts";
import type { Version } from "../core/record/state.ts";
import type { TrustDomain } from "../core/spiffe/trust-domain.ts";
import { concatBytes, equalBytes, fromHex, toHex } from "../core/std/bytes.ts";
import { type CborValue, decodeCbor, encodeCbor } from "../core/std/cbor.ts";
import { ADDRESS_HINTS_MAX, ENVELOPE_BYTES_MAX, STEP_RECORDS_MAX } from "../core/std/limits.ts";
import { SHA256_BYTES, sha256 } from "../core/std/sha256.ts";
import * as shape from "../core/std/shape.ts";
import type { StoredDomain, StoredRecord } from "../ports/record-store.ts";
import { damagedValue, unknownFormat } from "./store-fault.ts";

/** Raised when a position changes its meaning; older formats are then read, never newer ones. */
const FORMAT = 1;
export const STORE_ID_BYTES = 16;
/** Printable, and at most as long as a multiaddr with a DNS name and a peer id. Others are dropped. */
const ADDRESS_HINT = /^[\x21-\x7e]{1,512}$/;

/** A step record as the domain's value lists it, so that a lost one is noticed. */
export interface StepEntry extends Version {
  readonly envelopeBytes: number;
}

export interface DomainValue extends Omit<StoredDomain, "trustDomain"> {
  /** Ascending by version; the last is `held`. */
  readonly steps: readonly StepEntry[];
}

/** The store about itself; written with every batch. */
export interface MetaValue {
  /** Random, 16 bytes: tells this store from another that was put in its place. */
  readonly storeId: Uint8Array;
  /** Batches written so far. */
  readonly writes: bigint;
  /**
   * XOR of the hashes of all domain and pin values. LevelDB drops damaged parts of its log without
   * a word (measured); a batch lost in the middle makes this differ from what is there.
   */
  readonly sum: Uint8Array;
}

/** One kind of value: how it becomes a CBOR array and how it is read back. */
export interface Codec<Value> {
  readonly name: string;
  readonly encode: (value: Value) => readonly CborValue[];
  readonly read: shape.Reader<Value>;
}

/** Encodes, and asserts that it can be read back: a store that cannot be loaded is worse than a stop. */
export function seal<Value>(codec: Codec<Value>, key: Uint8Array, value: Value): Uint8Array {
  const bytes = encodeCbor(codec.encode(value));
  const readBack = shape.readCbor(bytes, codec.name, codec.read);
  assert(readBack.ok, `a value that cannot be read back: ${readBack.ok ? "" : readBack.reason}`);
  return concatBytes(bytes, hashOf(key, bytes));
}

/** @throws {Fault} `STORE_DAMAGED` when the value is not what `seal` made, or of an unknown format. */
export function unseal<Value>(codec: Codec<Value>, key: Uint8Array, sealed: Uint8Array): Value {
  const bytes = sealed.subarray(0, -SHA256_BYTES);
  if (!equalBytes(hashOf(key, bytes), sealHash(sealed))) {
    throw damagedValue(key, "does not match its hash");
  }
  const read = shape.readCbor(bytes, codec.name, codec.read);
  if (read.ok) return read.value;
  const format = formatOf(bytes);
  if (format === undefined || format === FORMAT) throw damagedValue(key, `is not a ${read.reason}`);
  throw unknownFormat(`The store's value at key ${toHex(key)}`, format, FORMAT);
}

/** The hash at the end of a sealed value, 32 bytes unless the value is cut short; a copy, to keep. */
export function sealHash(sealed: Uint8Array): Uint8Array {
  return Uint8Array.from(sealed.subarray(-SHA256_BYTES));
}

export const metaCodec: Codec<MetaValue> = {
  name: "store",
  encode: ({ storeId, writes, sum }) => [FORMAT, storeId, writes, sum],
  read: map(
    shape.tuple(
      shape.literal(FORMAT),
      shape.bytesExactly(STORE_ID_BYTES),
      shape.u64,
      shape.bytesExactly(SHA256_BYTES),
    ),
    ([, storeId, writes, sum]) => ({ storeId, writes, sum }),
  ),
};

const version = [shape.u32, shape.u32, shape.u64] as const;

const readRecord = map(
  shape.tuple(
    ...version,
    shape.bytesExactly(SHA256_BYTES),
    shape.bytesBetween(1, ENVELOPE_BYTES_MAX),
  ),
  ([epoch, rev, sequence, id, envelope]): StoredRecord => ({
    epoch,
    rev,
    sequence,
    recordId: toHex(id),
    envelope,
  }),
);

function recordPositions(record: StoredRecord): readonly CborValue[] {
  return [record.epoch, record.rev, record.sequence, fromHex(record.recordId), record.envelope];
}

export const stepCodec: Codec<StoredRecord> = {
  name: "step record",
  encode: (record) => [FORMAT, recordPositions(record)],
  read: map(shape.tuple(shape.literal(FORMAT), readRecord), ([, record]) => record),
};

export const domainCodec: Codec<DomainValue> = {
  name: "trust domain",
  encode: ({ held, base, sibling, steps }) => [
    FORMAT,
    recordPositions(held),
    base === undefined ? [] : recordPositions(base),
    sibling === undefined ? [] : recordPositions(sibling),
    steps.map((step) => [step.epoch, step.rev, step.sequence, step.envelopeBytes]),
  ],
  read: map(
    shape.tuple(
      shape.literal(FORMAT),
      readRecord,
      shape.emptyOr(readRecord),
      shape.emptyOr(readRecord),
      shape.arrayOf(
        map(
          shape.tuple(...version, shape.integerBetween(1, ENVELOPE_BYTES_MAX)),
          ([epoch, rev, sequence, envelopeBytes]) => ({ epoch, rev, sequence, envelopeBytes }),
        ),
        1,
        STEP_RECORDS_MAX,
      ),
    ),
    ([, held, base, sibling, steps]) => ({ held, base, sibling, steps }),
  ),
};

/** A pin's trust domain stands in its key. */
export function pinCodec(trustDomain: TrustDomain): Codec<Pin> {
  return {
    name: "pin",
    encode: (pin) => [
      FORMAT,
      fromHex(pin.approvedRecordId),
      pin.approvedAtMs,
      pin.awaitedRecordId === undefined ? [] : [fromHex(pin.awaitedRecordId)],
      pin.addressHints.filter((hint) => ADDRESS_HINT.test(hint)).slice(0, ADDRESS_HINTS_MAX),
    ],
    read: map(
      shape.tuple(
        shape.literal(FORMAT),
        shape.bytesExactly(SHA256_BYTES),
        shape.integerBetween(0, Number.MAX_SAFE_INTEGER),
        shape.emptyOr(shape.tuple(shape.bytesExactly(SHA256_BYTES))),
        shape.arrayOf(shape.textLike(ADDRESS_HINT), 0, ADDRESS_HINTS_MAX),
      ),
      ([, approvedRecordId, approvedAtMs, awaited, addressHints]) => ({
        trustDomain,
        approvedRecordId: toHex(approvedRecordId),
        approvedAtMs,
        awaitedRecordId: awaited && toHex(awaited[0]),
        addressHints,
      }),
    ),
  };
}

function map<From, To>(reader: shape.Reader<From>, to: (value: From) => To): shape.Reader<To> {
  return (value, at) => to(reader(value, at));
}

function hashOf(key: Uint8Array, bytes: Uint8Array): Uint8Array {
  return sha256(concatBytes(key, bytes));
}

function formatOf(bytes: Uint8Array): number | bigint | undefined {
  const decoded = decodeCbor(bytes);
  if (!decoded.ok || !Array.isArray(decoded.value)) return undefined;
  const first: unknown = decoded.value[0];
  return typeof first === "number" || typeof first === "bigint" ? first : undefined;
}
