/**
 * The datastore: SQLite, as SPIRE Server's own default is. Rows hold the API's messages, encoded.
 *
 * Every write is with the operating system before it is answered, so an answer survives kill -9; to
 * wait for the disk too would cost a millisecond a row for a loss of power that no test makes.
 * Two servers may share one file, as replicas share a PostgreSQL: writers take turns, and what one
 * writes the other reads. As `postgres` the file loses what PostgreSQL loses: the later of two first
 * writes of a row.
 */
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync, type SQLOutputValue } from "node:sqlite";
import { clone, fromBinary } from "@bufbuild/protobuf";
import {
  type Bundle,
  BundleSchema,
  DeleteMode,
  type Entry,
  EntrySchema,
  type FederationRelationship,
  FederationRelationshipSchema,
  toBinary,
} from "../../src/spire-api/services.ts";

import { explain } from "./answers.ts";

export type DatabaseType = "sqlite3" | "postgres";

export interface DatastoreOptions {
  /** Of the database file; it and its directory are made when missing. */
  readonly path: string;
  readonly databaseType: DatabaseType;
}

/** How long a writer waits for its turn. Above: the call answers INTERNAL. */
const BUSY_TIMEOUT_MS = 5_000;
/**
 * SPIRE's time between seeing that a row is missing and inserting it on PostgreSQL: two calls sent
 * at the same moment to two servers meet in it most of the time (39 of 50 tries, measured).
 */
const FIRST_WRITE_GAP_MS = 3;
const DUPLICATE_KEY =
  'datastore-sql: pq: duplicate key value violates unique constraint "uix_bundles_trust_domain" (23505)';
/** What nobody ever wakes. */
const ALARM = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));

/** AUTOINCREMENT: a page token is the last row's id, so an id never comes back. */
const SCHEMA = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = NORMAL;
  CREATE TABLE IF NOT EXISTS bundles (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    trust_domain TEXT NOT NULL UNIQUE,
    data BLOB NOT NULL
  );
  CREATE TABLE IF NOT EXISTS registered_entries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    entry_id TEXT NOT NULL UNIQUE,
    data BLOB NOT NULL
  );
  CREATE TABLE IF NOT EXISTS federated_registration_entries (
    bundle_id INTEGER NOT NULL REFERENCES bundles(id) ON DELETE CASCADE,
    registered_entry_id INTEGER NOT NULL REFERENCES registered_entries(id) ON DELETE CASCADE,
    PRIMARY KEY (bundle_id, registered_entry_id)
  );
  CREATE TABLE IF NOT EXISTS federated_trust_domains (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    trust_domain TEXT NOT NULL UNIQUE,
    data BLOB NOT NULL
  );
