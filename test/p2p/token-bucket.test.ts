import { describe, expect, test } from "vitest";
import * as fc from "fast-check";
import { TokenBucket } from "../../src/p2p/token-bucket.ts";

const rates = fc.record({
  perSecond: fc.integer({ min: 1, max: 50 }),
  burst: fc.integer({ min: 1, max: 200 }),
});

describe("token bucket", () => {
  test("whatever the pace, never lets more through than burst plus rate allow", () => {
    fc.assert(
      fc.property(rates, fc.array(fc.nat({ max: 200 }), { maxLength: 300 }), (rate, gapsMs) => {
        let nowMs = 0;
        const bucket = new TokenBucket(rate, nowMs);
        const taken = gapsMs.filter((gapMs) => {
          nowMs += gapMs;
          return bucket.take(nowMs);
        }).length;
        const allowed = rate.burst + (rate.perSecond * nowMs) / 1_000;
        expect(taken).toBeLessThanOrEqual(Math.floor(allowed + 1e-6));
      }),
    );
  });

  test("who stays below the rate is never refused", () => {
    fc.assert(
      fc.property(rates, fc.nat({ max: 100 }), (rate, times) => {
        const gapMs = Math.ceil(1_000 / rate.perSecond);
        const bucket = new TokenBucket(rate, 0);
        for (let time = 1; time <= times; time += 1) expect(bucket.take(time * gapMs)).toBe(true);
      }),
    );
  });

  test("a burst is served at once, and one more only after its token is earned", () => {
    const bucket = new TokenBucket({ perSecond: 20, burst: 100 }, 0);
    for (let message = 0; message < 100; message += 1) expect(bucket.take(0)).toBe(true);
    expect(bucket.take(49)).toBe(false);
    expect(bucket.take(50)).toBe(true);
    expect(bucket.take(50)).toBe(false);
  });
});
