import { array, assert, double, property } from "fast-check";
import { describe, expect, test } from "vitest";
import { medianOf, spreadOf } from "../../bench/spread.ts";

const values = array(double({ noNaN: true, min: -1e9, max: 1e9 }), { minLength: 1 });

describe("a spread", () => {
  test("is the same in whatever order the values came", () => {
    assert(
      property(values, (some) => {
        expect(spreadOf(some.toReversed())).toEqual(spreadOf(some));
      }),
    );
  });

  test("has as many values at or below its median as at or above it", () => {
    assert(
      property(values, (some) => {
        const median = medianOf(some);
        const below = some.filter((value) => value <= median).length;
        const above = some.filter((value) => value >= median).length;
        expect(Math.min(below, above)).toBeGreaterThanOrEqual(some.length / 2);
      }),
    );
  });

  test.each([
    [[3], 3],
    [[9, 1], 5],
    [[2, 100, 1], 2],
    [[4, 1, 3, 2], 2.5],
  ])("of %j has the median %d", (some, median) => {
    expect(medianOf(some)).toBe(median);
  });

  test("tells a p99 from 100 values on: the one that 99 % do not exceed", () => {
    expect(spreadOf(upTo(99)).p99).toBeUndefined();
    expect(spreadOf(upTo(100))).toEqual({ n: 100, min: 1, median: 50.5, p99: 99, max: 100 });
    expect(spreadOf(upTo(1_000)).p99).toBe(990);
  });

  test("of nothing is none", () => {
    expect(() => spreadOf([])).toThrow(RangeError);
  });
});

function upTo(n: number): number[] {
  return Array.from({ length: n }, (_, index) => index + 1);
}
