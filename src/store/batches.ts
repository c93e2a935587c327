/**
 * Batches into the database, one after the other: each reads what it changes, and is on disk or taken
 * back when it ends (level-record-store.ts says how).
 */
import type { TrustDomain } from "../core/spiffe/trust-domain.ts";
import { Fault } from "../fault.ts";
import { type Known, KnownDomains, addTo, readKnown } from "./known-domain.ts";
import {
  type Change,
  type Database,
  metaChange,
  reopenDatabase,
  undoOf,
  writeBatch,
} from "./store-database.ts";
import { storeFault } from "./store-fault.ts";
import type { MetaValue } from "./stored-value.ts";

/** What a batch does to one trust domain. */
export interface WriteSet {
  readonly changes: readonly Change[];
  /** What is stored of it once they are written. */
  readonly after: Known;
}

export class Batches {
  readonly #dataDir: string;
  readonly #known = new KnownDomains();
  /** What the last batch that was acknowledged made of it. */
  #meta: MetaValue;
  #database: Promise<Database>;
  /** The runner waits for each anyway. */
  #turns: Promise<void> = Promise.resolve();
  /** The batch that failed, until the database was opened again and is as it was. */
  #failed: readonly Change[] | undefined;
  /** What takes that batch back, read before the database is closed. */
  #undo: readonly Change[] | undefined;
  #isClosed = false;

  constructor(dataDir: string, database: Database, meta: MetaValue) {
    this.#dataDir = dataDir;
    this.#database = Promise.resolve(database);
    this.#meta = meta;
  }

  /** What the store says about itself. */
  get meta(): MetaValue {
    return this.#meta;
  }

  async read<Value>(read: (database: Database) => Promise<Value>): Promise<Value> {
    try {
      return await read(await this.#database);
    } catch (error) {
      throw storeFault(this.#dataDir, error);
    }
  }

  /** Runs `work` in turn with all others, on a database that took back what failed before. */
  async turn(work: (database: Database) => Promise<void>): Promise<void> {
    const done = this.#turns.then(async () => await work(await this.#usable()));
    this.#turns = done.catch(() => undefined);
    try {
      await done;
    } catch (error) {
      throw storeFault(this.#dataDir, error);
    }
  }

  /** Within a turn: one batch, made from what is stored of a trust domain. */
  async write(
    database: Database,
    trustDomain: TrustDomain,
    make: (before: Known) => Promise<WriteSet>,
  ): Promise<Known> {
    const before = this.#known.get(trustDomain) ?? (await readKnown(database, trustDomain));
    const { changes, after } = await make(before);
    const sum = this.#meta.sum.slice();
    for (const { domainHash, pinHash } of [before, after]) {
      if (domainHash !== undefined) addTo(sum, domainHash);
      if (pinHash !== undefined) addTo(sum, pinHash);
    }
    await this.writeMeta(database, { sum }, changes);
    this.#known.set(trustDomain, after);
    return after;
  }

  /** Within a turn: one batch that changes what the store says about itself. */
  async writeMeta(
    database: Database,
    change: Partial<MetaValue>,
    changes: readonly Change[] = [],
  ): Promise<void> {
    const next = { ...this.#meta, ...change, writes: this.#meta.writes + 1n };
    await this.#commit(database, [...changes, metaChange(next)]);
    this.#meta = next;
  }

  /** Takes a failed batch back, if it can by now; `last` is done before the database is closed. */
  async close(last: () => Promise<void>): Promise<void> {
    this.#turns = this.#turns.then(async () => {
      await this.#usable().catch(() => undefined);
      this.#isClosed = true;
      const database = await this.#database.catch(() => undefined);
      await last();
      await database?.close();
    });
    await this.#turns;
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
