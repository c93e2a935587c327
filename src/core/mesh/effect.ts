/** What `step` orders. The runner carries effects out in order; outcomes come back as inputs. */
import type { Refusal } from "../record/refusal.ts";
import type { SigningOrder } from "../record/signing.ts";
import type { RecoveryCommitment, Version } from "../record/state.ts";
import type { TrustDomain } from "../spiffe/trust-domain.ts";
import type { Finding } from "./finding.ts";
import type { StoreFailure, Ticket } from "./input.ts";
import type { RowOrder } from "./row-order.ts";
import type { SlotToStore } from "./partner.ts";

/** What somebody who waits is told. */
export type Answer =
  /** The record was new and stands in the store. */
  | { readonly kind: "taken"; readonly trustDomain: TrustDomain; readonly recordId: string }
  /** A head is its node's newest: worth passing on. Nothing is stored of it. */
  | { readonly kind: "heard" }
  /** It was held already. */
  | { readonly kind: "unchanged"; readonly trustDomain: TrustDomain; readonly recordId: string }
  | {
      readonly kind: "refused";
      readonly refusal: Refusal;
      readonly trustDomain: TrustDomain | undefined;
      readonly recordId: string | undefined;
    }
  | { readonly kind: "exported"; readonly envelope: Uint8Array; readonly recordId: string }
  | {
      readonly kind: "prepared";
      /** Of the record that recovery keys are to sign. */
      readonly payload: Uint8Array;
      readonly held: Version & { readonly recovery: RecoveryCommitment };
    }
  | { readonly kind: "done" }
  | {
      readonly kind: "failed";
      readonly failure: Failure;
      readonly message: string;
      /** What to do next, when the advice of the failure's code is too general. */
      readonly next: string | undefined;
    };

/** Why an operator's order could not be carried out: codes of `Fault`. */
export type Failure =
  | "NOT_FOUND"
  | "NOT_READY"
  | "ROW_NOT_OURS"
  | "ROW_IN_USE"
  | "SPIRE_REFUSED"
  | "SPIRE_UNREACHABLE"
  | StoreFailure;

/** What somebody else made of a row that was as it shall be. */
export interface Overwritten {
  /** SHA-256 of the first X.509 authorities found there that do not belong there, as hex. */
  readonly foreignX509Sha256: readonly string[];
  /** Who it was, in words, as far as SPIRE says. */
  readonly by: string;
}

/** What `watch` and the log show. */
export type MeshEvent =
  | { readonly kind: "record-accepted"; readonly trustDomain: TrustDomain; readonly detail: string }
  | {
      readonly kind: "record-refused";
      readonly trustDomain: TrustDomain | undefined;
      readonly refusal: Refusal;
    }
  | {
      readonly kind: "bundle-written";
      readonly trustDomain: TrustDomain;
      readonly sequenceNumber: bigint;
      readonly x509Sha256: readonly string[];
      /** Somebody else had changed the row. */
      readonly overwritten: Overwritten | undefined;
    }
  | {
      readonly kind: "bundle-published";
      readonly trustDomain: TrustDomain;
      readonly sequenceNumber: bigint;
      readonly recordId: string;
    }
  | { readonly kind: "domain-forgotten"; readonly trustDomain: TrustDomain }
  | { readonly kind: "peer-connected" | "peer-lost"; readonly node: string }
  | { readonly kind: "spire-away"; readonly reason: string }
  | { readonly kind: "spire-back" }
  | { readonly kind: "finding-raised" | "finding-cleared"; readonly finding: Finding };

export type Effect =
  /** Awaited; answered by `domain-stored` or `store-failed` before any other input. */
  | { readonly kind: "store-domain"; readonly domain: SlotToStore }
  /** Awaited; answered by `domain-removed` or `store-failed` before any other input. */
  | { readonly kind: "remove-domain"; readonly trustDomain: TrustDomain }
  /** Answered by `record-signed`. One at a time. */
  | { readonly kind: "sign-record"; readonly order: SigningOrder }
  | { readonly kind: "mint-ahead" }
  | { readonly kind: "publish-record"; readonly envelope: Uint8Array }
  /** The counter is stored before the head is signed and gossiped. Not answered. */
  | { readonly kind: "announce-head"; readonly payload: Uint8Array; readonly counter: bigint }
  /** Given at the recovery door of every partner that may not have it. Not answered. */
  | { readonly kind: "knock"; readonly envelope: Uint8Array }
  /** Answered by `row-ended`, in any order and as late as SPIRE likes. */
  | { readonly kind: "order-row"; readonly order: RowOrder }
  /** Nodes of one trust domain that may be connected, in place of those before; none any more: []. */
  | {
      readonly kind: "admit-nodes";
      readonly trustDomain: TrustDomain;
      readonly nodes: readonly Uint8Array[];
    }
  /** Where nodes of one trust domain may be found, besides what was said before. */
  | {
      readonly kind: "dial";
      readonly trustDomain: TrustDomain;
      readonly addresses: readonly string[];
    }
  /** Something is wanted that a connected peer may have. */
  | { readonly kind: "sync-soon" }
  /** Comes back as `parked-woken`, behind what other rooms have said already. */
  | { readonly kind: "wake-parked"; readonly trustDomain: TrustDomain }
  | { readonly kind: "answer"; readonly ticket: Ticket; readonly answer: Answer }
  | { readonly kind: "tell"; readonly event: MeshEvent };
