/**
 * The record store on LevelDB, in `data_dir/store`, with its FORMAT file beside it.
 *
 *     accept ─▶ read domain and pin ─▶ one synced batch: domain, pin, step, pruned steps, meta
 *                                             │ failed: open again before the next write
 *                                             ▼
 *                                       FORMAT follows
 *
 * What LevelDB loses without a word is noticed (all measured): `CURRENT` deleted or the log's end
 * cut off → fewer batches than FORMAT says; a damaged part of the log → the sum over all values
 * differs; a lost step record → its domain lists it; a flipped bit → the value's hash. Each is
 * `STORE_DAMAGED`, and nothing is written.
 */
import assert from "node:assert/strict";
import { type Version, compareVersions } from "../core/record/state.ts";
import type { TrustDomain } from "../core/spiffe/trust-domain.ts";
import { equalBytes } from "../core/std/bytes.ts";
import { STEP_BYTES_MAX, STEP_RECORDS_MAX } from "../core/std/limits.ts";
import { SHA256_BYTES } from "../core/std/sha256.ts";
import { Fault } from "../fault.ts";
import type {
  RecordStore,
  StoredContents,
  StoredDomain,
  StoredPin,
  StoredRecord,
} from "../ports/record-store.ts";
import { preparePrivateDirectory } from "../private-files/private-directory.ts";
import { DirectoryLock } from "./directory-lock.ts";
import { MarkerFollower, readMarker } from "./format-marker.ts";
import {
  type Database,
  makeDatabase,
  openDatabase,
  readMeta,
  readValue,
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
  type StepEntry,
  domainCodec,
  metaCodec,
  pinCodec,
  seal,
  sealHash,
  stepCodec,
  unseal,
} from "./stored-value.ts";

/** One key of a batch; a value of undefined deletes it. */
interface Change {
  readonly key: Uint8Array;
  readonly value: Uint8Array | undefined;
}

/** A change of a value that the store's sum covers. */
interface SummedChange extends Change {
  readonly before: Uint8Array | undefined;
}

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
    const { database, marker } =
      known === undefined
        ? await makeDatabase(dataDir)
        : { database: await openDatabase(dataDir, known), marker: known };
    return new LevelRecordStore(dataDir, lock, database, new MarkerFollower(dataDir, marker));
  } catch (error) {
    await lock.release();
    throw storeFault(dataDir, error);
  }
}

class LevelRecordStore implements RecordStore {
  readonly #dataDir: string;
  readonly #lock: DirectoryLock;
  readonly #follower: MarkerFollower;
  #database: Promise<Database>;
  /** Writes one after the other: each reads what it changes. The runner waits for each anyway. */
  #writing: Promise<void> = Promise.resolve();
  #mustReopen = false;

  constructor(dataDir: string, lock: DirectoryLock, database: Database, follower: MarkerFollower) {
    this.#dataDir = dataDir;
    this.#lock = lock;
    this.#database = Promise.resolve(database);
    this.#follower = follower;
  }

