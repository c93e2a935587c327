/** `export`, `import` and `forget`: records as files, and partners approved or forgotten. */
import { constants } from "node:fs";
import { lstat, open } from "node:fs/promises";
import { callAdmin } from "../admin-contract/client.ts";
import {
  type ForgetReply,
  IMPORT_FILE_BYTES_MAX,
  type ImportOutcome,
} from "../admin-contract/exchange.ts";
import { FAULTS, Fault } from "../fault.ts";
import { UNFINISHED, replaceFile } from "../private-files/private-file.ts";
import { groupFingerprint, readFingerprint } from "./fingerprint.ts";
import { note, printError, printResult, withProgress } from "./output.ts";
import type { Session } from "./session.ts";
import { isErrno, reasonOf } from "./system-error.ts";

const DONE = 0;
const STDOUT = "-";
/** Less the umask: a record is public, and nobody else shall change it on its way. */
const EXPORT_MODE = 0o644;

/**
 * Writes the own record to a file, whole or not at all, over an earlier export. Without a name it
 * goes to stdout, unless a terminal is there; with `-output json` stdout has the JSON instead.
 */
export async function exportRecord(
  { socketPath, format }: Session,
  file: string | undefined,
): Promise<number> {
  const toStdout = file === STDOUT || (file === undefined && format === "pretty");
  if (toStdout && (process.stdout.isTTY || format === "json")) {
    throw new Fault("USAGE", "The record is not text: it needs a file.", {
      advice: "spire-mesh export -o FILE",
    });
  }
  if (file !== undefined && !toStdout) await checkReplaceable(file);
  const reply = await withProgress("exporting", callAdmin(socketPath, "export", {}));
  const content = Buffer.from(reply.content, "base64");
  if (file !== undefined && !toStdout) await writeWhole(file, content);
  // After the file, or somebody reads out the fingerprint of a file that is not there.
  note(`Fingerprint (the record id), to be read to whoever imports ${reply.trust_domain}:`);
  note(`  ${groupFingerprint(reply.record_id)}`);
  if (toStdout) {
    process.stdout.write(content);
    return DONE;
  }
  const { trust_domain, record_id, lineage } = reply;
  printResult(format, { trust_domain, record_id, lineage, file: file ?? null }, (result) =>
    [
      `${result.file} holds the record of ${result.trust_domain}.`,
      "Next: send it to a partner, and tell them the fingerprint another way; they run",
      "  spire-mesh import FILE -fingerprint F",
    ].join("\n"),
  );
  return DONE;
}

/** A rename would put a file in the place of a device or of a link to something else. */
async function checkReplaceable(file: string): Promise<void> {
  const found = await lstat(file).catch(() => undefined);
  if (found === undefined || found.isFile()) return;
  const advice = "Name a file with -o, or `-o -` for stdout.";
  throw new Fault("CANNOT_CREATE", `${file} is there and is not a file.`, { advice });
}

async function writeWhole(file: string, content: Uint8Array): Promise<void> {
  // Others may write in this directory, such as /tmp: the name is not to be guessed.
  const unfinished = `${file}.${crypto.randomUUID()}${UNFINISHED}`;
  await replaceFile(file, content, { mode: EXPORT_MODE, unfinished }).catch((error: unknown) => {
    throw new Fault("CANNOT_CREATE", `${file} cannot be written: ${reasonOf(error)}.`, {
      cause: error,
    });
  });
}

export interface ImportOptions {
  readonly fingerprint: string | undefined;
  readonly peers: readonly string[];
  readonly replace: boolean;
}

/**
 * Sends files to the daemon one by one; all are read before the first is sent, and importing one
 * again changes nothing, so a command that stopped half way is simply run again.
 */
