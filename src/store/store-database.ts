/** Opening the LevelDB below the store, and knowing whether it is the one that was left there. */
import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { Level } from "level";
import { toHex } from "../core/std/bytes.ts";
import { SHA256_BYTES } from "../core/std/sha256.ts";
import { Fault } from "../fault.ts";
import { checkPrivateDirectory } from "../private-files/private-directory.ts";
import { MARKER_NAME, type Marker, writeMarker } from "./format-marker.ts";
import { damagedValue } from "./store-fault.ts";
import { META_KEY } from "./store-key.ts";
import { type MetaValue, STORE_ID_BYTES, metaCodec, seal, unseal } from "./stored-value.ts";

export type Database = Level<Uint8Array, Uint8Array>;

export interface OpenedDatabase {
  readonly database: Database;
  /** What the store said about itself then. */
  readonly meta: MetaValue;
}

/** One key of a batch; a value of undefined deletes it. */
export interface Change {
  readonly key: Uint8Array;
  readonly value: Uint8Array | undefined;
}

/** The store itself, the fallback directory for sockets, a FORMAT cut short, and what mkfs leaves. */
const KNOWN_AT_FIRST_START = new Set(["store", "run", `${MARKER_NAME}.new`, "lost+found"]);
/** What a crash leaves of LevelDB's directory before it has ever held a value. */
const KNOWN_BEFORE_CURRENT = /^(?:LOCK|LOG|LOG\.old|MANIFEST-000001|000001\.dbtmp)$/;
/** LevelDB reads it whole; it names a manifest. A larger one is refused: STORE_DAMAGED. */
const CURRENT_BYTES_MAX = 64;
const DIRECTORY = "store";
/**
 * What LevelDB keeps in memory of writes, twice over at times, and of blocks read. It fills both before
 * it gives anything back: at 10 KiB a rotation a process grew for 7,000 of them with its own 4 and 8 MiB,
 * for 1,200 and to 8 MB less with these (measured). Above: written to a table, the oldest blocks go.
 */
const WRITE_BUFFER_BYTES = 256 * 1024;
const BLOCK_CACHE_BYTES = 512 * 1024;

/** Opens the store that FORMAT names. Throws `STORE_DAMAGED` when it is another, older or none. */
export async function openDatabase(dataDir: string, marker: Marker): Promise<OpenedDatabase> {
  // Without `createIfMissing`: LevelDB would make an empty store and delete the old one's files.
  return await opened(dataDir, { createIfMissing: false }, async (database) => {
    const meta = await readMeta(database);
    const found = asMarker(meta);
    if (found.storeId !== marker.storeId) {
      throw new Fault("STORE_DAMAGED", `The store in ${dataDir} is not the one that FORMAT names`);
    }
    if (found.writes < marker.writes) {
      const counts = `${found.writes} writes, but FORMAT says ${marker.writes}`;
      throw new Fault("STORE_DAMAGED", `The store in ${dataDir} went back: ${counts}`);
    }
    return { database, meta };
  });
}

/**
 * Opens it again behind a batch that failed, and takes that back where LevelDB replayed it from its
 * log. Throws as `openDatabase` does; what was acknowledged is all there, or it is `STORE_DAMAGED`.
 *
 * @param acknowledged What the store said about itself before that batch.
 */
export async function reopenDatabase(
  dataDir: string,
  acknowledged: MetaValue,
  undo: readonly Change[],
): Promise<Database> {
  const { database, meta } = await openDatabase(dataDir, asMarker(acknowledged));
  if (meta.writes === acknowledged.writes) return database;
  try {
    await writeBatch(database, undo);
    return database;
  } catch (error) {
    await database.close();
    throw error;
  }
}

/**
 * What takes a failed batch back: the values that stood at its keys. LevelDB reads as if a batch that
 * failed had never been, until it is opened again (read in its db_impl, `Write`).
 */
export async function undoOf(
  database: Database,
  changes: readonly Change[],
): Promise<readonly Change[]> {
  const keys = changes.map(({ key }) => key);
  const values = await database.getMany(keys);
  return keys.map((key, index) => ({ key, value: values[index] }));
}

