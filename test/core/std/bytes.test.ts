import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  compareBytes,
  concatBytes,
  equalBytes,
  fromHex,
  toHex,
  toUtf8,
  u64be,
} from "../../../src/core/std/bytes.ts";
import { sha256, sha256Hex } from "../../../src/core/std/sha256.ts";

const bytes = fc.uint8Array({ maxLength: 8 });

describe("bytes", () => {
  test("are ordered as their hex is, and a prefix comes first", () => {
    fc.assert(
      fc.property(bytes, bytes, (left, right) => {
        const [a, b] = [toHex(left), toHex(right)];
        expect(Math.sign(compareBytes(left, right))).toBe(a < b ? -1 : Number(a > b));
        expect(equalBytes(left, right)).toBe(a === b);
      }),
    );
  });

  test("come back from hex, out of a larger buffer too", () => {
    fc.assert(
      fc.property(bytes, fc.nat(8), (whole, start) => {
        const part = whole.subarray(start);
        expect(fromHex(toHex(part))).toEqual(Uint8Array.from(part));
      }),
    );
  });

  test("are joined as a copy", () => {
    const part = Uint8Array.of(1);
    const joined = concatBytes(part, part);
    part[0] = 9;
    expect(joined).toEqual(Uint8Array.of(1, 1));
  });

  test.each(["a", "AB", "zz", "0x", " 00"])("of `%s` are a bug of the caller", (hex) => {
    expect(() => fromHex(hex)).toThrow(RangeError);
  });

  test.each([
    [0n, "0000000000000000"],
    [258n, "0000000000000102"],
    [2n ** 64n - 1n, "ffffffffffffffff"],
  ])("of %s have the most significant first", (value, hex) => {
    expect(toHex(u64be(value))).toBe(hex);
  });

  test("have the hash of FIPS 180-2, appendix B.1", () => {
    const hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    expect(sha256Hex(toUtf8("abc"))).toBe(hex);
    expect(toHex(sha256(toUtf8("abc")))).toBe(hex);
  });
});
