/** docs/findings.md: the tables of findings and refusals to read. */
import { FINDINGS, type FindingCode, degrades } from "../../src/core/mesh/finding.ts";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import { REFUSALS, type RefusalCode } from "../../src/core/record/refusal.ts";
import { REFUSAL_ADVICE } from "../../src/daemon/refusal-advice.ts";

export const FINDINGS_PAGE = "docs/findings.md";

const REFUSAL_MEANS: Readonly<Record<RefusalCode, string>> = {
  ENVELOPE_MALFORMED: "the bytes are no envelope, or beyond a limit",
  PAYLOAD_MALFORMED: "the envelope holds no state, or one beyond a limit",
  BLOCK_COUNT: "a gossiped record carries more or less than one block",
  SIGNATURE_ENCODING: "an SVID signature is not in the one form that is taken",
  NODE_SIGNATURE_INVALID: "no node key signed it",
  TRUST_DOMAIN_UNKNOWN: "nobody here approved its trust domain",
  OWN_TRUST_DOMAIN: "the file is this daemon's own record",
  FIRST_RECORD_UNNAMED: "it is of this trust domain, and there is no first record here yet",
  FINGERPRINT_MISMATCH: "the file's record is not the one that `-fingerprint` names",
  WRONG_LINEAGE: "it descends from another first record than the held one",
  STALE: "it is older than the held one",
  DUPLICATE: "it is held already",
  NODE_NOT_LISTED: "the node that signed it is not listed in it, or was not before",
  NODE_REMOVED: "a node signed it that was removed",
  OVER_BUDGET: "its trust domain or its relay has made us do enough work for now",
  TOO_COSTLY: "it takes more signature checks than one record may",
  LEAF_KEY_IS_NODE_KEY: "its X509-SVID was minted for a node key",
  REV_JUMP: "its revision is too far above the held one",
  EPOCH_JUMP: "its epoch is not the one that follows the held one's",
  RECOVERY_CHANGED: "it names other recovery keys without their signatures",
  RECOVERY_UNASKED: "recovery keys signed it, and it changes nothing that needs them",
  RECOVERY_REVEALED: "it commits to a recovery key again that it reveals itself",
  RECOVERY_NOT_COMMITTED: "recovery keys signed it, and the held state commits to none",
  RECOVERY_COUNT: "more or fewer recovery keys signed it than the held state asks for",
  RECOVERY_KEY_UNKNOWN: "a key signed it that is not among the held state's recovery keys",
  RECOVERY_SIGNATURE_INVALID: "a recovery key's signature is not of this record",
  AUTHORITY_MALFORMED: "it lists an authority that not every verifier reads",
  CHAIN_MALFORMED: "a certificate of its chain cannot be read",
  LEAF_NOT_PUBLISHER: "its X509-SVID is not the one of a publisher",
  ISSUER_NOT_TRUST_DOMAIN: "a CA of its chain does not name the trust domain",
  CHAIN_BROKEN: "a certificate of its chain was not issued by the next one",
  NAME_CONSTRAINED: "a CA of its chain may not issue for these names",
  CHAIN_NOT_VALID_THEN: "a certificate of its chain was not valid when it was signed",
  OLD_AUTHORITY_MISSING: "no authority of the held record speaks for it",
  NEW_AUTHORITY_MISSING: "no authority that it lists itself speaks for it",
  SIGNED_IN_FUTURE: "it was signed later than it is here now",
  SIGNED_TOO_EARLY: "it was signed long before the held one",
  SVID_SIGNATURE_INVALID: "its X509-SVID did not sign it",
  HELD_EXPIRED: "all authorities of the held record have expired, so none speaks for it",
  FORK: "it is of the held version, and does not trust what the held record is signed under",
  RECOVERY_FORK: "recovery keys signed it, and the held record of the same version as well",
  FORGED_OWN: "it is of this trust domain, and its SPIRE Server never said so",
  STORE_FAILED: "the disk of data_dir did not take it",
  HEAD_MALFORMED: "the bytes are no head",
  HEAD_SIGNATURE_INVALID: "the node that a head names did not sign it",
  HEAD_STALE: "a head is no newer than the last one of its node, or was issued long ago",
  HEAD_IN_FUTURE: "a head was issued later than it is here now",
};

function degrading(code: FindingCode): string {
  const [own, partner] = ["own.test", "partner.test"] as TrustDomain[];
  if (own === undefined || !degrades({ code, trustDomain: own }, own)) return "no";
  return degrades({ code, trustDomain: partner }, own) ? "yes" : "not about a partner";
}

/** The page as it must be. */
export function findingsPage(): string {
  const findings = (Object.keys(FINDINGS) as readonly FindingCode[]).map((code) => {
    const { severity, means, next } = FINDINGS[code];
    return `| \`${code}\` | ${severity} | ${degrading(code)} | ${means} | ${next} |`;
  });
  const refusals = (Object.keys(REFUSALS) as readonly RefusalCode[]).map(
    (code) =>
      `| \`${code}\` | ${REFUSALS[code]} | ${REFUSAL_MEANS[code]} | ${REFUSAL_ADVICE[code]} |`,
  );
  return [
    "# Findings and refusals",
    "",
    "Written from `src/core/mesh/finding.ts`, `src/core/record/refusal.ts` and `src/daemon/refusal-advice.ts` by",
    "`npm run docs`. In commands FILE is a file, TD a trust domain and F a fingerprint.",
    "",
    "## Findings",
    "",
    "What an operator must know, until it is over: `spire-mesh status` and `healthcheck -verbose` show them, the log",
    "and `watch` tell when one is raised and cleared, and metrics count them.",
    "",
    "A finding that **degrades** makes the state `degraded`, and `healthcheck` exits 1 while it stands: every critical",
    "one but for what a partner can bring about alone, and those of a SPIRE Server that is away. A degraded daemon goes",
    "on with all that it still can, so a restart mends nothing: `/live` stays as it is, and so does `/ready`, which turns",
    "when the daemon has started and when it stops. `healthcheck -shallow` asks only whether the daemon answers.",
    "",
    "| finding | severity | degrades | what it means | next |",
    "|---|---|---|---|---|",
    ...findings,
    "",
    "## Refusals",
    "",
    "Why a record was not taken: `import` shows the code, `watch` and metrics have those of the network too. Nothing",
    "is stored or written then. *reject* costs the peer that forwarded the record score, as no honest one would have;",
    "*ignore* does not. What is next is for a file that lies before an operator.",
    "",
    "| refusal | on gossip | what it means | next |",
    "|---|---|---|---|",
    ...refusals,
    "",
  ].join("\n");
}
