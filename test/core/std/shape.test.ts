import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compareBytes, toUtf8 } from "../../../src/core/std/bytes.ts";
import { type CborValue, encodeCbor } from "../../../src/core/std/cbor.ts";
import * as shape from "../../../src/core/std/shape.ts";

const reads = <Value>(reader: shape.Reader<Value>, value: CborValue): boolean =>
  shape.readCbor(encodeCbor(value), "it", reader).ok;

const broken: shape.Reader<never> = () => {
  throw new TypeError("a bug");
};

describe("readers", () => {
  test("take exactly the ascending arrays without duplicates", () => {
    const reader = shape.sortedArrayOf(shape.bytesBetween(0, 4), 0, 10, (bytes) => bytes);
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 3, max: 3 }), { maxLength: 6 }), (items) => {
        const names = items.map((item) => Buffer.from(item).toString("hex"));
        const unique = [...new Set(names)].map((hex) => Uint8Array.from(Buffer.from(hex, "hex")));
        const sorted = unique.sort(compareBytes);
        expect(reads(reader, sorted)).toBe(true);
        const isSorted = names.join() === sorted.map((s) => Buffer.from(s).toString("hex")).join();
        expect(reads(reader, items)).toBe(isSorted);
      }),
    );
  });

  test("take any integer below 2^64 as a u64, always as bigint", () => {
    fc.assert(
      fc.property(fc.bigInt(0n, 2n ** 64n - 1n), (value) => {
        const item = value < 2n ** 53n ? Number(value) : value;
        const read = shape.readCbor(encodeCbor(item), "it", shape.u64);
        expect(read).toEqual({ ok: true, value });
      }),
    );
  });

  const name = shape.textLike(/^[a-z]{1,3}$/);
  const pair = shape.tuple(shape.literal(1), name);
  const bytes = new Uint8Array(3);

  test.each<readonly [string, boolean, shape.Reader<unknown>, CborValue]>([
    ["the shortest byte string", true, shape.bytesBetween(3, 4), bytes],
    ["the longest byte string", true, shape.bytesBetween(2, 3), bytes],
    ["a byte string of the exact length", true, shape.bytesExactly(3), bytes],
    ["a byte string a byte too long", false, shape.bytesExactly(2), bytes],
    ["a byte string a byte too short", false, shape.bytesExactly(4), bytes],
    ["a byte string that is too short", false, shape.bytesBetween(4, 5), bytes],
    ["a byte string that is too long", false, shape.bytesBetween(1, 2), bytes],
    ["text for a byte string", false, shape.bytesBetween(0, 9), "abc"],
    ["an array for a byte string", false, shape.bytesBetween(0, 9), [0, 0]],
    ["text that matches", true, name, "abc"],
    ["text with a line break after it", false, name, "abc\n"],
    ["text with NUL", false, name, "a\0"],
    ["text that is too long", false, name, "abcd"],
    ["bytes for text", false, name, toUtf8("abc")],
    ["a boolean that reads like text", false, shape.textLike(/^true$/), true],
    ["a number that reads like text", false, shape.textLike(/^\d$/), 1],
    ["a boolean", true, shape.boolean, false],
    ["0 for a boolean", false, shape.boolean, 0],
    ["the largest u32", true, shape.u32, 2 ** 32 - 1],
    ["an integer above u32", false, shape.u32, 2 ** 32],
    ["the largest time", true, shape.timeS, Number.MAX_SAFE_INTEGER],
    ["a time of 2^53", false, shape.timeS, 2n ** 53n],
    ["the least integer", true, shape.integerBetween(1, 5), 1],
    ["the largest integer", true, shape.integerBetween(1, 5), 5],
    ["an integer above the largest", false, shape.integerBetween(1, 5), 6],
    ["an integer below the least", false, shape.integerBetween(1, 5), 0],
    ["a boolean for an integer", false, shape.integerBetween(0, 5), true],
    ["text for a u64", false, shape.u64, "1"],
    ["a boolean for a u64", false, shape.u64, true],
    ["the literal", true, shape.literal(2), 2],
    ["another literal", false, shape.literal(2), 1],
    ["as few items as may be", true, shape.arrayOf(name, 1, 2), ["a"]],
    ["as many items as may be", true, shape.arrayOf(name, 1, 2), ["a", "b"]],
    ["too few items", false, shape.arrayOf(name, 1, 2), []],
    ["too many items", false, shape.arrayOf(name, 1, 2), ["a", "b", "c"]],
    ["one bad item", false, shape.arrayOf(name, 1, 2), ["a", 1]],
    ["bytes for an array", false, shape.arrayOf(shape.u32, 0, 9), bytes],
    ["text for an array", false, shape.arrayOf(name, 0, 9), "ab"],
    ["every position", true, pair, [1, "a"]],
    ["a position too few", false, pair, [1]],
    ["a position too many", false, pair, [1, "a", 0]],
    ["positions in another order", false, pair, ["a", 1]],
    ["an empty array where it may be empty", true, shape.emptyOr(pair), []],
    ["a value where it may be empty", true, shape.emptyOr(pair), [1, "a"]],
    ["a wrong value where it may be empty", false, shape.emptyOr(pair), [2, "a"]],
    ["empty bytes for an empty array", false, shape.emptyOr(pair), new Uint8Array()],
  ])("%s is taken: %s", (_, taken, reader, value) => {
    expect(reads(reader, value)).toBe(taken);
  });

  // For whoever debugs a second implementation: the place and the bounds, from the reader itself.
  test.each<readonly [string, shape.Reader<unknown>, CborValue]>([
    ["it: not 3 to 4 bytes", shape.bytesBetween(3, 4), ""],
    ["it: not 5 to 5 bytes", shape.bytesExactly(5), bytes],
    ["it: not /^[a-z]{1,3}$/", name, "A"],
    ["it: not an integer from 1 to 5", shape.integerBetween(1, 5), 0],
    ["it: not 2", shape.literal(2), 1],
    ["it: not 1 to 2 items", shape.arrayOf(name, 1, 2), []],
    ["it: not 2 positions", pair, [1]],
    ["it[1]: not /^[a-z]{1,3}$/", pair, [1, "A"]],
    ["it[0]: not /^[a-z]{1,3}$/", shape.arrayOf(name, 1, 2), ["A"]],
  ])("say `%s`", (reason, reader, value) => {
    expect(shape.readCbor(encodeCbor(value), "it", reader)).toEqual({ ok: false, reason });
  });

  test("say what is wrong with the bytes themselves", () => {
    const read = shape.readCbor(Uint8Array.of(0x20), "it", shape.u32);
    expect(read).toEqual({ ok: false, reason: "it: a type that the protocol does not have" });
  });

  test("say which place is wrong", () => {
    const reader = shape.tuple(shape.literal(1), shape.arrayOf(pair, 0, 4));
    const value = [
      1,
      [
        [1, "a"],
        [1, "A"],
      ],
    ] as const;
    const read = shape.readCbor(encodeCbor(value), "record", reader);
    expect(read).toMatchObject({
      ok: false,
      reason: expect.stringMatching(/^record\[1]\[1]\[1]:/),
    });
  });

  test("let a bug of ours through as what it is", () => {
    expect(() => shape.readCbor(encodeCbor(1), "it", broken)).toThrow(TypeError);
  });
});
