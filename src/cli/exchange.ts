/** `export`, `import` and `forget`: records as files, and partners approved or forgotten. */
import { callAdmin } from "../admin-contract/client.ts";
import type { ForgetReply, ImportOutcome } from "../admin-contract/exchange.ts";
import { FAULTS, Fault } from "../fault.ts";
import { ageOf } from "./age.ts";
import { groupFingerprint } from "./fingerprint.ts";
import { note, printError, printResult, withProgress } from "./output.ts";
import { readRecordFile, readStdin, writeExport } from "./record-file.ts";
import type { Session } from "./session.ts";

const DONE = 0;
/** As a file's name: stdout for `export`, stdin for `import`. */
const STREAM = "-";

/**
 * Writes the own record to a file, whole or not at all, over nothing but an earlier export of the
 * same trust domain. Without a name it goes to stdout, unless a terminal is there; with
 * `-output json` stdout has the JSON instead.
 */
export async function exportRecord(
  { socketPath, format }: Session,
  file: string | undefined,
): Promise<number> {
  const toStdout = file === STREAM || (file === undefined && format === "pretty");
  if (toStdout && (process.stdout.isTTY || format === "json")) {
    throw new Fault("USAGE", "The record is not text: it needs a file.", {
      advice: "spire-mesh export -o FILE",
    });
  }
  const reply = await withProgress("exporting", callAdmin(socketPath, "export", {}));
  if (file !== undefined && !toStdout) await writeExport(file, reply);
  // After the file, or somebody reads out the fingerprint of a file that is not there.
  note(`Fingerprint (the record id), to be read to whoever imports ${reply.trust_domain}:`);
  note(`  ${groupFingerprint(reply.record_id)}`);
  if (toStdout) {
    process.stdout.write(Buffer.from(reply.content, "base64"));
    return DONE;
  }
  const { trust_domain, record_id, lineage } = reply;
  printResult(format, { trust_domain, record_id, lineage, file: file ?? null }, (result) =>
    [
      `${result.file} holds the record of ${result.trust_domain}.`,
      "Next: send it to a partner, and tell them the fingerprint another way; they run",
      `  spire-mesh import FILE -fingerprint "${groupFingerprint(result.record_id)}"`,
    ].join("\n"),
  );
  return DONE;
}

export interface ImportOptions {
  /** A record id. */
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
  if (files.filter((file) => file === STREAM).length > 1) {
    throw new Fault("USAGE", "`-` is stdin, which can be read once.", {
      advice: "Name `-` once, and files for the others.",
    });
  }
  const contents = await Promise.all(
    files.map(async (file) => await (file === STREAM ? readStdin() : readRecordFile(file))),
  );
  const outcomes: ImportOutcome[] = [];
  for (const [index, file] of files.entries()) {
    const content = contents[index]?.toString("base64") ?? "";
    const { fingerprint, peers, replace } = options;
    const request = { file, content, fingerprint, peers: [...peers], replace };
    outcomes.push(
      await withProgress(`importing ${file}`, callAdmin(socketPath, "import", request)),
    );
  }
  const shown = outcomes.map(({ file, trust_domain, record_id, outcome, code, signed_at }) => ({
    file,
    trust_domain,
    record_id,
    outcome,
    code,
    signed_at,
  }));
  printResult(format, shown, (all) =>
    all.map((each) => `${renderOutcome(each, options.replace)}\n${renderRecord(each)}`).join("\n"),
  );
  const refused = outcomes.filter(({ outcome }) => outcome === "refused");
  for (const each of refused) printRefusal(each);
  return refused.length === 0 ? DONE : FAULTS.RECORD_REFUSED.exitCode;
}

function renderOutcome(
  result: Pick<ImportOutcome, "file" | "trust_domain" | "outcome" | "code">,
  replace: boolean,
): string {
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
      return `${file}: the record of ${trust_domain} is refused (${code}); nothing changed.`;
  }
}

/** What the publisher can confirm: which record it is, and that it is not an old one. */
function renderRecord({
  record_id,
  signed_at,
}: Pick<ImportOutcome, "record_id" | "signed_at">): string {
  const signed =
    signed_at === null
      ? "signed by no node that it lists"
      : `signed ${signed_at} (${ageOf(signed_at, Date.now())})`;
  return `  ${groupFingerprint(record_id)}\n  ${signed}`;
}

/** A record id in it is grouped, as the fingerprint is that people compare it with. */
function printRefusal({ file, record_id, code, message, next }: ImportOutcome): void {
  const reason = message ?? code ?? "no reason given";
  printError({
    code: "RECORD_REFUSED",
    message: `${file}: ${reason.replaceAll(record_id, groupFingerprint(record_id))}`,
    advice: next ?? FAULTS.RECORD_REFUSED.advice,
  });
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

function renderForgotten({ trust_domain, row }: ForgetReply): string {
  const said = {
    deleted: "its row in SPIRE Server is deleted",
    missing: "SPIRE Server held no row of it",
    unmanaged: `a row in SPIRE Server is unmanaged and stays, until \`spire-server bundle delete -id spiffe://${trust_domain}\` deletes it`,
  } as const;
  return `${trust_domain} is forgotten; ${said[row]}. Its daemons are no longer let in.`;
}
