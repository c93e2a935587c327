import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BoundedMap } from "../../../src/core/std/bounded-map.ts";

type Turn = readonly ["set" | "get" | "delete", number];

const turns = fc.array(
  fc.tuple(fc.constantFrom<Turn[0]>("set", "set", "set", "get", "delete"), fc.nat(9)),
  { maxLength: 60 },
);

describe("a bounded map", () => {
  test("holds the last keys that were set and not deleted, each with its last value", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 8 }), turns, (max, taken) => {
        const map = new BoundedMap<number, number>(max);
        let newestLast: readonly (readonly [number, number])[] = [];
        for (const [at, [kind, key]] of taken.entries()) {
          const others = newestLast.filter(([known]) => known !== key);
          if (kind === "get") {
            expect(map.get(key)).toBe(newestLast.find(([known]) => known === key)?.[1]);
          } else if (kind === "delete") {
            newestLast = others;
            map.delete(key);
          } else {
            newestLast = [...others, [key, at] as const].slice(-max);
            map.set(key, at);
          }
          expect([...map]).toEqual(newestLast);
        }
      }),
    );
  });
});