export async function importRecords(
  { socketPath, format }: Session,
  files: readonly string[],
  options: ImportOptions,
): Promise<number> {
  if (options.fingerprint !== undefined && files.length > 1) {
    throw new Fault("USAGE", "A fingerprint approves one record, and several files are named.", {
      advice: "Import each file with its own fingerprint.",
    });
  }
  const fingerprint =
    options.fingerprint === undefined ? {} : { fingerprint: readFingerprint(options.fingerprint) };
  const contents = await Promise.all(files.map(readImportFile));
  const outcomes: ImportOutcome[] = [];
  for (const [index, file] of files.entries()) {
    const content = contents[index]?.toString("base64") ?? "";
    const { peers, replace } = options;
    const request = { file, content, ...fingerprint, peers: [...peers], replace };
    outcomes.push(
      await withProgress(`importing ${file}`, callAdmin(socketPath, "import", request)),
    );
  }
  const shown = outcomes.map(({ file, trust_domain, record_id, outcome, code }) => ({
    file,
    trust_domain,
    record_id,
    outcome,
    code,
  }));
  printResult(format, shown, (all) => all.map(renderOutcome).join("\n"));
  const refused = outcomes.filter(({ outcome }) => outcome === "refused");
  for (const each of refused) printRefusal(each);
  return refused.length === 0 ? DONE : FAULTS.RECORD_REFUSED.exitCode;
}

function renderOutcome(result: Pick<ImportOutcome, "file" | "trust_domain" | "outcome" | "code">) {
  const { file, trust_domain, outcome, code } = result;
  switch (outcome) {
    case "accepted":
      return `${file}: ${trust_domain} is accepted; its bundle goes to SPIRE Server now. Next: spire-mesh status.`;
    case "unchanged":
      return `${file}: ${trust_domain} is held with this record already; nothing changed.`;
    case "held":
      return `${file}: the record of ${trust_domain} is held back (${code}). Next: spire-mesh status.`;
    case "refused":
      return `${file}: the record of ${trust_domain} is refused (${code}); nothing changed.`;
  }
}

function printRefusal({ file, code, message, next }: ImportOutcome): void {
  printError({
    code: "RECORD_REFUSED",
    message: `${file}: ${message ?? code ?? "no reason given"}`,
    advice: next ?? FAULTS.RECORD_REFUSED.advice,
  });
}

/** At most one byte more than any export file has, so that a huge one is never read whole. */
async function readImportFile(path: string): Promise<Buffer> {
  const content = await readStart(path).catch((error: unknown) => {
    if (error instanceof Fault) throw error;
    if (isErrno(error) && error.code === "ENXIO") throw notAFile(path); // A socket.
    const code = isErrno(error) && error.code === "EACCES" ? "NOT_ALLOWED" : "DATA_INVALID";
    const message = `${path} cannot be read: ${reasonOf(error)}.`;
    throw new Fault(code, message, { advice: "Name a file that you may read.", cause: error });
  });
  if (content.length === 0) throw new Fault("DATA_INVALID", `${path} is empty.`);
  if (content.length > IMPORT_FILE_BYTES_MAX) {
    const limit = `${IMPORT_FILE_BYTES_MAX / 1024} KiB`;
    throw new Fault("DATA_INVALID", `${path} is larger than ${limit}: it is no export file.`);
  }
  return content;
}

async function readStart(path: string): Promise<Buffer> {
  // A pipe's writer, who may never come, is not waited for.
  await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  if (!(await file.stat()).isFile()) throw notAFile(path);
  const chunks: Buffer[] = [];
  for await (const chunk of file.createReadStream({ end: IMPORT_FILE_BYTES_MAX })) {
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}

function notAFile(path: string): Fault {
  const advice = "Name a file that `spire-mesh export -o` wrote.";
  return new Fault("DATA_INVALID", `${path} is not a file.`, { advice });
}

export async function forget(
  { socketPath, format }: Session,
  trustDomain: string,
): Promise<number> {
  const request = { trust_domain: trustDomain };
  const work = callAdmin(socketPath, "forget", request);
  printResult(format, await withProgress(`forgetting ${trustDomain}`, work), renderForgotten);
  return DONE;
}

function renderForgotten({ trust_domain, row_deleted }: ForgetReply): string {
  const row = row_deleted ? "its row in SPIRE Server is deleted" : "SPIRE Server held no row of it";
  return `${trust_domain} is forgotten; ${row}. Its daemons are no longer let in.`;
}
