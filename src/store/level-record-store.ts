/**
 * The record store on LevelDB, in `data_dir/store`, with its FORMAT file beside it.
 *
 *     accept ─▶ read domain and pin ─▶ one synced batch: domain, pin, step, pruned steps, meta
 *               unless written lately         │ failed: opened again, and undone
 *                                             ▼
 *                                       FORMAT follows
 *
 * A batch may fail and be in LevelDB's log all the same, as when fdatasync(2) fails after write(2).
 * Who asked for it was told that it failed, so it is undone: at once, else before the next write or
 * at the close. Where the disk lets none of these write, the next start takes it for written.
 *
 * What LevelDB loses without a word is noticed (all measured): `CURRENT` deleted or the log's end
 * cut off → fewer batches than FORMAT says; a damaged part of the log → the sum over all values
 * differs; a lost step record → its domain lists it; a flipped bit → the value's hash. Each is
 * `STORE_DAMAGED`, and nothing is written.
 */
import assert from "node:assert/strict";
import type { Pin } from "../core/mesh/partner.ts";
import { type Version, compareVersions } from "../core/record/state.ts";
import type { TrustDomain } from "../core/spiffe/trust-domain.ts";
import { equalBytes } from "../core/std/bytes.ts";
import { SHA256_BYTES } from "../core/std/sha256.ts";
import { Fault } from "../fault.ts";
import type {
  RecordStore,
  StoredContents,
  StoredDomain,
  StoredRecord,
} from "../ports/record-store.ts";
import { preparePrivateDirectory } from "../private-files/private-directory.ts";
import { DirectoryLock } from "./directory-lock.ts";
import { MarkerFollower, readMarker } from "./format-marker.ts";
import { type Known, KnownDomains, NOTHING, addTo, readKnown, stepsWith } from "./known-domain.ts";
import {
  type Change,
  type Database,
  type OpenedDatabase,
  makeDatabase,
  openDatabase,
  readValue,
  reopenDatabase,
  undoOf,
  writeBatch,
} from "./store-database.ts";
import { damagedValue, storeFault } from "./store-fault.ts";
import {
  ABOVE_STEPS,
  BELOW_STEPS,
  META_KEY,
  domainKey,
  pinKey,
  readKey,
  stepKey,
  stepRange,
} from "./store-key.ts";
import {
  type MetaValue,
  domainCodec,
  metaCodec,
  pinCodec,
  seal,
  sealHash,
  stepCodec,
  unseal,
} from "./stored-value.ts";

/**
 * Opens the store of a data directory, which is created when missing. Nothing in it is touched
 * before its lock is held.
 *
 * A directory without FORMAT is a first start, and must hold nothing but an empty store: with a node
 * key in it the store was lost. So the store is opened before anything else is put there.
 *
 * @throws {Fault} `ALREADY_RUNNING`, `STORE_DAMAGED`, `STORE_FULL`, `CANNOT_CREATE`, `NOT_ALLOWED`.
 */
export async function openRecordStore(dataDir: string): Promise<RecordStore> {
  await preparePrivateDirectory(dataDir, "data_dir");
  const lock = await DirectoryLock.take(dataDir);
  try {
    const known = await readMarker(dataDir);
    const { marker, ...opened } =
      known === undefined
        ? await makeDatabase(dataDir)
        : { ...(await openDatabase(dataDir, known)), marker: known };
    return new LevelRecordStore(dataDir, lock, opened, new MarkerFollower(dataDir, marker));
  } catch (error) {
    await lock.release();
    throw storeFault(dataDir, error);
  }
}

