/** A store that was lost: what a start restores, what it says is missing, and that it ends well wherever it is cut off. */
import { cp, mkdir, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as fc from "fast-check";
import { Level } from "level";
import { beforeEach, describe, expect, test } from "vitest";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import type { StoredContents, StoredDomain } from "../../src/ports/record-store.ts";
import { openRecordStore } from "../../src/store/level-record-store.ts";
import { readMarks, writeMarks } from "../../src/store/marks-file.ts";
import { domainNamed, pinNamed, stored } from "../compliance/record-store.ts";
import { ALPHA, OWN } from "./filled-store.ts";
import { roomForBatches } from "./room-for-batches.ts";
import { makeTemporaryDirectory, temporaryDirectory } from "./temporary-directory.ts";

const BRAVO = "bravo.test" as TrustDomain;
const NOW_MS = Date.UTC(2026, 10, 22, 3, 4, 5, 678);
const own = domainNamed(OWN, stored(7n), {
  sibling: stored(7n, { recordId: "ee".repeat(32) }),
  frame: new Uint8Array(100).fill(9),
});
const pinnedAlpha = pinNamed(ALPHA, { awaitedRecordId: "cd".repeat(32) });

let dataDir = "";
const store = (): string => join(dataDir, "store");

beforeEach(async () => {
  dataDir = await temporaryDirectory();
  const first = await openRecordStore(dataDir);
  await first.accept(domainNamed(ALPHA, stored(3n)), pinnedAlpha, true);
  await first.accept(domainNamed(ALPHA, stored(4n)), undefined, false);
  await first.accept(own, undefined, true);
  await first.saveHeadCounter(1_790_000_000_123n);
  await first.close();
});

async function opened(path = dataDir): Promise<StoredContents> {
  const again = await openRecordStore(path, { nowMs: () => NOW_MS });
  try {
    return await again.load();
  } finally {
    await again.close();
  }
}

const MISSING_ALPHA = {
  trustDomain: ALPHA,
  lineage: "0a".repeat(32),
  epoch: 0,
  rev: 0,
  sequence: 4n,
  recordId: stored(4n).recordId,
  baseId: stored(3n).recordId,
  nodes: [new Uint8Array(32).fill(5)],
  pin: pinnedAlpha,
};

describe("a store that was lost", () => {
  test("is known by its marks: the own trust domain whole, partners by version, id and pin", async () => {
    await rm(join(store(), "CURRENT"));
    const place = join(dataDir, "quarantine", "20261122T030405.678Z");
    expect(await opened()).toEqual({
      pins: [],
      domains: [own],
      headCounter: 1_790_000_000_123n,
      missing: [MISSING_ALPHA],
      quarantined: expect.stringMatching(`; it lies in ${place}$`),
      marksLost: false,
    });
    expect(await readdir(place)).toContain("LOG");
    expect(await opened()).toMatchObject({ missing: [MISSING_ALPHA], quarantined: undefined });
  });

  test("misses a trust domain until it is accepted again, or forgotten", async () => {
    const before = await openRecordStore(dataDir);
    await before.accept(domainNamed(BRAVO, stored(1n)), pinNamed(BRAVO), true);
    await before.close();
    await rm(store(), { recursive: true });
    const again = await openRecordStore(dataDir);
    expect((await again.load()).missing.map((each) => each.trustDomain)).toEqual([ALPHA, BRAVO]);
    await again.remove(BRAVO);
    expect((await again.load()).missing).toEqual([MISSING_ALPHA]);
    await again.accept(domainNamed(ALPHA, stored(4n)), pinnedAlpha, true);
    expect((await again.load()).missing).toEqual([]);
    await again.close();
    expect(await opened()).toMatchObject({ missing: [], pins: [pinnedAlpha] });
  });

  test("never takes less than the mark as a next version", async () => {
    await rm(store(), { recursive: true });
    const again = await openRecordStore(dataDir);
    const lower = again.accept(domainNamed(ALPHA, stored(3n)), pinnedAlpha, false);
    await expect(lower).rejects.toThrow("the version falls only where it starts anew");
    expect((await again.load()).missing).toEqual([MISSING_ALPHA]);
    await again.close();
  });

  test("takes another lineage from whoever begins anew, and a restart right then keeps it", async () => {
    const again = await openRecordStore(dataDir);
    await again.marked();
    const marks = await readFile(join(dataDir, "marks"));
    const other = domainNamed(ALPHA, stored(1n), { lineage: "0b".repeat(32) });
    await again.accept(other, undefined, true);
    await again.close();
    await writeFile(join(dataDir, "marks"), marks); // As if the kill came before the marks followed.
    const { domains, missing } = await opened();
    expect(domains.find(({ trustDomain }) => trustDomain === ALPHA)).toEqual(other);
    expect(missing).toEqual([]);
  });

  test("is put away four times; the fifth is refused, and stays where it is", async () => {
    for (let loss = 1; loss <= 4; loss += 1) {
      await rm(join(store(), "CURRENT"));
      expect(await opened()).toMatchObject({ quarantined: expect.any(String), domains: [own] });
      expect(await readdir(join(dataDir, "quarantine"))).toHaveLength(loss); // At one moment, too.
    }
    await rm(join(store(), "CURRENT"));
    const refused = { code: "STORE_DAMAGED", advice: expect.stringContaining("quarantine") };
    for (let start = 1; start <= 2; start += 1) {
      await expect(opened()).rejects.toMatchObject(refused);
    }
    expect(await readdir(join(dataDir, "quarantine"))).toHaveLength(4);
    expect(await readdir(store())).toContain("LOG");
    await rm(join(dataDir, "quarantine"), { recursive: true });
    expect(await opened()).toMatchObject({ missing: [MISSING_ALPHA] });
  });
});

async function missingAfterLoss(): Promise<unknown> {
  await rm(store(), { recursive: true });
  return (await opened()).missing.map(({ sequence }) => sequence);
}

describe("the marks of a store", () => {
  test("are brought up at the start when a kill left them behind", async () => {
    const marks = await readFile(join(dataDir, "marks"));
    const before = await openRecordStore(dataDir);
    await before.accept(domainNamed(ALPHA, stored(5n)), undefined, false);
    await before.close();
    const newest = await readMarks(dataDir);
    await writeFile(join(dataDir, "marks"), marks);
    const again = await openRecordStore(dataDir);
    expect((await again.load()).missing).toEqual([]);
    await again.marked();
    await again.close();
    expect(await readMarks(dataDir)).toEqual(newest);
    expect(await missingAfterLoss()).toEqual([5n]);
  });

  test("are not written at a start that finds them right", async () => {
    const { ino } = await stat(join(dataDir, "marks"));
    await opened();
    expect((await stat(join(dataDir, "marks"))).ino).toBe(ino);
  });

  test("lose a trust domain before the store does: a kill in between forgets nothing else", async () => {
    const again = await openRecordStore(dataDir);
    const copies: string[] = [];
    const makeRoom = roomForBatches(1, async () => {
      const copy = await temporaryDirectory();
      await cp(dataDir, copy, { recursive: true });
      copies.push(copy);
    });
    await again.remove(ALPHA);
    makeRoom();
    const [copy = ""] = copies;
    const found = await readMarks(copy);
    expect(found.kind === "good" && [...found.marks.entries.keys()]).toEqual([OWN]);
    const { domains, missing, quarantined } = await opened(copy);
    expect(domains.map(({ trustDomain }) => trustDomain)).toContain(ALPHA);
    expect([missing, quarantined]).toEqual([[], undefined]);
    await again.close();
    expect(await missingAfterLoss()).toEqual([]);
  });

  test("name it again when it could not be removed", async () => {
    const again = await openRecordStore(dataDir);
    const makeRoom = roomForBatches(0);
    await expect(again.remove(ALPHA)).rejects.toMatchObject({ code: "STORE_FULL" });
    makeRoom();
    await again.marked();
    await again.close();
    expect(await missingAfterLoss()).toEqual([4n]);
  });

  test("keep what a refused write found", async () => {
    const again = await openRecordStore(dataDir);
    const makeRoom = roomForBatches(0);
    const write = again.accept(domainNamed(ALPHA, stored(5n)), undefined, false);
    await expect(write).rejects.toMatchObject({ code: "STORE_FULL" });
    makeRoom();
    await again.marked();
    await again.close();
    expect(await missingAfterLoss()).toEqual([4n]);
  });
});

async function newId(): Promise<void> {
  const found = await readMarks(dataDir);
  if (found.kind !== "good") throw new Error("marks are good");
  const storeId = new Uint8Array(16).fill(1);
  await writeMarks(dataDir, { ...found.marks, storeId, writes: 0n });
}

describe("a start that replaces a lost store and is cut off", () => {
  const restored = { domains: [own], missing: [MISSING_ALPHA], headCounter: 1_790_000_000_123n };
  test.each<[string, () => Promise<void>]>([
    ["when the old one is put away", async () => {}],
    ["when the marks name the new one", newId],
    [
      "when the new one has a directory",
      async () => {
        await newId();
        await mkdir(store(), { mode: 0o700 });
        await writeFile(join(store(), "LOCK"), "");
      },
    ],
    [
      "when the new one has no value yet",
      async () => {
        await newId();
        const database = new Level(store());
        await database.open();
        await database.close();
      },
    ],
  ])("%s ends as if it was not", async (_, reach) => {
    await mkdir(join(dataDir, "quarantine"), { mode: 0o700 });
    await rm(store(), { recursive: true });
    await reach();
    expect(await opened()).toMatchObject(restored);
    expect(await readdir(join(dataDir, "quarantine"))).toEqual([]);
    expect(await opened()).toMatchObject(restored);
  });

  test("by a full disk before the own trust domain is restored, ends as if it was not", async () => {
    await rm(store(), { recursive: true });
    for (const batches of [0, 1]) {
      const makeRoom = roomForBatches(batches);
      await expect(opened()).rejects.toMatchObject({ code: "STORE_FULL" });
      makeRoom();
    }
    expect(await opened()).toMatchObject(restored);
    expect(await readdir(dataDir)).toEqual(["marks", "store"]); // None of them was put away.
  });
});

/** What a daemon does between two moments at which its disk is copied. */
const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("accept" as const), name: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("remove" as const), name: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("copy" as const), name: fc.constant(0) }) },
);

