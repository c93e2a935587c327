/**
 * When a row is in a SPIRE Server, read from that server's own socket. Polling three servers every
 * few milliseconds would load the machine that is being measured, so a change of the datastore's
 * file says when reading is worth it; what the server answers is what counts.
 */
import { watch } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { TrustBundle } from "../src/core/spiffe/trust-bundle.ts";
import { type Bench, holds } from "./sites.ts";

/** Between two looks at what the file watch said: the resolution, with the 1 ms of a read. */
const LOOK_MS = 2;
/** The file changes before the transaction ends, so reads go on for this long after a change. */
const READ_AFTER_CHANGE_MS = 100;
/** A row is read this often when no change was seen, as a file watch promises nothing. */
const READ_ANYWAY_MS = 500;

/**
 * Waits until the server answers this bundle. Resolves with the time of the answer, in milliseconds
 * of `performance.now()`; rejects when that takes longer than `limitMs`.
 * @param partOf The part of a row that is compared; all of it unless given.
 */
export async function rowArrival(
  at: Bench,
  bundle: TrustBundle,
  limitMs: number,
  partOf: (row: TrustBundle) => TrustBundle = (row) => row,
): Promise<number> {
  const deadlineMs = performance.now() + limitMs;
  let changedAtMs = performance.now();
  let readAtMs = 0;
  const watcher = watch(join(at.site.directory, "spire-data"), () => {
    changedAtMs = performance.now();
  });
  try {
    for (;;) {
      const nowMs = performance.now();
      if (nowMs < changedAtMs + READ_AFTER_CHANGE_MS || nowMs > readAtMs + READ_ANYWAY_MS) {
        readAtMs = nowMs;
        if (await holds(at, bundle, partOf)) return performance.now();
      }
      if (nowMs > deadlineMs) {
        throw new Error(`${at.trustDomain} had no row of ${bundle.trustDomain} in ${limitMs} ms`);
      }
      await sleep(LOOK_MS);
    }
  } finally {
    watcher.close();
  }
}
