/** Record ids between screen, telephone and keyboard. */
import { array, assert, constantFrom, property, string } from "fast-check";
import { describe, expect, test } from "vitest";
import { groupFingerprint, readFingerprint } from "../../src/cli/fingerprint.ts";

const recordIds = string({
  unit: constantFrom(..."0123456789abcdef".split("")),
  minLength: 64,
  maxLength: 64,
});

describe("a fingerprint", () => {
  test("that was read aloud is read back", () => {
    assert(
      property(recordIds, (recordId) => {
        expect(groupFingerprint(recordId)).toMatch(/^(?:[0-9a-f]{4} ){15}[0-9a-f]{4}$/);
        expect(readFingerprint(groupFingerprint(recordId))).toBe(recordId);
      }),
    );
  });

  test("may be typed with spaces, dashes and capitals anywhere", () => {
    const noise = array(constantFrom(" ", "-", "–", "\t", "\n", ""), {
      minLength: 64,
      maxLength: 64,
    });
    assert(
      property(recordIds, noise, (recordId, noise) => {
        const typed = Array.from(recordId.toUpperCase())
          .map((digit, at) => `${noise[at]}${digit}`)
          .join("");
        expect(readFingerprint(typed)).toBe(recordId);
      }),
    );
  });

  test.each([
    "",
    "a".repeat(63),
    "a".repeat(65),
    "g".repeat(64),
    `0x${"a".repeat(62)}`,
    "ａ".repeat(64),
  ])("is not %j", (typed) => {
    expect(() => readFingerprint(typed)).toThrow(expect.objectContaining({ code: "USAGE" }));
  });

  test.each(["1a2b", "1A2B"])("whose groups the shell took apart, %j, wants quotes", (typed) => {
    const advice = expect.stringContaining("quotes");
    expect(() => readFingerprint(typed)).toThrow(expect.objectContaining({ advice }));
  });
});
