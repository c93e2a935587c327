/** Which step records stay: within their bounds, and who may choose. */
import { join } from "node:path";
import * as fc from "fast-check";
import { Level } from "level";
import { describe, expect, test } from "vitest";
import { compareVersions } from "../../src/core/record/state.ts";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import type { StepEntry, StoredRecord, ThinSteps } from "../../src/ports/record-store.ts";
import { thinned } from "../../src/store/known-domain.ts";
import { openRecordStore } from "../../src/store/level-record-store.ts";
import { stepRange } from "../../src/store/store-key.ts";
import { domainNamed, stored } from "../compliance/record-store.ts";
import { ALPHA, ZERO } from "./filled-store.ts";
import { temporaryDirectory } from "./temporary-directory.ts";

const KIB = 1_024;
const all: ThinSteps = (steps) => steps;

function entryOf({ envelope, ...step }: StoredRecord): StepEntry {
  return { ...step, envelopeBytes: envelope.length, storedAtMs: 1 };
}

/** Ascending versions with an epoch now and then, each of some size. */
const history = fc
  .array(fc.record({ isEpoch: fc.boolean(), bytes: fc.integer({ min: 1, max: 200 }) }), {
    minLength: 1,
    maxLength: 40,
  })
  .map((items) => {
    let epoch = 0;
    return items.map(({ isEpoch, bytes }, index) => {
      if (isEpoch) epoch += 1;
      return stored(BigInt(index), { epoch, envelope: new Uint8Array(bytes) });
    });
  });
const room = fc.record({
  records: fc.integer({ min: 1, max: 40 }),
  bytes: fc.integer({ min: 1, max: 3_000 }),
});
const bytesOf = (steps: readonly StepEntry[]): number =>
  steps.reduce((total, { envelopeBytes }) => total + envelopeBytes, 0);
const isFirstOfEpoch = (steps: readonly StepEntry[], index: number): boolean =>
  (steps[index]?.epoch ?? 0) > (steps[index - 1]?.epoch ?? 0);

describe("step records that are thinned", () => {
  test("are some of them in their order, the held one too, and within the room", () => {
    fc.assert(
      fc.property(history, room, fc.func(fc.boolean()), (records, bounds, stays) => {
        const steps = records.map(entryOf);
        const kept = thinned(steps, records, bounds, (given) =>
          given.filter(({ sequence }) => stays(sequence)),
        );
        expect(kept.at(-1)).toEqual(steps.at(-1));
        expect(steps.filter((step) => kept.includes(step))).toEqual(kept);
        const fits = kept.length <= bounds.records && bytesOf(kept) <= bounds.bytes;
        expect(fits || kept.length === 1).toBe(true);
      }),
    );
  });

  test("are those that were chosen and those that begin an epoch, where there is room for all", () => {
    fc.assert(
      fc.property(history, fc.func(fc.boolean()), (records, stays) => {
        const steps = records.map(entryOf);
        const bounds = { records: 40, bytes: 40 * 200 };
        const kept = thinned(steps, records, bounds, (given, told) => {
          expect([given, told]).toEqual([records, bounds]);
          return given.filter(({ sequence }) => stays(sequence));
        });
        const expected = steps.filter(
          (step, index) =>
            stays(step.sequence) || isFirstOfEpoch(steps, index) || index === steps.length - 1,
        );
        expect(kept).toEqual(expected);
      }),
    );
  });

  test("lose one that begins an epoch only when no other is left but the held one", () => {
    fc.assert(
      fc.property(history, room, (records, bounds) => {
        const steps = records.map(entryOf);
        const kept = thinned(steps, records, bounds, all);
        const isLost = (step: StepEntry, index: number): boolean =>
          isFirstOfEpoch(steps, index) && !kept.includes(step);
        if (!steps.some(isLost)) return;
        const others = kept
          .slice(0, -1)
          .filter((step) => !isFirstOfEpoch(steps, steps.indexOf(step)));
        expect(others).toEqual([]);
      }),
    );
  });

  test("go by age, the oldest first", () => {
    const records = [1n, 2n, 3n, 4n, 5n].map((sequence) => stored(sequence));
    const kept = thinned(records.map(entryOf), records, { records: 3, bytes: KIB }, all);
    expect(kept.map(({ sequence }) => sequence)).toEqual([3n, 4n, 5n]);
  });

  test("lose those first that cannot be read, an epoch's too", () => {
    const records = [0, 1, 2].map((epoch) => stored(BigInt(epoch), { epoch }));
    const steps = records.map(entryOf);
    const kept = thinned(steps, records.slice(-1), { records: 9, bytes: KIB }, all);
    expect(kept).toEqual(steps.slice(-1));
  });
});

const isEven = ({ sequence }: StoredRecord): boolean => sequence % 2n === 0n;

