/**
 * What every `RecordStore` does, whatever it stands on: run by test/store over level, and by
 * whoever brings another one.
 */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Pin } from "../../src/core/mesh/partner.ts";
import { compareVersions } from "../../src/core/record/state.ts";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import { fromHex } from "../../src/core/std/bytes.ts";
import type { RecordStore, StoredDomain, StoredRecord } from "../../src/ports/record-store.ts";

/** A store that can be closed and opened again on what it left. */
export interface StoreUnderTest {
  open(): Promise<RecordStore>;
  dispose(): Promise<void>;
}

const STEPS_KEPT = 64;
const STEPS_LEFT = 48;
const STEP_BYTES_KEPT = 4 * 1024 * 1024;
const RUNS = 40;

/** Names that are keys of every object, names of directories, and each other's prefixes. */
const AWKWARD_NAMES = ["__proto__", ".", "..", "a", "ab", "a.test", "constructor", "a".repeat(255)];

export function stored(sequence: bigint, change: Partial<StoredRecord> = {}): StoredRecord {
  const recordId = sequence.toString(16).padStart(64, "0");
  return { epoch: 0, rev: 0, sequence, recordId, envelope: new Uint8Array(40).fill(7), ...change };
}

export function domainNamed(
  name: string,
  held: StoredRecord,
  change: Partial<StoredDomain> = {},
): StoredDomain {
  return {
    trustDomain: name as TrustDomain,
    lineage: "0a".repeat(32),
    nodes: [new Uint8Array(32).fill(5)],
    held,
    sibling: undefined,
    frame: Uint8Array.of(1, 2, 3),
    ...change,
  };
}

export function pinNamed(name: string, change: Partial<Pin> = {}): Pin {
  return {
    trustDomain: name as TrustDomain,
    approvedRecordId: "ab".repeat(32),
    approvedAtMs: 1_790_000_000_000,
    awaitedRecordId: undefined,
    addressHints: ["/dns4/mesh.bravo.test/tcp/7843/p2p/12D3KooWExample"],
    ...change,
  };
}

const ZERO = { epoch: 0, rev: 0, sequence: 0n };

const record = fc.record({
  epoch: fc.constantFrom(0, 1, 2 ** 32 - 1),
  rev: fc.constantFrom(0, 1, 255, 256, 2 ** 32 - 1),
  sequence: fc.constantFrom(0n, 1n, 255n, 256n, 2n ** 32n, 2n ** 53n, 2n ** 64n - 1n),
  recordId: fc.constantFrom("00".repeat(32), "ff".repeat(32)),
  envelope: fc.uint8Array({ minLength: 1, maxLength: 64 }),
});

const write = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("accept" as const), held: record }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("start" as const), held: record }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("count" as const), to: fc.bigInt(0n, 9n) }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: "remove" as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: "reopen" as const }) },
);
const writes = fc.array(fc.tuple(fc.constantFrom("a", "ab", "__proto__"), write), {
  maxLength: 24,
});

