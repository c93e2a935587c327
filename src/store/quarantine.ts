/** Where a store goes that is older than its marks or damaged: kept as it is, beside the new one. */
import { readdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../fault.ts";
import { preparePrivateDirectory } from "../private-files/private-directory.ts";
import { syncDirectory } from "../private-files/private-file.ts";

const QUARANTINE = "quarantine";
/**
 * Stores that are kept: whoever has so many looks for the cause before the fifth. Above: STORE_DAMAGED,
 * and nothing is moved.
 */
const STORES_MAX = 4;

/**
 * Moves a directory of `data_dir` to `quarantine/<time>`, in one step that a crash cannot divide.
 *
 * @returns Where it lies now.
 * @throws {Fault} `STORE_DAMAGED` when four are there.
 */
export async function quarantine(
  dataDir: string,
  directory: string,
  nowMs: number,
): Promise<string> {
  const into = join(dataDir, QUARANTINE);
  await preparePrivateDirectory(into, "data_dir");
  const there = new Set(await readdir(into));
  if (there.size >= STORES_MAX) {
    throw new Fault(
      "STORE_DAMAGED",
      `${into} holds ${there.size} stores, and one more is damaged`,
      {
        advice: `Look for what damages them: the disk, or a restored data_dir. Then move what is in ${into} away.`,
      },
    );
  }
  let name = nameAt(nowMs);
  for (let later = nowMs + 1; there.has(name); later += 1) name = nameAt(later);
  const place = join(into, name);
  await rename(join(dataDir, directory), place);
  await syncDirectory(into);
  await syncDirectory(dataDir);
  return place;
}

/** Without the colons, which are a host's in scp and rsync. */
function nameAt(timeMs: number): string {
  return new Date(timeMs).toISOString().replaceAll(/[-:]/g, "");
}
