/**
 * One recovery key's signature as a file on its way back, and how the files become what a record
 * carries. A key that signed is known from then on: it is used once.
 *
 *     [1, td, lineage, epoch, record id, public key, signature]        deterministic CBOR, in armor
 */
import assert from "node:assert/strict";
import { type RecoverySignature, recoveryPreimage } from "../core/record/preimages.ts";
import { judgeRecovery } from "../core/record/recovery.ts";
import { TRUST_DOMAIN_NAME, type TrustDomain } from "../core/spiffe/trust-domain.ts";
import { has } from "../core/record/step.ts";
import { compareBytes, equalBytes } from "../core/std/bytes.ts";
import { encodeCbor } from "../core/std/cbor.ts";
import { type Result, no } from "../core/std/result.ts";
import { SHA256_BYTES, sha256 } from "../core/std/sha256.ts";
import * as shape from "../core/std/shape.ts";
import { Fault } from "../fault.ts";
import { x509Proofs } from "../x509/proofs.ts";
import type { RecoveryKey } from "./recovery-key.ts";
import type { ReadRequest } from "./recovery-request.ts";
import { field, grouped, readRecoveryText, writeRecoveryText } from "./recovery-text.ts";

/** A signature of one key; it verifies. */
export interface SignatureFile {
  readonly trustDomain: TrustDomain;
  /** 32 bytes each. */
  readonly lineage: Uint8Array;
  readonly recordId: Uint8Array;
  /** That of the record, not the held one. */
  readonly epoch: number;
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /** 64 bytes. */
  readonly signature: Uint8Array;
}

/** A signature file with what the operator calls it, for messages. */
export interface NamedSignature extends SignatureFile {
  readonly name: string;
}

const FORMAT = 1;
const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;
const hash = shape.bytesExactly(SHA256_BYTES);

const positions = shape.tuple(
  shape.literal(FORMAT),
  shape.textLike(TRUST_DOMAIN_NAME),
  hash,
  shape.u32,
  hash,
  shape.bytesExactly(KEY_BYTES),
  shape.bytesExactly(SIGNATURE_BYTES),
);

/** Whose key it is, as far as its file says. */
export interface KeyOwner {
  readonly name: string;
  readonly trustDomain: TrustDomain;
  readonly keyHash: Uint8Array;
}

/**
 * Whether a key may sign a request: asked before its passphrase is.
 * @throws {Fault} `RECOVERY_OTHER_TRUST_DOMAIN`, `RECOVERY_KEY_UNKNOWN`, `RECOVERY_KEY_KEPT`.
 */
export function checkOwner(request: ReadRequest, { name, trustDomain, keyHash }: KeyOwner): void {
  const { state } = request;
  if (trustDomain !== state.trustDomain) {
    throw otherTrustDomain(name, trustDomain, state.trustDomain);
  }
  checkHash(request, name, keyHash);
}

/**
 * Signs the record of a request.
 * @throws {Fault} `RECOVERY_KEY_UNKNOWN`, `RECOVERY_KEY_KEPT`.
 */
export function signRequest(request: ReadRequest, key: RecoveryKey, name: string): SignatureFile {
  const { recordId, state } = request;
  checkHash(request, name, key.keyHash);
  return {
    trustDomain: state.trustDomain,
    lineage: state.lineage,
    recordId,
    epoch: state.version.epoch,
    publicKey: key.publicKey,
    signature: key.sign(recoveryPreimage(recordId)),
  };
}

export function encodeSignature(file: SignatureFile): string {
  const { trustDomain, lineage, epoch, recordId, publicKey, signature } = file;
  const words = [
    field("Trust domain", trustDomain),
    field("Lineage", grouped(lineage)),
    field("Epoch", `${epoch}`),
    field("Record id", grouped(recordId)),
    field("Key hash", grouped(sha256(publicKey))),
    "",
    "This file holds no secret. It goes back to whoever made the request.",
  ];
  const content = [FORMAT, trustDomain, lineage, epoch, recordId, publicKey, signature];
  return writeRecoveryText("signature", words.join("\n"), encodeCbor(content));
}

/**
 * @param name What the operator calls the file.
 * @throws {Fault} `RECOVERY_FILE_KIND`, `RECOVERY_FILE_DAMAGED`; the latter also when the signature is
 *   not one of the key and record that it names.
 */
