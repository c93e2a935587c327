/**
 * Files with private keys: regular files of this process's own user with mode 0600. Whatever else is
 * found in their place is refused, not repaired: somebody may have read or written the key.
 */
import { type Stats, constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { dirname } from "node:path";
import writeFileAtomic from "write-file-atomic";

const PRIVATE_MODE = 0o600;
const PERMISSIONS = 0o7777;
/** A key and the longest chain in PEM take 45 KiB. */
const BYTES_MAX = 64 * 1024;

export type PrivateFile =
  | { readonly kind: "read"; readonly text: string }
  | { readonly kind: "missing" }
  /** Not a file of this user alone, in words. */
  | { readonly kind: "exposed"; readonly problem: string };

/** Reads a private file whole. Rejects only when the disk fails. */
export async function readPrivateFile(path: string): Promise<PrivateFile> {
  let file: FileHandle;
  try {
    // Without following a link in the last place, and without waiting for a pipe's writer.
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return { kind: "missing" };
    if (code === "ELOOP") return { kind: "exposed", problem: "it is a symbolic link" };
    if (code === "EACCES") return { kind: "exposed", problem: "this user may not read it" };
    throw error;
  }
  try {
    const problem = exposure(await file.stat());
    if (problem !== undefined) return { kind: "exposed", problem };
    return { kind: "read", text: await file.readFile("utf8") };
  } finally {
    await file.close();
  }
}

function exposure(found: Stats): string | undefined {
  const user = process.geteuid?.();
  const mode = found.mode & PERMISSIONS;
  if (!found.isFile()) return "it is not a regular file";
  if (found.uid !== user) return `it belongs to user id ${found.uid}, not ${user}`;
  if (mode !== PRIVATE_MODE) return `it has mode ${mode.toString(8)}, not 600`;
  return found.size > BYTES_MAX ? `it has ${found.size} bytes` : undefined;
}

/** Writes a private file: after a crash it is there whole, or as it was before. */
export async function writePrivateFile(path: string, text: string): Promise<void> {
  await writeFileAtomic(path, text, { mode: PRIVATE_MODE });
  await syncDirectory(dirname(path));
}

/** A new name is on disk only when its directory is. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
