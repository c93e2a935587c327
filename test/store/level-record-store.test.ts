/** The store over LevelDB on a real disk: the port's suite, then what a disk does to it. */
import { cp, readFile, readdir, rename, rm, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as fc from "fast-check";
import { Level } from "level";
import { beforeAll, describe, expect, test } from "vitest";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import { concatBytes, toHex, toUtf8 } from "../../src/core/std/bytes.ts";
import { encodeCbor } from "../../src/core/std/cbor.ts";
import { sha256, sha256Hex } from "../../src/core/std/sha256.ts";
import type { StoredRecord } from "../../src/ports/record-store.ts";
import { openRecordStore } from "../../src/store/level-record-store.ts";
import { META_KEY, domainKey } from "../../src/store/store-key.ts";
import {
  domainNamed,
  pinNamed,
  recordStoreCompliance,
  stored,
} from "../compliance/record-store.ts";
import { makeTemporaryDirectory, temporaryDirectory } from "./temporary-directory.ts";

const ALPHA = "alpha.test" as TrustDomain;
const ZERO = { epoch: 0, rev: 0, sequence: 0n };
const DAMAGED = expect.objectContaining({ code: "STORE_DAMAGED" });

recordStoreCompliance("level", async () => {
  const { path, remove } = await makeTemporaryDirectory();
  return { open: async () => await openRecordStore(path), dispose: remove };
});

/** Everything that the store gives, each record by its sequence and hash, or the fault instead. */
async function contentsOf(dataDir: string): Promise<unknown> {
  try {
    const store = await openRecordStore(dataDir);
    try {
      const { pins, domains } = await store.load();
      const steps = await store.stepsAbove(ALPHA, ZERO, 64);
      const held = domains.map((each) => [each.trustDomain, short(each.held), short(each.base)]);
      return { pins, held, steps: steps.map(short) };
    } finally {
      await store.close();
    }
  } catch (error) {
    return error;
  }
}

function short(record: StoredRecord | undefined): string | undefined {
  return record && `${record.sequence} ${sha256Hex(record.envelope)}`;
}

/**
 * Five batches of bytes that do not compress, so that LevelDB keeps them as they are, over many
 * blocks of its log: a damaged block costs one batch in the middle and leaves those behind it.
 */
async function fill(dataDir: string): Promise<void> {
  const store = await openRecordStore(dataDir);
  const envelope = crypto.getRandomValues(new Uint8Array(20_000));
  for (let sequence = 1n; sequence <= 4n; sequence += 1n) {
    const base = sequence === 1n ? undefined : stored(sequence - 1n);
    await store.accept(domainNamed(ALPHA, stored(sequence, { envelope }), base), pinNamed(ALPHA));
    if (sequence === 2n) await store.accept(domainNamed("b", stored(1n, { envelope })), undefined);
  }
  await store.close();
}

async function flipBit(path: string, share: number, bit: number): Promise<void> {
  const bytes = await readFile(path);
  const offset = Math.floor(share * bytes.length);
  bytes.writeUInt8(bytes.readUInt8(offset) ^ (1 << bit), offset);
  await writeFile(path, bytes);
}

/** The files that hold something; LevelDB's lock and its own diary do not count. */
async function storeFiles(dataDir: string): Promise<readonly string[]> {
  const files = ["FORMAT"];
  for (const name of (await readdir(join(dataDir, "store"))).sort()) {
    const isData = !/^LO(?:CK|G|G\.old)$/.test(name);
    if (isData && (await stat(join(dataDir, "store", name))).size > 0) {
      files.push(join("store", name));
    }
  }
  return files;
}

describe.each([
  ["its log, as a kill leaves it", 1],
  ["tables, as a restart leaves it", 2],
])("a store that lies in %s", (_, opens) => {
  let template = "";
  let whole: unknown;
  let files: readonly string[] = [];

  beforeAll(async () => {
    const { path, remove } = await makeTemporaryDirectory();
    template = path;
    await fill(template);
    // Opening moves the log into tables, so what is read is a copy.
    const copy = await makeTemporaryDirectory();
    await cp(template, copy.path, { recursive: true });
    whole = await contentsOf(copy.path);
    await copy.remove();
    for (let open = 1; open < opens; open += 1) await contentsOf(template);
    files = await storeFiles(template);
    return remove;
  });

  /** Damages one file of a copy; what comes back must be all that was written, or STORE_DAMAGED. */
  async function expectNoticed(damage: (dataDir: string) => Promise<void>): Promise<void> {
    const { path, remove } = await makeTemporaryDirectory();
    try {
      await cp(template, path, { recursive: true });
      await damage(path);
      const first = await contentsOf(path);
      expect([whole, DAMAGED]).toContainEqual(first);
      // Nothing was repaired meanwhile, and nothing is forgotten about the damage.
      if (first instanceof Error) expect(await contentsOf(path)).toEqual(DAMAGED);
    } finally {
      await remove();
    }
  }

  /** A file by number, and how far into it. */
  const place = fc.tuple(
    fc.nat(),
    fc.nat(9_999).map((tenThousandths) => tenThousandths / 10_000),
  );

  test("is whole or refused, whichever bit of whichever file is flipped", async () => {
    await fc.assert(
      fc.asyncProperty(place, fc.nat(7), async ([file, share], bit) => {
        const name = files[file % files.length] ?? "";
        await expectNoticed(async (dataDir) => {
          await flipBit(join(dataDir, name), share, bit);
        });
      }),
      { numRuns: 120 },
    );
  });

  test("is whole or refused, wherever its largest file has a flipped bit", async () => {
    const sizes = await Promise.all(
      files.map(async (name) => (await stat(join(template, name))).size),
    );
    const largest = files[sizes.indexOf(Math.max(...sizes))] ?? "";
    for (let share = 0.01; share < 1; share += 0.03) {
      await expectNoticed(async (dataDir) => await flipBit(join(dataDir, largest), share, 0));
    }
  });

  test("is whole or refused, wherever whichever file is cut off", async () => {
    await fc.assert(
      fc.asyncProperty(place, async ([file, share]) => {
        await expectNoticed(async (dataDir) => {
          const path = join(dataDir, files[file % files.length] ?? "");
          await truncate(path, Math.floor(share * (await stat(path)).size));
        });
      }),
      { numRuns: 60 },
    );
  });

  test("is whole or refused, whichever file is deleted", async () => {
    for (const file of files) {
      await expectNoticed(async (dataDir) => {
        await rm(join(dataDir, file));
      });
    }
  });
});

describe("a damaged store", () => {
  test("names the key of the value whose bit flipped, and stays as it is", async () => {
    const dataDir = await temporaryDirectory();
    const store = await openRecordStore(dataDir);
    const envelope = crypto.getRandomValues(new Uint8Array(600));
    await store.accept(domainNamed(ALPHA, stored(1n, { envelope })), pinNamed(ALPHA));
    await store.close();
    await contentsOf(dataDir);
    const table = (await storeFiles(dataDir)).find((name) => name.endsWith(".ldb")) ?? "";
    const path = join(dataDir, table);
    const written = await readFile(path);
    await flipBit(path, (written.indexOf(envelope) + 100) / written.length, 0);
    const bytes = await readFile(path);

    expect(await contentsOf(dataDir)).toMatchObject({
      code: "STORE_DAMAGED",
      details: { key: toHex(domainKey(ALPHA)) },
    });
    const again = await openRecordStore(dataDir);
    await expect(again.accept(domainNamed(ALPHA, stored(2n)), undefined)).rejects.toEqual(DAMAGED);
    await again.close();
    expect(await readFile(path)).toEqual(bytes);
  });

  test.each<[string, (dataDir: string, other: string) => Promise<void>]>([
    ["CURRENT is deleted", async (dir) => await rm(join(dir, "store", "CURRENT"))],
    ["the store is deleted", async (dir) => await rm(join(dir, "store"), { recursive: true })],
    [
      "the store of another daemon stands in its place",
      async (dir, other) => {
        await rm(join(dir, "store"), { recursive: true });
        await cp(join(other, "store"), join(dir, "store"), { recursive: true });
      },
    ],
    [
      "store and FORMAT are gone and a node key is there",
      async (dir) => {
        await rm(join(dir, "store"), { recursive: true });
        await rename(join(dir, "FORMAT"), join(dir, "node.key"));
      },
    ],
    ["FORMAT is empty", async (dir) => await writeFile(join(dir, "FORMAT"), "")],
  ])("is refused when %s", async (_, damage) => {
    const [dataDir, other] = [await temporaryDirectory(), await temporaryDirectory()];
    await fill(dataDir);
    await fill(other);
    await damage(dataDir, other);
    expect(await contentsOf(dataDir)).toEqual(DAMAGED);
    expect(await contentsOf(dataDir)).toEqual(DAMAGED);
  });

  test("is refused when an older copy of it is put back", async () => {
    const dataDir = await temporaryDirectory();
    await fill(dataDir);
    const older = join(await temporaryDirectory(), "store");
    await cp(join(dataDir, "store"), older, { recursive: true });
    await fill(dataDir);
    await rm(join(dataDir, "store"), { recursive: true });
    await cp(older, join(dataDir, "store"), { recursive: true });
    expect(await contentsOf(dataDir)).toEqual(DAMAGED);
  });

  test("that lost only FORMAT gets a new one", async () => {
    const dataDir = await temporaryDirectory();
    await fill(dataDir);
    await rm(join(dataDir, "FORMAT"));
    expect(await contentsOf(dataDir)).toMatchObject({ pins: [pinNamed(ALPHA)] });
    expect(await readFile(join(dataDir, "FORMAT"), "utf8")).toMatch(/^format 1\nstore /);
  });
});

describe("a data directory of a later version", () => {
  test("is refused with its format's number when FORMAT says so", async () => {
    const dataDir = await temporaryDirectory();
    await fill(dataDir);
    const body = "format 2\nwhatever\n";
    await writeFile(join(dataDir, "FORMAT"), `${body}sha256 ${sha256Hex(toUtf8(body))}\n`);
    const refused = { code: "STORE_DAMAGED", advice: expect.stringContaining("format 2") };
    expect(await contentsOf(dataDir)).toMatchObject(refused);
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
    expect(await contentsOf(dataDir)).toMatchObject(refused);
  });
});
