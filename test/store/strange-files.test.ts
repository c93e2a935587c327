/** What else than the daemon's own files may lie in data_dir, and values that it never wrote. */
import { randomBytes } from "node:crypto";
import {
  cp,
  mkdir,
  readFile,
  readdir,
  rename,
  rm,
  rmdir,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { Level } from "level";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import type { RecordStore } from "../../src/ports/record-store.ts";
import { openRecordStore } from "../../src/store/level-record-store.ts";
import { META_KEY, domainKey, stepKey } from "../../src/store/store-key.ts";
import { domainNamed, pinNamed, stored } from "../compliance/record-store.ts";
import { IMPOSTORS } from "../private-files/impostors.ts";
import { temporaryDirectory } from "./temporary-directory.ts";

const ALPHA = "alpha.test" as TrustDomain;
const BRAVO = "bravo.test" as TrustDomain;
const ZERO = { epoch: 0, rev: 0, sequence: 0n };
const FULL = expect.objectContaining({ code: "STORE_FULL" });
const DAMAGED = expect.objectContaining({ code: "STORE_DAMAGED" });
/** Waiting for a pipe takes longer; LevelDB moving 64 MiB into a table took 5 s on a busy machine. */
const QUICK_MS = 20_000;
/** One write of the marks takes less time than so many batches. */
const WRITES_MAX = 1_000n;

let dataDir: string;

beforeEach(async () => {
  dataDir = await temporaryDirectory();
  const store = await openRecordStore(dataDir);
  await store.accept(domainNamed(ALPHA, stored(1n)), pinNamed(ALPHA), true);
  await store.close();
});

/** The file without which LevelDB opens nothing, and where a test puts it meanwhile. */
const current = () => join(dataDir, "store", "CURRENT");
const aside = () => join(dataDir, "store", "CURRENT.aside");

/** Opens and loads, as a start does. */
async function open(path = dataDir): Promise<unknown> {
  const startMs = performance.now();
  try {
    const store = await openRecordStore(path);
    try {
      return await store.load();
    } finally {
      await store.close();
    }
  } catch (error) {
    expect(performance.now() - startMs).toBeLessThan(QUICK_MS);
    return error;
  }
}

/** Opens and loads what a crash at this moment would leave. */
async function afterCrash(): Promise<unknown> {
  const copy = await temporaryDirectory();
  await cp(dataDir, copy, { recursive: true });
  return await open(copy);
}

/** LevelDB itself, past all checks. */
async function tamper(change: (database: Level<Uint8Array, Uint8Array>) => Promise<void>) {
  const options = { keyEncoding: "view", valueEncoding: "view" } as const;
  const database = new Level<Uint8Array, Uint8Array>(join(dataDir, "store"), options);
  await change(database);
  await database.close();
}

interface Batching extends Pick<Level<Uint8Array, Uint8Array>, "getMany" | "snapshot"> {
  batch(operations: [], options: { sync: true }): Promise<void>;
}

/**
 * The next batch is in the log when it fails, as when fdatasync(2) does after write(2), and is not
 * among what is read before LevelDB is opened again.
 */
function failNextSync(then = async () => {}): void {
  const prototype: Batching = Level.prototype;
  const spy = vi.spyOn(prototype, "batch");
  onTestFinished(() => {
    spy.mockRestore();
  });
  spy.mockImplementationOnce(async function (this: Batching, operations, options) {
    spy.mockRestore();
    const snapshot = this.snapshot();
    const getMany = this.getMany.bind(this);
    vi.spyOn(this, "getMany").mockImplementation(async (keys) => await getMany(keys, { snapshot }));
    await this.batch(operations, options);
    await then();
    throw new Error("IO error: No space left on device");
  });
}

describe("the store", () => {
  const places = ["marks", "store/LOCK", "store/CURRENT", "store/LOG"];

  test.each(places.flatMap((name) => IMPOSTORS.map(({ is, make }) => ({ name, is, make }))))(
    "is not opened where $name is $is",
    async ({ name, make }) => {
      await make(join(dataDir, name));
      expect(await open()).toEqual(DAMAGED);
      expect(await readdir(dataDir)).not.toContain("quarantine");
    },
  );

  test("is not opened through a link in its place", async () => {
    await rename(join(dataDir, "store"), join(dataDir, "elsewhere"));
    await symlink("elsewhere", join(dataDir, "store"));
    expect(await open()).toMatchObject({ code: "NOT_ALLOWED" });
  });

  test("replaces what an unfinished write of the marks left, a link too", async () => {
    const victim = join(dataDir, "victim");
    await writeFile(victim, "precious");
    await symlink(victim, join(dataDir, "marks.new"));
    const store = await openRecordStore(dataDir);
    await store.accept(domainNamed(ALPHA, stored(2n)), undefined, false);
    await store.close();
    expect(await readFile(victim, "utf8")).toBe("precious");
    expect((await stat(join(dataDir, "marks"))).mode & 0o7777).toBe(0o600);
  });

  test("refuses writes while the marks cannot follow, and takes the first one after", async () => {
    const store = await openRecordStore(dataDir);
    const accept = async (sequence: bigint): Promise<unknown> =>
      await store.accept(domainNamed(ALPHA, stored(sequence)), undefined, false).then(
        () => "accepted",
        (error: unknown) => error,
      );
    await mkdir(join(dataDir, "marks.new"));
    let sequence = 2n;
    while ((await accept(sequence)) === "accepted") {
      expect(sequence).toBeLessThan(WRITES_MAX); // It follows without being waited for.
      sequence += 1n;
    }
    for (let more = 0; more < 3; more += 1) expect(await accept(sequence)).toEqual(DAMAGED);
    await rmdir(join(dataDir, "marks.new"));
    expect(await accept(sequence)).toBe("accepted");
    await store.close();
    await rm(join(dataDir, "store"), { recursive: true });
    expect(await open()).toMatchObject({ missing: [{ sequence }] });
  });

  describe("whose write failed in its sync, but is in its log", () => {
    const before = { pins: [pinNamed(ALPHA)], domains: [{ held: { sequence: 2n } }] };
    const change = pinNamed(ALPHA, { addressHints: [] });
    const writes: [string, (store: RecordStore) => Promise<void>][] = [
      ["forget a trust domain", async (store) => await store.remove(ALPHA)],
      [
        "accept a record and a pin",
        async (store) => await store.accept(domainNamed(ALPHA, stored(3n)), change, false),
      ],
      [
        "accept a first record",
        async (store) => await store.accept(domainNamed(BRAVO, stored(1n)), undefined, true),
      ],
    ];
    let store: RecordStore;

    beforeEach(async () => {
      store = await openRecordStore(dataDir);
      await store.accept(domainNamed(ALPHA, stored(2n)), pinNamed(ALPHA), false);
    });
    afterEach(async () => await store.close());

    test.each(writes)("holds at once what it held, asked to %s", async (_, write) => {
      failNextSync();
      await expect(write(store)).rejects.toEqual(FULL);
      expect(await store.load()).toMatchObject(before);
      expect(await store.stepsAbove(ALPHA, ZERO, 9)).toEqual([stored(1n), stored(2n)]);
      expect(await afterCrash()).toMatchObject(before);
      await store.accept(domainNamed(ALPHA, stored(4n)), undefined, false);
      await store.close();
      const after = { pins: [pinNamed(ALPHA)], domains: [{ held: { sequence: 4n } }] };
      expect(await open()).toMatchObject(after);
    });

    describe("and that cannot be opened again", () => {
      beforeEach(() => failNextSync(async () => await rename(current(), aside())));

      test.each(writes)("holds what it held once it can, asked to %s", async (_, write) => {
        await expect(write(store)).rejects.toEqual(FULL);
        await expect(write(store)).rejects.toEqual(DAMAGED);
        await rename(aside(), current());
        await store.accept(domainNamed("charlie.test", stored(1n)), undefined, true);
        await store.remove("charlie.test" as TrustDomain);
        expect(await store.load()).toMatchObject(before);
        await store.close();
        expect(await open()).toMatchObject(before);
      });

      test.each(writes)("holds what it held after its close, asked to %s", async (_, write) => {
        await expect(write(store)).rejects.toEqual(FULL);
        await rename(aside(), current());
        await store.close();
        expect(await open()).toMatchObject(before);
      });

      test("is not opened by a write after its close", async () => {
        await expect(store.remove(ALPHA)).rejects.toEqual(FULL);
        await store.close();
        await rename(aside(), current());
        await expect(store.remove(ALPHA)).rejects.toMatchObject({ code: "NOT_READY" });
        const other = await openRecordStore(dataDir); // LevelDB's own lock is free.
        await other.close();
      });
    });
  });

  test.each(["store/000099.ldb", "store/000003.log", "node.key", "svids/x.pem"])(
    "is not made anew, nor is anything deleted, where %s says that there was one",
    async (left) => {
      await rm(join(dataDir, "marks"));
      for (const name of await readdir(join(dataDir, "store")))
        await rm(join(dataDir, "store", name));
      await mkdir(join(dataDir, left, ".."), { recursive: true });
      await writeFile(join(dataDir, left), "evidence");
      for (let start = 1; start <= 2; start += 1) expect(await open()).toEqual(DAMAGED);
      expect(await readFile(join(dataDir, left), "utf8")).toBe("evidence");
    },
  );
});

describe("a value that was not written by the daemon", () => {
  const key = domainKey(ALPHA);
  const valueOf = async (database: Level<Uint8Array, Uint8Array>) =>
    (await database.get(key)) ?? new Uint8Array();

  test.each<[string, (database: Level<Uint8Array, Uint8Array>) => Promise<void>]>([
    ["is cut off", async (db) => await db.put(key, (await valueOf(db)).subarray(0, -1))],
    ["is shorter than a hash", async (db) => await db.put(key, Uint8Array.of(1, 2, 3))],
    ["is empty", async (db) => await db.put(key, new Uint8Array())],
    ["is random", async (db) => await db.put(key, randomBytes(1_000))],
    ["has 64 MiB", async (db) => await db.put(key, new Uint8Array(64 * 1024 ** 2))],
    [
      "stands under another name",
      async (db) => await db.put(domainKey("bravo.test" as TrustDomain), await valueOf(db)),
    ],
    ["is gone", async (db) => await db.del(key)],
    ["has a key of no kind", async (db) => await db.put(Uint8Array.of(0x00), await valueOf(db))],
    ["has a key above all kinds", async (db) => await db.put(Uint8Array.of(0xff), randomBytes(9))],
    [
      "has a key that is no name",
      async (db) => await db.put(Buffer.from("d\x02A!"), randomBytes(9)),
    ],
    ["is the store's own, gone", async (db) => await db.del(META_KEY)],
  ])("is told as damage when it %s", async (_, change) => {
    await tamper(change);
    const copy = await temporaryDirectory();
    await cp(dataDir, copy, { recursive: true });
    await rm(join(copy, "marks"));
    for (let start = 1; start <= 2; start += 1) expect(await open(copy)).toEqual(DAMAGED);
    expect(await open()).toMatchObject({
      domains: [],
      missing: [{ trustDomain: ALPHA, recordId: stored(1n).recordId, pin: pinNamed(ALPHA) }],
      quarantined: expect.stringContaining(join(dataDir, "quarantine")),
    });
  });

  test("is told as damage when a step record is another's", async () => {
    await tamper(async (database) => {
      await database.put(stepKey(ALPHA, stored(1n)), await valueOf(database));
    });
    const store = await openRecordStore(dataDir);
    const nothing = { epoch: 0, rev: 0, sequence: 0n };
    await expect(store.stepsAbove(ALPHA, nothing, 9)).rejects.toEqual(DAMAGED);
    await store.close();
  });
});
