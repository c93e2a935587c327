/**
 * Why a record was not taken. A value, as bad and stale input is normal in a mesh; the code is
 * stable, counted and shown by `import`. Nothing is stored or written when a record is refused.
 */
import type { Result } from "../std/result.ts";

/**
 * What gossipsub does with the message and the forwarder's score. `reject` costs score, so it is
 * kept for what every honest node refuses without knowing anything (docs/protocol.md 3): otherwise
 * an attacker could make honest peers ban each other.
 */
export const REFUSALS = {
  // Steps 1 and 2: the bytes themselves.
  ENVELOPE_MALFORMED: "reject",
  PAYLOAD_MALFORMED: "reject",
  BLOCK_COUNT: "reject",
  SIGNATURE_ENCODING: "reject",
  NODE_SIGNATURE_INVALID: "reject",
  // Steps 3 to 5: whose record it is, and which.
  TRUST_DOMAIN_UNKNOWN: "ignore",
  OWN_TRUST_DOMAIN: "ignore",
  FIRST_RECORD_UNNAMED: "ignore",
  FINGERPRINT_MISMATCH: "ignore",
  WRONG_LINEAGE: "ignore",
  STALE: "ignore",
  DUPLICATE: "ignore",
  // Step 6: who signed.
  NODE_NOT_LISTED: "ignore",
  NODE_REMOVED: "ignore",
  OVER_BUDGET: "ignore",
  REV_JUMP: "ignore",
  EPOCH_CHANGE_NOT_BUILT: "ignore",
  RECOVERY_SIGNATURES_NOT_BUILT: "ignore",
  RECOVERY_CHANGED: "ignore",
  RECOVERY_NOT_COMMITTED: "ignore",
  RECOVERY_COUNT: "ignore",
  RECOVERY_KEY_UNKNOWN: "ignore",
  RECOVERY_SIGNATURE_INVALID: "ignore",
  // Step 7: what it says.
  AUTHORITY_MALFORMED: "ignore",
  // Steps 8 and 9: what speaks for it.
  CHAIN_MALFORMED: "ignore",
  LEAF_KEY_IS_NODE_KEY: "ignore",
  LEAF_NOT_PUBLISHER: "ignore",
  ISSUER_NOT_TRUST_DOMAIN: "ignore",
  CHAIN_BROKEN: "ignore",
  NAME_CONSTRAINED: "ignore",
  CHAIN_NOT_VALID_THEN: "ignore",
  OLD_AUTHORITY_MISSING: "ignore",
  NEW_AUTHORITY_MISSING: "ignore",
  // Step 10: signatures and time.
  SIGNED_IN_FUTURE: "ignore",
  SIGNED_TOO_EARLY: "ignore",
  SVID_SIGNATURE_INVALID: "ignore",
  TOO_COSTLY: "ignore",
  // Step 11, and where later work goes on.
  HELD_EXPIRED_NOT_BUILT: "ignore",
  FORK: "ignore",
  FORGED_OWN: "ignore",
  STORE_FAILED: "ignore",
} as const satisfies Record<string, "ignore" | "reject">;

export type RefusalCode = keyof typeof REFUSALS;

export interface Refusal {
  readonly code: RefusalCode;
  /** For people: what exactly, with numbers. May change. */
  readonly detail: string;
}

export type Judged<Value> = Result<Value, Refusal>;

export function refuse(code: RefusalCode, detail: string): { ok: false; reason: Refusal } {
  return { ok: false, reason: { code, detail } };
}
