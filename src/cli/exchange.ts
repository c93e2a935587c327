/** `export` and `forget`: records as files, and partners forgotten. */
import { join } from "node:path";
import { callAdmin } from "../admin-contract/client.ts";
import type { ForgetReply } from "../admin-contract/exchange.ts";
import type { ReplyOf } from "../admin-contract/routes.ts";
import { Fault } from "../fault.ts";
import { groupFingerprint } from "./fingerprint.ts";
import { note, printResult, withProgress } from "./output.ts";
import { openExportDirectory, writeExport } from "./record-file.ts";
import type { Session } from "./session.ts";
import { table } from "./table.ts";

const DONE = 0;
/** As a file's name: stdout. */
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

/** What a script reads of each record that was written. */
interface ExportedRecord {
  readonly trust_domain: string;
  readonly record_id: string;
  readonly lineage: string;
  readonly file: string;
}

/**
 * Writes every record that the daemon holds into a directory, each to a file of its own. A trust
 * domain's name is no file name (`..` is one), so a file has its record's id as its name: to export
 * again writes over nothing but the same record.
 */
export async function exportAll(
  { socketPath, format }: Session,
  directory: string | undefined,
): Promise<number> {
  if (directory === undefined || directory === STREAM) {
    throw new Fault("USAGE", "All records go to files, so they need a directory.", {
      advice: "spire-mesh export -all -o DIRECTORY",
    });
  }
  const written: ExportedRecord[] = [];
  const write = async (): Promise<void> => {
    let after: string | undefined;
    for (;;) {
      const request = after === undefined ? {} : { after };
      const page: ReplyOf<"exportPage"> = await callAdmin(socketPath, "exportPage", request);
      const { private_directories } = page;
      if (after === undefined) await openExportDirectory(directory, private_directories);
      for (const record of page.records) {
        const { trust_domain, record_id, lineage } = record;
        const file = join(directory, `${record_id}.record`);
        await writeExport(file, { ...record, private_directories });
        written.push({ trust_domain, record_id, lineage, file });
      }
      if (page.next === null) return;
      after = page.next;
    }
  };
  await withProgress("exporting", write());
  printResult(format, written, (all) => renderExported(all, directory));
  return DONE;
}

function renderExported(written: readonly ExportedRecord[], directory: string): string {
  if (written.length === 0) {
    return "No records yet. Next: spire-mesh export -o FILE makes the own one.";
  }
  return [
    table(
      ["trust domain", "file"],
      written.map(({ trust_domain, file }) => [trust_domain, file]),
    ),
    `Next: carry ${directory} to another daemon; there spire-mesh import DIRECTORY/* takes what it approves.`,
  ].join("\n");
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