describe("an older copy of the store beside newer marks", () => {
  test("is never taken for the newest: each version that was marked is held or missing", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 14 }), async (steps) => {
        const made = await Promise.all([1, 2].map(makeTemporaryDirectory));
        const [path = "", copy = ""] = made.map((each) => each.path);
        try {
          const held = new Map<TrustDomain, StoredDomain>();
          let changes = 0;
          let isCopied = false;
          let writing = await openRecordStore(path);
          for (const [index, { kind, name }] of steps.entries()) {
            const trustDomain = `domain-${name}.test` as TrustDomain;
            if (kind === "copy") {
              await writing.close();
              await cp(join(path, "store"), join(copy, "store"), { recursive: true, force: true });
              [changes, isCopied] = [0, true];
              writing = await openRecordStore(path);
            } else if (kind === "remove") {
              await writing.remove(trustDomain);
              held.delete(trustDomain);
              changes += 1;
            } else {
              const domain = domainNamed(trustDomain, stored(BigInt(index)));
              await writing.accept(domain, pinNamed(trustDomain), !held.has(trustDomain));
              held.set(trustDomain, domain);
              changes += 1;
            }
          }
          await writing.marked();
          await writing.close();
          await rm(join(path, "store"), { recursive: true });
          if (isCopied) await cp(join(copy, "store"), join(path, "store"), { recursive: true });

          const { domains, missing, quarantined } = await opened(path);
          const isWhole = isCopied && changes === 0;
          expect(quarantined === undefined).toBe(isWhole);
          expect(new Set(domains)).toEqual(new Set(isWhole ? held.values() : []));
          const missed = isWhole ? [] : [...held.values()];
          expect(new Set(missing.map(({ recordId }) => recordId))).toEqual(
            new Set(missed.map((domain) => domain.held.recordId)),
          );
        } finally {
          await Promise.all(made.map(async ({ remove }) => await remove()));
        }
      }),
      { numRuns: 25 },
    );
  });
});
