/** What an operator must know: one line each, until it is over. Shown by `status`, counted by metrics. */
import type { TrustDomain } from "../spiffe/trust-domain.ts";

export const FINDINGS = {
  SPIRE_UNREACHABLE: {
    severity: "warning",
    next: "check that SPIRE Server runs and that spire.socket_path is its API socket",
  },
  ROWS_UNREAD: {
    severity: "warning",
    next: "read SPIRE Server's log: it must answer ListFederatedBundles and ListFederationRelationships",
  },
  NODE_NOT_LISTED: {
    severity: "critical",
    next: "stop the daemon and put node.key back from a backup; without one start on an empty data_dir, `spire-mesh export`, and partners `spire-mesh bundle pin` its record",
  },
  NODE_LISTED_TWICE: {
    severity: "warning",
    next: "ask the operators of both trust domains whose node it is: a record lists its own nodes only",
  },
  NO_USABLE_CA: {
    severity: "critical",
    next: "run `spire-server localauthority x509 show` and prepare and activate an authority",
  },
  STATE_TOO_BIG: {
    severity: "critical",
    next: "raise ca_ttl so that SPIRE lists fewer authorities at a time",
  },
  AUTHORITY_UNPUBLISHABLE: {
    severity: "warning",
    next: "replace the authority: partners' agents could not read it",
  },
  SPIRE_WENT_BACK: {
    severity: "critical",
    next: "check that no revoked authority came back with the datastore, then restart this daemon; nothing is published meanwhile",
  },
  CONTINUITY_GAP: {
    severity: "critical",
    next: "compare fingerprints with the domain's operator, then `spire-mesh bundle pin`",
  },
  PIN_AWAITED: {
    severity: "warning",
    next: "import the record's file, or take the pin back: `spire-mesh bundle pin` with the held record's id",
  },
  FORK: {
    severity: "critical",
    next: "ask the domain's operator whether two daemons publish for it with one node key",
  },
  FORGED_OWN: {
    severity: "critical",
    next: "keep the record as evidence and rotate the authorities: somebody else signs for this domain",
  },
  CONTESTED: {
    severity: "critical",
    next: "stop the other writer, then `spire-mesh import -replace`",
  },
  ROW_REFUSED: {
    severity: "critical",
    next: "read SPIRE Server's log; the row is tried again when the bundle changes",
  },
  AUTHORITIES_EXPIRED: {
    severity: "critical",
    next: "ask the domain's operator why its SPIRE Server does not rotate",
  },
  STORE_FAILED: {
    severity: "critical",
    next: "see the message: free space on the disk of data_dir, make it writable or raise the limit of open files; nothing new is accepted meanwhile",
  },
} as const satisfies Record<string, { severity: "warning" | "critical"; next: string }>;

export type FindingCode = keyof typeof FINDINGS;

export interface Finding {
  readonly code: FindingCode;
  readonly severity: "warning" | "critical";
  /** Undefined for findings about this daemon. */
  readonly trustDomain: TrustDomain | undefined;
  readonly message: string;
  readonly next: string;
  readonly sinceMs: number;
}
