/**
 * The record store on LevelDB, in `data_dir/store`, with its marks beside it.
 *
 *     accept ─▶ read domain and pin ─▶ one synced batch: domain, pin, step, thinned steps, meta
 *               unless written lately         │ failed: opened again, and undone
 *                                             ▼
 *                                       the marks follow ─▶ marked()
 *
 * A batch may fail and be in LevelDB's log all the same, as when fdatasync(2) fails after write(2).
 * Who asked for it was told that it failed, so it is undone: at once, else before the next write or
 * at the close. Where the disk lets none of these write, the next start takes it for written.
 *
 * What LevelDB loses without a word is noticed (all measured): `CURRENT` deleted or the log's end
 * cut off → fewer batches than the marks say; a damaged part of the log → the sum over all values
 * differs; a lost step record → its domain lists it; a flipped bit → the value's hash. What a start
 * notices goes to the quarantine (store-opening.ts); later it is `STORE_DAMAGED`, and nothing is
 * written.
 */
import assert from "node:assert/strict";
import type { Pin } from "../core/mesh/partner.ts";
import { type Version, compareVersions } from "../core/record/state.ts";
import type { TrustDomain } from "../core/spiffe/trust-domain.ts";
import { toHex } from "../core/std/bytes.ts";
import type {
  Mark,
  RecordStore,
  StepEntry,
  StoredContents,
  StoredDomain,
  StoredRecord,
  ThinSteps,
} from "../ports/record-store.ts";
import { preparePrivateDirectory } from "../private-files/private-directory.ts";
import { Batches } from "./batches.ts";
import { DirectoryLock } from "./directory-lock.ts";
import {
  acceptance,
  readDomain,
  readSteps,
  removal,
  replacement,
  stepsWithin,
} from "./domain-batch.ts";
import { bytesBelowHeld, lessThan, stepsWith, tooMany } from "./known-domain.ts";
import { decodeMark, encodeMark } from "./marks.ts";
import { MarksFile } from "./marks-file.ts";
import { StepBytes } from "./step-bytes.ts";
import { type Contents, readContents } from "./store-contents.ts";
import type { Database } from "./store-database.ts";
import { storeFault } from "./store-fault.ts";
import { type OpenedStore, openStore } from "./store-opening.ts";
import type { DomainValue } from "./stored-value.ts";

/**
 * Step records of all trust domains, held ones not counted: a disk of that much is had everywhere, and
 * it is 100 KiB for each of 10,000 partners. Above: the longest history goes down to three quarters.
 */
const STEP_BYTES_IN_ALL_MAX = 1_024 * 1_024 * 1_024;

export interface StoreOptions {
  /** Which step records stay; by age when not given. */
  readonly thin?: ThinSteps;
  /** Dates the step records, and names what is put away. */
  readonly nowMs?: () => number;
  readonly stepBytesMax?: number;
}

/**
 * Opens the store of a data directory, which is created when missing. Nothing in it is touched
 * before its lock is held.
 *
 * @throws {Fault} `ALREADY_RUNNING`, `STORE_DAMAGED`, `STORE_FULL`, `CANNOT_CREATE`, `NOT_ALLOWED`.
 */
export async function openRecordStore(
  dataDir: string,
  { thin = byAge, nowMs = Date.now, stepBytesMax = STEP_BYTES_IN_ALL_MAX }: StoreOptions = {},
): Promise<RecordStore> {
  await preparePrivateDirectory(dataDir, "data_dir");
  const lock = await DirectoryLock.take(dataDir);
  try {
    const opened = await openStore(dataDir, nowMs());
    const store = new LevelRecordStore(dataDir, lock, opened, { thin, nowMs, stepBytesMax });
    try {
      for (const { own } of opened.missing.values()) {
        if (own !== undefined) await store.accept(own, undefined, true);
      }
      return store;
    } catch (error) {
      await store.close();
      throw error;
    }
  } catch (error) {
    await lock.release();
    throw storeFault(dataDir, error);
  }
}

const byAge: ThinSteps = (steps) => steps;

class LevelRecordStore implements RecordStore {
  readonly #dataDir: string;
  readonly #lock: DirectoryLock;
  readonly #options: Required<StoreOptions>;
  readonly #batches: Batches;
  readonly #marks: MarksFile;
  readonly #stepBytes = new StepBytes();
  readonly #missing: Map<TrustDomain, Mark>;
  readonly #found: Pick<StoredContents, "quarantined" | "marksLost">;
  /** As the start read them, until they are asked for or change. */
  #contents: Contents | undefined;

  constructor(
    dataDir: string,
    lock: DirectoryLock,
    opened: OpenedStore,
    options: Required<StoreOptions>,
  ) {
    this.#dataDir = dataDir;
    this.#lock = lock;
    this.#options = options;
    const { database, meta, contents, marks, newer, missing, quarantined, marksLost } = opened;
    this.#batches = new Batches(dataDir, database, meta);
    this.#found = { quarantined, marksLost };
    this.#missing = new Map([...missing].map(([trustDomain, { mark }]) => [trustDomain, mark]));
    this.#contents = contents;
    for (const [trustDomain, { steps }] of contents.domains) {
      this.#stepBytes.set(trustDomain, bytesBelowHeld(steps));
    }
    this.#marks = new MarksFile(dataDir, marks);
    for (const [trustDomain, entry] of newer) this.#marks.set(trustDomain, entry);
    if (newer.size > 0 || meta.writes > marks.writes) this.#marks.follow(meta);
  }