export function decodeSignature(text: string, name: string): NamedSignature {
  return { ...readRecoveryText("signature", name, text, readContent, encodeSignature), name };
}

function readContent(content: Uint8Array): Result<SignatureFile, string> {
  const read = shape.readCbor(content, "signature", (value, at): SignatureFile => {
    const [, trustDomain, lineage, epoch, recordId, publicKey, signature] = positions(value, at);
    const named = { trustDomain: trustDomain as TrustDomain, lineage, epoch, recordId };
    return { ...named, publicKey, signature };
  });
  if (!read.ok) return read;
  const { recordId, publicKey, signature } = read.value;
  return x509Proofs.verifiesNode(publicKey, recoveryPreimage(recordId), signature)
    ? read
    : no("its signature is not of the key and record that it names");
}

/**
 * The signatures of a request as its record carries them: exactly as many as it asks for, ascending
 * by key.
 *
 * @throws {Fault} `RECOVERY_OTHER_TRUST_DOMAIN`, `RECOVERY_OTHER_EPOCH`, `RECOVERY_OTHER_RECORD`,
 *   `RECOVERY_KEY_UNKNOWN`, `RECOVERY_KEY_KEPT`, `RECOVERY_KEY_TWICE`, `RECOVERY_COUNT`.
 */
export function combine(
  request: ReadRequest,
  files: readonly NamedSignature[],
): readonly RecoverySignature[] {
  const { recordId, held } = request;
  for (const file of files) checkSignature(request, file);
  const ascending = files.toSorted((left, right) => compareBytes(left.publicKey, right.publicKey));
  ascending.forEach((file, index) => {
    const before = ascending[index - 1];
    if (before !== undefined && equalBytes(before.publicKey, file.publicKey)) {
      throw new Fault("RECOVERY_KEY_TWICE", `${before.name} and ${file.name} are of one key`);
    }
  });
  const { threshold } = held.commitment;
  if (files.length !== threshold) {
    const given = files.length === 1 ? "1 signature is" : `${files.length} signatures are`;
    const problem = `${given} given, and exactly ${threshold} make the recovery`;
    const advice =
      files.length < threshold
        ? "Have the holders of further keys sign the same request."
        : `Give ${threshold} of them and throw the others away unseen: a key that is published is spent.`;
    throw new Fault("RECOVERY_COUNT", problem, { advice });
  }
  const signatures = ascending.map(({ publicKey, signature }) => [publicKey, signature] as const);
  assert(judgeRecovery(recordId, signatures, held.commitment, x509Proofs).ok, "all was checked");
  return signatures;
}

function checkSignature(request: ReadRequest, file: NamedSignature): void {
  const { state, recordId } = request;
  const { name, trustDomain, epoch } = file;
  if (trustDomain !== state.trustDomain) {
    throw otherTrustDomain(name, trustDomain, state.trustDomain);
  }
  if (epoch !== state.version.epoch) {
    const problem = `${name} is for epoch ${epoch}, and the request for ${state.version.epoch}`;
    throw new Fault("RECOVERY_OTHER_EPOCH", problem);
  }
  if (!equalBytes(file.recordId, recordId)) {
    const problem = `${name} is for record ${grouped(file.recordId)}, not ${grouped(recordId)}`;
    throw new Fault("RECOVERY_OTHER_RECORD", problem);
  }
  checkHash(request, name, sha256(file.publicKey));
}

function checkHash({ state, held }: ReadRequest, name: string, keyHash: Uint8Array): void {
  const named = `${name}: the key with the hash ${grouped(keyHash)}`;
  if (!has(held.commitment.keyHashes, keyHash)) {
    throw new Fault(
      "RECOVERY_KEY_UNKNOWN",
      `${named} is none that ${state.trustDomain} commits to`,
    );
  }
  if (has(state.recovery?.keyHashes ?? [], keyHash)) {
    throw new Fault("RECOVERY_KEY_KEPT", `${named} shall stay a recovery key after this request`);
  }
}

function otherTrustDomain(name: string, found: TrustDomain, wanted: TrustDomain): Fault {
  return new Fault(
    "RECOVERY_OTHER_TRUST_DOMAIN",
    `${name} is of ${found}, the request of ${wanted}`,
  );
}
