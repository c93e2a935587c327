/**
 * The file FORMAT in `data_dir`, which stood there before the marks did: it names the store and says
 * how many batches that held at least. Read once, and deleted when the marks are on disk.
 */
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { fromHex, toUtf8 } from "../core/std/bytes.ts";
import { sha256Hex } from "../core/std/sha256.ts";
import { Fault } from "../fault.ts";
import { type PrivateFile, readPrivateFile, syncDirectory } from "../private-files/private-file.ts";
import type { Floor } from "./store-database.ts";
import { storeFault, unknownFormat } from "./store-fault.ts";

export const MARKER_NAME = "FORMAT";
const FORMAT = 1;
/** It has 148 at most. What is larger is refused: STORE_DAMAGED. */
const BYTES_MAX = 4 * 1024;

/** Reads FORMAT; undefined when there is none. Throws `STORE_DAMAGED` when it is not as written. */
export async function readMarker(dataDir: string): Promise<Floor | undefined> {
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
  return { storeId: fromHex(storeId), writes: BigInt(writes) };
}

/** Deletes FORMAT, if it is there: the marks stand in its place. */
export async function removeMarker(dataDir: string): Promise<void> {
  const path = join(dataDir, MARKER_NAME);
  if (!(await readdir(dataDir)).includes(MARKER_NAME)) return;
  await rm(path);
  await syncDirectory(dataDir);
}