export function recordStoreCompliance(name: string, make: () => Promise<StoreUnderTest>): void {
  const withStore = async (
    use: (store: RecordStore, reopen: () => Promise<RecordStore>) => Promise<void>,
  ): Promise<void> => {
    const under = await make();
    let store = await under.open();
    try {
      await use(store, async () => {
        await store.close();
        store = await under.open();
        return store;
      });
    } finally {
      await store.close();
      await under.dispose();
    }
  };

  describe(`${name} as a record store`, () => {
    test("holds after any writes and restarts what a map and a sorted list would", async () => {
      await fc.assert(
        fc.asyncProperty(writes, async (orders) => {
          await withStore(async (first, reopen) => {
            let store = first;
            const model = new Map<string, { domain: StoredDomain; steps: StoredRecord[] }>();
            let counter = 0n;
            for (const [domainName, order] of orders) {
              const before = model.get(domainName);
              if (order.kind === "reopen") store = await reopen();
              else if (order.kind === "remove") {
                await store.remove(domainName as TrustDomain);
                model.delete(domainName);
              } else if (order.kind === "count") {
                await store.saveHeadCounter(order.to);
                counter = order.to;
              } else {
                const { held } = order;
                const last = before?.steps.at(-1);
                const isStart =
                  order.kind === "start" || last === undefined || compareVersions(held, last) < 0;
                const domain = domainNamed(domainName, held, { frame: held.envelope });
                await store.accept(domain, pinNamed(domainName), isStart);
                const below = isStart ? [] : (before?.steps ?? []);
                const steps = below.filter((step) => compareVersions(step, held) < 0);
                model.set(domainName, { domain, steps: [...steps, held] });
              }
            }
            const { pins, domains, headCounter, missing } = await store.load();
            expect([headCounter, missing]).toEqual([counter, []]);
            const held = [...model.values()].map(({ domain }) => domain);
            expect(new Set(domains)).toEqual(new Set(held));
            expect(new Set(pins)).toEqual(new Set([...model.keys()].map((each) => pinNamed(each))));
            for (const [domainName, { steps }] of model) {
              const above = steps[0] ?? ZERO;
              const found = await store.stepsAbove(domainName as TrustDomain, above, 64);
              expect(found).toEqual(steps.slice(1));
              const history = await store.history(domainName as TrustDomain);
              const entries = steps.map(({ epoch, rev, sequence, recordId, envelope }) => {
                const envelopeBytes = envelope.length;
                return { epoch, rev, sequence, recordId, envelopeBytes };
              });
              expect(history).toMatchObject(entries);
            }
          });
        }),
        { numRuns: RUNS },
      );
    });

    test.each(AWKWARD_NAMES)("keeps a trust domain named %s", async (domainName) => {
      await withStore(async (first, reopen) => {
        const domain = domainNamed(domainName, stored(2n), { sibling: stored(2n, { rev: 0 }) });
        await first.accept(domain, pinNamed(domainName), true);
        const store = await reopen();
        const { pins, domains } = await store.load();
        expect(domains).toEqual([domain]);
        expect(pins).toEqual([pinNamed(domainName)]);
        expect(await store.stepsAbove(domain.trustDomain, ZERO, 64)).toEqual([domain.held]);
        await store.remove(domain.trustDomain);
        expect(await store.load()).toMatchObject({ pins: [], domains: [], missing: [] });
      });
    });

    test("keeps the pin that is there when none is given, and replaces it when one is", async () => {
      await withStore(async (store) => {
        await store.accept(domainNamed("a", stored(1n)), pinNamed("a"), true);
        await store.accept(domainNamed("a", stored(2n)), undefined, false);
        expect((await store.load()).pins).toEqual([pinNamed("a")]);
        const changed = pinNamed("a", { awaitedRecordId: "cd".repeat(32), addressHints: [] });
        await store.accept(domainNamed("a", stored(2n)), changed, false);
        expect((await store.load()).pins).toEqual([changed]);
        for (const pin of [changed, pinNamed("a"), pinNamed("a"), changed]) {
          for (let block = 1; block <= 2; block += 1) {
            await store.accept(domainNamed("a", stored(3n)), pin, false);
            expect((await store.load()).pins).toEqual([pin]);
          }
        }
        await store.remove("a" as TrustDomain);
        await store.accept(domainNamed("a", stored(1n)), changed, true);
        expect((await store.load()).pins).toEqual([changed]);
      });
    });

    test("keeps the first 64 address hints, and none that no address can be", async () => {
      await withStore(async (store) => {
        const good = Array.from({ length: 70 }, (_, port) => `/ip4/192.0.2.1/tcp/${port}`);
        const addressHints = ["", "/dns4/\u202e", "/dns4/".padEnd(600, "x"), ...good];
        await store.accept(domainNamed("a", stored(1n)), pinNamed("a", { addressHints }), true);
        expect((await store.load()).pins[0]?.addressHints).toEqual(good.slice(0, 64));
      });
    });

    test("removes one trust domain and leaves those whose name starts alike", async () => {
      await withStore(async (store) => {
        for (const each of ["a", "ab", "abc"]) {
          await store.accept(domainNamed(each, stored(1n)), pinNamed(each), true);
        }
        await store.remove("ab" as TrustDomain);
        const { domains, pins } = await store.load();
        expect(domains.map((each) => each.trustDomain).sort()).toEqual(["a", "abc"]);
        expect(pins).toHaveLength(2);
        expect(await store.stepsAbove("ab" as TrustDomain, ZERO, 64)).toEqual([]);
        expect(await store.stepsAbove("abc" as TrustDomain, ZERO, 64)).toHaveLength(1);
      });
    });

    test("gives steps in version order, above a version, up to a limit", async () => {
      await withStore(async (store) => {
        const versions = [
          stored(9n),
          stored(10n),
          stored(256n),
          stored(257n, { rev: 1 }),
          stored(3n, { rev: 256 }),
          stored(1n, { epoch: 1 }),
        ];
        for (const held of versions) {
          await store.accept(domainNamed("a", held), undefined, held === versions[0]);
        }
        const a = "a" as TrustDomain;
        expect(await store.stepsAbove(a, ZERO, 64)).toEqual(versions);
        expect(await store.stepsAbove(a, stored(10n), 2)).toEqual(versions.slice(2, 4));
        expect(await store.stepsAbove(a, stored(1n, { epoch: 1 }), 64)).toEqual([]);
        expect(await store.stepsAbove("never.test" as TrustDomain, ZERO, 64)).toEqual([]);
      });
    });

    test("keeps the last 64 step records", async () => {
      await withStore(async (store) => {
        for (let sequence = 1n; sequence <= 70n; sequence += 1n) {
          await store.accept(domainNamed("a", stored(sequence)), undefined, sequence === 1n);
        }
        const steps = await store.stepsAbove("a" as TrustDomain, ZERO, 1_000);
        // At the 65th, a quarter went.
        const kept = Array.from({ length: STEPS_LEFT + 5 }, (_, index) => 70n - BigInt(index));
        expect(steps.map(({ sequence }) => sequence)).toEqual(kept.toReversed());
        for (let sequence = 71n; sequence <= 81n; sequence += 1n) {
          await store.accept(domainNamed("a", stored(sequence)), undefined, false);
        }
        expect(await store.history("a" as TrustDomain)).toHaveLength(STEPS_KEPT);
      });
    });

    test("keeps at most 4 MiB of step records, the latest ones", async () => {
      await withStore(async (store) => {
        const envelope = new Uint8Array(128 * 1024).fill(9);
        for (let sequence = 1n; sequence <= 40n; sequence += 1n) {
          const domain = domainNamed("a", stored(sequence, { envelope }));
          await store.accept(domain, undefined, sequence === 1n);
          const steps = await store.stepsAbove("a" as TrustDomain, ZERO, 1_000);
          const bytes = steps.reduce((total, step) => total + step.envelope.length, 0);
          expect(bytes).toBeLessThanOrEqual(STEP_BYTES_KEPT);
          if (sequence > 24n) expect(bytes).toBeGreaterThanOrEqual((STEP_BYTES_KEPT * 3) / 4);
          expect(steps.at(-1)?.sequence).toBe(sequence);
          expect(steps).toEqual(steps.toSorted(compareVersions));
        }
      });
    });

    test("keeps what it holds of more trust domains than one remembers, written in turns", async () => {
      await withStore(async (first, reopen) => {
        const names = Array.from({ length: 100 }, (_, index) => `td-${index}`);
        const orders = [1n, 2n, 3n].flatMap((sequence) =>
          names.map((each) => ({ each, sequence })),
        );
        for (const { each, sequence } of orders) {
          const pin = pinNamed(each, { approvedAtMs: Number(sequence) });
          await first.accept(domainNamed(each, stored(sequence)), pin, sequence === 1n);
        }
        for (const each of names.slice(30, 40)) await first.remove(each as TrustDomain);
        const store = await reopen();
        const { domains, pins } = await store.load();
        expect(domains).toHaveLength(90);
        expect(domains.every(({ held }) => held.sequence === 3n)).toBe(true);
        expect(pins.every(({ approvedAtMs }) => approvedAtMs === 3)).toBe(true);
        for (const each of names) {
          const isThere = domains.some(({ trustDomain }) => trustDomain === each);
          const steps = await store.stepsAbove(each as TrustDomain, ZERO, 64);
          expect(steps).toHaveLength(isThere ? 3 : 0);
        }
      });
    });

    test("starts the steps anew with a first record, whatever was held before", async () => {
      await withStore(async (store) => {
        await store.accept(domainNamed("a", stored(50n)), undefined, true);
        await store.accept(domainNamed("a", stored(51n)), undefined, false);
        await store.accept(domainNamed("a", stored(70n)), undefined, true);
        expect(await store.stepsAbove("a" as TrustDomain, ZERO, 64)).toEqual([stored(70n)]);
      });
    });

    test("finds a record by its id: held, sibling or step, and no other", async () => {
      await withStore(async (store) => {
        const a = "a" as TrustDomain;
        const sibling = stored(3n, { recordId: "cd".repeat(32) });
        await store.accept(domainNamed("a", stored(1n)), undefined, true);
        await store.accept(domainNamed("a", stored(2n)), undefined, false);
        await store.accept(domainNamed("a", stored(3n), { sibling }), undefined, false);
        for (const each of [stored(1n), stored(2n), stored(3n), sibling]) {
          expect(await store.record(a, fromHex(each.recordId))).toEqual(each);
        }
        expect(await store.record(a, fromHex(stored(4n).recordId))).toBeUndefined();
        expect(await store.record("ab" as TrustDomain, fromHex(stored(1n).recordId))).toBe(
          undefined,
        );
        await store.accept(domainNamed("a", stored(9n)), undefined, true);
        expect(await store.record(a, fromHex(stored(2n).recordId))).toBeUndefined();
      });
    });

    test("keeps the counter of heads, whatever else is written", async () => {
      await withStore(async (first, reopen) => {
        expect((await first.load()).headCounter).toBe(0n);
        await first.saveHeadCounter(2n ** 64n - 1n);
        await first.accept(domainNamed("a", stored(1n)), undefined, true);
        const store = await reopen();
        expect((await store.load()).headCounter).toBe(2n ** 64n - 1n);
      });
    });

    test("says that it is marked when it is", async () => {
      await withStore(async (store) => {
        await store.marked();
        await store.accept(domainNamed("a", stored(1n)), pinNamed("a"), true);
        await store.marked();
        await Promise.all([store.remove("a" as TrustDomain), store.marked()]);
        await store.marked();
      });
    });

    test("is NOT_READY once it was closed", async () => {
      await withStore(async (store, reopen) => {
        await store.accept(domainNamed("a", stored(1n)), undefined, true);
        await store.close();
        const closed = { code: "NOT_READY" };
        await expect(store.load()).rejects.toMatchObject(closed);
        // What it wrote before and what it never saw, and again after it failed once.
        for (const each of ["a", "ab", "a"]) {
          const again = store.accept(domainNamed(each, stored(2n)), undefined, true);
          await expect(again).rejects.toMatchObject(closed);
        }
        await expect(store.stepsAbove("a" as TrustDomain, ZERO, 1)).rejects.toMatchObject(closed);
        await expect(store.history("a" as TrustDomain)).rejects.toMatchObject(closed);
        await expect(store.saveHeadCounter(1n)).rejects.toMatchObject(closed);
        const { domains } = await (await reopen()).load();
        expect(domains).toEqual([domainNamed("a", stored(1n))]);
      });
    });

    test("takes writes that nobody waited for in their order", async () => {
      await withStore(async (store) => {
        const sequences = Array.from({ length: 50 }, (_, index) => BigInt(index + 1));
        await Promise.all(
          sequences.map(async (sequence) => {
            await store.accept(domainNamed("a", stored(sequence)), undefined, sequence === 1n);
          }),
        );
        expect((await store.load()).domains[0]?.held).toEqual(stored(50n));
        expect(await store.stepsAbove("a" as TrustDomain, ZERO, 64)).toHaveLength(50);
      });
    });
  });
}
