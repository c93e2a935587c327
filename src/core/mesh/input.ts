/**
 * Everything that can happen to a daemon, as facts in the past. The runner gives them to `step` one
 * at a time; the outcome of an effect comes back as one of these.
 */
import type { SigningOutcome } from "../record/signing.ts";
import type { RecoveryCommitment, State } from "../record/state.ts";
import type { TrustBundle } from "../spiffe/trust-bundle.ts";
import type { TrustDomain } from "../spiffe/trust-domain.ts";
import type { OwnOrder } from "./own-order.ts";
import type { SyncEntry } from "./sync-entry.ts";
import type { ListedRow, RowOrder, RowOutcome } from "./row-order.ts";

/** Why the disk of data_dir took nothing: codes of `Fault`. */
export type StoreFailure = "STORE_FULL" | "CANNOT_CREATE" | "NOT_READY";

/** Names who waits for an answer; the runner made it. */
export type Ticket = number;

export type StoreFailed = Extract<Input, { kind: "store-failed" }>;

export type Input =
  /** SPIRE's own bundle was read for the first time, or differs from the last read. */
  | { readonly kind: "local-bundle-read"; readonly bundle: TrustBundle }
  /** `next`: what helps against this reason, when something else does than usually. */
  | { readonly kind: "spire-away"; readonly reason: string; readonly next?: string }
  | { readonly kind: "spire-back" }
  /** All federated rows and the domains that have a FederationRelationship. */
  | {
      readonly kind: "rows-read";
      readonly rows: readonly ListedRow[];
      readonly relationships: readonly TrustDomain[];
    }
  /** They cannot be read any more; told once, until they are read again. */
  | { readonly kind: "rows-unread"; readonly reason: string; readonly next?: string }
  | { readonly kind: "row-ended"; readonly order: RowOrder; readonly outcome: RowOutcome }
  | { readonly kind: "record-signed"; readonly outcome: SigningOutcome }
  | {
      readonly kind: "record-received";
      readonly envelope: Uint8Array;
      readonly carrier: "gossip" | "sync";
      /** The node (32 bytes as hex) that gave it to us: it pays for what it brings. */
      readonly from: string;
      readonly ticket: Ticket;
    }
  /** The effect `wake-parked` has had its turn. */
  | { readonly kind: "parked-woken"; readonly trustDomain: TrustDomain }
  | { readonly kind: "domain-stored" }
  | { readonly kind: "domain-removed" }
  | {
      readonly kind: "store-failed";
      readonly failure: StoreFailure;
      readonly message: string;
      readonly next: string | undefined;
    }
  | { readonly kind: "peer-connected"; readonly node: string }
  | { readonly kind: "peer-lost"; readonly node: string }
  /** A node (32 bytes as hex) said what it holds of the domains that we want. */
  | {
      readonly kind: "peer-synced";
      readonly node: string;
      readonly entries: readonly SyncEntry[];
    }
  /** Answered when all that the daemon's own rooms said before is taken in. */
  | { readonly kind: "status-asked"; readonly ticket: Ticket }
  | { readonly kind: "export-asked"; readonly ticket: Ticket }
  | {
      readonly kind: "import-asked";
      readonly ticket: Ticket;
      readonly envelope: Uint8Array;
      /** Record id as 64 hex digits, when the operator gave a fingerprint. */
      readonly fingerprint: string | undefined;
      readonly addressHints: readonly string[];
      readonly replace: boolean;
      /** Whether SPIRE was asked for the next two, as it is for a domain that is new here. */
      readonly spireAsked: boolean;
      /** What SPIRE held of the domain a moment ago. */
      readonly row: TrustBundle | undefined;
      readonly hasRelationship: boolean;
    }
  | { readonly kind: "forget-asked"; readonly ticket: Ticket; readonly trustDomain: TrustDomain }
  | {
      readonly kind: "pin-asked";
      readonly ticket: Ticket;
      readonly trustDomain: TrustDomain;
      readonly fingerprint: string;
    }
  /** A head by gossip; `from` is the forwarder's node. */
  | {
      readonly kind: "head-received";
      readonly envelope: Uint8Array;
      readonly from: string;
      readonly ticket: Ticket;
    }
  /** Somebody whom nobody admits gave a record. */
  | { readonly kind: "door-knocked"; readonly envelope: Uint8Array; readonly ticket: Ticket }
  | { readonly kind: "own-order-asked"; readonly ticket: Ticket; readonly order: OwnOrder }
  | {
      readonly kind: "adopt-asked";
      readonly ticket: Ticket;
      /** Record id as 64 hex digits. */
      readonly fingerprint: string;
      /** Nodes that may give it to us, while no own record says which there are. */
      readonly nodes: readonly Uint8Array[];
    }
  | { readonly kind: "resume-asked"; readonly ticket: Ticket }
  | {
      readonly kind: "recovery-prepare-asked";
      readonly ticket: Ticket;
      /** A new epoch, or other recovery keys in this one. */
      readonly as: "epoch" | "exchange";
      /** The last record, from a file, where this daemon has lost it: with its lineage in it. */
      readonly held: State | undefined;
      /** The recovery keys after it. */
      readonly next: RecoveryCommitment | undefined;
    }
  /** A returned authority is meant: the row takes it. */
  | {
      readonly kind: "release-asked";
      readonly ticket: Ticket;
      readonly trustDomain: TrustDomain;
      /** The held record, 64 hex digits: what the operator looked at. */
      readonly recordId: string;
    }
  /** Once a second. The uptime is that of a clock that nobody sets. */
  | { readonly kind: "tick"; readonly uptimeMs: number };
