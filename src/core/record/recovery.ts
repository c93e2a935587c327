/**
 * Recovery signatures: what m of the n committed offline keys prove about a record (docs/protocol.md
 * 1 and 2). They alone may begin a new epoch and exchange the commitment itself, so nothing here is
 * lenient: exactly m, each key once, each committed, each signature good.
 */
import { compareBytes, equalBytes, toHex } from "../std/bytes.ts";
import { ok } from "../std/result.ts";
import { sha256 } from "../std/sha256.ts";
import { type RecoverySignature, recoveryPreimage } from "./preimages.ts";
import type { Proofs } from "./proofs.ts";
import { type Judged, refuse } from "./refusal.ts";
import type { RecoveryCommitment } from "./state.ts";

/**
 * Whether exactly m committed keys signed a record. Cheap checks come first: a stranger at the
 * recovery door makes us verify a signature only with a key whose hash is committed.
 *
 * @param recordId Of the record that is signed. 32 bytes.
 * @param commitment That of the state which is *held*, never the record's own.
 */
export function judgeRecovery(
  recordId: Uint8Array,
  signatures: readonly RecoverySignature[],
  commitment: RecoveryCommitment | undefined,
  proofs: Pick<Proofs, "verifiesNode">,
): Judged<undefined> {
  // With a threshold of 0 nobody's signature would be enough; no decoder of ours lets one by.
  if (commitment === undefined || commitment.threshold < 1) {
    return refuse("RECOVERY_NOT_COMMITTED", "the held state commits to no recovery keys");
  }
  const { threshold, keyHashes } = commitment;
  if (signatures.length !== threshold) {
    return refuse(
      "RECOVERY_COUNT",
      `${signatures.length} signatures where ${threshold} are needed`,
    );
  }
  const keys = signatures.map(([publicKey]) => publicKey);
  if (keys.some((key, at) => at > 0 && compareBytes(keys[at - 1] ?? key, key) >= 0)) {
    return refuse("RECOVERY_COUNT", "the keys do not ascend, or one signed twice");
  }
  const unknown = keys.find((key) => !isCommitted(key, keyHashes));
  if (unknown !== undefined) {
    const hash = toHex(sha256(unknown));
    return refuse("RECOVERY_KEY_UNKNOWN", `a key that is not committed, its hash ${hash}`);
  }
  const preimage = recoveryPreimage(recordId);
  return signatures.every(([key, signature]) => proofs.verifiesNode(key, preimage, signature))
    ? ok(undefined)
    : refuse("RECOVERY_SIGNATURE_INVALID", "a recovery key did not sign this record");
}

/**
 * Whether a key's hash stands in a commitment. A key that signed is public from then on, so its hash
 * must not stand in what the record commits to next.
 */
export function isCommitted(publicKey: Uint8Array, keyHashes: readonly Uint8Array[]): boolean {
  const hash = sha256(publicKey);
  return keyHashes.some((each) => equalBytes(each, hash));
}
