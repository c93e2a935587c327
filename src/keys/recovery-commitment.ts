/**
 * The public half of a set of recovery keys as a file: what their trust domain publishes about them.
 *
 *     [1, td, lineage, threshold, [SHA-256(public key) …]]        deterministic CBOR, in armor
 */
import type { RecoveryCommitment } from "../core/record/state.ts";
import { TRUST_DOMAIN_NAME, type TrustDomain } from "../core/spiffe/trust-domain.ts";
import { encodeCbor } from "../core/std/cbor.ts";
import { RECOVERY_KEYS_MAX } from "../core/std/limits.ts";
import { type Result, no } from "../core/std/result.ts";
import { SHA256_BYTES } from "../core/std/sha256.ts";
import * as shape from "../core/std/shape.ts";
import { field, grouped, readRecoveryText, writeRecoveryText } from "./recovery-text.ts";

export interface CommitmentFile {
  readonly trustDomain: TrustDomain;
  /** 32 bytes; of the record that the keys were made for. */
  readonly lineage: Uint8Array;
  readonly commitment: RecoveryCommitment;
}

const FORMAT = 1;
const hash = shape.bytesExactly(SHA256_BYTES);

/** `[m, [hash …]]`, as in a state. */
export const commitmentShape = shape.tuple(
  shape.integerBetween(1, RECOVERY_KEYS_MAX),
  shape.sortedArrayOf(hash, 1, RECOVERY_KEYS_MAX, (bytes) => bytes),
);

const positions = shape.tuple(
  shape.literal(FORMAT),
  shape.textLike(TRUST_DOMAIN_NAME),
  hash,
  commitmentShape,
);

export function encodeCommitment(file: CommitmentFile): string {
  const { trustDomain, lineage, commitment } = file;
  const { threshold, keyHashes } = commitment;
  const words = [
    field("Trust domain", trustDomain),
    field("Lineage", grouped(lineage)),
    field("Threshold", `${threshold} of these ${keyHashes.length} keys sign together`),
    ...keyHashes.map((each, index) => field(`Key hash ${index + 1}`, grouped(each))),
    "",
    `This file holds no secret: ${trustDomain} publishes these hashes, and its partners then know`,
    "which keys may speak for it on the day when everything else is lost.",
  ];
  const content = encodeCbor([FORMAT, trustDomain, lineage, [threshold, keyHashes]]);
  return writeRecoveryText("commitment", words.join("\n"), content);
}

/**
 * @param name What the operator calls the file.
 * @throws {Fault} `RECOVERY_FILE_KIND`, `RECOVERY_FILE_DAMAGED`.
 */
export function decodeCommitment(text: string, name: string): CommitmentFile {
  return readRecoveryText("commitment", name, text, readContent, encodeCommitment);
}

function readContent(content: Uint8Array): Result<CommitmentFile, string> {
  const read = shape.readCbor(content, "commitment", (value, at): CommitmentFile => {
    const [, trustDomain, lineage, [threshold, keyHashes]] = positions(value, at);
    const commitment = { threshold, keyHashes };
    return { trustDomain: trustDomain as TrustDomain, lineage, commitment };
  });
  if (!read.ok) return read;
  const { threshold, keyHashes } = read.value.commitment;
  return threshold <= keyHashes.length ? read : no("a threshold above the number of keys");
}
