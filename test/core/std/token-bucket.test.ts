import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { TokenBucket } from "../../../src/core/std/token-bucket.ts";

const RATE = { perSecond: 2, burst: 5 };

describe("a token bucket", () => {
  test("never gives more than its burst and what it earned since, whatever the clock does", () => {
    const steps = fc.array(fc.record({ byMs: fc.integer({ min: -5_000, max: 5_000 }) }));
    fc.assert(
      fc.property(steps, (clock) => {
        const bucket = new TokenBucket(RATE, 0);
        let nowMs = 0;
        let forwardMs = 0;
        let taken = 0;
        for (const { byMs } of clock) {
          nowMs += byMs;
          forwardMs += Math.max(0, byMs);
          if (bucket.take(nowMs)) taken += 1;
        }
        expect(taken).toBeLessThanOrEqual(RATE.burst + (forwardMs * RATE.perSecond) / 1_000);
      }),
    );
  });

  test("gives its burst at once, then one for each half second", () => {
    const bucket = new TokenBucket(RATE, 0);
    const takes = (nowMs: number): boolean[] => Array.from({ length: 6 }, () => bucket.take(nowMs));
    expect(takes(0)).toEqual([true, true, true, true, true, false]);
    expect(bucket.take(499)).toBe(false);
    expect(bucket.take(500)).toBe(true);
    expect(bucket.take(999)).toBe(false);
    expect(bucket.take(1_000)).toBe(true);
  });

  test("fills no further than its burst", () => {
    const bucket = new TokenBucket(RATE, 0);
    expect(bucket.take(3_600_000, 5)).toBe(true);
    expect(bucket.take(3_600_000)).toBe(false);
  });

  test("takes nothing when there is too little", () => {
    const bucket = new TokenBucket(RATE, 0);
    expect(bucket.take(0, 6)).toBe(false);
    expect(bucket.take(0, 5)).toBe(true);
  });

  test("starves nobody when the clock is set back", () => {
    const bucket = new TokenBucket(RATE, 86_400_000);
    expect(bucket.take(0, 5)).toBe(true);
    expect(bucket.take(500)).toBe(true);
  });

  test("that owes gives nothing until the debt is earned", () => {
    const bucket = new TokenBucket(RATE, 0);
    bucket.owe(8);
    expect(bucket.take(1_499, 0)).toBe(false);
    expect(bucket.take(1_500, 0)).toBe(true);
    expect(bucket.take(1_999)).toBe(false);
    expect(bucket.take(2_000)).toBe(true);
  });

  test("says what is left of it, and that takes nothing", () => {
    const bucket = new TokenBucket(RATE, 0);
    bucket.take(0, 2);
    expect([bucket.left(0), bucket.left(0), bucket.left(500)]).toEqual([3, 3, 4]);
    bucket.owe(6);
    expect(bucket.left(500)).toBe(-2);
    expect(bucket.left(3_600_000)).toBe(RATE.burst);
  });
});
