/** What an operator does about a file whose record was refused: by whose fault it was, not ours alone. */
import type { RefusalCode } from "../core/record/refusal.ts";

/** The bytes or their proofs are bad: this file will never be taken. */
const NEW_EXPORT = "ask the sender for a new export";
/** A new export would be the same. */
const SENDER_MENDS = "ask the sender to mend this in their SPIRE Server, then for a new export";
/** It may stand on records that this daemon has not seen; a new export would stand on them too. */
const NEW_START =
  "let the daemons sync, or run `spire-mesh bundle pin TD -fingerprint F` with a fingerprint from the sender";
const CONFIRMED_START =
  "ask the sender whether they meant this, then run `spire-mesh bundle pin TD -fingerprint F` with their fingerprint";
const NOTHING = "nothing: this record or a later one is held already";

export const REFUSAL_ADVICE: Readonly<Record<RefusalCode, string>> = {
  ENVELOPE_MALFORMED: NEW_EXPORT,
  PAYLOAD_MALFORMED: NEW_EXPORT,
  BLOCK_COUNT: NEW_EXPORT,
  SIGNATURE_ENCODING: NEW_EXPORT,
  NODE_SIGNATURE_INVALID: NEW_EXPORT,

  TRUST_DOMAIN_UNKNOWN: "add -fingerprint with the record id that the sender read to you",
  OWN_TRUST_DOMAIN: "import the file at the partner, not at home",
  FIRST_RECORD_UNNAMED: "run `spire-mesh export -o FILE` here first",
  FINGERPRINT_MISMATCH:
    "compare every group of it with the sender by voice: where they differ, ask for a new export",
  WRONG_LINEAGE:
    "ask the sender whether two daemons run for their trust domain: then one must stop. If they started anew, run `spire-mesh bundle pin TD -fingerprint F` with the new fingerprint",
  STALE: NOTHING,
  DUPLICATE: NOTHING,

  NODE_NOT_LISTED: NEW_START,
  NODE_REMOVED: "ask the sender for an export from a node that they have not removed",
  OVER_BUDGET: "import the file again in a minute",
  REV_JUMP: NEW_START,
  EPOCH_JUMP: NEW_START,
  RECOVERY_CHANGED: CONFIRMED_START,
  RECOVERY_UNASKED: NEW_EXPORT,
  RECOVERY_REVEALED:
    "ask the sender to recover with new keys only: a key that signed is public from then on",
  RECOVERY_NOT_COMMITTED: CONFIRMED_START,
  RECOVERY_COUNT: NEW_EXPORT,
  RECOVERY_KEY_UNKNOWN: CONFIRMED_START,
  RECOVERY_SIGNATURE_INVALID: NEW_EXPORT,

  AUTHORITY_MALFORMED: SENDER_MENDS,
  CHAIN_MALFORMED: NEW_EXPORT,
  LEAF_KEY_IS_NODE_KEY: NEW_EXPORT,
  LEAF_NOT_PUBLISHER: NEW_EXPORT,
  ISSUER_NOT_TRUST_DOMAIN: SENDER_MENDS,
  CHAIN_BROKEN: NEW_EXPORT,
  NAME_CONSTRAINED: SENDER_MENDS,
  CHAIN_NOT_VALID_THEN: NEW_EXPORT,
  OLD_AUTHORITY_MISSING: NEW_START,
  NEW_AUTHORITY_MISSING: NEW_EXPORT,

  SIGNED_IN_FUTURE: "set the clocks of both sides right, then import the file again",
  SIGNED_TOO_EARLY: "ask the sender to set their clock right, then for a new export",
  SVID_SIGNATURE_INVALID: NEW_EXPORT,
  TOO_COSTLY: SENDER_MENDS,

  HELD_EXPIRED: NEW_START,
  FORK: "ask the sender whether two daemons publish with one node key, then run `spire-mesh bundle pin TD -fingerprint F` with the right fingerprint",
  RECOVERY_FORK:
    "ask the sender which of the two records they meant, then run `spire-mesh bundle pin TD -fingerprint F` with its fingerprint",
  FORGED_OWN: "see FORGED_OWN in `spire-mesh status`: somebody else signs for this trust domain",
  STORE_FAILED:
    "nothing is wrong with the file: mend the disk of data_dir (see `spire-mesh status`), then import it again",

  HEAD_MALFORMED: NEW_EXPORT,
  HEAD_SIGNATURE_INVALID: NEW_EXPORT,
  HEAD_STALE: NOTHING,
  HEAD_IN_FUTURE: "set the clocks of both sides right",
};
