/**
 * `recovery commit`, `recovery request`, `recovery status` and `recover`: the daemon's side of the
 * offline keys. Files are read and checked here, before anything is asked of the daemon; it checks again.
 */
import { callAdmin } from "../admin-contract/client.ts";
import type { OrderReply } from "../admin-contract/own.ts";
import type { Commitment, RecoveryStatus } from "../admin-contract/recovery.ts";
import type { RecoveryCommitment } from "../core/record/state.ts";
import { Fault } from "../fault.ts";
import { type CommitmentFile, decodeCommitment } from "../keys/recovery-commitment.ts";
import { checkNewFile, readTextFile, writeNewFile } from "../keys/recovery-files.ts";
import { decodeRequest, describeRequest, encodeRequest } from "../keys/recovery-request.ts";
import { combine, decodeSignature } from "../keys/recovery-signature.ts";
import { RECOVERY_TEXT_BYTES_MAX } from "../keys/recovery-text.ts";
import { groupFingerprint } from "./fingerprint.ts";
import { note, printResult, withProgress } from "./output.ts";
import { readRecordFile } from "./record-file.ts";
import type { Session } from "./session.ts";

const DONE = 0;

/** Publishes the first recovery keys. */
export async function commitKeys({ socketPath, format }: Session, file: string): Promise<number> {
  const { trustDomain, lineage, commitment } = await readCommitment(file);
  const request = { trust_domain: trustDomain, lineage: toHex(lineage), ...toJson(commitment) };
  const work = callAdmin(socketPath, "commitRecovery", request);
  printResult(format, await withProgress("publishing", work), renderCommitted);
  return DONE;
}

function renderCommitted({ trust_domain, record_id, outcome }: OrderReply): string {
  const sentence =
    outcome === "unchanged"
      ? `${trust_domain} commits to these recovery keys already; nothing changed.`
      : `${trust_domain} commits to these recovery keys, with this record:`;
  return `${sentence}\n  ${groupFingerprint(record_id)}\nNext: spire-mesh recovery status.`;
}

export interface RequestOptions {
  readonly out: string;
  /** A commitment file: the recovery keys after it. */
  readonly commit?: string;
  readonly withoutKeys?: boolean;
  /** An export of the last record. */
  readonly record?: string;
  /** Other recovery keys, and nothing else. */
  readonly exchange?: boolean;
}

/** Writes down what the holders of recovery keys are asked to sign. Nothing changes at the daemon. */
export async function requestRecovery(
  { socketPath, format }: Session,
  { out, commit, withoutKeys = false, record, exchange = false }: RequestOptions,
): Promise<number> {
  if ((commit === undefined) !== withoutKeys) {
    throw new Fault(
      "USAGE",
      "A key that signs is spent: say which recovery keys there are after it.",
      {
        advice:
          "Make new ones with `spire-mesh recovery create` and name their commitment.txt with -commit, or say -without-keys.",
      },
    );
  }
  await checkNewFile(out);
  const content = record === undefined ? undefined : await readRecordFile(record);
  const next = commit === undefined ? null : toJson((await readCommitment(commit)).commitment);
  const work = callAdmin(socketPath, "prepareRecovery", {
    as: exchange ? "exchange" : "recover",
    record: content?.toString("base64"),
    next,
  });
  const { payload, held } = await withProgress("preparing the request", work);
  const text = encodeRequest({
    payload: Uint8Array.from(Buffer.from(payload, "base64")),
    held: {
      epoch: held.epoch,
      rev: held.rev,
      commitment: { threshold: held.threshold, keyHashes: held.key_hashes.map(fromHex) },
    },
  });
  const request = decodeRequest(text, out);
  await writeNewFile(out, text);
  for (const line of describeRequest(request).split("\n")) note(line);
  const prepared = {
    trust_domain: request.state.trustDomain,
    epoch: request.state.version.epoch,
    record_id: toHex(request.recordId),
    signatures_needed: held.threshold,
    file: out,
  };
  printResult(format, prepared, ({ file, signatures_needed }) =>
    [
      `${file} is to be signed by ${signatures_needed} of the recovery keys; nothing has changed yet.`,
      "Next: send it to their holders, and tell them the record id another way. They run",
      "  spire-mesh recovery sign REQUEST -key FILE -out SIGNATURE",
      "and with what they send back, here",
      `  spire-mesh recover ${file} -signature SIGNATURE ...`,
    ].join("\n"),
  );
  return DONE;
}

/** Publishes what recovery keys have signed. */
export async function recover(
  { socketPath, format }: Session,
  requestFile: string,
  signatureFiles: readonly string[],
): Promise<number> {
  const request = decodeRequest(
    await readTextFile(requestFile, RECOVERY_TEXT_BYTES_MAX),
    requestFile,
  );
  const files = [];
  for (const name of signatureFiles) {
    files.push(decodeSignature(await readTextFile(name, RECOVERY_TEXT_BYTES_MAX), name));
  }
  const signatures = combine(request, files);
  const { epoch, rev, commitment } = request.held;
  const work = callAdmin(socketPath, "recover", {
    payload: Buffer.from(request.payload).toString("base64"),
    held: { epoch, rev, ...toJson(commitment) },
    signatures: signatures.map(([publicKey, signature]) => ({
      public_key: toHex(publicKey),
      signature: toHex(signature),
    })),
  });
  printResult(format, await withProgress("publishing", work), renderRecovered);
  return DONE;
}

function renderRecovered({ trust_domain, record_id, outcome }: OrderReply): string {
  const sentence =
    outcome === "unchanged"
      ? `${trust_domain} stands on this record already; nothing changed.`
      : `${trust_domain} stands on this record from now on, and partners take it by themselves:`;
  return `${sentence}\n  ${groupFingerprint(record_id)}\nNext: spire-mesh status. The keys that signed are spent.`;
}

/** Which keys the own record commits to, as partners know it. */
export async function recoveryStatus({ socketPath, format }: Session): Promise<number> {
  printResult(format, await callAdmin(socketPath, "recoveryStatus", {}), renderStatus);
  return DONE;
}

function renderStatus({ trust_domain, epoch, threshold, key_hashes }: RecoveryStatus): string {
  if (threshold === null) {
    return `${trust_domain}, epoch ${epoch}, commits to no recovery keys: only a \`spire-mesh bundle pin\` at each partner would recover it.`;
  }
  return [
    `${trust_domain}, epoch ${epoch}: ${threshold} of these ${key_hashes.length} recovery keys sign together`,
    ...key_hashes.map((each, index) => `key hash ${index + 1}  ${groupFingerprint(each)}`),
  ].join("\n");
}

async function readCommitment(file: string): Promise<CommitmentFile> {
  return decodeCommitment(await readTextFile(file, RECOVERY_TEXT_BYTES_MAX), file);
}

function toJson({ threshold, keyHashes }: RecoveryCommitment): Commitment {
  return { threshold, key_hashes: keyHashes.map(toHex) };
}

function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

function fromHex(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex, "hex"));
}