`;

/** Which rows of a list. A size of 0 is everything, whatever its number. */
export interface PageRequest {
  readonly pageSize: number;
  readonly pageToken: string;
}

export interface Page<Row> {
  readonly rows: readonly Row[];
  /** Empty without paging and after the last row. */
  readonly nextPageToken: string;
}

export type DeleteOutcome =
  | { readonly kind: "deleted" }
  | { readonly kind: "missing" }
  | { readonly kind: "in-use"; readonly entries: number };

interface StoredRow {
  readonly id: number;
  readonly data: Uint8Array;
}

export class Datastore {
  readonly #database: DatabaseSync;
  readonly #databaseType: DatabaseType;

  constructor({ path, databaseType }: DatastoreOptions) {
    mkdirSync(dirname(path), { recursive: true, mode: 0o750 });
    this.#database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
    this.#database.exec(SCHEMA);
    this.#databaseType = databaseType;
  }

  close(): void {
    this.#database.close();
  }

  bundle(trustDomain: string): Bundle | undefined {
    const row = this.#find("SELECT id, data FROM bundles WHERE trust_domain = ?", trustDomain);
    return row && fromBinary(BundleSchema, row.data);
  }

  countBundles(): number {
    return Number(this.#database.prepare("SELECT count(*) AS n FROM bundles").get()?.["n"]);
  }

  bundles(request: PageRequest): Page<Bundle> {
    const page = this.#page("bundles", request);
    return { ...page, rows: page.rows.map(({ data }) => fromBinary(BundleSchema, data)) };
  }

  /**
   * Sets the row as it is given: whatever the number it had, whatever the number it gets. Throws an
   * Error when, as `postgres`, another server wrote it first between our look and our insert.
   */
  setBundle(bundle: Bundle): void {
    if (this.#databaseType === "sqlite3" || this.bundle(bundle.trustDomain) !== undefined) {
      this.#upsert(bundle);
      return;
    }
    Atomics.wait(ALARM, 0, 0, FIRST_WRITE_GAP_MS);
    const { changes } = this.#run(
      "INSERT INTO bundles (trust_domain, data) VALUES (?, ?) ON CONFLICT DO NOTHING",
      bundle.trustDomain,
      toBinary(BundleSchema, bundle),
    );
    if (changes === 0) throw new Error(DUPLICATE_KEY);
  }

  /** Reads, changes and writes one row with no other writer in between; undefined writes nothing. */
  changeBundle(
    trustDomain: string,
    change: (current: Bundle | undefined) => Bundle | undefined,
  ): void {
    this.#transaction(() => {
      const changed = change(this.bundle(trustDomain));
      if (changed !== undefined) this.#upsert(changed);
    });
  }

  deleteBundle(trustDomain: string, mode: DeleteMode): DeleteOutcome {
    return this.#transaction(() => {
      const row = this.#find("SELECT id, data FROM bundles WHERE trust_domain = ?", trustDomain);
      if (row === undefined) return { kind: "missing" };
      const federated = `SELECT registered_entry_id AS id FROM federated_registration_entries
        WHERE bundle_id = ?`;
      const entries = this.#database.prepare(federated).all(row.id).length;
      if (entries > 0 && mode === DeleteMode.RESTRICT) return { kind: "in-use", entries };
      if (mode === DeleteMode.DELETE) {
        this.#run(`DELETE FROM registered_entries WHERE id IN (${federated})`, row.id);
      }
      this.#run("DELETE FROM bundles WHERE id = ?", row.id); // The associations go with it.
      return { kind: "deleted" };
    });
  }

  entries(request: PageRequest): Page<Entry> {
    const page = this.#page("registered_entries", request);
    return { ...page, rows: page.rows.map((row) => this.#entry(row)) };
  }

  /** Stores an entry. Throws an Error when a trust domain it federates with has no row. */
  createEntry(entry: Entry): void {
    this.#transaction(() => {
      const row = clone(EntrySchema, entry);
      row.federatesWith = [];
      const { lastInsertRowid } = this.#run(
        "INSERT INTO registered_entries (entry_id, data) VALUES (?, ?)",
        entry.id,
        toBinary(EntrySchema, row),
      );
      for (const trustDomain of new Set(entry.federatesWith)) {
        const { changes } = this.#run(
          `INSERT INTO federated_registration_entries (bundle_id, registered_entry_id)
           SELECT id, ? FROM bundles WHERE trust_domain = ?`,
          lastInsertRowid,
          trustDomain,
        );
        if (changes === 0) {
          throw new Error(`unable to find federated bundle "spiffe://${trustDomain}"`);
        }
      }
    });
  }

  /** @returns Whether there was such an entry. */
  deleteEntry(entryId: string): boolean {
    return this.#run("DELETE FROM registered_entries WHERE entry_id = ?", entryId).changes > 0;
  }

  relationships(request: PageRequest): Page<FederationRelationship> {
    const page = this.#page("federated_trust_domains", request);
    return {
      ...page,
      rows: page.rows.map(({ data }) => {
        const relationship = fromBinary(FederationRelationshipSchema, data);
        relationship.trustDomainBundle = this.bundle(relationship.trustDomain);
        return relationship;
      }),
    };
  }

  /** Stores a relationship, and the bundle that came with it as a row. Throws when there is one. */
  createRelationship(relationship: FederationRelationship): void {
    this.#transaction(() => {
      const row = clone(FederationRelationshipSchema, relationship);
      row.trustDomainBundle = undefined;
      this.#run(
        "INSERT INTO federated_trust_domains (trust_domain, data) VALUES (?, ?)",
        relationship.trustDomain,
        toBinary(FederationRelationshipSchema, row),
      );
      const { trustDomainBundle } = relationship;
      if (trustDomainBundle !== undefined) this.#upsert(trustDomainBundle);
    });
  }

  /** Leaves the bundle where it is. @returns Whether there was such a relationship. */
  deleteRelationship(trustDomain: string): boolean {
    const sql = "DELETE FROM federated_trust_domains WHERE trust_domain = ?";
    return this.#run(sql, trustDomain).changes > 0;
  }

  #upsert(bundle: Bundle): void {
    this.#run(
      `INSERT INTO bundles (trust_domain, data) VALUES (?, ?)
       ON CONFLICT (trust_domain) DO UPDATE SET data = excluded.data`,
      bundle.trustDomain,
      toBinary(BundleSchema, bundle),
    );
  }

  #entry({ id, data }: StoredRow): Entry {
    const domains = this.#database
      .prepare(
        `SELECT b.trust_domain AS name FROM federated_registration_entries f
         JOIN bundles b ON b.id = f.bundle_id WHERE f.registered_entry_id = ? ORDER BY name`,
      )
      .all(id);
    const entry = fromBinary(EntrySchema, data);
    entry.federatesWith = domains.map((row) => String(row["name"]));
    return entry;
  }

  /** The token is the last row's id, and there is one whenever the page is not empty (SPIRE). */
  #page(table: string, { pageSize, pageToken }: PageRequest): Page<StoredRow> {
    if (pageSize <= 0) {
      const all = this.#database.prepare(`SELECT id, data FROM ${table} ORDER BY id`).all();
      return { rows: all.map(readRow), nextPageToken: "" };
    }
    if (!/^\d*$/.test(pageToken)) throw new Error(`could not parse token '${pageToken}'`);
    const rows = this.#database
      .prepare(`SELECT id, data FROM ${table} WHERE id > ? ORDER BY id LIMIT ?`)
      .all(Number(pageToken), pageSize)
      .map(readRow);
    return { rows, nextPageToken: String(rows.at(-1)?.id ?? "") };
  }

  #find(sql: string, key: string): StoredRow | undefined {
    const row = this.#database.prepare(sql).get(key);
    return row && readRow(row);
  }

  #run(sql: string, ...values: (string | number | bigint | Uint8Array)[]) {
    return explain("datastore-sql", () => this.#database.prepare(sql).run(...values));
  }

  #transaction<Value>(work: () => Value): Value {
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      const value = work();
      this.#database.exec("COMMIT");
      return value;
    } catch (error) {
      this.#database.exec("ROLLBACK");
      throw error;
    }
  }
}

function readRow(row: Record<string, SQLOutputValue>): StoredRow {
  return { id: Number(row["id"]), data: row["data"] as Uint8Array };
}