describe("a store", () => {
  test("asks whoever thins, keeps what it is told, and keeps each epoch's first record", async () => {
    const asked: number[] = [];
    const store = await openRecordStore(await temporaryDirectory(), {
      thin: (steps, bounds) => {
        asked.push(steps.length);
        expect(bounds).toEqual({ records: 48, bytes: 3 * KIB * KIB });
        return steps.filter(isEven);
      },
    });
    for (let sequence = 1n; sequence <= 97n; sequence += 1n) {
      const epoch = sequence < 11n ? 0 : 1; // The 11th begins an epoch, and would go as it is odd.
      const held = stored(sequence, { epoch });
      await store.accept(domainNamed(ALPHA, held), undefined, sequence === 1n);
    }
    expect(asked).toEqual([65, 65]);
    const steps = await store.stepsAbove(ALPHA, ZERO, 100);
    expect(steps).toEqual(steps.toSorted(compareVersions));
    const odd = steps.filter((step) => !isEven(step)).map(({ sequence }) => sequence);
    expect(odd).toEqual([11n, 97n]);
    const history = await store.history(ALPHA);
    expect(history).toHaveLength(steps.length);
    await store.close();
  });

  test("deletes what went", async () => {
    const dataDir = await temporaryDirectory();
    const store = await openRecordStore(dataDir);
    for (let sequence = 1n; sequence <= 70n; sequence += 1n) {
      await store.accept(domainNamed(ALPHA, stored(sequence)), undefined, sequence === 1n);
    }
    const { length } = await store.history(ALPHA);
    await store.accept(domainNamed("alpha", stored(1n)), undefined, true);
    await store.accept(domainNamed("alpha", stored(9n)), undefined, true);
    await store.close();
    const database = new Level<Uint8Array, Uint8Array>(join(dataDir, "store"), {
      keyEncoding: "view",
      valueEncoding: "view",
    });
    expect(await database.keys(stepRange(ALPHA)).all()).toHaveLength(length);
    expect(await database.keys(stepRange("alpha" as TrustDomain)).all()).toHaveLength(1);
    await database.close();
  });

  test("tells when each version was stored first, whatever blocks came later", async () => {
    let nowMs = 1_000;
    const dataDir = await temporaryDirectory();
    const store = await openRecordStore(dataDir, { nowMs: () => nowMs });
    for (const [sequence, at] of [
      [1n, 1_000],
      [2n, 2_000],
      [2n, 3_000],
    ] as const) {
      nowMs = at;
      await store.accept(domainNamed(ALPHA, stored(sequence)), undefined, sequence === 1n);
    }
    const times = (await store.history(ALPHA)).map(({ storedAtMs }) => storedAtMs);
    expect(times).toEqual([1_000, 2_000]);
    await store.close();
  });

  test("thins the longest histories where all are too long, and never what is held", async () => {
    const dataDir = await temporaryDirectory();
    const options = { stepBytesMax: 100 * KIB };
    let store = await openRecordStore(dataDir, options);
    const names = ["a", "b", "c", "d"] as TrustDomain[];
    const envelope = new Uint8Array(2 * KIB).fill(1);
    const counts = async (): Promise<number[]> =>
      await Promise.all(names.map(async (name) => (await store.history(name)).length));
    for (let sequence = 1n; sequence <= 40n; sequence += 1n) {
      for (const name of sequence > 20n ? ["a" as TrustDomain] : names) {
        const held = stored(sequence, { envelope });
        await store.accept(domainNamed(name, held), undefined, sequence === 1n);
      }
      const below = (await counts()).reduce((total, count) => total + count - 1, 0);
      expect(below * envelope.length).toBeLessThanOrEqual(102 * KIB); // One may be above.
      if (sequence === 20n) {
        await store.close();
        store = await openRecordStore(dataDir, options); // What there is it counts anew.
      }
    }
    const [a = 0, ...others] = await counts();
    expect(Math.max(a, ...others) - Math.min(a, ...others)).toBeLessThanOrEqual(8);
    const { domains } = await store.load();
    expect(domains.map(({ held }) => held.sequence)).toEqual([40n, 20n, 20n, 20n]);
    for (const name of names) {
      const steps = await store.stepsAbove(name, ZERO, 64);
      expect(steps.at(-1)?.sequence).toBe(name === "a" ? 40n : 20n);
    }
    await store.close();
  });

  test("forgets what a removed trust domain's steps took", async () => {
    const store = await openRecordStore(await temporaryDirectory(), { stepBytesMax: 10 * KIB });
    const envelope = new Uint8Array(2 * KIB).fill(1);
    for (let round = 0; round < 5; round += 1) {
      for (let sequence = 1n; sequence <= 5n; sequence += 1n) {
        const held = stored(sequence, { envelope });
        await store.accept(domainNamed(ALPHA, held), undefined, sequence === 1n);
      }
      expect(await store.history(ALPHA)).toHaveLength(5);
      await store.remove(ALPHA);
    }
    await store.close();
  });
});
