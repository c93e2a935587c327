import * as fc from "fast-check";
import { expect, test } from "vitest";
import { toSeconds } from "../../../src/core/std/unix-time.ts";

test("a second is told until the next one has begun", () => {
  fc.assert(
    fc.property(fc.nat(2 ** 40), fc.nat(999), (seconds, ms) => {
      expect(toSeconds(seconds * 1_000 + ms)).toBe(seconds);
    }),
  );
});
