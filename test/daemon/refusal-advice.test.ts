import { describe, expect, test } from "vitest";
import { REFUSALS, type RefusalCode } from "../../src/core/record/refusal.ts";
import { REFUSAL_ADVICE } from "../../src/daemon/refusal-advice.ts";

/** Who can do something about it. A new export from the sender helps with these alone. */
const NEW_EXPORT_HELPS: ReadonlySet<RefusalCode> = new Set([
  "ENVELOPE_MALFORMED",
  "PAYLOAD_MALFORMED",
  "BLOCK_COUNT",
  "SIGNATURE_ENCODING",
  "NODE_SIGNATURE_INVALID",
  "FINGERPRINT_MISMATCH",
  "NODE_REMOVED",
  "RECOVERY_UNASKED",
  "RECOVERY_COUNT",
  "RECOVERY_SIGNATURE_INVALID",
  "TOO_COSTLY",
  "LEAF_KEY_IS_NODE_KEY",
  "AUTHORITY_MALFORMED",
  "CHAIN_MALFORMED",
  "LEAF_NOT_PUBLISHER",
  "ISSUER_NOT_TRUST_DOMAIN",
  "CHAIN_BROKEN",
  "NAME_CONSTRAINED",
  "CHAIN_NOT_VALID_THEN",
  "NEW_AUTHORITY_MISSING",
  "SIGNED_TOO_EARLY",
  "SVID_SIGNATURE_INVALID",
  "HEAD_MALFORMED",
  "HEAD_SIGNATURE_INVALID",
]);

/** What the operator here can do with the file that lies before them. */
const SAYS: Partial<Record<RefusalCode, RegExp>> = {
  TRUST_DOMAIN_UNKNOWN: /-fingerprint/,
  OWN_TRUST_DOMAIN: /at the partner/,
  FIRST_RECORD_UNNAMED: /`spire-mesh export -o FILE` here/,
  WRONG_LINEAGE: /^ask .* two daemons run .*`spire-mesh bundle pin TD -fingerprint F`/,
  STALE: /^nothing/,
  DUPLICATE: /^nothing/,
  NODE_NOT_LISTED: /`spire-mesh bundle pin TD -fingerprint F`/,
  OVER_BUDGET: /again in a minute/,
  REV_JUMP: /`spire-mesh bundle pin TD -fingerprint F`/,
  EPOCH_JUMP: /`spire-mesh bundle pin TD -fingerprint F`/,
  RECOVERY_CHANGED: /`spire-mesh bundle pin TD -fingerprint F`/,
  RECOVERY_REVEALED: /with new keys only/,
  RECOVERY_NOT_COMMITTED: /`spire-mesh bundle pin TD -fingerprint F`/,
  RECOVERY_KEY_UNKNOWN: /`spire-mesh bundle pin TD -fingerprint F`/,
  OLD_AUTHORITY_MISSING: /`spire-mesh bundle pin TD -fingerprint F`/,
  SIGNED_IN_FUTURE: /clocks of both sides/,
  HELD_EXPIRED: /`spire-mesh bundle pin TD -fingerprint F`/,
  FORK: /`spire-mesh bundle pin TD -fingerprint F`/,
  RECOVERY_FORK: /`spire-mesh bundle pin TD -fingerprint F`/,
  FORGED_OWN: /`spire-mesh status`/,
  STORE_FAILED: /disk of data_dir.*import it again/,
  HEAD_STALE: /^nothing/,
  HEAD_IN_FUTURE: /clocks of both sides/,
};

describe("what an operator is told to do about a refused file", () => {
  test.each(Object.keys(REFUSALS) as readonly RefusalCode[])("helps against %s", (code) => {
    const advice = REFUSAL_ADVICE[code];
    expect(/export from|new export/.test(advice)).toBe(NEW_EXPORT_HELPS.has(code));
    if (!NEW_EXPORT_HELPS.has(code)) expect(advice).toMatch(SAYS[code] ?? /a case of its own/);
    expect(advice).toMatch(/^[a-z].*[^.]$/);
  });
});
