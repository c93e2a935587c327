/**
 * What an operator must know: one line each, until it is over. Shown by `status`, counted by metrics;
 * docs/findings.md is this table to read.
 */
import type { TrustDomain } from "../spiffe/trust-domain.ts";

/** `next` names commands as they are typed: FILE, TD (a trust domain) and F (a fingerprint) stand for values. */
export const FINDINGS = {
  SPIRE_UNREACHABLE: {
    severity: "warning",
    means:
      "SPIRE Server does not answer. Bundles and rows stay as they are, and nothing is published",
    next: "check that SPIRE Server runs and that spire.socket_path is its API socket",
  },
  ROWS_UNREAD: {
    severity: "warning",
    means:
      "SPIRE Server answers, but not when its rows are listed: what they hold now is not known",
    next: "read SPIRE Server's log: it must answer ListFederatedBundles and ListFederationRelationships",
  },
  NODE_NOT_LISTED: {
    severity: "critical",
    means: "the own record lists another node key than node.key has: partners refuse what it signs",
    next: "stop the daemon and put node.key back from a backup; without one start on an empty data_dir, run `spire-mesh export -o FILE`, and partners `spire-mesh bundle pin TD -fingerprint F` with its record",
  },
  NODE_LISTED_TWICE: {
    severity: "warning",
    means: "two trust domains list the same node key",
    next: "ask the operators of both trust domains whose node it is: a record lists its own nodes only",
  },
  NO_USABLE_CA: {
    severity: "critical",
    means:
      "SPIRE Server has no authority to publish or sign with; the daemon is not ready until it has one",
    next: "run `spire-server localauthority x509 show` and prepare and activate an authority",
  },
  STATE_TOO_BIG: {
    severity: "critical",
    means: "one record cannot carry all authorities that still work, so none is published",
    next: "raise ca_ttl so that SPIRE lists fewer authorities at a time",
  },
  AUTHORITY_UNPUBLISHABLE: {
    severity: "warning",
    means: "an authority of SPIRE Server is left out of the record",
    next: "replace the authority: partners' agents could not read it",
  },
  SPIRE_WENT_BACK: {
    severity: "critical",
    means: "SPIRE Server counts below what was published, as after a restored datastore",
    next: "check that no revoked authority came back with the datastore, then run `spire-mesh own confirm-restore`; nothing is published meanwhile",
  },
  CONTINUITY_GAP: {
    severity: "critical",
    means:
      "a newer record does not follow from the one that partners hold, so that one stays in force",
    next: "compare fingerprints with the domain's operator, then run `spire-mesh bundle pin TD -fingerprint F`",
  },
  PIN_AWAITED: {
    severity: "warning",
    means: "a record was pinned and has not arrived yet; the held one stays in force",
    next: "import the record's file, or take the pin back: `spire-mesh bundle pin TD -fingerprint F` with the held record's id",
  },
  FORK: {
    severity: "critical",
    means:
      "two records of one version are signed for one trust domain: what both say is applied, and the two are kept as evidence",
    next: "ask the domain's operator whether two daemons publish for it with one node key; its next record ends it",
  },
  FORK_EMPTY: {
    severity: "critical",
    means:
      "records of one version have no node in common: nobody can end that fork but recovery keys",
    next: "ask the domain's operator for a recovery, or for a new fingerprint, then run `spire-mesh bundle pin TD -fingerprint F`",
  },
  RECOVERY_FORK: {
    severity: "critical",
    means: "two records of one new epoch are signed by the recovery keys; the first one held stays",
    next: "compare fingerprints with the domain's operator, then run `spire-mesh bundle pin TD -fingerprint F`",
  },
  FROZEN: {
    severity: "critical",
    means: "nothing new was heard of a partner for 15 min, while others are heard",
    next: "ask the domain's operator whether its daemon runs; if it does, somebody keeps its heads from us: add a direct address with `spire-mesh import FILE -peer ADDR`",
  },
  ECLIPSED: {
    severity: "critical",
    means: "a partner stands on a record that no peer gives us",
    next: "import a new export of that trust domain, or add a direct address with `spire-mesh import FILE -peer ADDR`",
  },
  CLONE: {
    severity: "critical",
    means:
      "another daemon signs with this node key: a copy of this disk runs, or the key was stolen",
    next: "stop the other daemon; if there is none of yours, run `spire-mesh node remove ID` on another node of the trust domain and rotate the authorities. Nothing is published meanwhile",
  },
  CLOCK: {
    severity: "critical",
    means: "this host's clock differs from those of at least three trust domains, all the same way",
    next: "set this host's clock: what is signed with it is refused by partners",
  },
  AUTHORITY_RETURNED: {
    severity: "critical",
    means:
      "an authority that a partner had taken back is in its record again, and is left out of the row",
    next: "ask the domain's operator whether a datastore was restored; then run `spire-mesh release TD ID -reason R` with the record's id, or ask them to revoke it again",
  },
  RECOVERING: {
    severity: "critical",
    means:
      "the store was lost or is older than what was acknowledged: rows are not written below that",
    next: "wait until partners were heard, or run `spire-mesh own resume -accept-marks` to go on with what is here",
  },
  FORGED_OWN: {
    severity: "critical",
    means: "a record of this trust domain is in the mesh that its SPIRE Server never said",
    next: "keep the record as evidence and rotate the authorities: somebody else signs for this domain; then restart this daemon, as it goes on saying so until then",
  },
  CONTESTED: {
    severity: "critical",
    means:
      "another program overwrites a row as often as it is written; each new content is still written at once",
    next: "stop the other writer; the row is put back within 10 min then, or at once by `spire-mesh import FILE -replace` with a new export of that trust domain",
  },
  ROW_REFUSED: {
    severity: "critical",
    means: "SPIRE Server refuses a row",
    next: "read SPIRE Server's log; the row is tried again when its bundle changes, when SPIRE Server was away, and every 10 min",
  },
  AUTHORITIES_EXPIRED: {
    severity: "critical",
    means: "all authorities of a partner have expired; its row stays as it is",
    next: "ask the domain's operator why its SPIRE Server does not rotate",
  },
  STORE_FAILED: {
    severity: "critical",
    means: "the disk of data_dir takes nothing, so nothing new is accepted",
    next: "see the message: free space on the disk of data_dir, make it writable or raise the limit of open files; nothing new is accepted meanwhile",
  },
} as const satisfies Record<
  string,
  { severity: "warning" | "critical"; means: string; next: string }
