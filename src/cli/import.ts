/**
 * `import`: files of records, one or many. Importing one again changes nothing, so a command that
 * stopped half way is simply run again.
 */
import { callAdmin } from "../admin-contract/client.ts";
import type { ImportOutcome } from "../admin-contract/exchange.ts";
import { decodeExportFile } from "../core/record/export-file.ts";
import { type Version, compareVersions } from "../core/record/state.ts";
import { decodeRecord } from "../core/record/verify.ts";
import { FAULTS, Fault, type FaultCode } from "../fault.ts";
import { ageOf } from "./age.ts";
import { groupFingerprint } from "./fingerprint.ts";
import { printError, printResult, withNext, withProgress } from "./output.ts";
import { readRecordFile, readStdin } from "./record-file.ts";
import type { Session } from "./session.ts";

const DONE = 0;
/** How it ends when any file is not taken. */
const CODE = "RECORD_REFUSED";
/** As a file's name: stdin. */
const STREAM = "-";
/** What the daemon says of one file, and not of itself. */
const ABOUT_THE_FILE: ReadonlySet<FaultCode> = new Set([
  "DATA_INVALID",
  "ROW_NOT_OURS",
  "ROW_IN_USE",
]);

export interface ImportOptions {
  /** A record id. */
  readonly fingerprint: string | undefined;
  readonly peers: readonly string[];
  readonly replace: boolean;
}

/** A file with what became of it; of one that holds no record it is not known whose it is. */
type FileOutcome = Omit<ImportOutcome, "trust_domain" | "record_id"> & {
  readonly trust_domain: string | null;
  readonly record_id: string | null;
};

/**
 * Sends files to the daemon one by one. Several may be given in any order: they go in the order of
 * their versions, so that each follows on the step before it; the good ones are taken, and the bad ones
 * listed at the end.
 */
export async function importRecords(
  session: Session,
  files: readonly string[],
  options: ImportOptions,
): Promise<number> {
  if (options.fingerprint !== undefined && files.length > 1) {
    throw new Fault("USAGE", "A fingerprint approves one record, and several files are named.", {
      advice: "Import each file with its own fingerprint.",
    });
  }
  if (files.filter((file) => file === STREAM).length > 1) {
    throw new Fault("USAGE", "`-` is stdin, which can be read once.", {
      advice: "Name `-` once, and files for the others.",
    });
  }
  const outcomes = files.length === 1 ? [] : await importMany(session, files, options);
  for (const file of files.length === 1 ? files : []) {
    const work = importFile(session, file, await read(file), options);
    outcomes.push(await withProgress(`importing ${file}`, work));
  }
  const shown = outcomes.map(({ file, trust_domain, record_id, outcome, code, signed_at }) => ({
    file,
    trust_domain,
    record_id,
    outcome,
    code,
    signed_at,
  }));
  printResult(session.format, shown, (all) =>
    all.map((each) => renderOutcome(each, options.replace)).join("\n"),
  );
  const refused = outcomes.filter(({ outcome }) => outcome === "refused");
  if (refused.length === 0) return DONE;
  printRefused(refused);
  return FAULTS[CODE].exitCode;
}

async function read(file: string): Promise<Buffer> {
  return await (file === STREAM ? readStdin() : readRecordFile(file));
}

async function importFile(
  { socketPath }: Session,
  file: string,
  content: Buffer,
  { fingerprint, peers, replace }: ImportOptions,
): Promise<ImportOutcome> {
  const request = { file, content: content.toString("base64"), fingerprint, replace };
  return await callAdmin(socketPath, "import", { ...request, peers: [...peers] });
}

/** A file among many; its bytes are read again when its turn comes, or a gigabyte would be held. */
interface Waiting {
  readonly index: number;
  readonly file: string;
  /** Only of stdin, which is read once. */
  readonly content: Buffer | undefined;
  /** Undefined when it holds no record: the daemon, or whoever reads it, says why. */
  readonly step: { readonly trustDomain: string; readonly version: Version } | undefined;
}

/** Outcomes in the order of the files as they were named. */
async function importMany(
  session: Session,
  files: readonly string[],
  options: ImportOptions,
): Promise<FileOutcome[]> {
  const waiting: Waiting[] = [];
  const sorting = async (): Promise<void> => {
    for (const [index, file] of files.entries()) {
      const isStream = file === STREAM;
      const content = isStream ? await readStdin() : await read(file).catch(() => undefined);
      const step = content && stepIn(content);
      waiting.push({ index, file, content: isStream ? content : undefined, step });
    }
  };
  await withProgress(`reading ${files.length} files`, sorting());
  const outcomes: FileOutcome[] = [];
  const sending = async (): Promise<void> => {
    for (const { index, file, content } of waiting.toSorted(compareSteps)) {
      outcomes[index] = await importOrSay(session, file, content, options);
    }
  };
  await withProgress(`importing ${files.length} files`, sending());
  return outcomes;
}

