/**
 * Deterministic CBOR (RFC 8949, 4.2.1) cut down to what the protocol speaks: unsigned integers,
 * byte strings, text, booleans, arrays. No maps, tags, floats, null, negative numbers, indefinite
 * or longer forms, no trailing bytes.
 *
 * Strict in three steps: a scan of the raw bytes refuses other types and too deep nesting before
 * any decoder runs, the library decodes, and the value is encoded again and compared. The last step
 * catches longer forms and invalid UTF-8 (the decoder turns it into U+FFFD).
 */
import { Tokenizer, decode, encode } from "cborg";
import { equalBytes } from "./bytes.ts";
import { CBOR_DEPTH_MAX, CBOR_ITEMS_MAX } from "./limits.ts";
import { type Result, no, ok } from "./result.ts";

/** Decoded integers are `number` up to 2^53 − 1 and `bigint` above; both may be encoded. */
export type CborValue = number | bigint | string | boolean | Uint8Array | readonly CborValue[];

/** Encodes a value that we made; the same value always gives the same bytes. */
export function encodeCbor(value: CborValue): Uint8Array {
  return Uint8Array.from(encode(value));
}

/**
 * Decodes exactly one value that fills `bytes`. The reason says what is wrong, for a log.
 *
 * @param itemsMax Items in all: a decoder makes an object of each, and 128 KiB may hold as many as
 *   bytes. More are refused by the scan.
 */
export function decodeCbor(
  bytes: Uint8Array,
  itemsMax = CBOR_ITEMS_MAX,
): Result<CborValue, string> {
  const problem = scan(bytes, itemsMax);
  if (problem !== undefined) return no(problem);
  let value: CborValue;
  try {
    value = decode(bytes);
  } catch (error) {
    return no(error instanceof Error ? error.message : String(error));
  }
  return equalBytes(encodeCbor(value), bytes) ? ok(value) : no("not the deterministic form");
}

/**
 * What stands at a place of the array that `bytes` begin with, when only items without parts stand
 * before it: what `decodeCbor` finds there, if it takes the bytes. Nothing behind it is looked at.
 */
export function peekItem(bytes: Uint8Array, place: number): unknown {
  try {
    const tokens = new Tokenizer(bytes, { allowBigInt: true }); // As `decode` does.
    tokens.next(); // The head of the array.
    for (let before = 0; before < place; before += 1) tokens.next();
    return tokens.next().value;
  } catch {
    return undefined;
  }
}

const MAJOR_UNSIGNED = 0;
const MAJOR_BYTES = 2;
const MAJOR_TEXT = 3;
const MAJOR_ARRAY = 4;
const FALSE = 0xf4;
const TRUE = 0xf5;

/** Walks the heads of all items, reading each byte once, and says what the protocol does not have. */
function scan(bytes: Uint8Array, itemsMax: number): string | undefined {
  const openArrays: number[] = []; // Items still to come in each array we are in, and its head.
  let position = 0;
  let items = 0;
  do {
    if (items === itemsMax) return "more items than it may hold";
    items += 1;
    const first = bytes[position];
    if (first === undefined) return "ends too early";
    position += 1;
    if (first !== FALSE && first !== TRUE) {
      const major = first >> 5;
      const lengthBytes = argumentBytes(first & 0x1f);
      if (lengthBytes === undefined) return "indefinite or reserved length";
      const argument = readArgument(bytes, position, first & 0x1f, lengthBytes);
      if (argument === undefined) return "ends too early";
      position += lengthBytes;
      if (major === MAJOR_BYTES || major === MAJOR_TEXT) {
        if (argument > bytes.length - position) return "ends too early";
        position += argument;
      } else if (major === MAJOR_ARRAY) {
        if (argument > bytes.length - position) return "ends too early"; // Each item takes a byte.
        if (openArrays.length === CBOR_DEPTH_MAX) return "nested too deep";
        openArrays.push(1 + argument);
      } else if (major !== MAJOR_UNSIGNED) {
        return "a type that the protocol does not have";
      }
    }
    countItem(openArrays);
  } while (openArrays.length > 0);
  return position === bytes.length ? undefined : "bytes after the value";
}

/** One item less to come in the innermost array; one that is whole is an item of the next. */
function countItem(openArrays: number[]): void {
  while (openArrays.length > 0) {
    const left = (openArrays.pop() ?? 0) - 1;
    if (left > 0) {
      openArrays.push(left);
      return;
    }
  }
}

/** How many bytes follow the first for its argument (RFC 8949, 3). */
function argumentBytes(info: number): number | undefined {
  if (info < 24) return 0;
  return info < 28 ? 1 << (info - 24) : undefined;
}

function readArgument(
  bytes: Uint8Array,
  position: number,
  info: number,
  lengthBytes: number,
): number | undefined {
  if (lengthBytes === 0) return info;
  if (position + lengthBytes > bytes.length) return undefined;
  let value = 0;
  for (let offset = 0; offset < lengthBytes; offset += 1) {
    value = value * 256 + (bytes[position + offset] ?? 0);
  }
  return value;
}
