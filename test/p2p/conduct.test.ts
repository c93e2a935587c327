import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Conduct } from "../../src/p2p/conduct.ts";

const DOMAINS = 10_000;
const MINUTE_MS = 60_000;

/** Lets a second pass at a steady rate, in steps of 100 ms. */
function during(seconds: number, perSecond: number, act: (nowMs: number) => void): void {
  for (let step = 0; step < seconds * 10; step += 1) {
    for (let time = 0; time < perSecond / 10; time += 1) act(step * 100);
  }
}

describe("the conduct of a trust domain", () => {
  test("an honest forwarder is never graylisted, however the mesh rotates", () => {
    // All domains at once, and then whatever a busy node can verify and forward.
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 1_000 }), { maxLength: 60 }), (perSecond) => {
        const conduct = new Conduct(0);
        for (let message = 0; message < DOMAINS; message += 1) conduct.onOverBudget(0);
        for (const [second, messages] of perSecond.entries()) {
          for (let message = 0; message < messages; message += 1) {
            conduct.onOverBudget((second + 1) * 1_000);
          }
          expect(conduct.graylisted((second + 1) * 1_000)).toBe(false);
        }
      }),
      { numRuns: 30 },
    );
  });

  test("an honest forwarder is never barred, however the mesh rotates", () => {
    const conduct = new Conduct(0);
    // Two frames, two RPCs, a message, 5 KiB, an answer each, from four nodes of it.
    conduct.onWork(DOMAINS * 15 * 4, 0);
    expect(conduct.barred(0)).toBe(false);
    during(600, 4_900, (nowMs) => conduct.onWork(1, nowMs));
    expect(conduct.barred(600_000)).toBe(false);
  });

  test("an honest forwarder is never barred for what it says of messages", () => {
    const conduct = new Conduct(0);
    // One RPC for each, from four nodes of it, and a few a heartbeat.
    for (let rpc = 0; rpc < DOMAINS * 4 + 100; rpc += 1) conduct.onControl(0);
    expect(conduct.barred(0)).toBe(false);
    during(600, 1_950, (nowMs) => conduct.onControl(nowMs));
    expect(conduct.barred(600_000)).toBe(false);
  });

  test("a flood of RPCs without messages is barred with the 50,001st", () => {
    const conduct = new Conduct(0);
    for (let rpc = 0; rpc < 50_000; rpc += 1) conduct.onControl(0);
    expect(conduct.barred(0)).toBe(false);
    conduct.onControl(0);
    expect(conduct.barred(0)).toBe(true);
  });

  test("5,000 a second beyond the budget are graylisted within ten seconds", () => {
    const conduct = new Conduct(0);
    let graylistedAtMs: number | undefined;
    during(10, 5_000, (nowMs) => {
      conduct.onOverBudget(nowMs);
      if (conduct.graylisted(nowMs)) graylistedAtMs ??= nowMs;
    });
    expect(graylistedAtMs).toBeGreaterThan(4_000);
    expect(graylistedAtMs).toBeLessThan(7_000);
  });

  test("the ninth invalid message graylists for a minute, not the eighth", () => {
    const conduct = new Conduct(0);
    for (let message = 0; message < 8; message += 1) conduct.onInvalid(0);
    expect(conduct.graylisted(0)).toBe(false);
    conduct.onInvalid(0);
    expect(conduct.graylisted(MINUTE_MS - 1)).toBe(true);
    expect(conduct.graylisted(MINUTE_MS)).toBe(false);
  });

  test("an invalid message every half minute is forgotten", () => {
    const conduct = new Conduct(0);
    for (let message = 1; message <= 1_000; message += 1) conduct.onInvalid(message * 30_000);
    expect(conduct.graylisted(1_000 * 30_000)).toBe(false);
  });

  test("who makes more work than any honest peer is barred for five minutes, then begins anew", () => {
    const conduct = new Conduct(0);
    conduct.onWork(600_000, 0);
    expect(conduct.barred(0)).toBe(false);
    conduct.onWork(1, 0);
    expect(conduct.barred(5 * MINUTE_MS - 1)).toBe(true);
    expect(conduct.barred(5 * MINUTE_MS)).toBe(false);
    conduct.onWork(600_000, 5 * MINUTE_MS);
    expect(conduct.barred(5 * MINUTE_MS)).toBe(false);
  });
});
