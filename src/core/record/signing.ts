/** What the core asks of a keyring, and what it gets (docs/protocol.md 1). */
import type { Block } from "./envelope.ts";
import type { RecoverySignature } from "./preimages.ts";
import type { CertificateFacts } from "./proofs.ts";

/** What one block has to prove. */
export interface SigningOrder {
  /** SHA-256 id of the record to be signed. 32 bytes. */
  readonly recordId: Uint8Array;
  /** Recovery signatures of the envelope, covered by the node's signature. */
  readonly recovery: readonly RecoverySignature[];
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
  | { readonly kind: "no-new-chain"; readonly problem: string }
  /** SPIRE was away when an SVID was to be minted: tried again. */
  | { readonly kind: "spire-away"; readonly problem: string };
