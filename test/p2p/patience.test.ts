import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Patience } from "../../src/p2p/patience.ts";

const LIMITS = { frameDeadlineMs: 5_000, silenceMs: 10_000 };
const { signal } = new AbortController();

const nowMs = (): number => performance.now();

async function never(each: AbortSignal): Promise<never> {
  return await new Promise((_, reject) =>
    each.addEventListener("abort", () => reject(each.reason)),
  );
}

/** Lets a peer take so long for each frame, up to its deadline; returns how long each then took. */
async function waitsFor(frames: readonly number[]): Promise<{ took: number[]; isWhole: boolean }> {
  let timeMs = 0;
  const patience = new Patience({ ...LIMITS, nowMs: () => timeMs });
  const took: number[] = [];
  for (const frameMs of frames) {
    const waitMs = Math.min(frameMs, patience.deadlineMs);
    took.push(waitMs);
    await patience.within(signal, async () => (timeMs += waitMs));
  }
  return { took, isWhole: patience.isWhole };
}

describe("how long a peer may keep us waiting", () => {
  test("a second for each frame, ten more for all of them, and never above five for one", async () => {
    const frames = fc.array(fc.nat({ max: 10_000 }), { maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(frames, async (wished) => {
        const { took } = await waitsFor(wished);
        expect(Math.max(0, ...took)).toBeLessThanOrEqual(5_000);
        const allMs = took.reduce((sum, each) => sum + each, 0);
        expect(allMs).toBeLessThanOrEqual(took.length * 1_000 + 10_000);
      }),
    );
  });

  test("a far peer has all the 167 frames of a cold join", async () => {
    const frames = Array.from({ length: 167 }, () => 1_000);
    expect(await waitsFor(frames)).toEqual({ took: frames, isWhole: true });
  });

  test("is used up also by what fails", async () => {
    let timeMs = 0;
    const patience = new Patience({ ...LIMITS, nowMs: () => timeMs });
    for (let time = 0; time < 3; time += 1) {
      await patience
        .within(signal, async () => {
          timeMs += patience.deadlineMs;
          throw new Error("nothing came");
        })
        .catch(() => {});
    }
    expect(patience.deadlineMs).toBe(1_000);
    expect(patience.isWhole).toBe(false);
  });

  test("the wait ends at its deadline, and with the signal", async () => {
    const patience = new Patience({ frameDeadlineMs: 20, silenceMs: 10_000, nowMs });
    await expect(patience.within(signal, never)).rejects.toMatchObject({ name: "TimeoutError" });
    const over = new AbortController();
    const waiting = patience.within(over.signal, never);
    over.abort(new Error("stopping"));
    await expect(waiting).rejects.toThrow("stopping");
  });
});
