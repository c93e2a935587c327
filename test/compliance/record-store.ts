/**
 * What every `RecordStore` does, whatever it stands on: run by test/store over level, and by
 * whoever brings another one.
 */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Pin } from "../../src/core/mesh/partner.ts";
import { compareVersions } from "../../src/core/record/state.ts";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import type { RecordStore, StoredDomain, StoredRecord } from "../../src/ports/record-store.ts";

/** A store that can be closed and opened again on what it left. */
export interface StoreUnderTest {
  open(): Promise<RecordStore>;
  dispose(): Promise<void>;
}

const STEPS_KEPT = 64;
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
  base?: StoredRecord,
  sibling?: StoredRecord,
): StoredDomain {
  return { trustDomain: name as TrustDomain, held, base, sibling };
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
  { weight: 1, arbitrary: fc.constant({ kind: "first" as const }) },
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
            for (const [domainName, order] of orders) {
              const before = model.get(domainName);
              if (order.kind === "reopen") store = await reopen();
              else if (order.kind === "remove") {
                await store.remove(domainName as TrustDomain);
                model.delete(domainName);
              } else {
                const held = order.kind === "first" ? stored(5n) : order.held;
                const base = order.kind === "first" ? undefined : stored(1n);
                const domain = domainNamed(domainName, held, base);
                await store.accept(domain, pinNamed(domainName));
                const below = base === undefined ? [] : (before?.steps ?? []);
                const steps = below.filter((step) => compareVersions(step, held) < 0);
                model.set(domainName, { domain, steps: [...steps, held] });
              }
            }
            const { pins, domains } = await store.load();
            const held = [...model.values()].map(({ domain }) => domain);
            expect(new Set(domains)).toEqual(new Set(held));
            expect(new Set(pins)).toEqual(new Set([...model.keys()].map((each) => pinNamed(each))));
            for (const [domainName, { steps }] of model) {
              const above = steps[0] ?? ZERO;
              const found = await store.stepsAbove(domainName as TrustDomain, above, 64);
              expect(found).toEqual(steps.slice(1));
            }
          });
        }),
        { numRuns: RUNS },
      );
    });

    test.each(AWKWARD_NAMES)("keeps a trust domain named %s", async (domainName) => {
      await withStore(async (first, reopen) => {
        const domain = domainNamed(domainName, stored(2n), stored(1n), stored(2n, { rev: 0 }));
        await first.accept(domain, pinNamed(domainName));
        const store = await reopen();
        const { pins, domains } = await store.load();
        expect(domains).toEqual([domain]);
        expect(pins).toEqual([pinNamed(domainName)]);
        expect(await store.stepsAbove(domain.trustDomain, ZERO, 64)).toEqual([domain.held]);
        await store.remove(domain.trustDomain);
        expect(await store.load()).toEqual({ pins: [], domains: [] });
      });
    });

    test("keeps the pin that is there when none is given, and replaces it when one is", async () => {
      await withStore(async (store) => {
        await store.accept(domainNamed("a", stored(1n)), pinNamed("a"));
        await store.accept(domainNamed("a", stored(2n), stored(1n)), undefined);
        expect((await store.load()).pins).toEqual([pinNamed("a")]);
        const changed = pinNamed("a", { awaitedRecordId: "cd".repeat(32), addressHints: [] });
        await store.accept(domainNamed("a", stored(2n), stored(1n)), changed);
        expect((await store.load()).pins).toEqual([changed]);
        for (const pin of [changed, pinNamed("a"), pinNamed("a"), changed]) {
          for (const sequence of [3n, 4n]) {
            await store.accept(domainNamed("a", stored(sequence), stored(2n)), pin);
            expect((await store.load()).pins).toEqual([pin]);
          }
        }
        await store.remove("a" as TrustDomain);
        await store.accept(domainNamed("a", stored(1n)), changed);
        expect((await store.load()).pins).toEqual([changed]);
      });
    });

    test("keeps the first 64 address hints, and none that no address can be", async () => {
      await withStore(async (store) => {
        const good = Array.from({ length: 70 }, (_, port) => `/ip4/192.0.2.1/tcp/${port}`);
        const addressHints = ["", "/dns4/\u202e", "/dns4/".padEnd(600, "x"), ...good];
        await store.accept(domainNamed("a", stored(1n)), pinNamed("a", { addressHints }));
        expect((await store.load()).pins[0]?.addressHints).toEqual(good.slice(0, 64));
      });
    });

    test("removes one trust domain and leaves those whose name starts alike", async () => {
      await withStore(async (store) => {
        for (const each of ["a", "ab", "abc"]) {
          await store.accept(domainNamed(each, stored(1n)), pinNamed(each));
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
        let base: StoredRecord | undefined;
        for (const held of versions) {
          await store.accept(domainNamed("a", held, base), undefined);
          base = held;
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
          const base = sequence === 1n ? undefined : stored(sequence - 1n);
          await store.accept(domainNamed("a", stored(sequence), base), undefined);
        }
        const steps = await store.stepsAbove("a" as TrustDomain, ZERO, 1_000);
        expect(steps).toHaveLength(STEPS_KEPT);
        expect(steps[0]?.sequence).toBe(7n);
        expect(steps.at(-1)?.sequence).toBe(70n);
      });
    });

    test("keeps at most 4 MiB of step records, the latest ones", async () => {
      await withStore(async (store) => {
        const envelope = new Uint8Array(128 * 1024).fill(9);
        for (let sequence = 1n; sequence <= 40n; sequence += 1n) {
          const base = sequence === 1n ? undefined : stored(1n);
          await store.accept(domainNamed("a", stored(sequence, { envelope }), base), undefined);
        }
        const steps = await store.stepsAbove("a" as TrustDomain, ZERO, 1_000);
        const bytes = steps.reduce((total, step) => total + step.envelope.length, 0);
        expect(bytes).toBe(STEP_BYTES_KEPT);
        expect(steps.at(-1)?.sequence).toBe(40n);
      });
    });

    test("keeps what it holds of more trust domains than one remembers, written in turns", async () => {
      await withStore(async (first, reopen) => {
        const names = Array.from({ length: 100 }, (_, index) => `td-${index}`);
        const orders = [1n, 2n, 3n].flatMap((sequence) =>
          names.map((each) => ({ each, sequence })),
        );
        for (const { each, sequence } of orders) {
          const base = sequence === 1n ? undefined : stored(sequence - 1n);
          const pin = pinNamed(each, { approvedAtMs: Number(sequence) });
          await first.accept(domainNamed(each, stored(sequence), base), pin);
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
        await store.accept(domainNamed("a", stored(50n)), undefined);
        await store.accept(domainNamed("a", stored(51n), stored(50n)), undefined);
        await store.accept(domainNamed("a", stored(70n)), undefined);
        expect(await store.stepsAbove("a" as TrustDomain, ZERO, 64)).toEqual([stored(70n)]);
      });
    });

    test("is NOT_READY once it was closed", async () => {
      await withStore(async (store, reopen) => {
        await store.accept(domainNamed("a", stored(1n)), undefined);
        await store.close();
        const closed = { code: "NOT_READY" };
        await expect(store.load()).rejects.toMatchObject(closed);
        // What it wrote before and what it never saw, and again after it failed once.
        for (const each of ["a", "ab", "a"]) {
          const again = store.accept(domainNamed(each, stored(2n)), undefined);
          await expect(again).rejects.toMatchObject(closed);
        }
        await expect(store.stepsAbove("a" as TrustDomain, ZERO, 1)).rejects.toMatchObject(closed);
        const { domains } = await (await reopen()).load();
        expect(domains).toEqual([domainNamed("a", stored(1n))]);
      });
    });

    test("takes writes that nobody waited for in their order", async () => {
      await withStore(async (store) => {
        const sequences = Array.from({ length: 50 }, (_, index) => BigInt(index + 1));
        await Promise.all(
          sequences.map(async (sequence) => {
            const base = sequence === 1n ? undefined : stored(1n);
            await store.accept(domainNamed("a", stored(sequence), base), undefined);
          }),
        );
        expect((await store.load()).domains[0]?.held).toEqual(stored(50n));
        expect(await store.stepsAbove("a" as TrustDomain, ZERO, 64)).toHaveLength(50);
      });
    });
  });
}