  async load(): Promise<StoredContents> {
    return await this.#reading(async (database) => {
      const pins: StoredPin[] = [];
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
        addTo(sum, sealed);
      }
      const [unknown] = await database.keys({ ...ABOVE_STEPS, limit: 1 }).all();
      if (unknown !== undefined) throw damagedValue(unknown, "has a key that was never written");
      if (meta === undefined || !equalBytes(sum, meta.sum)) {
        throw new Fault("STORE_DAMAGED", `The store in ${this.#dataDir} lacks an earlier write`);
      }
      return { pins, domains };
    });
  }

  async accept(domain: StoredDomain, pin: StoredPin | undefined): Promise<void> {
    const { trustDomain, held, base, sibling } = domain;
    assert(pin === undefined || pin.trustDomain === trustDomain, "a pin of the accepted domain");
    const key = domainKey(trustDomain);
    await this.#write([key, pinKey(trustDomain)], ([before, pinBefore]) => {
      const steps = before === undefined ? [] : unseal(domainCodec, key, before).steps;
      const kept = stepsWith(held, base === undefined ? [] : steps);
      const value = seal(domainCodec, key, { held, base, sibling, steps: kept });
      const summed: SummedChange[] = [{ key, before, value }];
      if (pin !== undefined) summed.push(changeOfPin(pin, pinBefore));
      const heldKey = stepKey(trustDomain, held);
      const plain: Change[] = steps
        .filter((step) => !kept.some((other) => compareVersions(step, other) === 0))
        .map((step) => ({ key: stepKey(trustDomain, step), value: undefined }));
      plain.push({ key: heldKey, value: seal(stepCodec, heldKey, held) });
      return { summed, plain };
    });
  }

  async remove(trustDomain: TrustDomain): Promise<void> {
    const keys = [domainKey(trustDomain), pinKey(trustDomain)];
    await this.#write(keys, async (before, database) => {
      const steps = await database.keys(stepRange(trustDomain)).all();
      return {
        summed: keys.map((key, index) => ({ key, before: before[index], value: undefined })),
        plain: steps.map((key) => ({ key, value: undefined })),
      };
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
    await this.#writing;
    await this.#follower.settled();
    const database = await this.#database.catch(() => undefined);
    await database?.close();
    await this.#lock.release();
  }

  async #reading<Value>(read: (database: Database) => Promise<Value>): Promise<Value> {
    try {
      return await read(await this.#database);
    } catch (error) {
      throw storeFault(this.#dataDir, error);
    }
  }

  /** One batch, made from the values before it; in turn with all other writes. */
  async #write(
    keys: readonly Uint8Array[],
    make: (
      before: readonly (Uint8Array | undefined)[],
      database: Database,
    ) => WriteSet | Promise<WriteSet>,
  ): Promise<void> {
    const written = this.#writing.then(async () => {
      await this.#follower.catchUp();
      const database = await this.#usableDatabase();
      const meta = await readMeta(database);
      const { summed, plain } = await make(await database.getMany([...keys]), database);
      const sum = meta.sum.slice();
      for (const { before, value } of summed) {
        if (before !== undefined) addTo(sum, before);
        if (value !== undefined) addTo(sum, value);
      }
      const next: MetaValue = { ...meta, writes: meta.writes + 1n, sum };
      await this.#commit(database, [
        ...summed,
        ...plain,
        { key: META_KEY, value: seal(metaCodec, META_KEY, next) },
      ]);
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
      await database.batch(
        changes.map(({ key, value }) =>
          value === undefined ? { type: "del", key } : { type: "put", key, value },
        ),
        { sync: true },
      );
    } catch (error) {
      this.#mustReopen = true;
      throw error;
    }
  }

  /**
   * The database, opened again after a failed write: LevelDB would go on behind a half-written log
   * record, and lose what it acknowledges from there at the next start (read in its log_writer).
   */
  async #usableDatabase(): Promise<Database> {
    if (!this.#mustReopen) return await this.#database;
    const old = await this.#database.catch(() => undefined);
    this.#database = this.#reopen(old);
    const database = await this.#database;
    this.#mustReopen = false;
    return database;
  }

  async #reopen(old: Database | undefined): Promise<Database> {
    await old?.close();
    return await openDatabase(this.#dataDir, this.#follower.marker);
  }
}

interface WriteSet {
  readonly summed: readonly SummedChange[];
  readonly plain: readonly Change[];
}

/**
 * The step records after `held` was accepted: those below it, then it. What is not below is no step
 * towards it any more. Bounded by number and bytes, the oldest go first.
 */
function stepsWith(held: StoredRecord, steps: readonly StepEntry[]): readonly StepEntry[] {
  const { epoch, rev, sequence, envelope } = held;
  const kept = steps.filter((step) => compareVersions(step, held) < 0);
  let bytes = kept.reduce((total, step) => total + step.envelopeBytes, envelope.length);
  while (kept.length >= STEP_RECORDS_MAX || bytes > STEP_BYTES_MAX) {
    bytes -= kept.shift()?.envelopeBytes ?? 0;
  }
  return [...kept, { epoch, rev, sequence, envelopeBytes: envelope.length }];
}

function changeOfPin(pin: StoredPin, before: Uint8Array | undefined): SummedChange {
  const key = pinKey(pin.trustDomain);
  return { key, before, value: seal(pinCodec(pin.trustDomain), key, pin) };
}

function present(key: Uint8Array, sealed: Uint8Array | undefined): Uint8Array {
  if (sealed === undefined) throw damagedValue(key, "is gone");
  return sealed;
}

/** Adds a value to a sum, or takes it out: XOR does both. */
function addTo(sum: Uint8Array, sealed: Uint8Array): void {
  for (const [index, byte] of sealHash(sealed).entries()) sum[index] = (sum[index] ?? 0) ^ byte;
}
