/**
 * The file FORMAT in `data_dir`: says that a store was made here, which one, and how many batches
 * it held at least.
 *
 * LevelDB opens silently as an empty store when its file CURRENT is gone, and as an older one when
 * the end of its log is cut off or damaged (measured). The store counts its batches; this file
 * follows that count, always a little behind. A store that counts less than FORMAT has lost what
 * the daemon relied on.
 */
import { join } from "node:path";
import { sha256Hex } from "../core/std/sha256.ts";
import { toUtf8 } from "../core/std/bytes.ts";
import { Fault } from "../fault.ts";
import {
  type PrivateFile,
  readPrivateFile,
  writePrivateFile,
} from "../private-files/private-file.ts";
import { storeFault, unknownFormat } from "./store-fault.ts";

export const MARKER_NAME = "FORMAT";
/** Layout of the whole data directory. */
const FORMAT = 1;
/**
 * It has 148 at most; a later format may have some lines more. What is larger is refused:
 * STORE_DAMAGED.
 */
const BYTES_MAX = 4 * 1024;

export interface Marker {
  /** 32 hex digits. */
  readonly storeId: string;
  readonly writes: bigint;
}

/** Reads FORMAT; undefined when there is none. Throws `STORE_DAMAGED` when it is not as written. */
export async function readMarker(dataDir: string): Promise<Marker | undefined> {
  const path = join(dataDir, MARKER_NAME);
  let file: PrivateFile;
  try {
    file = await readPrivateFile(path, BYTES_MAX);
  } catch (error) {
    throw storeFault(dataDir, error);
  }
  if (file.kind === "missing") return undefined;
  if (file.kind !== "read") throw new Fault("STORE_DAMAGED", `${path}: ${file.problem}`);
  const { text } = file;
  const [, body = "", hash] = /^([^]*)sha256 ([0-9a-f]{64})\n$/.exec(text) ?? [];
  const [, format = ""] = /^format (\d{1,9})\n/.exec(body) ?? [];
  if (hash !== sha256Hex(toUtf8(body)) || format === "") {
    throw new Fault("STORE_DAMAGED", `${path} does not match its hash`);
  }
  if (Number(format) !== FORMAT) throw unknownFormat(path, Number(format), FORMAT);
  const [, storeId, writes] = /\nstore ([0-9a-f]{32})\nwrites (\d{1,20})\n$/.exec(body) ?? [];
  if (storeId === undefined || writes === undefined) {
    // The hash finds accidents; whoever wrote this computed it anew.
    throw new Fault("STORE_DAMAGED", `${path} does not name a store`);
  }
  return { storeId, writes: BigInt(writes) };
}

/** Replaces FORMAT: it is the old or the new one after a crash, and on disk when this resolves. */
export async function writeMarker(dataDir: string, { storeId, writes }: Marker): Promise<void> {
  const path = join(dataDir, MARKER_NAME);
  const body = `format ${FORMAT}\nstore ${storeId}\nwrites ${writes}\n`;
  const text = `${body}sha256 ${sha256Hex(toUtf8(body))}\n`;
  await writePrivateFile(path, text);
}

/**
 * Lets FORMAT follow the store without making a batch wait for it: one write is under way at most,
 * and counts that come meanwhile are taken together by the next.
 */
export class MarkerFollower {
  readonly #dataDir: string;
  #written: Marker;
  #wanted: Marker;
  #running: Promise<void> | undefined;
  /** Why the last write of FORMAT failed; then the file is behind. */
  #problem: Error | undefined;

  constructor(dataDir: string, written: Marker) {
    this.#dataDir = dataDir;
    this.#written = written;
    this.#wanted = written;
  }

  /** Takes a higher count. Does not wait: being behind only means to notice less. */
  raise(writes: bigint): void {
    this.#wanted = { ...this.#wanted, writes };
    this.#running ??= this.#follow();
  }

  /**
   * Writes a count that could not be written earlier. What kept it from that may have passed:
   * rejects only when it cannot be written now.
   */
  async catchUp(): Promise<void> {
    if (this.#problem === undefined) return;
    this.#running ??= this.#follow();
    await this.#running;
    if (this.#problem !== undefined) throw this.#problem;
  }

  /** Resolves when nothing is under way any more. */
  async settled(): Promise<void> {
    await this.#running;
  }

  async #follow(): Promise<void> {
    try {
      while (this.#written.writes < this.#wanted.writes) {
        const marker = this.#wanted;
        await writeMarker(this.#dataDir, marker);
        this.#written = marker;
        this.#problem = undefined;
      }
    } catch (error) {
      this.#problem = storeFault(this.#dataDir, error);
    } finally {
      this.#running = undefined;
    }
  }
}
