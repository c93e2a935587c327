/** What may reach a terminal or a log, from text that anybody may have written. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  TEXT_LENGTH_MAX,
  printable,
  printableData,
  printableJson,
  printableLines,
} from "../src/printable.ts";

/** C0, DEL, C1, bidirectional controls, zero width, separators, surrogates alone, tags, fillers. */
const HOSTILE_RANGES = [
  [0x00, 0x1f],
  [0x7f, 0x9f],
  [0xad, 0xad],
  [0x61c, 0x61c],
  [0x115f, 0x1160],
  [0x180e, 0x180e],
  [0x200b, 0x200f],
  [0x2028, 0x202e],
  [0x2060, 0x206f],
  [0x3164, 0x3164],
  [0xd800, 0xdfff],
  [0xe000, 0xe000],
  [0xfeff, 0xfeff],
  [0xfff9, 0xfffb],
  [0xe0001, 0xe007f],
] as const;

const hostileUnit = fc
  .oneof(...HOSTILE_RANGES.map(([from, to]) => fc.integer({ min: from, max: to })))
  .map((point) => String.fromCodePoint(point));
const escapeSequence = fc.constantFrom(
  "\u001b[2J",
  "\u001b]0;title\u0007",
  "\u001b]8;;https://example.org\u001b\\",
  "\u009b31m",
  "\u001bP1$r\u001b\\",
);
const anyText = fc
  .array(fc.oneof(fc.string({ unit: "binary", maxLength: 20 }), hostileUnit, escapeSequence), {
    maxLength: 12,
  })
  .map((parts) => parts.join(""));

function isHostile(text: string): boolean {
  return Array.from(text).some((character) => {
    const point = character.codePointAt(0) ?? 0;
    return HOSTILE_RANGES.some(([from, to]) => from <= point && point <= to);
  });
}

describe("printable text", () => {
  test.each([
    ["\u001b[31mred\u001b[0m", "[31mred[0m"],
    ["a\u202Eb\u2066c", "abc"],
    ["line\r\nline\u2028\tend", "line line end"],
    ["\u009b2J\u0007\u007f", "2J"],
    ["\u{e0041}tag\ud800", "tag"],
    ["zero\u200b\u200d\ufeffwidth", "zerowidth"],
    ["naïve Straße 日本語 🔑", "naïve Straße 日本語 🔑"],
  ])("of %j is %j", (text, expected) => {
    expect(printable(text)).toBe(expected);
  });

  test("never holds what steers a terminal or hides, and is one line", () => {
    fc.assert(
      fc.property(anyText, (text) => {
        expect(isHostile(printable(text))).toBe(false);
        expect(printable(printable(text))).toBe(printable(text));
        expect(printableData({ list: [text] })).toEqual({ list: [printable(text)] });
      }),
    );
  });

  test("of several lines holds line ends and tabs besides", () => {
    fc.assert(
      fc.property(anyText, (text) => {
        expect(isHostile(printableLines(text).replace(/[\n\t]/g, ""))).toBe(false);
        expect(printableLines(text).split("\n")).toHaveLength(text.split("\n").length);
      }),
    );
  });

  test("is cut off where it is a flood, and says so", () => {
    for (const unit of ["x", "\u202e", "🔑"]) {
      const text = printable(unit.repeat(1_000_000));
      expect(text.length).toBeLessThanOrEqual(TEXT_LENGTH_MAX + 1);
      expect(text.endsWith("…")).toBe(true);
      expect(text.isWellFormed()).toBe(true);
    }
  });

  test("as JSON loses nothing, and shows nothing either", () => {
    fc.assert(
      fc.property(anyText, anyText, (name, text) => {
        const data = JSON.parse(JSON.stringify({ [name]: text })) as unknown;
        expect(isHostile(printableJson(data))).toBe(false);
        expect(JSON.parse(printableJson(data))).toEqual(data);
      }),
    );
  });
});
