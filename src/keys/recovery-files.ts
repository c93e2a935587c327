/**
 * Files of recovery on a disk or a stick: read up to a bound, written once and never over another.
 * Whoever may read what is written is this user alone; what is read may come from a stick whose modes
 * mean nothing, so a file is not refused for them on the day when it is needed.
 */
import { constants } from "node:fs";
import { access, lstat, open, readdir, rm } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { getSystemErrorMessage } from "node:util";
import { Fault } from "../fault.ts";
import { preparePrivateDirectory } from "../private-files/private-directory.ts";

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;
const PRIVATE_MODE = 0o600;

/**
 * Reads a text file.
 *
 * @param bytesMax Of a file of its kind. Above: refused, `RECOVERY_FILE_DAMAGED`.
 * @throws {Fault} `RECOVERY_FILE_KIND` when it is no file; `RECOVERY_FILE_DAMAGED` when it is empty;
 *   `DATA_INVALID`, `NOT_ALLOWED` when it cannot be read.
 */
export async function readTextFile(path: string, bytesMax: number): Promise<string> {
  const bytes = await readStart(path, bytesMax + 1).catch((cause: unknown) => {
    if (cause instanceof Fault) throw cause;
    const code = codeOf(cause) === "EACCES" ? "NOT_ALLOWED" : "DATA_INVALID";
    const message = `${path} cannot be read: ${reasonOf(cause)}`;
    throw new Fault(code, message, { advice: "Name a file that you may read.", cause });
  });
  if (bytes.length === 0) throw new Fault("RECOVERY_FILE_DAMAGED", `${path} is empty`);
  if (bytes.length <= bytesMax) return bytes.toString("utf8");
  const problem = `${path} is larger than ${bytesMax / 1024} KiB, as no file of its kind is`;
  throw new Fault("RECOVERY_FILE_DAMAGED", problem);
}

async function readStart(path: string, bytesMax: number): Promise<Buffer> {
  // A pipe's writer, who may never come, is not waited for.
  await using file = await open(path, O_RDONLY | O_NONBLOCK);
  if (!(await file.stat()).isFile()) throw new Fault("RECOVERY_FILE_KIND", `${path} is not a file`);
  const chunks: Buffer[] = [];
  for await (const chunk of file.createReadStream({ end: bytesMax - 1 })) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/**
 * Writes a new file, mode 0600, on disk when this resolves. A file that is there already stays as it
 * is; of one that cannot be written whole nothing is left.
 *
 * @throws {Fault} `CANNOT_CREATE`.
 */
export async function writeNewFile(path: string, text: string): Promise<void> {
  const file = await open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, PRIVATE_MODE).catch(
    (cause: unknown) => {
      throw cannotCreate(path, cause);
    },
  );
  try {
    await file.writeFile(text);
    await file.sync();
    await syncDirectory(dirname(path));
  } catch (cause) {
    await rm(path, { force: true });
    throw cannotCreate(path, cause);
  } finally {
    await file.close();
  }
}

/**
 * Makes sure, before anybody types a passphrase, that nothing is there yet and something can be.
 * @throws {Fault} `CANNOT_CREATE`.
 */
export async function checkNewFile(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found !== undefined) throw cannotCreate(path, "it is there already, and stays as it is");
  await access(dirname(path), constants.W_OK).catch((cause: unknown) => {
    throw cannotCreate(path, cause);
  });
}

/** The same for a directory, which may be there when it is empty. */
export async function checkNewDirectory(path: string): Promise<void> {
  const names = await readdir(path).catch((cause: unknown) => {
    if (codeOf(cause) === "ENOENT") return [];
    throw cannotCreate(path, cause);
  });
  if (names.length > 0) throw cannotCreate(path, "it is there already, and not empty");
}

/**
 * Writes new files into a directory of this user alone, which is made when it is missing: all of them
 * or none.
 *
 * @param files Text by file name.
 * @throws {Fault} `CANNOT_CREATE`, `NOT_ALLOWED`.
 */
export async function writeNewDirectory(
  directory: string,
  files: ReadonlyMap<string, string>,
): Promise<void> {
  await checkNewDirectory(directory);
  await preparePrivateDirectory(resolve(directory), "-out");
  const written: string[] = [];
  try {
    for (const [name, text] of files) {
      const path = join(directory, name);
      await writeNewFile(path, text);
      written.push(path);
    }
  } catch (error) {
    for (const path of written) await rm(path, { force: true });
    throw error;
  }
}

/** A new name is on disk only when its directory is. */
async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path, O_RDONLY | O_DIRECTORY);
  await directory.sync();
}

function cannotCreate(path: string, cause: unknown): Fault {
  const reason = typeof cause === "string" ? cause : reasonOf(cause);
  const isTaken = typeof cause === "string" || codeOf(cause) === "EEXIST";
  return new Fault("CANNOT_CREATE", `${path} cannot be written: ${reason}`, {
    ...(isTaken ? { advice: "Name a new one with -out." } : {}),
    cause,
  });
}

/** In the system's own words, without a path that the sentence names already. */
function reasonOf(error: unknown): string {
  const { errno } = error as NodeJS.ErrnoException;
  return errno === undefined ? String(error) : getSystemErrorMessage(errno);
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}
