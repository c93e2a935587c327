/** SPIRE's rows as they are listed, orders to them, and what came of these. */
import type { TrustBundle } from "../spiffe/trust-bundle.ts";
import type { TrustDomain } from "../spiffe/trust-domain.ts";

/** What a row says is only ever compared: its content is not kept. */
export interface ListedRow {
  readonly trustDomain: TrustDomain;
  /** The `authoritiesDigest` of its bundle. 32 bytes. */
  readonly digest: Uint8Array;
}

/** A newer order for the same trust domain replaces one that still waits. */
export type RowOrder =
  | { readonly kind: "set"; readonly trustDomain: TrustDomain; readonly bundle: TrustBundle }
  /** Mode RESTRICT: refused while registration entries name the trust domain. */
  | { readonly kind: "delete"; readonly trustDomain: TrustDomain };

export type RowOutcome =
  /**
   * The row was read back and is as ordered. `wrote` is false when it was so before. `over`: what it
   * was until then, where that was seen and there was one.
   */
  | { readonly kind: "equal"; readonly wrote: boolean; readonly over?: TrustBundle | undefined }
  /** Somebody else wrote it meanwhile. */
  | { readonly kind: "different"; readonly found: TrustBundle | undefined }
  /** SPIRE's item status. What happens next is rows.ts's to say. */
  | { readonly kind: "refused"; readonly status: number; readonly message: string }
  /** SPIRE is away, and the order was given up: only a deletion, as somebody waits for its answer. */
  | { readonly kind: "away"; readonly message: string }
  | { readonly kind: "superseded" };
