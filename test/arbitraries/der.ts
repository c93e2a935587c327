/**
 * Writes DER, good or bad: tests need certificates that no library would make. A value is its whole
 * encoding, so any part of a certificate can be replaced by bytes that are wrong in one place.
 */

import { TAG, writeDer } from "../../src/x509/der.ts";

export { TAG };

/** One value of any tag with the shortest definite length. */
export function tlv(tag: number, ...contents: readonly (Uint8Array | string)[]): Buffer {
  return Buffer.from(
    writeDer(
      tag,
      ...contents.map((part) => (typeof part === "string" ? Buffer.from(part, "utf8") : part)),
    ),
  );
}

export function sequence(...parts: readonly Uint8Array[]): Buffer {
  return tlv(TAG.sequence, ...parts);
}

export function set(...parts: readonly Uint8Array[]): Buffer {
  return tlv(TAG.set, ...parts);
}

export function octetString(content: Uint8Array): Buffer {
  return tlv(TAG.octetString, content);
}

/** A bit string whose last byte has `unusedBits` padding bits. */
export function bitString(content: Uint8Array, unusedBits = 0): Buffer {
  return tlv(TAG.bitString, Uint8Array.of(unusedBits), content);
}

/** A non-negative INTEGER of a number, or of big-endian bytes read as unsigned. */
export function integer(value: number | Uint8Array): Buffer {
  const bytes = typeof value === "number" ? unsignedBytes(value) : Buffer.from(value);
  const start = bytes.findIndex((byte) => byte !== 0);
  const shortest = start === -1 ? Buffer.of(0) : bytes.subarray(start);
  const sign = (shortest[0] ?? 0) >= 0x80 ? Buffer.of(0) : Buffer.of();
  return tlv(TAG.integer, sign, shortest);
}

function unsignedBytes(value: number): Buffer {
  const hex = value.toString(16);
  return Buffer.from(hex.padStart(hex.length + (hex.length % 2), "0"), "hex");
}

/** An OBJECT IDENTIFIER of dotted numbers. */
export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  return tlv(TAG.oid, Uint8Array.from([first * 40 + second, ...rest].flatMap(base128)));
}

function base128(arc: number): readonly number[] {
  const octets = [arc % 128];
  for (let rest = Math.floor(arc / 128); rest > 0; rest = Math.floor(rest / 128)) {
    octets.unshift(128 + (rest % 128));
  }
  return octets;
}

/** A `Time` as RFC 5280 wants it: UTCTime before 2050, GeneralizedTime from then on. */
export function time(unixS: number): Buffer {
  const digits = new Date(unixS * 1000).toISOString().replaceAll(/[-:T]|\.\d+/g, "");
  return digits >= "2050" ? tlv(TAG.generalizedTime, digits) : tlv(TAG.utcTime, digits.slice(2));
}

/** A Name of one attribute each RDN: `[["2.5.4.6", "US"], …]`, PrintableString unless told. */
export function name(
  attributes: readonly (readonly [type: string, value: string, tag?: number])[],
): Buffer {
  return sequence(
    ...attributes.map(([type, value, tag = TAG.printableString]) =>
      set(sequence(oid(type), tlv(tag, value))),
    ),
  );
}

/** One certificate extension. */
export function extension(type: string, value: Uint8Array, critical = false): Buffer {
  return critical
    ? sequence(oid(type), tlv(TAG.boolean, Uint8Array.of(0xff)), octetString(value))
    : sequence(oid(type), octetString(value));
}