function stepIn(content: Buffer): Waiting["step"] {
  const file = decodeExportFile(content);
  const record = file.ok ? decodeRecord(file.value.envelope, "sync") : file;
  if (!record.ok) return undefined;
  const { trustDomain, version } = record.value.state;
  return { trustDomain, version };
}

function compareSteps({ step: left }: Waiting, { step: right }: Waiting): number {
  if (left === undefined || right === undefined) return Number(!left) - Number(!right);
  if (left.trustDomain !== right.trustDomain) return left.trustDomain < right.trustDomain ? -1 : 1;
  return compareVersions(left.version, right.version);
}

async function importOrSay(
  session: Session,
  file: string,
  content: Buffer | undefined,
  options: ImportOptions,
): Promise<FileOutcome> {
  let bytes = content;
  try {
    bytes ??= await read(file);
    return await importFile(session, file, bytes, options);
  } catch (error) {
    const isFiles = error instanceof Fault && (!bytes || ABOUT_THE_FILE.has(error.code));
    if (!isFiles) throw error;
    const { code, message, advice: next } = error;
    const unknown = { trust_domain: null, record_id: null, signed_at: null };
    return { file, ...unknown, outcome: "refused", code, message, next };
  }
}

type Shown = Pick<
  FileOutcome,
  "file" | "trust_domain" | "record_id" | "outcome" | "code" | "signed_at"
>;

function renderOutcome(result: Shown, replace: boolean): string {
  const { record_id, signed_at } = result;
  const sentence = renderSentence(result, replace);
  return record_id === null ? sentence : `${sentence}\n${renderRecord(record_id, signed_at)}`;
}

function renderSentence(result: Shown, replace: boolean): string {
  const { file, trust_domain, outcome, code } = result;
  switch (outcome) {
    case "accepted":
      return `${file}: ${trust_domain} is accepted; its bundle goes to SPIRE Server now. Next: spire-mesh status.`;
    case "unchanged":
      if (replace) {
        return `${file}: ${trust_domain} is held with this record already; its row in SPIRE Server is written again where it differs. Next: spire-mesh status.`;
      }
      return `${file}: ${trust_domain} is held with this record already; nothing changed.`;
    case "held":
      return `${file}: the record of ${trust_domain} is held back (${code}). Next: spire-mesh status.`;
    case "refused":
      return trust_domain === null
        ? `${file} is not taken (${code}); nothing changed.`
        : `${file}: the record of ${trust_domain} is refused (${code}); nothing changed.`;
  }
}

/** What the publisher can confirm: which record it is, and that it is not an old one. */
function renderRecord(recordId: string, signedAt: string | null): string {
  const signed =
    signedAt === null
      ? "signed by no node that it lists"
      : `signed ${signedAt} (${ageOf(signedAt, Date.now())})`;
  return `  ${groupFingerprint(recordId)}\n  ${signed}`;
}

/** One error, or one with a line for each file. */
function printRefused(refused: readonly FileOutcome[]): void {
  const [first] = refused;
  if (refused.length === 1 && first !== undefined) {
    const code = first.trust_domain === null ? (first.code ?? CODE) : CODE;
    printError({ code, message: reasonOf(first), advice: first.next ?? FAULTS[CODE].advice });
    return;
  }
  printError({
    code: CODE,
    message: "",
    advice: "Mend what is said below of each, and import all of them again.",
    problems: refused.map((each) => {
      const sentence = `${each.code ?? CODE}: ${reasonOf(each)}`;
      return each.next === null ? sentence : withNext(sentence, each.next);
    }),
  });
}

/** A record id in it is grouped, as the fingerprint is that people compare it with; a file's name is not. */
function reasonOf({ file, record_id, code, message }: FileOutcome): string {
  const reason = message ?? code ?? "no reason given";
  if (record_id !== null) {
    return `${file}: ${reason.replaceAll(record_id, groupFingerprint(record_id))}`;
  }
  return reason.startsWith(`${file} `) ? reason : `${file}: ${reason}`;
}