class LevelRecordStore implements RecordStore {
  readonly #dataDir: string;
  readonly #lock: DirectoryLock;
  readonly #follower: MarkerFollower;
  readonly #known = new KnownDomains();
  /** What the last batch that was acknowledged made of it. */
  #meta: MetaValue;
  #database: Promise<Database>;
  /** Writes one after the other: each reads what it changes. The runner waits for each anyway. */
  #writing: Promise<void> = Promise.resolve();
  /** The batch that failed, until the database was opened again and is as it was. */
  #failed: readonly Change[] | undefined;
  /** What takes that batch back, read before the database is closed. */
  #undo: readonly Change[] | undefined;
  #isClosed = false;

  constructor(
    dataDir: string,
    lock: DirectoryLock,
    { database, meta }: OpenedDatabase,
    follower: MarkerFollower,
  ) {
    this.#dataDir = dataDir;
    this.#lock = lock;
    this.#database = Promise.resolve(database);
    this.#meta = meta;
    this.#follower = follower;
  }

  async load(): Promise<StoredContents> {
    return await this.#reading(async (database) => {
      const pins: Pin[] = [];
      const domains: StoredDomain[] = [];
      let meta: MetaValue | undefined;
      const sum = new Uint8Array(SHA256_BYTES);
      for await (const [key, sealed] of database.iterator(BELOW_STEPS)) {
        const named = readKey(key);
        if (named === undefined) throw damagedValue(key, "has a key that was never written");
        if (named.kind === "meta") {
          meta = unseal(metaCodec, key, sealed);
          continue;
        }
        const { kind, trustDomain } = named;
        if (kind === "pin") pins.push(unseal(pinCodec(trustDomain), key, sealed));
        else {
          const { steps: _, ...held } = unseal(domainCodec, key, sealed);
          domains.push({ trustDomain, ...held });
        }
        addTo(sum, sealHash(sealed));
      }
      const [unknown] = await database.keys({ ...ABOVE_STEPS, limit: 1 }).all();
      if (unknown !== undefined) throw damagedValue(unknown, "has a key that was never written");
      if (meta === undefined || !equalBytes(sum, meta.sum)) {
        throw new Fault("STORE_DAMAGED", `The store in ${this.#dataDir} lacks an earlier write`);
      }
      return { pins, domains };
    });
  }

  async accept(domain: StoredDomain, pin: Pin | undefined): Promise<void> {
    const { trustDomain, held, base, sibling } = domain;
    assert(pin === undefined || pin.trustDomain === trustDomain, "a pin of the accepted domain");
    await this.#write(trustDomain, (before) => {
      const steps = stepsWith(held, base === undefined ? [] : before.steps);
      const key = domainKey(trustDomain);
      const value = seal(domainCodec, key, { held, base, sibling, steps });
      const after = { ...before, steps, domainHash: sealHash(value) };
      const changes: Change[] = before.steps
        .filter((step) => !steps.includes(step) && compareVersions(step, held) !== 0)
        .map((step) => ({ key: stepKey(trustDomain, step), value: undefined }));
      const heldKey = stepKey(trustDomain, held);
      changes.push({ key, value }, { key: heldKey, value: seal(stepCodec, heldKey, held) });
      if (pin === undefined) return { changes, after };
      const keyOfPin = pinKey(trustDomain);
      const sealedPin = seal(pinCodec(trustDomain), keyOfPin, pin);
      changes.push({ key: keyOfPin, value: sealedPin });
      return { changes, after: { ...after, pinHash: sealHash(sealedPin) } };
    });
  }

  async remove(trustDomain: TrustDomain): Promise<void> {
    await this.#write(trustDomain, async (_, database) => {
      const steps = await database.keys(stepRange(trustDomain)).all();
      const keys = [domainKey(trustDomain), pinKey(trustDomain), ...steps];
      return { changes: keys.map((key) => ({ key, value: undefined })), after: NOTHING };
    });
  }

  async stepsAbove(
    trustDomain: TrustDomain,
    above: Version,
    limit: number,
  ): Promise<readonly StoredRecord[]> {
    return await this.#reading(async (database) => {
      const key = domainKey(trustDomain);
      const snapshot = database.snapshot(); // An accept in between would prune what we then miss.
      try {
        const sealed = await readValue(database, key, snapshot);
        if (sealed === undefined) return [];
        const keys = unseal(domainCodec, key, sealed)
          .steps.filter((step) => compareVersions(step, above) > 0)
          .slice(0, limit)
          .map((step) => stepKey(trustDomain, step));
        const steps = await database.getMany(keys, { snapshot });
        return keys.map((each, index) => unseal(stepCodec, each, present(each, steps[index])));
      } finally {
        await snapshot.close();
      }
    });
  }

  async close(): Promise<void> {
    this.#writing = this.#writing.then(async () => {
      await this.#usable().catch(() => undefined); // Takes a failed batch back, if it can by now.
      this.#isClosed = true;
      const database = await this.#database.catch(() => undefined);
      await this.#follower.settled();
      await database?.close();
      await this.#lock.release();
    });
    await this.#writing;
  }

  async #reading<Value>(read: (database: Database) => Promise<Value>): Promise<Value> {
    try {
      return await read(await this.#database);
    } catch (error) {
      throw storeFault(this.#dataDir, error);
    }
  }

  /** One batch, made from what is stored of the trust domain; in turn with all other writes. */
  async #write(
    trustDomain: TrustDomain,
    make: (before: Known, database: Database) => WriteSet | Promise<WriteSet>,
  ): Promise<void> {
    const written = this.#writing.then(async () => {
      const database = await this.#usable();
      await this.#follower.catchUp();
      const before = this.#known.get(trustDomain) ?? (await readKnown(database, trustDomain));
      const { changes, after } = await make(before, database);
      const sum = this.#meta.sum.slice();
      for (const { domainHash, pinHash } of [before, after]) {
        if (domainHash !== undefined) addTo(sum, domainHash);
        if (pinHash !== undefined) addTo(sum, pinHash);
      }
      const next: MetaValue = { ...this.#meta, writes: this.#meta.writes + 1n, sum };
      const metaChange = { key: META_KEY, value: seal(metaCodec, META_KEY, next) };
      await this.#commit(database, [...changes, metaChange]);
      this.#meta = next;
      this.#known.set(trustDomain, after);
      this.#follower.raise(next.writes);
    });
    this.#writing = written.catch(() => undefined);
    try {
      await written;
    } catch (error) {
      throw storeFault(this.#dataDir, error);
    }
  }

  async #commit(database: Database, changes: readonly Change[]): Promise<void> {
    try {
      await writeBatch(database, changes);
    } catch (error) {
      this.#failed = changes;
      await this.#usable().catch(() => undefined); // The next write tries again, and tells why not.
      throw error;
    }
  }

  /**
   * The database, opened again after a failed write: LevelDB would go on behind a half-written log
   * record, and lose what it acknowledges from there at the next start (read in its log_writer).
   */
  async #usable(): Promise<Database> {
    if (this.#isClosed) throw new Fault("NOT_READY", `The store in ${this.#dataDir} is closed`);
    if (this.#failed === undefined) return await this.#database;
    this.#undo ??= await undoOf(await this.#database, this.#failed);
    const old = await this.#database.catch(() => undefined); // Closed when it was opened in vain.
    this.#database = this.#reopen(old, this.#undo);
    const database = await this.#database;
    this.#failed = undefined;
    this.#undo = undefined;
    return database;
  }

  async #reopen(old: Database | undefined, undo: readonly Change[]): Promise<Database> {
    await old?.close();
    return await reopenDatabase(this.#dataDir, this.#meta, undo);
  }
}

interface WriteSet {
  readonly changes: readonly Change[];
  /** What is stored of the trust domain once they are written. */
  readonly after: Known;
}

function present(key: Uint8Array, sealed: Uint8Array | undefined): Uint8Array {
  if (sealed === undefined) throw damagedValue(key, "is gone");
  return sealed;
}
