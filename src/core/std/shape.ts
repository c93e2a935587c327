/**
 * Readers for the positional arrays that travel between daemons. A reader takes a decoded value
 * and returns it typed and within bounds; a mismatch ends the whole reading with a reason that
 * names the place.
 */
import { compareBytes } from "./bytes.ts";
import { type CborValue, decodeCbor } from "./cbor.ts";
import { type Result, no, ok } from "./result.ts";

export type Reader<Value> = (value: CborValue, at: string) => Value;

class ShapeMismatch extends Error {}

function mismatch(at: string, wanted: string): never {
  throw new ShapeMismatch(`${at}: not ${wanted}`);
}

/** Decodes `bytes` strictly (`decodeCbor`) and reads the value; the reason is in words, for a log. */
export function readCbor<Value>(
  bytes: Uint8Array,
  name: string,
  reader: Reader<Value>,
  itemsMax?: number,
): Result<Value, string> {
  const decoded = decodeCbor(bytes, itemsMax);
  if (!decoded.ok) return no(`${name}: ${decoded.reason}`);
  try {
    return ok(reader(decoded.value, name));
  } catch (error) {
    if (error instanceof ShapeMismatch) return no(error.message);
    throw error;
  }
}

/** A byte string of `min` to `max` bytes. */
export function bytesBetween(min: number, max: number): Reader<Uint8Array> {
  return (value, at) =>
    value instanceof Uint8Array && value.length >= min && value.length <= max
      ? value
      : mismatch(at, `${min} to ${max} bytes`);
}

export function bytesExactly(length: number): Reader<Uint8Array> {
  return bytesBetween(length, length);
}

/** Text that matches a pattern; the pattern bounds its length. */
export function textLike(pattern: RegExp): Reader<string> {
  return (value, at) =>
    typeof value === "string" && pattern.test(value) ? value : mismatch(at, `${pattern}`);
}

export const boolean: Reader<boolean> = (value, at) =>
  typeof value === "boolean" ? value : mismatch(at, "a boolean");

/** An integer from `min` to `max`, both safe integers. */
export function integerBetween(min: number, max: number): Reader<number> {
  return (value, at) =>
    typeof value === "number" && value >= min && value <= max
      ? value
      : mismatch(at, `an integer from ${min} to ${max}`);
}

export const u32 = integerBetween(0, 2 ** 32 - 1);

/** Unix time in whole seconds, below 2^53. */
export const timeS = integerBetween(0, Number.MAX_SAFE_INTEGER);

/** An unsigned 64-bit integer, always as bigint. */
export const u64: Reader<bigint> = (value, at) =>
  typeof value === "number" || typeof value === "bigint" ? BigInt(value) : mismatch(at, "a u64");

/** One exact value, for a format number. */
export function literal<Value extends number>(wanted: Value): Reader<Value> {
  return (value, at) => (value === wanted ? wanted : mismatch(at, `${wanted}`));
}

/** `min` to `max` items of one shape. */
export function arrayOf<Item>(item: Reader<Item>, min: number, max: number): Reader<Item[]> {
  return (value, at) => {
    const items = asArray(value, at);
    if (items.length < min || items.length > max) mismatch(at, `${min} to ${max} items`);
    return items.map((each, index) => item(each, `${at}[${index}]`));
  };
}

/** As `arrayOf`, ascending bytewise by a key and without duplicates. */
export function sortedArrayOf<Item>(
  item: Reader<Item>,
  min: number,
  max: number,
  key: (item: Item) => Uint8Array,
): Reader<Item[]> {
  const read = arrayOf(item, min, max);
  return (value, at) => {
    const items = read(value, at);
    const keys = items.map(key);
    const ascending = keys.every(
      (each, index) => index === 0 || compareBytes(keys[index - 1] ?? each, each) < 0,
    );
    return ascending ? items : mismatch(at, "sorted without duplicates");
  };
}

type Readers<Values extends readonly unknown[]> = {
  readonly [Index in keyof Values]: Reader<Values[Index]>;
};

/** Exactly these positions, each with its own shape. */
export function tuple<Values extends readonly unknown[]>(
  ...readers: Readers<Values>
): Reader<Values> {
  return (value, at) => {
    const items = asArray(value, at);
    if (items.length !== readers.length) mismatch(at, `${readers.length} positions`);
    return items.map((each, index) => {
      const reader: Reader<unknown> | undefined = readers[index];
      return reader === undefined ? mismatch(at, "known") : reader(each, `${at}[${index}]`);
    }) as unknown as Values;
  };
}

/** The empty array as undefined, anything else by the reader. */
export function emptyOr<Value>(reader: Reader<Value>): Reader<Value | undefined> {
  return (value, at) =>
    Array.isArray(value) && value.length === 0 ? undefined : reader(value, at);
}

function asArray(value: CborValue, at: string): readonly CborValue[] {
  if (typeof value === "object" && !(value instanceof Uint8Array)) return value;
  return mismatch(at, "an array");
}