>;

export type FindingCode = keyof typeof FINDINGS;

/** Warnings, as SPIRE Server restarts now and then; but without it no bundle is read and no row written. */
const SPIRE_IS_AWAY: ReadonlySet<FindingCode> = new Set(["SPIRE_UNREACHABLE", "ROWS_UNREAD"]);

/** What a partner can bring about alone: nobody's records may make another's daemon unhealthy. */
const MADE_BY_PARTNERS: ReadonlySet<FindingCode> = new Set([
  "CONTINUITY_GAP",
  "FORK",
  "FORK_EMPTY",
  "RECOVERY_FORK",
  "FROZEN",
  "ECLIPSED",
  "AUTHORITY_RETURNED",
  "ROW_REFUSED",
  "AUTHORITIES_EXPIRED",
]);

/**
 * Whether the daemon is `degraded`, and `healthcheck` exits 1, while such a finding stands: each
 * critical one does that, but for those that a partner made, and those of a SPIRE Server that is
 * away. `/ready` does not follow: what still works must not be taken out for it.
 */
export function degrades(
  { code, trustDomain }: Pick<Finding, "code" | "trustDomain">,
  own: TrustDomain,
): boolean {
  if (SPIRE_IS_AWAY.has(code)) return true;
  const isPartners = trustDomain !== undefined && trustDomain !== own;
  return FINDINGS[code].severity === "critical" && !(isPartners && MADE_BY_PARTNERS.has(code));
}

export interface Finding {
  readonly code: FindingCode;
  readonly severity: "warning" | "critical";
  /** Undefined for findings about this daemon. */
  readonly trustDomain: TrustDomain | undefined;
  readonly message: string;
  readonly next: string;
  readonly sinceMs: number;
}
