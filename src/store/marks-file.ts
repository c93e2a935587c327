/**
 * The file `marks` in `data_dir`: read at the start, and kept in step with the store. One write is
 * under way at most, and what changes meanwhile is taken together by the next.
 *
 *     change ─▶ idle: written at once ─────▶ temporary file, fsync, rename, fsync of the directory
 *               writing: with the next write
 */
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import type { TrustDomain } from "../core/spiffe/trust-domain.ts";
import { Fault } from "../fault.ts";
import {
  type PrivateBytes,
  readPrivateBytes,
  writePrivateFile,
} from "../private-files/private-file.ts";
import { MARKS_FORMAT, type MarkEntry, type Marks, decodeMarks, encodeMarks } from "./marks.ts";
import { storeFault, unknownFormat } from "./store-fault.ts";
import type { MetaValue } from "./stored-value.ts";

export const MARKS_NAME = "marks";
/** 10,000 partners take 3 MiB; 20 with the longest names and 16 nodes each. Above: taken for damaged. */
const BYTES_MAX = 32 * 1_024 * 1_024;

export type FoundMarks =
  | { readonly kind: "good"; readonly marks: Marks }
  /** Not what was written there, in words. */
  | { readonly kind: "damaged"; readonly problem: string }
  | { readonly kind: "missing" };

/** Throws `STORE_DAMAGED` when others could write the file, or a later version wrote it. */
export async function readMarks(dataDir: string): Promise<FoundMarks> {
  const path = join(dataDir, MARKS_NAME);
  let file: PrivateBytes;
  try {
    file = await readPrivateBytes(path, BYTES_MAX);
  } catch (error) {
    throw storeFault(dataDir, error);
  }
  if (file.kind === "exposed") throw new Fault("STORE_DAMAGED", `${path}: ${file.problem}`);
  if (file.kind !== "read") return file;
  const decoded = decodeMarks(file.bytes);
  if (decoded.ok) return { kind: "good", marks: decoded.value };
  const { problem, format } = decoded.reason;
  if (format !== undefined) throw unknownFormat(path, format, MARKS_FORMAT);
  return { kind: "damaged", problem };
}

/** Replaces the file: it is the old or the new one after a crash, and on disk when this resolves. */
export async function writeMarks(dataDir: string, marks: Marks): Promise<void> {
  await writePrivateFile(join(dataDir, MARKS_NAME), encodeMarks(marks));
}

/** Lets the file follow the store. */
export class MarksFile {
  readonly #dataDir: string;
  readonly #storeId: Uint8Array;
  readonly #entries: Map<TrustDomain, MarkEntry>;
  #about: Pick<Marks, "writes" | "headCounter">;
  /** Counts changes; what is on disk has those up to `#written`. */
  #changes = 0;
  #written = 0;
  #writing: Promise<void> | undefined;
  /** Whether the last write failed; then the file is behind. */
  #failed = false;
  #isClosed = false;

  /** @param marks As the file has them. */
  constructor(dataDir: string, { storeId, entries, ...about }: Marks) {
    this.#dataDir = dataDir;
    this.#storeId = storeId;
    this.#entries = new Map(entries);
    this.#about = about;
  }

  get(trustDomain: TrustDomain): MarkEntry | undefined {
    return this.#entries.get(trustDomain);
  }

  /** Sets or deletes an entry. It is written with the next change that the store makes, or awaited. */
  set(trustDomain: TrustDomain, entry: MarkEntry | undefined): void {
    if (entry === undefined) this.#entries.delete(trustDomain);
    else this.#entries.set(trustDomain, entry);
    this.#changes += 1;
  }

  /** Takes what the store says about itself after a batch. Does not wait. */
  follow({ writes, headCounter }: MetaValue): void {
    this.#about = { writes, headCounter };
    this.#changes += 1;
    void this.#write();
  }

  /** Resolves when every change so far is on disk. Rejects when a write fails; the next call tries again. */
  async written(): Promise<void> {
    const changes = this.#changes;
    while (this.#written < changes) await this.#write();
  }

  /** As `written`, after a write that failed: what kept it from that may have passed. */
  async catchUp(): Promise<void> {
    if (this.#failed) await this.written();
  }

  /** After one more try to be in step, and without a write under way. */
  async close(): Promise<void> {
    await this.written().catch(() => undefined);
    this.#isClosed = true;
  }

  /** The write under way, or one that begins now. */
  #write(): Promise<void> {
    if (this.#writing !== undefined) return this.#writing;
    const writing = this.#writeOnce();
    this.#writing = writing;
    const ended = (): void => {
      this.#writing = undefined;
      if (this.#written < this.#changes && !this.#failed) void this.#write();
    };
    writing.then(ended, ended);
    return writing;
  }

  async #writeOnce(): Promise<void> {
    // Whoever made the change goes on first: 10,000 marks take 10 ms to encode (measured).
    await setImmediate();
    const changes = this.#changes;
    const { writes, headCounter } = this.#about;
    try {
      if (this.#isClosed) throw new Fault("NOT_READY", `The store in ${this.#dataDir} is closed`);
      const marks = { storeId: this.#storeId, writes, headCounter, entries: this.#entries };
      await writeMarks(this.#dataDir, marks);
      this.#written = changes;
      this.#failed = false;
    } catch (error) {
      this.#failed = true;
      throw storeFault(this.#dataDir, error);
    }
  }
}
