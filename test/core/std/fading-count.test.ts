import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FadingCount } from "../../../src/core/std/fading-count.ts";

const TIME_CONSTANT_MS = 10_000;
const newCount = (): FadingCount => new FadingCount(TIME_CONSTANT_MS);

describe("a fading count", () => {
  test("is what was added, each amount faded by its own age", () => {
    const steps = fc.array(fc.record({ afterMs: fc.nat(20_000), amount: fc.nat(100) }), {
      maxLength: 20,
    });
    fc.assert(
      fc.property(steps, fc.nat(20_000), (added, laterMs) => {
        const count = newCount();
        let nowMs = 0;
        const amounts = added.map(({ afterMs, amount }) => {
          nowMs += afterMs;
          count.add(amount, nowMs);
          return { amount, atMs: nowMs };
        });
        nowMs += laterMs;
        const sum = amounts.reduce(
          (total, { amount, atMs }) => total + amount * Math.exp((atMs - nowMs) / TIME_CONSTANT_MS),
          0,
        );
        expect(count.at(nowMs)).toBeCloseTo(sum);
      }),
    );
  });

  test("says what it is after adding, and falls to 1/e in its time constant", () => {
    const count = newCount();
    expect(count.at(5_000)).toBe(0);
    expect(count.add(2, 5_000)).toBe(2);
    expect(count.add(3, 5_000)).toBe(5);
    expect(count.at(15_000)).toBeCloseTo(5 / Math.E);
  });

  test("of a steady rate comes to the rate times its time constant, and no further", () => {
    const count = newCount();
    const perSecond = 50;
    for (let nowMs = 0; nowMs < 20 * TIME_CONSTANT_MS; nowMs += 1_000 / perSecond) {
      count.add(1, nowMs);
    }
    expect(count.at(20 * TIME_CONSTANT_MS) / ((perSecond * TIME_CONSTANT_MS) / 1_000)).toBeCloseTo(
      1,
      2,
    );
  });
});
