/**
 * What a start finds in `data_dir`, and which store comes of it.
 *
 *     marks     store                      FORMAT        then
 *     good      whole, not older           any           it is opened
 *     good      any other                  any           it goes to the quarantine, a new one is made
 *     damaged   whole                      none or good  it is opened, the marks are made anew
 *     missing   whole                      none or good  the same; with FORMAT nothing is lost
 *     missing   none, and nothing else     none          a first start
 *     any other                                          STORE_DAMAGED, nothing is changed
 *
 * What a disk did is put away; what somebody put there, a link or another user's file, is refused.
 * The marks are on disk before the store that they name, so a store without marks lost them.
 */
import { readdir } from "node:fs/promises";
import { compareVersions } from "../core/record/state.ts";
import type { TrustDomain } from "../core/spiffe/trust-domain.ts";
import { equalBytes } from "../core/std/bytes.ts";
import { SHA256_BYTES } from "../core/std/sha256.ts";
import { Fault } from "../fault.ts";
import type { Mark, StoredDomain } from "../ports/record-store.ts";
import { renewStore } from "./earlier-format.ts";
import { readMarker, removeMarker } from "./format-marker.ts";
import { type MarkEntry, type Marked, type Marks, decodeMark, encodeMark } from "./marks.ts";
import { type FoundMarks, readMarks, writeMarks } from "./marks-file.ts";
import { quarantine } from "./quarantine.ts";
import { type Contents, readContents } from "./store-contents.ts";
import {
  type Database,
  type Floor,
  STORE_DIRECTORY,
  checkFiles,
  lookAtDatabase,
  makeDatabase,
  openDatabase,
  readMeta,
} from "./store-database.ts";
import { isDamage, storeFault } from "./store-fault.ts";
import { type MetaValue, STORE_ID_BYTES } from "./stored-value.ts";

export interface OpenedStore {
  readonly database: Database;
  /** What the store said about itself then. */
  readonly meta: MetaValue;
  readonly contents: Contents;
  /** As they are on disk. */
  readonly marks: Marks;
  /** Entries that the store is ahead of. */
  readonly newer: ReadonlyMap<TrustDomain, MarkEntry>;
  /** What the marks name and the store lacks, or holds in an older version. */
  readonly missing: ReadonlyMap<TrustDomain, Marked>;
  /** Why another store was put away, and where it lies. */
  readonly quarantined: string | undefined;
  readonly marksLost: boolean;
}

/** The fallback directory for sockets, what a crash leaves of the marks, and what mkfs does. */
const KNOWN_AT_FIRST_START = new Set([STORE_DIRECTORY, "run", "marks.new", "lost+found"]);

/** @throws {Fault} `STORE_DAMAGED`, `STORE_FULL`, `CANNOT_CREATE`, `NOT_ALLOWED`, `ALREADY_RUNNING`. */
export async function openStore(dataDir: string, nowMs: number): Promise<OpenedStore> {
  await checkFiles(dataDir);
  const found = await readMarks(dataDir);
  if (found.kind !== "good") return await openUnmarked(dataDir, found);
  await removeMarker(dataDir);
  return await openOrReplace(dataDir, found.marks, nowMs);
}

async function openOrReplace(dataDir: string, marks: Marks, nowMs: number): Promise<OpenedStore> {
  let damage: Fault;
  try {
    return await openMarked(dataDir, marks);
  } catch (error) {
    const fault = storeFault(dataDir, error);
    if (!isDamage(fault)) throw fault;
    damage = fault;
  }
  const isThere = (await readdir(dataDir)).includes(STORE_DIRECTORY);
  const place = isThere ? await quarantine(dataDir, STORE_DIRECTORY, nowMs) : undefined;
  const renewed = { ...marks, storeId: newStoreId(), writes: 0n };
  await writeMarks(dataDir, renewed);
  const { message } = damage;
  const quarantined = place === undefined ? message : `${message}; it lies in ${place}`;
  return { ...(await openMarked(dataDir, renewed)), quarantined };
}

