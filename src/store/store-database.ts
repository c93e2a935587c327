/** The LevelDB below the store: opened, written, and known to be the one that was left there. */
import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { Level } from "level";
import { equalBytes } from "../core/std/bytes.ts";
import { Fault } from "../fault.ts";
import { checkPrivateDirectory } from "../private-files/private-directory.ts";
import { damagedValue } from "./store-fault.ts";
import { META_KEY } from "./store-key.ts";
import { type MetaValue, metaCodec, seal, unseal } from "./stored-value.ts";

export type Database = Level<Uint8Array, Uint8Array>;

/** One key of a batch; a value of undefined deletes it. */
export interface Change {
  readonly key: Uint8Array;
  readonly value: Uint8Array | undefined;
}

/** Which store it has to be, and how many batches it has to hold at least. */
export type Floor = Pick<MetaValue, "storeId" | "writes">;

export const STORE_DIRECTORY = "store";
/** What a crash leaves of LevelDB's directory before it has ever held a value. */
const KNOWN_BEFORE_CURRENT = /^(?:LOCK|LOG|LOG\.old|MANIFEST-000001|000001\.dbtmp)$/;
/** LevelDB reads it whole; it names a manifest. A larger one is refused: STORE_DAMAGED. */
const CURRENT_BYTES_MAX = 64;
/**
 * What LevelDB keeps in memory of writes, twice over at times, and of blocks read. It fills both before
 * it gives anything back: at 10 KiB a rotation a process grew for 7,000 of them with its own 4 and 8 MiB,
 * for 1,200 and to 8 MB less with these (measured). Above: written to a table, the oldest blocks go.
 */
const WRITE_BUFFER_BYTES = 256 * 1024;
const BLOCK_CACHE_BYTES = 512 * 1024;

/**
 * What lies in the store's directory: a database, nothing that was ever one, or files that LevelDB
 * would delete because a lost CURRENT no longer names them.
 */
export async function lookAtDatabase(dataDir: string): Promise<"there" | "nothing" | "remains"> {
  const names = (await checkFiles(dataDir)) ?? [];
  if (names.includes("CURRENT")) return "there";
  return names.every((name) => KNOWN_BEFORE_CURRENT.test(name)) ? "nothing" : "remains";
}

/** Opens the database that is there. Throws `STORE_DAMAGED` when there is none. */
export async function openDatabase<Value>(
  dataDir: string,
  use: (database: Database) => Promise<Value>,
): Promise<Value> {
  // Without `createIfMissing`: LevelDB would make an empty store and delete the old one's files.
  return await opened(dataDir, { createIfMissing: false }, use);
}

/** Makes a database that says this about itself, or goes on where a crash stopped that. */
export async function makeDatabase<Value>(
  dataDir: string,
  meta: MetaValue,
  use: (database: Database) => Promise<Value>,
): Promise<Value> {
  return await opened(dataDir, { createIfMissing: true }, async (database) => {
    const isEmpty = (await database.keys({ limit: 1 }).all()).length === 0;
    if (isEmpty) await writeBatch(database, [metaChange(meta)]);
    return await use(database);
  });
}

/**
 * Opens it again behind a batch that failed, and takes that back where LevelDB replayed it from its
 * log. What was acknowledged is all there, or it is `STORE_DAMAGED`.
 *
 * @param acknowledged What the store said about itself before that batch.
 */
export async function reopenDatabase(
  dataDir: string,
  acknowledged: MetaValue,
  undo: readonly Change[],
): Promise<Database> {
  return await openDatabase(dataDir, async (database) => {
    const { writes } = await readMeta(dataDir, database, acknowledged);
    if (writes !== acknowledged.writes) await writeBatch(database, undo);
    return database;
  });
}

/**
 * What the store says about itself.
 *
 * @throws {Fault} `STORE_DAMAGED` when it is not the wanted one, or older.
 */
export async function readMeta(
  dataDir: string,
  database: Database,
  floor: Floor | undefined,
): Promise<MetaValue> {
  const sealed = await readValue(database, META_KEY);
  if (sealed === undefined) throw damagedValue(META_KEY, "is gone");
  const meta = unseal(metaCodec, META_KEY, sealed);
  if (floor !== undefined) checkFloor(dataDir, meta, floor);
  return meta;
}

/** Throws `STORE_DAMAGED` when a store is not the wanted one, or older. */
export function checkFloor(dataDir: string, found: Floor, floor: Floor): void {
  if (!equalBytes(found.storeId, floor.storeId)) {
    throw new Fault("STORE_DAMAGED", `The store in ${dataDir} is not the one that was left there`);
  }
  if (found.writes < floor.writes) {
    const counts = `it holds ${found.writes} writes of ${floor.writes}`;
    throw new Fault("STORE_DAMAGED", `The store in ${dataDir} went back: ${counts}`);
  }
}

export function metaChange(meta: MetaValue): Change {
  return { key: META_KEY, value: seal(metaCodec, META_KEY, meta) };
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

/** A value as it is stored, or undefined. (level's types forget that a key may be missing.) */
export async function readValue(
  database: Database,
  key: Uint8Array,
  snapshot?: ReturnType<Database["snapshot"]>,
): Promise<Uint8Array | undefined> {
  return await database.get(key, { snapshot });
}

/** Opens, and closes again where `use` throws. */
async function opened<Value>(
  dataDir: string,
  options: { readonly createIfMissing: boolean },
  use: (database: Database) => Promise<Value>,
): Promise<Value> {
  const names = await checkFiles(dataDir);
  if (names === undefined && !options.createIfMissing) {
    throw new Fault("STORE_DAMAGED", `The store in ${dataDir} is gone`);
  }
  const directory = join(dataDir, STORE_DIRECTORY);
  if (names?.includes("CURRENT") === true) {
    const { size } = await lstat(join(directory, "CURRENT"));
    if (size > CURRENT_BYTES_MAX) {
      throw new Fault("STORE_DAMAGED", `The store in ${dataDir} has a CURRENT of ${size} bytes`);
    }
  }
  const database: Database = new Level(directory, {
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

/**
 * Looks at LevelDB's files before LevelDB does, which follows links and waits for pipes. Only this user
 * and root can change them afterwards.
 *
 * @returns Their names; undefined when there is no directory.
 * @throws {Fault} `STORE_DAMAGED` when somebody else put one there.
 */
export async function checkFiles(dataDir: string): Promise<readonly string[] | undefined> {
  const directory = join(dataDir, STORE_DIRECTORY);
  if (!(await readdir(dataDir)).includes(STORE_DIRECTORY)) return undefined;
  await checkPrivateDirectory(directory, "data_dir");
  const names = await readdir(directory);
  for (const name of names) {
    const path = join(directory, name);
    const found = await lstat(path);
    const isOurs = found.isFile() && found.nlink === 1 && found.uid === process.geteuid?.();
    if (!isOurs) throw new Fault("STORE_DAMAGED", `${path} is not a file that the daemon made`);
  }
  return names;
}
