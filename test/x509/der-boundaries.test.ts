/** DER at its edges: the last value that is read and the first that is not. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fromHex, toHex } from "../../src/core/std/bytes.ts";
import {
  DerCursor,
  DerProblem,
  TAG,
  readDefaultFalse,
  readDer,
  readNamedBits,
  readOid,
  readSmallUnsigned,
  readUnsigned,
  readWholeBytes,
  readingDer,
  writeDer,
  writeUnsigned,
} from "../../src/x509/der.ts";
import { oid } from "../arbitraries/der.ts";

/** What a reader makes of the one value that these bytes are: it, or why not. */
function outcome<Value>(hex: string, read: (cursor: DerCursor) => Value): Value | string {
  const answer = readingDer(fromHex(hex), 100, (bytes) => ({ value: readDer(bytes, read) }));
  return "malformed" in answer ? answer.malformed : answer.value;
}

const octets = (cursor: DerCursor): string => toHex(cursor.take(TAG.octetString));

const bug = (): never => {
  throw new TypeError("a bug");
};

describe("a value", () => {
  // Lengths at which one more octet is needed to say it.
  test.each([
    [0, "0400"],
    [127, "047f"],
    [128, "048180"],
    [255, "0481ff"],
    [256, "04820100"],
    [65_535, "0482ffff"],
  ])("of %i bytes is written and read with its shortest length", (length, head) => {
    const content = new Uint8Array(length).fill(7);
    const der = writeDer(TAG.octetString, content);
    expect(toHex(der.subarray(0, head.length / 2))).toBe(head);
    expect(der).toHaveLength(head.length / 2 + length);
    expect(readDer(der, (cursor) => cursor.take(TAG.octetString))).toEqual(content);
    expect(readDer(der, (cursor) => cursor.takeWhole(TAG.octetString))).toEqual(der);
  });

  test("of 64 KiB is a bug of ours to write", () => {
    expect(() => writeDer(TAG.octetString, new Uint8Array(65_536))).toThrow("64 KiB");
  });

  test("of any length comes back, and never without its last byte", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 700 }), (content) => {
        const der = writeDer(TAG.octetString, content);
        expect(readDer(der, octets)).toBe(toHex(content));
        expect(() => readDer(der.subarray(0, -1), octets)).toThrow(DerProblem);
      }),
    );
  });

  test.each([
    ["", "expected identifier octet 0x04, found nothing"],
    ["0500", "expected identifier octet 0x04, found 0x05"],
    ["ff00", "expected identifier octet 0x04, found 0xff"],
    ["04", "value is cut off"],
    ["0401", "value is cut off"],
    ["0481", "value is cut off"],
    ["048201", "value is cut off"],
    ["04820100", "value is cut off"],
    ["040107", "07"],
    ["0480", "length is indefinite or too long"],
    ["0483010000", "length is indefinite or too long"],
    ["04ff", "length is indefinite or too long"],
    ["048100", "length is not in its shortest form"],
    ["04817f", "length is not in its shortest form"],
    ["04820000", "length is not in its shortest form"],
    ["048200ff", "length is not in its shortest form"],
    ["040000", "bytes after the last value"],
    ["04010700", "bytes after the last value"],
  ])("%s: %s", (hex, said) => {
    expect(outcome(hex, octets)).toBe(said);
  });

  test("is read at the limit of bytes and not above it", () => {
    expect(readingDer(new Uint8Array(5), 5, toHex)).toBe("0000000000");
    expect(readingDer(new Uint8Array(6), 5, toHex)).toEqual({ malformed: "longer than 5 bytes" });
  });

  test("whose reader has a bug is no malformed value", () => {
    expect(() => readingDer(new Uint8Array(1), 5, bug)).toThrow(TypeError);
  });

  test("is not taken when another one was looked for", () => {
    const cursor = new DerCursor(fromHex("0500"));
    expect([cursor.sees(4), cursor.sees(5), cursor.atEnd]).toEqual([false, true, false]);
    expect(() => cursor.take(4)).toThrow(DerProblem);
    cursor.take(5);
    expect([cursor.sees(5), cursor.atEnd]).toEqual([false, true]);
  });
});

const listed = (cursor: DerCursor): string => cursor.list(TAG.sequence, octets).join();

describe("a list", () => {
  test.each([
    ["3003040107", "07"],
    ["3006040107040108", "07,08"],
    ["30050401070400", "07,"],
    ["3005040107040107", "value is cut off"],
    ["30060401070401", "value is cut off"],
    ["30050401070500", "expected identifier octet 0x04, found 0x05"],
    ["3000", "expected identifier octet 0x04, found nothing"],
  ])("%s: %s", (hex, said) => {
    expect(outcome(hex, listed)).toBe(said);
  });
});