/** One batch, which is on disk when this resolves. */
export async function writeBatch(database: Database, changes: readonly Change[]): Promise<void> {
  await database.batch(
    changes.map(({ key, value }) =>
      value === undefined ? { type: "del", key } : { type: "put", key, value },
    ),
    { sync: true },
  );
}

/**
 * Makes store and FORMAT at a first start, or goes on where a crash stopped that. A store that
 * proves itself but lost its FORMAT gets a new one.
 */
export async function makeDatabase(
  dataDir: string,
): Promise<OpenedDatabase & { readonly marker: Marker }> {
  // Before it is opened: LevelDB would delete what a lost CURRENT no longer names.
  const names = await checkFiles(dataDir);
  if (!names.includes("CURRENT")) {
    const left = names.find((name) => !KNOWN_BEFORE_CURRENT.test(name));
    if (left !== undefined) throw lost(dataDir, `${DIRECTORY}/${left}`);
    await assertNothingElse(dataDir);
  }
  return await opened(dataDir, { createIfMissing: true }, async (database) => {
    const isEmpty = (await database.keys({ limit: 1 }).all()).length === 0;
    if (isEmpty) {
      await assertNothingElse(dataDir);
      const storeId = crypto.getRandomValues(new Uint8Array(STORE_ID_BYTES));
      const meta: MetaValue = { storeId, writes: 0n, sum: new Uint8Array(SHA256_BYTES) };
      await database.put(META_KEY, seal(metaCodec, META_KEY, meta), { sync: true });
    }
    const meta = await readMeta(database);
    const marker = asMarker(meta);
    await writeMarker(dataDir, marker);
    return { database, meta, marker };
  });
}

/** A value as it is stored, or undefined. (level's types forget that a key may be missing.) */
export async function readValue(
  database: Database,
  key: Uint8Array,
  snapshot?: ReturnType<Database["snapshot"]>,
): Promise<Uint8Array | undefined> {
  return await database.get(key, { snapshot });
}

async function readMeta(database: Database): Promise<MetaValue> {
  const sealed = await readValue(database, META_KEY);
  if (sealed === undefined) throw damagedValue(META_KEY, "is gone");
  return unseal(metaCodec, META_KEY, sealed);
}

async function opened<Value>(
  dataDir: string,
  options: { readonly createIfMissing: boolean },
  use: (database: Database) => Promise<Value>,
): Promise<Value> {
  await checkFiles(dataDir);
  const database: Database = new Level(join(dataDir, DIRECTORY), {
    keyEncoding: "view",
    valueEncoding: "view",
    writeBufferSize: WRITE_BUFFER_BYTES,
    cacheSize: BLOCK_CACHE_BYTES,
    ...options,
  });
  await database.open();
  try {
    return await use(database);
  } catch (error) {
    await database.close();
    throw error;
  }
}

/** A node key or a socket beside an empty store: this was no first start, the store was lost. */
async function assertNothingElse(dataDir: string): Promise<void> {
  const other = (await readdir(dataDir)).find((name) => !KNOWN_AT_FIRST_START.has(name));
  if (other !== undefined) throw lost(dataDir, other);
}

function lost(dataDir: string, other: string): Fault {
  return new Fault("STORE_DAMAGED", `${dataDir} holds ${other}, but no records`, {
    advice: "Restore data_dir from a backup, or set `data_dir` to an empty directory.",
  });
}

/**
 * Looks at LevelDB's files before LevelDB does, which follows links, waits for pipes and reads a
 * CURRENT of any size into memory. Only this user and root can change them afterwards.
 */
async function checkFiles(dataDir: string): Promise<readonly string[]> {
  const directory = join(dataDir, DIRECTORY);
  if (!(await readdir(dataDir)).includes(DIRECTORY)) return [];
  await checkPrivateDirectory(directory, "data_dir");
  const names = await readdir(directory);
  for (const name of names) {
    const path = join(directory, name);
    const found = await lstat(path);
    const isOurs = found.isFile() && found.nlink === 1 && found.uid === process.geteuid?.();
    const isTooLarge = name === "CURRENT" && found.size > CURRENT_BYTES_MAX;
    if (!isOurs || isTooLarge) {
      throw new Fault("STORE_DAMAGED", `${path} is not a file that the daemon made`);
    }
  }
  return names;
}

function asMarker({ storeId, writes }: MetaValue): Marker {
  return { storeId: toHex(storeId), writes };
}
