/**
 * `recovery create` and `recovery sign`. They need no daemon and no network: they are for laptops on
 * the worst day. What they find wrong they find before anybody types a passphrase, where that can be.
 */
import { join } from "node:path";
import { decodeExportFile } from "../core/record/export-file.ts";
import type { State } from "../core/record/state.ts";
import { decodeRecord } from "../core/record/verify.ts";
import { Fault } from "../fault.ts";
import {
  checkNewDirectory,
  checkNewFile,
  readTextFile,
  writeNewDirectory,
  writeNewFile,
} from "../keys/recovery-files.ts";
import {
  KEY_FORM_BYTES_MAX,
  type ReadKeyForm,
  dayOf,
  decodeKeyForm,
  openKeyForm,
} from "../keys/recovery-form.ts";
import type { RecoveryKey } from "../keys/recovery-key.ts";
import { decodeRequest, describeRequest } from "../keys/recovery-request.ts";
import { makeKeySet } from "../keys/recovery-set.ts";
import { checkOwner, encodeSignature, signRequest } from "../keys/recovery-signature.ts";
import { RECOVERY_TEXT_BYTES_MAX } from "../keys/recovery-text.ts";
import { groupFingerprint } from "./fingerprint.ts";
import { type OutputFormat, note, printResult, withProgress } from "./output.ts";
import {
  ATTEMPTS_MAX,
  PassphraseTerminal,
  askNewPassphrases,
  readNewPassphrases,
  readPassphrases,
} from "./passphrase.ts";
import { readRecordFile } from "./record-file.ts";

const DONE = 0;
const COMMITMENT_NAME = "commitment.txt";

export interface CreateOptions {
  /** An export of the own record. */
  readonly record: string;
  readonly keys: number;
  readonly threshold: number;
  readonly out: string;
  readonly passphraseFile?: string;
  readonly printKeys?: true;
  readonly output: OutputFormat;
}

/** As JSON. */
interface MadeKeys {
  readonly trust_domain: string;
  readonly lineage: string;
  readonly threshold: number;
  readonly keys: readonly MadeKey[];
  readonly commitment_file: string;
}

interface MadeKey {
  readonly number: number;
  readonly key_hash: string;
  readonly file: string;
  readonly clear_file: string | null;
}

/** Makes a set of keys and writes each as a file that is its own printed form, all or none. */
export async function createRecoveryKeys(options: CreateOptions): Promise<number> {
  const { keys: count, threshold, out, passphraseFile, printKeys, output } = options;
  if (threshold > count) {
    const problem = `A threshold of ${threshold} cannot be reached with ${count} keys.`;
    throw new Fault("USAGE", problem, { advice: "Name a -threshold that is at most -keys." });
  }
  const record = await readOwnRecord(options.record);
  await checkNewDirectory(out);
  const passphrases =
    passphraseFile === undefined
      ? await askNewPassphrases(count)
      : await readNewPassphrases(passphraseFile, count);
  const { lineage } = record;
  const { trustDomain } = record.state;
  const madeOn = dayOf(Date.now());
  const order = { trustDomain, lineage, threshold, passphrases, madeOn };
  const set = await withProgress(`encrypting ${count} keys`, makeKeySet(order));
  const named = set.keys.map((key) => {
    const name = `key-${key.number}-of-${count}`;
    const clearName = printKeys === true ? `${name}-in-clear.txt` : undefined;
    return { key, name: `${name}.txt`, clearName };
  });
  const files = new Map([[COMMITMENT_NAME, set.commitment]]);
  for (const { key, name, clearName } of named) {
    files.set(name, key.form);
    if (clearName !== undefined) files.set(clearName, key.formInClear());
  }
  await writeNewDirectory(out, files);
  const made: MadeKeys = {
    trust_domain: trustDomain,
    lineage: Buffer.from(lineage).toString("hex"),
    threshold,
    keys: named.map(({ key, name, clearName }) => ({
      number: key.number,
      key_hash: Buffer.from(key.keyHash).toString("hex"),
      file: join(out, name),
      clear_file: clearName === undefined ? null : join(out, clearName),
    })),
    commitment_file: join(out, COMMITMENT_NAME),
  };
  printResult(output, made, renderMade);
  return DONE;
}

