/** What may reach a terminal. */
import { assert, property, string } from "fast-check";
import { describe, expect, test } from "vitest";
import {
  printable,
  printableData,
  printableJson,
  printableLines,
} from "../../src/cli/printable.ts";

const HOSTILE = /[\p{Cc}\p{Bidi_Control}\p{Zl}\p{Zp}]/u;
const anyText = string({ unit: "binary" });

describe("printable text", () => {
  test.each([
    ["\u001b[31mred\u001b[0m", "[31mred[0m"],
    ["a\u202Eb\u2066c", "abc"],
    ["line\r\nline\u2028", "lineline"],
    ["\u009b2J\u0007\u007f", "2J"],
    ["\u{e0041}tag\ud800", "tag"],
    ["naïve Straße 日本語 🔑", "naïve Straße 日本語 🔑"],
  ])("of %j is %j", (text, expected) => {
    expect(printable(text)).toBe(expected);
  });

  test("never holds what steers a terminal", () => {
    assert(
      property(anyText, (text) => {
        expect(printable(text)).not.toMatch(HOSTILE);
        expect(printableLines(text).replace(/[\n\t]/g, "")).toBe(printable(text));
        expect(printableData({ list: [text] })).toEqual({ list: [printable(text)] });
      }),
    );
  });

  test("as JSON loses nothing", () => {
    assert(
      property(anyText, (text) => {
        expect(printableJson({ text })).not.toMatch(HOSTILE);
        expect(JSON.parse(printableJson({ text }))).toEqual({ text });
      }),
    );
  });
});