describe("BOOLEAN DEFAULT FALSE", () => {
  test.each([
    ["0101ff", true],
    ["010101", "BOOLEAN is not TRUE as 0xff"],
    ["010100", "BOOLEAN is not TRUE as 0xff"],
    ["0100", "BOOLEAN is not TRUE as 0xff"],
    ["0102ffff", "BOOLEAN is not TRUE as 0xff"],
    ["", false],
  ])("%s: %s", (hex, said) => {
    expect(outcome(hex, readDefaultFalse)).toBe(said);
  });
});

describe("INTEGER", () => {
  test.each([
    ["020100", "00"],
    ["02017f", "7f"],
    ["02020080", "80"],
    ["020200ff", "ff"],
    ["0200", "INTEGER is empty"],
    ["020180", "INTEGER is negative"],
    ["0201ff", "INTEGER is negative"],
    ["0202007f", "INTEGER is not in its shortest form"],
    ["02020000", "INTEGER is not in its shortest form"],
    ["02020100", "0100"],
  ])("%s: %s", (hex, said) => {
    expect(outcome(hex, (cursor) => toHex(readUnsigned(cursor)))).toBe(said);
  });

  test.each([
    ["020100", 0],
    ["02020100", 256],
    ["02047fffffff", 2 ** 31 - 1],
    ["02050080000000", "INTEGER is larger than 31 bits"],
    ["0205ffffffffff", "INTEGER is negative"],
    ["02050100000000", "INTEGER is larger than 31 bits"],
  ])("%s of at most 31 bits: %s", (hex, said) => {
    expect(outcome(hex, readSmallUnsigned)).toBe(said);
  });
});

test.each([
  ["00", "020100"],
  ["0000", "020100"],
  ["01", "020101"],
  ["007f", "02017f"],
  ["80", "02020080"],
  ["00ff", "020200ff"],
  ["0100", "02020100"],
])("the number %s is written as %s", (bytes, der) => {
  expect(toHex(writeUnsigned(fromHex(bytes)))).toBe(der);
});

describe("OBJECT IDENTIFIER", () => {
  test.each([
    "0.0",
    "0.39",
    "1.0",
    "1.39",
    "2.0",
    "2.39",
    "2.40",
    "2.999.3",
    "1.2.840.113549.1.1.11",
    "2.5.127.128.16383.16384",
    `1.2.${2 ** 31 - 1}`,
    `2.${2 ** 31 - 81}`,
  ])("%s is read", (dotted) => {
    expect(outcome(toHex(oid(dotted)), readOid)).toBe(dotted);
  });

  test.each([
    [`1.2.${2 ** 31}`, "object identifier has an arc above 31 bits"],
    [`2.${2 ** 31 - 80}`, "object identifier has an arc above 31 bits"],
  ])("%s: %s", (dotted, said) => {
    expect(outcome(toHex(oid(dotted)), readOid)).toBe(said);
  });

  test.each([
    ["0600", "object identifier is cut off"],
    ["060155", "2.5"],
    ["06025581", "object identifier is cut off"],
    ["0603558000", "object identifier has a padded arc"],
    ["06028055", "object identifier has a padded arc"],
    ["060455818000", "2.5.16384"],
  ])("%s: %s", (hex, said) => {
    expect(outcome(hex, readOid)).toBe(said);
  });
});

const named = (cursor: DerCursor): string =>
  readNamedBits(cursor)
    .map((bit) => (bit ? "1" : "0"))
    .join("");

describe("BIT STRING", () => {
  test.each([
    ["030100", ""],
    ["0302005a", "5a"],
    ["03020180", "BIT STRING has unused bits"],
    ["0300", "BIT STRING has unused bits"],
  ])("%s of whole bytes: %s", (hex, said) => {
    expect(outcome(hex, (cursor) => toHex(readWholeBytes(cursor)))).toBe(said);
  });

  test.each([
    ["03020001", "00000001"],
    ["03020780", "1"],
    ["03020640", "01"],
    ["030206c0", "11"],
    ["03020106", "0000011"],
    ["0303070080", "000000001"],
    ["030307ff80", "111111111"],
    ["0300", "BIT STRING names no bit or has trailing zero bits"],
    ["030100", "BIT STRING names no bit or has trailing zero bits"],
    ["03020000", "BIT STRING names no bit or has trailing zero bits"],
    ["0303008000", "BIT STRING names no bit or has trailing zero bits"],
    ["03020680", "BIT STRING has trailing zero bits"],
    ["03020880", "BIT STRING has trailing zero bits"],
    ["03020206", "BIT STRING has trailing zero bits"],
  ])("%s of named bits: %s", (hex, said) => {
    expect(outcome(hex, named)).toBe(said);
  });
});
