/** What two daemons say to each other about what they hold, and what they ask for. */
import type { Version } from "../record/state.ts";
import type { TrustDomain } from "../spiffe/trust-domain.ts";

/** What somebody holds of one trust domain. */
export interface SyncEntry {
  readonly trustDomain: TrustDomain;
  readonly version: Version;
  /** The held record's id and, in a fork, its sibling's: one or two, ascending. 32 bytes each. */
  readonly recordIds: readonly Uint8Array[];
}

/** One wish: the step records of a domain above a version, or one record by its exact id. */
export interface SyncWant {
  readonly trustDomain: TrustDomain;
  readonly above: Version | undefined;
  readonly recordId: Uint8Array | undefined;
}
