/**
 * Reads DER (X.690) with a cursor: whoever reads names the identifier octet that must come next, and
 * every value is read to its last byte. Lengths are definite and shortest, so what passes is
 * canonical by construction, and depth is bounded by the grammar of the caller, not by the input.
 *
 * Inside this room wrong bytes are thrown as `DerProblem`; `readingDer` turns that into the value
 * `Malformed` at the room's edge, so that no decoder needs a branch for it.
 */
import assert from "node:assert/strict";
import type { Malformed } from "../core/record/proofs.ts";
import { concatBytes } from "../core/std/bytes.ts";

/** Identifier octets of the values that certificates and keys are made of. */
export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  printableString: 0x13,
  teletexString: 0x14,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  bmpString: 0x1e,
  sequence: 0x30,
  set: 0x31,
} as const;

/** Go reads an arc of an object identifier as a 31-bit number. Above: refused, as by Go. */
const OID_ARC_MAX = 0x7f_ff_ff_ff;

/** Bytes that are not what the grammar asks for, in words for a log. */
export class DerProblem extends Error {
  override readonly name = "DerProblem";
}

/**
 * Runs a reader over a copy of what somebody sent, so that what it returns may point into the bytes
 * and neither changes with the sender's buffer nor keeps all of it alive.
 */
export function readingDer<Value>(
  bytes: Uint8Array,
  bytesMax: number,
  read: (own: Uint8Array) => Value,
): Value | Malformed {
  if (bytes.length > bytesMax) return { malformed: `longer than ${bytesMax} bytes` };
  try {
    return read(Uint8Array.from(bytes));
  } catch (error) {
    if (error instanceof DerProblem) return { malformed: error.message };
    throw error;
  }
}

/** Reads by a grammar that must fill `bytes`. Wrong bytes are thrown. */
export function readDer<Value>(bytes: Uint8Array, read: (cursor: DerCursor) => Value): Value {
  const cursor = new DerCursor(bytes);
  const value = read(cursor);
  cursor.end();
  return value;
}

export class DerCursor {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** Whether the next value has this identifier octet. */
  sees(tag: number): boolean {
    return this.#bytes[this.#at] === tag;
  }

  /** The next value's content. */
  take(tag: number): Uint8Array {
    if (!this.sees(tag)) {
      throw new DerProblem(
        `expected identifier octet ${hex(tag)}, found ${hex(this.#bytes[this.#at])}`,
      );
    }
    const { start, end } = this.#contentBounds();
    this.#at = end;
    return this.#bytes.subarray(start, end);
  }

  /** The next value as it stands: identifier octet, length, content. */
  takeWhole(tag: number): Uint8Array {
    const start = this.#at;
    this.take(tag);
    return this.#bytes.subarray(start, this.#at);
  }

  /** Reads the next value's content by a grammar of its own, to the last byte. */
  within<Value>(tag: number, read: (content: DerCursor) => Value): Value {
    return readDer(this.take(tag), read);
  }

  /** Reads a value of one or more items, until its content ends. */
  list<Item>(tag: number, readItem: (content: DerCursor) => Item): Item[] {
    return this.within(tag, (content) => {
      const items: Item[] = [];
      // Bounded by the size of the input: each item takes at least one byte.
      do items.push(readItem(content));
      while (!content.atEnd);
      return items;
    });
  }

  end(): void {
    if (!this.atEnd) throw new DerProblem("bytes after the last value");
  }

  #contentBounds(): { readonly start: number; readonly end: number } {
    const first = this.#byteAt(this.#at + 1);
    // 0x80 is the indefinite length; two octets reach 64 KiB, above every limit of ours.
    const lengthOctets = Math.max(0, first - 0x80);
    if (first === 0x80 || lengthOctets > 2) {
      throw new DerProblem("length is indefinite or too long");
    }
    let length = lengthOctets === 0 ? first : 0;
    for (let index = 0; index < lengthOctets; index += 1) {
      length = length * 256 + this.#byteAt(this.#at + 2 + index);
    }
    const shortest = length < 0x80 ? 0 : length < 0x100 ? 1 : 2;
    if (lengthOctets !== shortest) throw new DerProblem("length is not in its shortest form");
    const start = this.#at + 2 + lengthOctets;
    if (start + length > this.#bytes.length) throw new DerProblem("value is cut off");
    return { start, end: start + length };
  }

  #byteAt(index: number): number {
    const byte = this.#bytes[index];
    if (byte === undefined) throw new DerProblem("value is cut off");
    return byte;
  }
}