  async load(): Promise<StoredContents> {
    const contents =
      this.#contents ??
      (await this.#batches.read(async (database) => await readContents(this.#dataDir, database)));
    this.#contents = undefined;
    return {
      pins: [...contents.pins.values()],
      domains: Array.from(contents.domains.values(), ({ domain }) => domain),
      headCounter: this.#batches.meta.headCounter,
      missing: [...this.#missing.values()],
      ...this.#found,
    };
  }

  async accept(domain: StoredDomain, pin: Pin | undefined, start: boolean): Promise<void> {
    const { trustDomain, held } = domain;
    assert(pin === undefined || pin.trustDomain === trustDomain, "a pin of the accepted domain");
    await this.#turn(async (database) => {
      await this.#makeRoom(database);
      const { steps } = await this.#batches.write(database, trustDomain, async (before) => {
        const last = before.steps.at(-1) ?? this.#missing.get(trustDomain);
        const isRise = last === undefined || compareVersions(held, last) >= 0;
        assert(start || isRise, "the version falls only where it starts anew");
        const steps = stepsWith(held, start ? [] : before.steps, this.#options.nowMs());
        const room = tooMany(steps);
        const { thin } = this.#options;
        const kept = room && (await stepsWithin(database, trustDomain, steps, held, room, thin));
        return acceptance(before, { ...domain, steps: kept ?? steps }, pin);
      });
      this.#stepBytes.set(trustDomain, bytesBelowHeld(steps));
      this.#missing.delete(trustDomain);
      const entry = this.#marks.get(trustDomain);
      const pinned = pin ?? (entry && decodeMark(entry).mark.pin);
      this.#marks.set(trustDomain, encodeMark(domain, steps, pinned));
      this.#marks.follow(this.#batches.meta);
    });
  }

  async remove(trustDomain: TrustDomain): Promise<void> {
    await this.#turn(async (database) => {
      // Its mark goes first: what a mark names and the store lacks would be fetched from peers.
      const entry = this.#marks.get(trustDomain);
      this.#marks.set(trustDomain, undefined);
      try {
        await this.#marks.written();
        await this.#batches.write(
          database,
          trustDomain,
          async () => await removal(database, trustDomain),
        );
      } catch (error) {
        this.#marks.set(trustDomain, entry);
        throw error;
      }
      this.#stepBytes.set(trustDomain, 0);
      this.#missing.delete(trustDomain);
      this.#marks.follow(this.#batches.meta);
    });
  }

  async saveHeadCounter(counter: bigint): Promise<void> {
    await this.#turn(async (database) => {
      await this.#batches.writeMeta(database, { headCounter: counter });
      this.#marks.follow(this.#batches.meta);
    });
  }

  async marked(): Promise<void> {
    await this.#marks.written();
  }

  async record(trustDomain: TrustDomain, recordId: Uint8Array): Promise<StoredRecord | undefined> {
    const wanted = toHex(recordId);
    return await this.#reading(trustDomain, async ({ held, sibling, steps }, read) => {
      const atHand = [held, sibling].find((each) => each?.recordId === wanted);
      if (atHand !== undefined) return atHand;
      const [found] = await read(steps.filter((step) => step.recordId === wanted));
      return found;
    });
  }

  async history(trustDomain: TrustDomain): Promise<readonly StepEntry[]> {
    return (await this.#reading(trustDomain, async ({ steps }) => steps)) ?? [];
  }

  async stepsAbove(
    trustDomain: TrustDomain,
    above: Version,
    limit: number,
  ): Promise<readonly StoredRecord[]> {
    const found = await this.#reading(
      trustDomain,
      async ({ steps }, read) =>
        await read(steps.filter((step) => compareVersions(step, above) > 0).slice(0, limit)),
    );
    return found ?? [];
  }

  async close(): Promise<void> {
    this.#contents = undefined;
    await this.#batches.close(async () => await this.#marks.close());
    await this.#lock.release();
  }

  /** A write, after marks that could not be written: no store may go far ahead of them. */
  async #turn(work: (database: Database) => Promise<void>): Promise<void> {
    await this.#batches.turn(async (database) => {
      await this.#marks.catchUp();
      this.#contents = undefined;
      await work(database);
    });
  }

  /** What is stored of one trust domain, and a way to its step records; undefined when it is nothing. */
  async #reading<Value>(
    trustDomain: TrustDomain,
    use: (
      value: DomainValue,
      read: (steps: DomainValue["steps"]) => Promise<readonly StoredRecord[]>,
    ) => Promise<Value>,
  ): Promise<Value | undefined> {
    return await this.#batches.read(async (database) => {
      const snapshot = database.snapshot(); // An accept in between would thin what we then miss.
      try {
        const value = await readDomain(database, trustDomain, snapshot);
        if (value === undefined) return undefined;
        return await use(
          value,
          async (steps) => await readSteps(database, trustDomain, steps, snapshot),
        );
      } finally {
        await snapshot.close();
      }
    });
  }

  /** Thins the longest histories while all together are too long. */
  async #makeRoom(database: Database): Promise<void> {
    const { thin, stepBytesMax } = this.#options;
    while (this.#stepBytes.total > stepBytesMax) {
      const trustDomain = this.#stepBytes.longest();
      assert(trustDomain !== undefined, "whose steps take the room");
      const { steps } = await this.#batches.write(database, trustDomain, async (before) => {
        const value = await readDomain(database, trustDomain);
        assert(value !== undefined, "whose steps there are is held");
        const room = lessThan(value.steps);
        const kept = await stepsWithin(database, trustDomain, value.steps, value.held, room, thin);
        return replacement(before, trustDomain, { ...value, steps: kept });
      });
      this.#stepBytes.set(trustDomain, bytesBelowHeld(steps));
    }
  }
}
