/** The store over LevelDB on a real disk: the port's suite, then what a disk does to it. */
import { cp, readFile, readdir, rm, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as fc from "fast-check";
import { Level } from "level";
import { beforeAll, describe, expect, test } from "vitest";
import { concatBytes, fromHex, toHex } from "../../src/core/std/bytes.ts";
import { encodeCbor } from "../../src/core/std/cbor.ts";
import { sha256 } from "../../src/core/std/sha256.ts";
import { openRecordStore } from "../../src/store/level-record-store.ts";
import { META_KEY, domainKey, stepKey } from "../../src/store/store-key.ts";
import {
  domainNamed,
  pinNamed,
  recordStoreCompliance,
  stored,
} from "../compliance/record-store.ts";
import {
  ALPHA,
  OWN,
  type Told,
  ZERO,
  fill,
  flipBit,
  openedWith,
  storeFiles,
} from "./filled-store.ts";
import { makeTemporaryDirectory, temporaryDirectory } from "./temporary-directory.ts";

const DAMAGED = expect.objectContaining({ code: "STORE_DAMAGED" });

recordStoreCompliance("level", async () => {
  const { path, remove } = await makeTemporaryDirectory();
  return { open: async () => await openRecordStore(path), dispose: remove };
});

type Damage = (dataDir: string) => Promise<void>;

describe.each([
  ["its log, as a kill leaves it", 1],
  ["tables, as a restart leaves it", 2],
])("a store that lies in %s", (_, opens) => {
  let template = "";
  let whole: Told;
  let files: readonly string[] = [];

  beforeAll(async () => {
    const { path, remove } = await makeTemporaryDirectory();
    template = path;
    await fill(template);
    // Opening moves the log into tables, so what is read is a copy.
    const copy = await makeTemporaryDirectory();
    await cp(template, copy.path, { recursive: true });
    const told = await openedWith(copy.path);
    if (told instanceof Error) throw told;
    whole = told;
    await copy.remove();
    for (let open = 1; open < opens; open += 1) await openedWith(template);
    files = await storeFiles(template);
    return remove;
  });

  async function onCopy(use: (dataDir: string) => Promise<void>): Promise<void> {
    const { path, remove } = await makeTemporaryDirectory();
    try {
      await cp(template, path, { recursive: true });
      await use(path);
    } finally {
      await remove();
    }
  }

  /**
   * What a start may tell of a damage: nothing, as all is there; that the partner is missing, with its
   * version, and the own trust domain restored; or that a step record is damaged, which no start reads.
   */
  async function expectNoticed(damage: Damage): Promise<void> {
    await onCopy(async (dataDir) => {
      await damage(dataDir);
      const first = await openedWith(dataDir);
      const replaced: Told = {
        pins: [],
        held: whole.held.filter((each) => each.startsWith(OWN)),
        steps: [],
        missing: [`${ALPHA} 4`],
        quarantined: true,
        marksLost: false,
      };
      if (first instanceof Error) expect(first).toMatchObject({ details: { key: /^73/ } });
      else expect([whole, replaced]).toContainEqual(first);
      const again = await openedWith(dataDir); // Nothing is forgotten about it.
      if (first instanceof Error) expect(again).toEqual(DAMAGED);
      else expect(again).toEqual({ ...first, quarantined: false });
    });
  }

  /** Then an end that is lost without a trace cannot be told from the end: but that they are lost is. */
  async function expectNoticedWithoutMarks(damage: Damage): Promise<void> {
    await onCopy(async (dataDir) => {
      await damage(dataDir);
      await rm(join(dataDir, "marks"));
      const first = await openedWith(dataDir);
      if (!(first instanceof Error)) expect(first).toMatchObject({ marksLost: true, missing: [] });
      else {
        expect(first).toEqual(DAMAGED);
        expect(await openedWith(dataDir)).toEqual(DAMAGED);
      }
    });
  }

  const expectations = fc.constantFrom(expectNoticed, expectNoticed, expectNoticedWithoutMarks);

  /** A file by number, and how far into it. */
  const place = fc.tuple(
    fc.nat(),
    fc.nat(9_999).map((tenThousandths) => tenThousandths / 10_000),
  );

  test("is whole or replaced, whichever bit of whichever file is flipped", async () => {
    await fc.assert(
      fc.asyncProperty(place, fc.nat(7), expectations, async ([file, share], bit, expected) => {
        const name = files[file % files.length] ?? "";
        await expected(async (dataDir) => {
          await flipBit(join(dataDir, name), share, bit);
        });
      }),
      { numRuns: 40 },
    );
  });

  test("is whole or replaced, wherever its largest file has a flipped bit", async () => {
    const sizes = await Promise.all(
      files.map(async (name) => (await stat(join(template, name))).size),
    );
    const largest = files[sizes.indexOf(Math.max(...sizes))] ?? "";
    for (let share = 0.01; share < 1; share += 0.08) {
      await expectNoticed(async (dataDir) => await flipBit(join(dataDir, largest), share, 0));
    }
  });

  test("is whole or replaced, wherever whichever file is cut off", async () => {
    await fc.assert(
      fc.asyncProperty(place, expectations, async ([file, share], expected) => {
        await expected(async (dataDir) => {
          const path = join(dataDir, files[file % files.length] ?? "");
          await truncate(path, Math.floor(share * (await stat(path)).size));
        });
      }),
      { numRuns: 24 },
    );
  });

  test("is whole or replaced, whichever file is deleted", async () => {
    for (const file of files) {
      await expectNoticed(async (dataDir) => {
        await rm(join(dataDir, file));
      });
    }
  });
});

describe("a step record, which no start reads,", () => {
  test("is named where it is damaged when it is asked for, and nothing is repaired", async () => {
    const dataDir = await temporaryDirectory();
    const envelope = crypto.getRandomValues(new Uint8Array(20_000));
    const first = await openRecordStore(dataDir);
    await first.accept(domainNamed(ALPHA, stored(1n, { envelope })), pinNamed(ALPHA), true);
    await first.accept(domainNamed(ALPHA, stored(2n)), undefined, false);
    await first.close();
    await openedWith(dataDir);
    const table = (await storeFiles(dataDir)).find((name) => name.endsWith(".ldb")) ?? "";
    const path = join(dataDir, table);
    const written = await readFile(path);
    // Before it LevelDB has the trust domain's value, as it was when this record was held.
    await flipBit(path, (written.lastIndexOf(envelope) + 100) / written.length, 0);
    const bytes = await readFile(path);

    const store = await openRecordStore(dataDir);
    const damaged = { code: "STORE_DAMAGED", details: { key: toHex(stepKey(ALPHA, stored(1n))) } };
    await expect(store.stepsAbove(ALPHA, ZERO, 9)).rejects.toMatchObject(damaged);
    await expect(store.record(ALPHA, fromHex(stored(1n).recordId))).rejects.toMatchObject(damaged);
    expect(await store.stepsAbove(ALPHA, stored(1n), 9)).toEqual([stored(2n)]);
    expect(await store.history(ALPHA)).toHaveLength(2);
    await store.accept(domainNamed(ALPHA, stored(3n)), undefined, false);
    await store.close();
    expect(await readFile(path)).toEqual(bytes);
  });
});

describe("a data directory of a later version", () => {
  test("is refused with its format's number when the marks say so", async () => {
    const dataDir = await temporaryDirectory();
    await fill(dataDir);
    const bytes = encodeCbor([2, "of the future"]);
    await writeFile(join(dataDir, "marks"), concatBytes(bytes, sha256(bytes)));
    const refused = { code: "STORE_DAMAGED", advice: expect.stringContaining("format 2") };
    expect(await openedWith(dataDir)).toMatchObject(refused);
    expect(await readdir(dataDir)).toEqual(["marks", "store"]);
  });

  test.each([
    ["the store's own", META_KEY],
    ["a trust domain's", domainKey(ALPHA)],
  ])("is refused with its format's number when %s value says so", async (_, key) => {
    const dataDir = await temporaryDirectory();
    await fill(dataDir);
    const database = new Level<Uint8Array, Uint8Array>(join(dataDir, "store"), {
      keyEncoding: "view",
      valueEncoding: "view",
    });
    const bytes = encodeCbor([7, "of the future"]);
    await database.put(key, concatBytes(bytes, sha256(concatBytes(key, bytes))));
    await database.close();
    const refused = { code: "STORE_DAMAGED", advice: expect.stringContaining("format 7") };
    expect(await openedWith(dataDir)).toMatchObject(refused);
    expect(await readdir(dataDir)).toEqual(["marks", "store"]);
  });
});
