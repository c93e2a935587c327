/** What a start makes of a damaged store and of damaged marks: each damage with each, in a table. */
import { cp, mkdir, readdir, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Level } from "level";
import { beforeAll, describe, expect, test } from "vitest";
import { domainKey } from "../../src/store/store-key.ts";
import { ALPHA, OWN, type Told, fill, flipBit, openedWith, storeFiles } from "./filled-store.ts";
import { makeTemporaryDirectory, temporaryDirectory } from "./temporary-directory.ts";

type Damage = (dataDir: string) => Promise<void>;

const WHOLE: Told = {
  pins: [ALPHA],
  held: [`${OWN} 6`, `${ALPHA} 8`],
  steps: ["1", "2", "3", "4", "5", "6", "7", "8"],
  missing: [],
  quarantined: false,
  marksLost: false,
};
/** The own trust domain is restored, of the partner is known what is missing. */
const REPLACED: Told = {
  ...WHOLE,
  pins: [],
  held: [`${OWN} 6`],
  steps: [],
  missing: [`${ALPHA} 8`],
  quarantined: true,
};
const MARKS_LOST: Told = { ...WHOLE, marksLost: true };
/** Without marks nobody can tell that it was newer once. */
const OLDER: Told = {
  ...MARKS_LOST,
  held: [`${OWN} 2`, `${ALPHA} 4`],
  steps: ["1", "2", "3", "4"],
};
const DAMAGED = expect.objectContaining({ code: "STORE_DAMAGED" });

let template = "";
/** As it was four batches before. */
let older = "";
let other = "";

beforeAll(async () => {
  const made = await Promise.all([1, 2, 3].map(makeTemporaryDirectory));
  [template = "", older = "", other = ""] = made.map(({ path }) => path);
  await fill(template);
  await cp(template, older, { recursive: true });
  await fill(template, 5n);
  for (const from of [1n, 5n, 9n]) await fill(other, from); // It has more batches.
  await writeFile(join(template, "node.key"), "", { mode: 0o600 }); // No first start any more.
  return async () => void (await Promise.all(made.map(async ({ remove }) => await remove())));
});

const store = (dataDir: string): string => join(dataDir, "store");
const marks = (dataDir: string): string => join(dataDir, "marks");
const remove = async (path: string): Promise<void> => await rm(path, { recursive: true });
async function putBack(dataDir: string, from: string): Promise<void> {
  await remove(store(dataDir));
  await cp(store(from), store(dataDir), { recursive: true });
}
async function logOf(dataDir: string): Promise<string> {
  return join(dataDir, (await storeFiles(dataDir)).find((name) => name.endsWith(".log")) ?? "");
}

/** Past all checks. */
async function flipValue(dataDir: string): Promise<void> {
  const options = { keyEncoding: "view", valueEncoding: "view" } as const;
  const database = new Level<Uint8Array, Uint8Array>(store(dataDir), options);
  const value = Buffer.from((await database.get(domainKey(ALPHA))) ?? []);
  value.writeUInt8(value.readUInt8(300) ^ 1, 300);
  await database.put(domainKey(ALPHA), value);
  await database.close();
}

async function copyOf(...damages: readonly Damage[]): Promise<string> {
  const dataDir = await temporaryDirectory();
  await cp(template, dataDir, { recursive: true });
  for (const damage of damages) await damage(dataDir);
  return dataDir;
}

/** What is told at a start, without the envelopes' hashes. */
async function told(dataDir: string): Promise<Told | Error> {
  const found = await openedWith(dataDir);
  if (found instanceof Error) return found;
  const { held, steps, ...rest } = found;
  return { held: held.map(withoutHash), steps: steps.map(withoutHash), ...rest };
}

function withoutHash(text: string): string {
  return text.replace(/ [0-9a-f]{64}$/, "");
}

/** The store's damage; then what a start makes of it with good marks, and with none. */
const STORES: readonly [string, Damage, marked: Told, unmarked: unknown][] = [
  ["is as it was left", async () => {}, WHOLE, MARKS_LOST],
  ["lost CURRENT", async (dir) => await remove(join(store(dir), "CURRENT")), REPLACED, DAMAGED],
  [
    "has an empty CURRENT",
    async (dir) => await writeFile(join(store(dir), "CURRENT"), ""),
    REPLACED,
    DAMAGED,
  ],
  [
    "has a CURRENT of 1 GiB",
    async (dir) => await truncate(join(store(dir), "CURRENT"), 1_024 ** 3),
    REPLACED,
    DAMAGED,
  ],
  ["is gone", async (dir) => await remove(store(dir)), REPLACED, DAMAGED],
  [
    "is empty",
    async (dir) => {
      await remove(store(dir));
      await mkdir(store(dir), { mode: 0o700 });
    },
    REPLACED,
    DAMAGED,
  ],
  ["has a flipped bit", flipValue, REPLACED, DAMAGED],
  ["is an older copy", async (dir) => await putBack(dir, older), REPLACED, OLDER],
  [
    "is another daemon's",
    async (dir) => await putBack(dir, other),
    REPLACED,
    expect.objectContaining({ marksLost: true }),
  ],
  [
    "lost a batch in the middle of its log",
    async (dir) => {
      const path = await logOf(dir);
      await flipBit(path, 0.5, 3);
    },
    REPLACED,
    DAMAGED,
  ],
  [
    "lost the end of its log",
    async (dir) => await truncate(await logOf(dir), 70_000),
    REPLACED,
    expect.objectContaining({ marksLost: true }),
  ],
];

const MARKS: readonly [string, Damage][] = [
  ["lost", async (dir) => await remove(marks(dir))],
  ["empty", async (dir) => await writeFile(marks(dir), "")],
  ["cut off", async (dir) => await truncate(marks(dir), 1_000)],
  ["changed by a bit", async (dir) => await flipBit(marks(dir), 0.5, 3)],
  ["of 1 GiB", async (dir) => await truncate(marks(dir), 1_024 ** 3)],
];

describe("a start whose store", () => {
  test.each(STORES)("%s, and whose marks are good", async (_, damage, expected) => {
    const dataDir = await copyOf(damage);
    const before = await readdir(dataDir);
    expect(await told(dataDir)).toEqual(expected);
    const isKept = before.includes("store") && expected.quarantined;
    const kept = isKept ? await readdir(join(dataDir, "quarantine")) : [];
    expect(kept).toHaveLength(isKept ? 1 : 0);
    const around = ["marks", "node.key", ...(isKept ? ["quarantine"] : []), "store"];
    expect(await readdir(dataDir)).toEqual(around);
    // The next start says it once more, but for the store that was put away.
    expect(await told(dataDir)).toEqual({ ...expected, quarantined: false });
  });

  test.each(
    STORES.flatMap(([is, damage, , expected]) =>
      MARKS.map(([are, lose]) => [is, are, damage, lose, expected] as const),
    ),
  )("%s, and whose marks are %s", async (_, __, damage, lose, expected) => {
    const dataDir = await copyOf(damage, lose);
    const first = await told(dataDir);
    expect(first).toEqual(expected);
    const again = await told(dataDir);
    if (first instanceof Error) expect(again).toEqual(DAMAGED);
    else expect(again).toEqual({ ...first, marksLost: false });
  });
});
