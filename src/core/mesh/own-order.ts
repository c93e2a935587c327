/** What an operator decides about the own trust domain, and what is signed because of it. */
import type { RecoverySignature } from "../record/preimages.ts";
import type { RecoveryCommitment, State } from "../record/state.ts";
import type { Ticket } from "./input.ts";

/** Decisions that only a person takes. Each becomes one record, or is told why not. */
export type OwnOrder =
  /** What SPIRE shows after a restored datastore is meant: published at the next rev. */
  | { readonly kind: "confirm-restore" }
  /** No way on from the old lineage: a new genesis. The reason goes to the log. */
  | { readonly kind: "new-lineage"; readonly reason: string }
  /** One node comes; a public key of 32 bytes. */
  | { readonly kind: "add-node"; readonly node: Uint8Array }
  /** One node goes. `force`: without asking nodes that were not heard for 5 min. */
  | { readonly kind: "remove-node"; readonly node: Uint8Array; readonly force: boolean }
  /** The first recovery keys. */
  | { readonly kind: "commit-recovery"; readonly commitment: RecoveryCommitment }
  /** What recovery keys have signed: a new epoch, or other keys. */
  | {
      readonly kind: "recovery-signed";
      readonly state: State;
      readonly signatures: readonly RecoverySignature[];
    };

/** An order that no record says yet. */
export interface Ordered {
  readonly order: OwnOrder;
  readonly ticket: Ticket;
  readonly sinceUptimeMs: number;
}

/** A record on its way to the keyring. */
export interface Signing {
  readonly state: State;
  /** `first`: of a lineage. `again`: the held record gets a block more, and nothing else changes. */
  readonly as: "first" | "next" | "again";
  readonly recovery: readonly RecoverySignature[];
  /** The order that it carries out, if it is for one. */
  readonly ordered: Ordered | undefined;
}