function renderMade(made: MadeKeys): string {
  const { trust_domain, lineage, threshold, keys, commitment_file } = made;
  const inClear = keys.flatMap(({ clear_file }) => clear_file ?? []);
  return [
    `Recovery keys of ${trust_domain}: ${keys.length}, of which ${threshold} sign together`,
    `lineage   ${groupFingerprint(lineage)}`,
    ...keys.map(({ number, key_hash, file }) =>
      [`key ${number}     ${groupFingerprint(key_hash)}`, `          ${file}`].join("\n"),
    ),
    "",
    `${commitment_file} holds no secret: it is for a daemon of ${trust_domain}.`,
    "Next: print each key's file, give file and print to one person each, and delete the files here.",
    ...(inClear.length === 0
      ? []
      : [
          `THE KEYS THEMSELVES stand in ${inClear.join(", ")}: print these and delete them at once.`,
        ]),
  ].join("\n");
}

async function readOwnRecord(
  path: string,
): Promise<{ readonly state: State; readonly lineage: Uint8Array }> {
  const file = decodeExportFile(await readRecordFile(path));
  const record = file.ok ? decodeRecord(file.value.envelope, "sync") : file;
  if (record.ok) return record.value;
  throw new Fault("RECOVERY_FILE_KIND", `${path} is not an export of a record`, {
    advice: "Name what `spire-mesh export -o FILE` wrote at a daemon of the trust domain.",
  });
}

export interface SignOptions {
  readonly key: string;
  readonly out: string;
  readonly passphraseFile?: string;
  readonly output: OutputFormat;
}

/** Shows a request, and signs its record with one key. */
export async function signRecovery(requestFile: string, options: SignOptions): Promise<number> {
  const { key: keyFile, out, passphraseFile, output } = options;
  await checkNewFile(out);
  const requestText = await readTextFile(requestFile, RECOVERY_TEXT_BYTES_MAX);
  const request = decodeRequest(requestText, requestFile);
  const form = decodeKeyForm(await readTextFile(keyFile, KEY_FORM_BYTES_MAX), keyFile);
  for (const line of describeRequest(request).split("\n")) note(line);
  const { label } = form;
  if (label !== undefined) {
    checkOwner(request, { name: keyFile, ...label });
    const { number, count, trustDomain, madeOn } = label;
    note(`${keyFile} is key ${number} of ${count} of ${trustDomain}, made on ${madeOn}.`);
  }
  const key = await openKey(form, keyFile, passphraseFile);
  const signature = signRequest(request, key, keyFile);
  await writeNewFile(out, encodeSignature(signature));
  const { trustDomain, epoch, recordId } = signature;
  const signed = {
    trust_domain: trustDomain,
    epoch,
    record_id: Buffer.from(recordId).toString("hex"),
    key_hash: Buffer.from(key.keyHash).toString("hex"),
    file: out,
  };
  printResult(output, signed, ({ file, key_hash, trust_domain }) =>
    [
      `${file} holds the signature of the key ${groupFingerprint(key_hash)}.`,
      `Next: send it to whoever made the request. Once ${trust_domain} has used it, the key is spent.`,
    ].join("\n"),
  );
  return DONE;
}

async function openKey(
  form: ReadKeyForm,
  name: string,
  passphraseFile: string | undefined,
): Promise<RecoveryKey> {
  if (!form.block.isEncrypted) {
    note(`${name} holds the key in clear: no passphrase is needed.`);
    return openKeyForm(form, "", name);
  }
  if (passphraseFile !== undefined) {
    const [passphrase = "", ...others] = await readPassphrases(passphraseFile);
    if (others.length === 0) return openKeyForm(form, passphrase, name);
    const problem = `${passphraseFile} has ${others.length + 1} lines, and one key has one passphrase`;
    throw new Fault("PASSPHRASE_UNFIT", problem, { advice: "Write it on one line, alone." });
  }
  const terminal = new PassphraseTerminal();
  try {
    for (let attempt = 1; ; attempt += 1) {
      const passphrase = await terminal.ask(`Passphrase for ${name} (nothing is shown): `);
      try {
        return openKeyForm(form, passphrase, name);
      } catch (error) {
        const isWrong = error instanceof Fault && error.code === "PASSPHRASE_WRONG";
        if (!isWrong || attempt === ATTEMPTS_MAX) throw error;
        note(`${error.message}.`);
      }
    }
  } finally {
    terminal.close();
  }
}
