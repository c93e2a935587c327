/** Of a long history some steps stay, and they still lead whoever holds one of them to the newest. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { VerifiedRecord } from "../../../src/core/record/verify.ts";
import { advance, startSlot } from "../../../src/core/resolver/slot.ts";
import { thinSteps } from "../../../src/core/resolver/steps.ts";
import { type Happening, HonestDomain, START_S, happening } from "../../arbitraries/lineage.ts";

/** Mostly what a domain does by itself, so that there is something to thin. */
const calm: fc.Arbitrary<Happening> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("jwt" as const), pick: fc.nat(9) }) },
  { weight: 4, arbitrary: happening },
);
const history = fc.array(calm, { minLength: 2, maxLength: 40 });

interface Walked {
  readonly domain: HonestDomain;
  readonly steps: readonly VerifiedRecord[];
}

function walk(all: readonly Happening[]): Walked {
  const domain = new HonestDomain();
  const { table } = domain;
  let slot = table.first(table.sign(domain.parts), START_S);
  const steps = [slot.held];
  for (const each of all) {
    const parts = domain.happen(each);
    if (parts === undefined) continue;
    ({ slot } = table.receive(slot, table.sign(parts), domain.nowS));
    steps.push(slot.held);
  }
  return { domain, steps };
}

/** Places after which the next kept step is not taken by who holds the one before. */
function breaks({ domain, steps }: Walked): readonly number[] {
  return steps.flatMap((step, at) => {
    const after = steps[at + 1];
    if (after === undefined) return [];
    const { said } = domain.table.receive(startSlot(step), after.record, domain.nowS);
    return said === "taken" ? [] : [at];
  });
}

const epochOf = ({ record }: VerifiedRecord): number => record.state.version.epoch;
const begins = (steps: readonly VerifiedRecord[]): readonly VerifiedRecord[] =>
  steps.filter((step, at) => {
    const before = steps[at - 1];
    return before !== undefined && epochOf(before) !== epochOf(step);
  });

describe("steps that are thinned", () => {
  test("lead from every one that stays to the newest, but where the oldest had to go by force", () => {
    let thinned = 0;
    fc.assert(
      fc.property(history, fc.integer({ min: 1, max: 24 }), (all, max) => {
        const { domain, steps } = walk(all);
        const kept = thinSteps(steps, max, domain.table.proofs);
        if (kept.length < steps.length) thinned += 1;
        const first = new Set(begins(steps));
        for (const at of breaks({ domain, steps: kept })) {
          // What begins an epoch stays by itself, and what is newer has lost its own oldest then.
          const isEpochs = kept
            .slice(0, at + 1)
            .every((step, place) => first.has(step) || (place === 0 && epochOf(step) > 0));
          expect(isEpochs).toBe(true);
        }
      }),
      { numRuns: 300 },
    );
    expect(thinned).toBeGreaterThan(50);
  });

  test("are as many as there is room for, or the newest and those that begin an epoch", () => {
    fc.assert(
      fc.property(history, fc.integer({ min: 1, max: 24 }), (all, max) => {
        const { domain, steps } = walk(all);
        const kept = thinSteps(steps, max, domain.table.proofs);
        expect(kept.every((step) => steps.includes(step))).toBe(true);
        expect(kept.at(-1)).toBe(steps.at(-1));
        for (const step of begins(steps)) expect(kept).toContain(step);
        expect(kept.length).toBeLessThanOrEqual(Math.max(max, begins(steps).length + 1));
        if (steps.length <= max) expect(kept).toEqual(steps);
        const versions = kept.map((step) => steps.indexOf(step));
        expect(versions).toEqual(versions.toSorted((one, other) => one - other));
      }),
      { numRuns: 300 },
    );
  });

  test("lose none that a neighbour needs while others may go", () => {
    fc.assert(
      fc.property(history, (all) => {
        const { domain, steps } = walk(all);
        // One less than there are: only one that nobody needs goes, where there is one.
        const kept = thinSteps(steps, steps.length - 1, domain.table.proofs);
        const dropped = steps.find((step) => !kept.includes(step));
        if (dropped === undefined || dropped === steps[0]) return;
        expect(breaks({ domain, steps: kept })).toEqual([]);
      }),
      { numRuns: 200 },
    );
  });

  test("still lead on when they are taken one on top of the other, each kept slot on the way", () => {
    fc.assert(
      fc.property(history, fc.integer({ min: 6, max: 24 }), (all, max) => {
        const { domain, steps } = walk(all);
        const kept = thinSteps(steps, max, domain.table.proofs);
        fc.pre(breaks({ domain, steps: kept }).length === 0);
        const [first, ...later] = kept;
        if (first === undefined) return;
        let slot = startSlot(first);
        for (const step of later) slot = advance(slot, step, domain.nowS);
        let led = startSlot(first);
        for (const { record } of later) led = domain.table.receive(led, record, domain.nowS).slot;
        expect(led.held.record.idHex).toBe(slot.held.record.idHex);
      }),
      { numRuns: 100 },
    );
  });
});
