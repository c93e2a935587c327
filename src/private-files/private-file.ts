/**
 * Small files of this user alone: the node key, kept SVIDs, the marks. Regular files with one name and
 * mode 0600. Whatever else is found in their place is refused, not repaired: somebody may have read
 * or written it. What is checked is the opened file, so nothing can be swapped in between.
 *
 * In a volume made for a pod's `fsGroup`, Kubernetes adds its group to every file at each mount
 * (0660): that group is the pod's own, and passes.
 */
import { type Stats, constants } from "node:fs";
import { type FileHandle, lstat, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { isVolumeGroup } from "./private-directory.ts";

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;
const PRIVATE_MODE = 0o600;
const GROUP_READ_WRITE = 0o060;
const PERMISSIONS = 0o7777;

/** What an unfinished write leaves behind; the next one of the same file takes its place. */
export const UNFINISHED = ".new";

export type PrivateFile = { readonly kind: "read"; readonly text: string } | Unread;

export type PrivateBytes = { readonly kind: "read"; readonly bytes: Uint8Array } | Unread;

type Unread =
  | { readonly kind: "missing" }
  /** Not a file of this user alone, in words. */
  | { readonly kind: "exposed"; readonly problem: string }
  /** Not what was written there, in words; never what stands in it. */
  | { readonly kind: "damaged"; readonly problem: string };

/** Reads a private file whole, as UTF-8. Rejects only when the disk fails. */
export async function readPrivateFile(path: string, bytesMax: number): Promise<PrivateFile> {
  const file = await readPrivateBytes(path, bytesMax);
  if (file.kind !== "read") return file;
  return { kind: "read", text: Buffer.from(file.bytes).toString("utf8") };
}

/** Reads a private file whole. Rejects only when the disk fails. */
export async function readPrivateBytes(path: string, bytesMax: number): Promise<PrivateBytes> {
  let file: FileHandle;
  try {
    // Without following a link in the last place, and without waiting for a pipe's writer.
    file = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    const problem = REFUSED_OPENS[(error as NodeJS.ErrnoException).code ?? ""];
    if (problem === undefined) throw error;
    return problem === "" ? { kind: "missing" } : { kind: "exposed", problem };
  }
  try {
    const found = await file.stat();
    const problem = exposure(found, await lstat(dirname(path)));
    if (problem !== undefined) return { kind: "exposed", problem };
    const bytes = await readAtMost(file, Math.min(found.size, bytesMax + 1));
    if (bytes.length === 0) return { kind: "damaged", problem: "it is empty" };
    if (bytes.length <= bytesMax) return { kind: "read", bytes };
    return { kind: "damaged", problem: `it has more than ${bytesMax} bytes` };
  } finally {
    await file.close();
  }
}

/** By error code of open(2); empty: there is nothing. */
const REFUSED_OPENS: Readonly<Record<string, string>> = {
  ENOENT: "",
  ELOOP: "it is a symbolic link",
  EACCES: "this user may not read it",
  ENXIO: "it is not a regular file", // A socket.
};

function exposure(found: Stats, directory: Stats): string | undefined {
  const user = process.geteuid?.();
  if (!found.isFile()) return "it is not a regular file";
  if (found.uid !== user) return `it belongs to user id ${found.uid}, not ${user}`;
  if (found.nlink !== 1) return `it has ${found.nlink} names (hard links)`;
  const mode = found.mode & PERMISSIONS;
  const isPrivate = mode === PRIVATE_MODE;
  const isPods = (mode & ~GROUP_READ_WRITE) === PRIVATE_MODE && isVolumeGroup(found, directory);
  return isPrivate || isPods ? undefined : `it has mode ${mode.toString(8)}, not 600`;
}

/** A file that grows meanwhile is not followed. */
async function readAtMost(file: FileHandle, bytesMax: number): Promise<Buffer> {
  const buffer = Buffer.alloc(bytesMax);
  let length = 0;
  while (length < bytesMax) {
    const { bytesRead } = await file.read(buffer, length, bytesMax - length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return buffer.subarray(0, length);
}

/** Writes a private file: after a crash it is there whole, or as it was before. */
export async function writePrivateFile(path: string, content: string | Uint8Array): Promise<void> {
  const unfinished = `${path}${UNFINISHED}`;
  await rm(unfinished, { force: true });
  await replaceFile(path, content, { mode: PRIVATE_MODE, unfinished });
}

/**
 * Puts a file in the place of another, or of nothing: old or new after a crash, on disk when this
 * resolves, and never with a wider mode than it ends with. (write-file-atomic opens a name that can
 * be guessed, through a link that waits there.)
 *
 * @param options.mode Less what the umask takes away.
 * @param options.unfinished A name in the same directory; an error when something has it.
 */
export async function replaceFile(
  path: string,
  content: string | Uint8Array,
  { mode, unfinished }: { readonly mode: number; readonly unfinished: string },
): Promise<void> {
  const file = await open(unfinished, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
  try {
    await file.writeFile(content);
    await file.sync();
    await rename(unfinished, path);
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  } finally {
    await file.close();
  }
  await syncDirectory(dirname(path));
}

/** A new name is on disk only when its directory is. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, O_RDONLY | O_DIRECTORY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