function hex(byte: number | undefined): string {
  return byte === undefined ? "nothing" : `0x${byte.toString(16).padStart(2, "0")}`;
}

/** `BOOLEAN DEFAULT FALSE`: TRUE is one byte 0xff, and FALSE is never written (X.690, 11.1 and 11.5). */
export function readDefaultFalse(cursor: DerCursor): boolean {
  if (!cursor.sees(TAG.boolean)) return false;
  const content = cursor.take(TAG.boolean);
  if (content.length !== 1 || content[0] !== 0xff) {
    throw new DerProblem("BOOLEAN is not TRUE as 0xff");
  }
  return true;
}

/** A non-negative INTEGER in its shortest form, big-endian without the sign byte. */
export function readUnsigned(cursor: DerCursor, tag: number = TAG.integer): Uint8Array {
  const content = cursor.take(tag);
  const [first, second] = content;
  if (first === undefined) throw new DerProblem("INTEGER is empty");
  if (first >= 0x80) throw new DerProblem("INTEGER is negative");
  if (first !== 0 || second === undefined) return content;
  if (second < 0x80) throw new DerProblem("INTEGER is not in its shortest form");
  return content.subarray(1);
}

/** Writes a non-negative INTEGER in its shortest form. `bigEndian` is one byte or more. */
export function writeUnsigned(bigEndian: Uint8Array): Uint8Array {
  const leadingZeros = bigEndian.findIndex((byte) => byte !== 0);
  const shortest = bigEndian.subarray(leadingZeros);
  const [first = 0] = shortest;
  const sign = Uint8Array.of(...(first >= 0x80 ? [0] : []));
  return writeDer(TAG.integer, sign, shortest);
}

/** A non-negative INTEGER of at most 31 bits. */
export function readSmallUnsigned(cursor: DerCursor): number {
  const value = readUnsigned(cursor).reduce((sum, byte) => sum * 256 + byte, 0);
  if (value > 0x7f_ff_ff_ff) throw new DerProblem("INTEGER is larger than 31 bits");
  return value;
}

/** An OBJECT IDENTIFIER as dotted numbers. */
export function readOid(cursor: DerCursor): string {
  const arcs: number[] = [];
  let arc = 0;
  let complete = false;
  for (const byte of cursor.take(TAG.oid)) {
    if (arc === 0 && byte === 0x80) throw new DerProblem("object identifier has a padded arc");
    arc = arc * 128 + (byte & 0x7f);
    if (arc > OID_ARC_MAX) throw new DerProblem("object identifier has an arc above 31 bits");
    complete = byte < 0x80;
    if (complete) {
      if (arcs.length === 0) {
        const root = Math.min(Math.floor(arc / 40), 2);
        arcs.push(root, arc - root * 40);
      } else arcs.push(arc);
      arc = 0;
    }
  }
  if (!complete) throw new DerProblem("object identifier is cut off");
  return arcs.join(".");
}

/** A BIT STRING of whole bytes, as keys and signatures are. */
export function readWholeBytes(cursor: DerCursor): Uint8Array {
  const content = cursor.take(TAG.bitString);
  if (content[0] !== 0) throw new DerProblem("BIT STRING has unused bits");
  return content.subarray(1);
}

/**
 * A BIT STRING of named bits: no trailing zero bit, so at least one is set (X.690, 11.2.2).
 * @returns Whether each bit is set, from bit 0 to the last that is.
 */
export function readNamedBits(cursor: DerCursor): readonly boolean[] {
  const [unusedBits, ...bytes] = cursor.take(TAG.bitString);
  const last = bytes.at(-1);
  if (last === undefined || last === 0) {
    throw new DerProblem("BIT STRING names no bit or has trailing zero bits");
  }
  const lowestSetBit = 31 - Math.clz32(last & -last);
  if (unusedBits !== lowestSetBit) throw new DerProblem("BIT STRING has trailing zero bits");
  const length = bytes.length * 8 - lowestSetBit;
  return Array.from({ length }, (_, bit) => (((bytes[bit >> 3] ?? 0) << (bit & 7)) & 0x80) !== 0);
}

/** Writes one value with its shortest length. The content is at most 64 KiB. */
export function writeDer(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  const content = concatBytes(...contents);
  const { length } = content;
  const low = length & 0xff;
  if (length < 0x80) return concatBytes(Uint8Array.of(tag, length), content);
  if (length < 0x1_00) return concatBytes(Uint8Array.of(tag, 0x81, low), content);
  assert(length < 0x1_00_00, "no value of ours is longer than 64 KiB");
  return concatBytes(Uint8Array.of(tag, 0x82, length >> 8, low), content);
}
