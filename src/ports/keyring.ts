/**
 * The two factors that sign a record: this daemon's node key and X509-SVIDs minted for the
 * publisher's SPIFFE ID (docs/protocol.md 1). The keyring picks chains, the core decides what is
 * signed and judges the result like any peer's.
 */
import type { CertificateFacts } from "../core/record/proofs.ts";
import type { Block } from "../core/record/envelope.ts";

/** What one block has to prove. */
export interface SigningOrder {
  /** SHA-256 id of the record to be signed. 32 bytes. */
  readonly recordId: Uint8Array;
  /** Recovery signatures of the envelope, covered by the node's signature. */
  readonly recovery: readonly (readonly [Uint8Array, Uint8Array])[];
  /** Untainted authorities of the state that receivers hold; empty for a first record. */
  readonly heldAuthorities: readonly CertificateFacts[];
  /** Untainted authorities of the record itself. */
  readonly newAuthorities: readonly CertificateFacts[];
}

export type SigningOutcome =
  | { readonly kind: "signed"; readonly block: Block }
  /** No kept SVID chains to the held authorities: receivers could not link old and new. */
  | { readonly kind: "no-old-chain" }
  /** SPIRE minted nothing that chains to an untainted authority of the new bundle. */
  | { readonly kind: "no-new-chain"; readonly problem: string };

export interface Keyring {
  /** This daemon's Ed25519 node key. 32 bytes. */
  readonly nodePublicKey: Uint8Array;
  /** Signs one block at `nowMs`; mints at most one SVID, and only for the new chain. */
  sign(order: SigningOrder, nowMs: number): Promise<SigningOutcome>;
  /**
   * Mints ahead when the newest SVID is past half its life or its CA stopped signing, so that the
   * kept one can speak for the old authorities when a change comes. Called at start, on a timer and
   * after each own record was applied.
   */
  mintAhead(nowMs: number): Promise<void>;
}
