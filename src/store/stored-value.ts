/**
 * Values of the level store: a CBOR array whose first position is its format, then SHA-256 over
 * key and array. LevelDB does not check what it reads (measured: a flipped bit in an uncompressed
 * block is returned as it is), and with the key in the hash a value under a wrong key shows too.
 */
import assert from "node:assert/strict";
import type { Pin } from "../core/mesh/partner.ts";
import type { TrustDomain } from "../core/spiffe/trust-domain.ts";
import { concatBytes, equalBytes, toHex } from "../core/std/bytes.ts";
import { type CborValue, decodeCbor, encodeCbor } from "../core/std/cbor.ts";
import { ENVELOPE_BYTES_MAX, STEP_RECORDS_MAX } from "../core/std/limits.ts";
import { SHA256_BYTES, sha256 } from "../core/std/sha256.ts";
import * as shape from "../core/std/shape.ts";
import type { StepEntry, StoredDomain, StoredRecord } from "../ports/record-store.ts";
import { type Position, heldDomain, id, map, pinOf, record, timeMs, version } from "./position.ts";
import { damagedValue, unknownFormat } from "./store-fault.ts";

export const STORE_ID_BYTES = 16;

export interface DomainValue extends Omit<StoredDomain, "trustDomain"> {
  /** Ascending by version, so that a lost one is noticed; the last is `held`. */
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
  /** Of the own heads. */
  readonly headCounter: bigint;
}

/** One kind of value: its positions after the format, and how they are read back. */
export interface Codec<Value> {
  readonly name: string;
  /** The first position. Raised when another changes its meaning; newer ones are never read. */
  readonly format: number;
  readonly encode: (value: Value) => readonly CborValue[];
  readonly read: shape.Reader<Value>;
}

/** Encodes, and asserts that it can be read back: a store that cannot be loaded is worse than a stop. */
export function seal<Value>(codec: Codec<Value>, key: Uint8Array, value: Value): Uint8Array {
  const bytes = encodeCbor([codec.format, ...codec.encode(value)]);
  const readBack = shape.readCbor(bytes, codec.name, afterFormat(codec));
  assert(readBack.ok, `a value that cannot be read back: ${readBack.ok ? "" : readBack.reason}`);
  return concatBytes(bytes, hashOf(key, bytes));
}

/** @throws {Fault} `STORE_DAMAGED` when the value is not what `seal` made, or of an unknown format. */
export function unseal<Value>(codec: Codec<Value>, key: Uint8Array, sealed: Uint8Array): Value {
  const bytes = sealed.subarray(0, -SHA256_BYTES);
  if (!equalBytes(hashOf(key, bytes), sealHash(sealed))) {
    throw damagedValue(key, "does not match its hash");
  }
  const read = shape.readCbor(bytes, codec.name, afterFormat(codec));
  if (read.ok) return read.value;
  const format = formatOf(bytes);
  const isKnown = format === undefined || format === codec.format;
  if (isKnown) throw damagedValue(key, `is not a ${read.reason}`);
  throw unknownFormat(`The store's value at key ${toHex(key)}`, format, codec.format);
}

/** The hash at the end of a sealed value, 32 bytes unless the value is cut short; a copy, to keep. */
export function sealHash(sealed: Uint8Array): Uint8Array {
  return Uint8Array.from(sealed.subarray(-SHA256_BYTES));
}

/** The format that a value says it has, whether or not it matches its hash. */
export function sealedFormat(sealed: Uint8Array): number | bigint | undefined {
  return formatOf(sealed.subarray(0, -SHA256_BYTES));
}

export const metaCodec: Codec<MetaValue> = {
  name: "store",
  format: 2,
  encode: ({ storeId, writes, sum, headCounter }) => [storeId, writes, sum, headCounter],
  read: map(
    shape.tuple(
      shape.bytesExactly(STORE_ID_BYTES),
      shape.u64,
      shape.bytesExactly(SHA256_BYTES),
      shape.u64,
    ),
    ([storeId, writes, sum, headCounter]) => ({ storeId, writes, sum, headCounter }),
  ),
};

export const stepCodec: Codec<StoredRecord> = {
  name: "step record",
  format: 1,
  encode: (step) => [record.encode(step)],
  read: map(shape.tuple(record.read), ([step]) => step),
};

const stepEntry: Position<StepEntry> = {
  encode: ({ epoch, rev, sequence, recordId, envelopeBytes, storedAtMs }) => [
    epoch,
    rev,
    sequence,
    id.encode(recordId),
    envelopeBytes,
    storedAtMs,
  ],
  read: map(
    shape.tuple(...version, id.read, shape.integerBetween(1, ENVELOPE_BYTES_MAX), timeMs),
    ([epoch, rev, sequence, recordId, envelopeBytes, storedAtMs]) => ({
      epoch,
      rev,
      sequence,
      recordId,
      envelopeBytes,
      storedAtMs,
    }),
  ),
};

export const domainCodec: Codec<DomainValue> = {
  name: "trust domain",
  format: 2,
  encode: ({ steps, ...held }) => [heldDomain.encode(held), steps.map(stepEntry.encode)],
  read: map(
    shape.tuple(heldDomain.read, shape.arrayOf(stepEntry.read, 1, STEP_RECORDS_MAX)),
    ([held, steps]) => ({ ...held, steps }),
  ),
};

/** A pin's trust domain stands in its key. */
export function pinCodec(trustDomain: TrustDomain): Codec<Pin> {
  return { name: "pin", format: 1, ...pinOf(trustDomain) };
}

/** No value has more positions than this. One that does is not read. */
const POSITIONS_MAX = 8;
const anything: shape.Reader<CborValue> = (value) => value;
const positions = shape.arrayOf(anything, 1, POSITIONS_MAX);

function afterFormat<Value>({ format, read }: Codec<Value>): shape.Reader<Value> {
  const literal = shape.literal(format);
  return (value, at) => {
    const [first = false, ...rest] = positions(value, at);
    literal(first, at);
    return read(rest, at);
  };
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