async function openMarked(dataDir: string, marks: Marks): Promise<OpenedStore> {
  const read = async (database: Database): Promise<OpenedStore> =>
    await readAll(dataDir, database, marks);
  if (marks.writes > 0n) return await openDatabase(dataDir, read);
  // A store that is still to be made, or one of which the marks know no batch.
  if ((await lookAtDatabase(dataDir)) === "remains") throw lost(dataDir, STORE_DIRECTORY);
  const { storeId, headCounter } = marks;
  const meta = { storeId, headCounter, writes: 0n, sum: new Uint8Array(SHA256_BYTES) };
  return await makeDatabase(dataDir, meta, read);
}

async function openUnmarked(
  dataDir: string,
  found: Exclude<FoundMarks, { kind: "good" }>,
): Promise<OpenedStore> {
  const floor = await readMarker(dataDir);
  const look = await lookAtDatabase(dataDir);
  if (look === "there") {
    return await openDatabase(dataDir, async (database) => {
      await renewStore(dataDir, database, floor);
      const opened = await readAll(dataDir, database, floor);
      const marks = { ...opened.meta, entries: opened.newer };
      await writeMarks(dataDir, marks);
      await removeMarker(dataDir);
      const marksLost = found.kind === "damaged" || floor === undefined;
      return { ...opened, marks, newer: new Map(), marksLost };
    });
  }
  if (found.kind === "damaged") {
    throw new Fault("STORE_DAMAGED", `${dataDir} lost its store and its marks: ${found.problem}`);
  }
  if (look === "remains" || floor !== undefined) throw lost(dataDir, STORE_DIRECTORY);
  const other = (await readdir(dataDir)).find((name) => !KNOWN_AT_FIRST_START.has(name));
  if (other !== undefined) throw lost(dataDir, other); // Such as a node key: the store was lost.
  const marks: Marks = {
    storeId: newStoreId(),
    writes: 0n,
    headCounter: 0n,
    entries: new Map(),
  };
  await writeMarks(dataDir, marks);
  return await openMarked(dataDir, marks);
}

/** Reads a store whole and compares it with the marks, or with what is known of it without them. */
async function readAll(
  dataDir: string,
  database: Database,
  known: Marks | Floor | undefined,
): Promise<OpenedStore> {
  const meta = await readMeta(dataDir, database, known);
  const contents = await readContents(dataDir, database);
  const marks: Marks = { ...meta, entries: new Map(), ...known };
  const newer = new Map<TrustDomain, MarkEntry>();
  const missing = new Map<TrustDomain, Marked>();
  for (const [trustDomain, { domain, steps }] of contents.domains) {
    const entry = encodeMark(domain, steps, contents.pins.get(trustDomain));
    const before = marks.entries.get(trustDomain);
    if (before !== undefined && equalBytes(before, entry)) continue;
    const marked = before && decodeMark(before);
    if (marked !== undefined && isAbove(marked.mark, domain)) missing.set(trustDomain, marked);
    else newer.set(trustDomain, entry);
  }
  for (const [trustDomain, entry] of marks.entries) {
    if (!contents.domains.has(trustDomain)) missing.set(trustDomain, decodeMark(entry));
  }
  return {
    database,
    meta,
    contents,
    marks,
    newer,
    missing,
    quarantined: undefined,
    marksLost: false,
  };
}

/** Of another lineage it is no older version, but a new start. */
function isAbove(mark: Mark, { lineage, held }: StoredDomain): boolean {
  return mark.lineage === lineage && compareVersions(mark, held) > 0;
}

function newStoreId(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(STORE_ID_BYTES));
}

function lost(dataDir: string, other: string): Fault {
  return new Fault("STORE_DAMAGED", `${dataDir} holds ${other}, but no records`, {
    advice: "Restore data_dir from a backup, or set `data_dir` to an empty directory.",
  });
}
