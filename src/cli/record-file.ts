/**
 * Records as files: what is read is bounded, and what is written takes the place of nothing but an
 * earlier export.
 */
import { constants } from "node:fs";
import { lstat, mkdir, open, realpath, stat } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { type ExportReply, IMPORT_FILE_BYTES_MAX } from "../admin-contract/exchange.ts";
import { Fault } from "../fault.ts";
import { UNFINISHED, replaceFile } from "../private-files/private-file.ts";
import { withProgress } from "./output.ts";
import { isErrno, reasonOf } from "./system-error.ts";

const NAME_ANOTHER = "Name a new file with -o, or `-o -` for stdout.";
const NAME_A_DIRECTORY = "Name a directory with -o that is there or can be made.";
/** Less the umask: a record is public, and nobody else shall change it on its way. */
const EXPORT_MODE = 0o644;

/**
 * Writes an export to a file, whole or not at all. Throws `CANNOT_CREATE` and leaves everything as it
 * was where something else lies than an earlier export of the same trust domain, be it a device, a
 * link or a key, and in the daemon's own directories.
 */
export async function writeExport(file: string, made: ExportReply): Promise<void> {
  const before = await readExporter(file);
  if (before !== undefined && before !== made.trust_domain) {
    throw kept(file, `holds the record of ${before}, not of ${made.trust_domain}`);
  }
  await checkOutside(file, made.private_directories);
  await writeWhole(file, Buffer.from(made.content, "base64"));
}

/**
 * Makes a directory for exports, if it is not there. Throws `CANNOT_CREATE` where it cannot be made or is
 * none, and in the daemon's own directories.
 */
export async function openExportDirectory(
  directory: string,
  privateDirectories: readonly string[],
): Promise<void> {
  await checkOutside(directory, privateDirectories);
  await mkdir(directory).catch(async (error: unknown) => {
    const isThere = (await stat(directory).catch(() => undefined))?.isDirectory() === true;
    if (isThere) return;
    const message = `${directory} cannot be made: ${reasonOf(error)}.`;
    throw new Fault("CANNOT_CREATE", message, { advice: NAME_A_DIRECTORY, cause: error });
  });
  await checkOutside(join(directory, "any"), privateDirectories);
}

/** Whose record the file holds; undefined when nothing is there. */
async function readExporter(file: string): Promise<string | undefined> {
  const found = await lstat(file).catch(() => undefined);
  if (found === undefined) return undefined;
  if (!found.isFile()) throw kept(file, "is there and is not a file");
  const content = await readRecordFile(file).catch((error: unknown) => {
    throw kept(file, "is there and is not known to be an export", error);
  });
  const { decodeExportFile } = await import("../core/record/export-file.ts");
  const { decodeRecord } = await import("../core/record/verify.ts");
  const read = decodeExportFile(content);
  const record = read.ok ? decodeRecord(read.value.envelope, "sync") : read;
  if (!record.ok) throw kept(file, "is there and is not an export");
  return record.value.state.trustDomain;
}

async function checkOutside(file: string, directories: readonly string[]): Promise<void> {
  const place = await realpath(dirname(resolve(file))).catch(() => undefined);
  if (place === undefined) return; // The write says why.
  for (const directory of directories) {
    const real = await realpath(directory).catch(() => directory);
    if (!/^\.\.(?:\/|$)/.test(relative(real, place))) {
      throw kept(file, `would lie in ${directory}, which is the daemon's own`);
    }
  }
}

function kept(file: string, why: string, cause?: unknown): Fault {
  return new Fault("CANNOT_CREATE", `${file} ${why}.`, { advice: NAME_ANOTHER, cause });
}

async function writeWhole(file: string, content: Uint8Array): Promise<void> {
  // Others may write in this directory, such as /tmp: the name is not to be guessed.
  const unfinished = `${file}.${crypto.randomUUID()}${UNFINISHED}`;
  await replaceFile(file, content, { mode: EXPORT_MODE, unfinished }).catch((error: unknown) => {
    throw new Fault("CANNOT_CREATE", `${file} cannot be written: ${reasonOf(error)}.`, {
      ...adviceOnWriting(error, dirname(file)),
      cause: error,
    });
  });
}

/** For what is not the disk's trouble, of which the code's own advice tells. */
function adviceOnWriting(error: unknown, directory: string): { readonly advice?: string } {
  switch (isErrno(error) ? error.code : undefined) {
    case "ENOENT":
      return { advice: `\`mkdir -p ${directory}\`, or name another file with -o.` };
    case "EACCES":
      return { advice: "Name a file where you may write, or `-o -` for stdout." };
    default:
      return {};
  }
}

/** At most one byte more than any export file has, so that a huge one is never read whole. */
export async function readRecordFile(path: string): Promise<Buffer> {
  const content = await readStart(path).catch((error: unknown) => {
    if (error instanceof Fault) throw error;
    if (isErrno(error) && error.code === "ENXIO") throw notAFile(path); // A socket.
    const code = isErrno(error) && error.code === "EACCES" ? "NOT_ALLOWED" : "DATA_INVALID";
    const message = `${path} cannot be read: ${reasonOf(error)}.`;
    throw new Fault(code, message, { advice: "Name a file that you may read.", cause: error });
  });
  return checkSize(path, content);
}

function checkSize(name: string, content: Buffer): Buffer {
  if (content.length === 0) throw new Fault("DATA_INVALID", `${name} is empty.`);
  if (content.length > IMPORT_FILE_BYTES_MAX) {
    const limit = `${IMPORT_FILE_BYTES_MAX / 1024} KiB`;
    throw new Fault("DATA_INVALID", `${name} is larger than ${limit}: it is no export file.`);
  }
  return content;
}

/** The other end of `export -o -`: whoever named stdin waits for it, and ends it by Ctrl-C. */
export async function readStdin(): Promise<Buffer> {
  if (process.stdin.isTTY) {
    throw new Fault("USAGE", "A record is not text that one types.", {
      advice: "spire-mesh import - < FILE",
    });
  }
  const content = await withProgress("reading stdin", readAtMost(process.stdin)).catch(
    (error: unknown) => {
      const message = `stdin cannot be read: ${reasonOf(error)}.`;
      throw new Fault("DATA_INVALID", message, {
        advice: "spire-mesh import - < FILE",
        cause: error,
      });
    },
  );
  return checkSize("stdin", content);
}

async function readStart(path: string): Promise<Buffer> {
  // A pipe's writer, who may never come, is not waited for.
  await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  if (!(await file.stat()).isFile()) throw notAFile(path);
  return await readAtMost(file.createReadStream());
}

/** All of a stream, or so much that it is too much. */
async function readAtMost(stream: NodeJS.ReadableStream): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of stream) {
    chunks.push(Buffer.from(chunk));
    length += chunk.length;
    if (length > IMPORT_FILE_BYTES_MAX) break;
  }
  return Buffer.concat(chunks);
}

function notAFile(path: string): Fault {
  const advice = "Name a file that `spire-mesh export -o` wrote.";
  return new Fault("DATA_INVALID", `${path} is not a file.`, { advice });
}
