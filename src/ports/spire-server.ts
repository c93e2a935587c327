/**
 * SPIRE Server's API as the daemon uses it, over the server's own Unix socket. Whoever holds that
 * socket holds the trust domain: see SECURITY.md.
 *
 * Every call has a deadline and rejects with a `Fault`: `SPIRE_UNREACHABLE` when the server is away
 * (the next call may succeed, the socket is opened again by its path), `SPIRE_REFUSED` for anything
 * else that the server answered. Proven for the embedded and a real server by
 * test/compliance/spire-server.ts.
 */
import type { ListedRow } from "../core/mesh/row-order.ts";
import type { TrustBundle } from "../core/spiffe/trust-bundle.ts";
import type { TrustDomain } from "../core/spiffe/trust-domain.ts";

/** What a write of one row came to. `refused`: SPIRE's item status. */
export type WriteOutcome =
  | { readonly kind: "done" }
  | { readonly kind: "refused"; readonly status: number; readonly message: string };

export interface SpireServer {
  /** The server's own bundle, taint included. */
  readBundle(): Promise<TrustBundle>;
  /** Every federated row, page by page. Bounded in rows, bytes and time. */
  listFederatedBundles(): Promise<readonly ListedRow[]>;
  /** One federated row, or undefined when there is none. */
  readFederatedBundle(trustDomain: TrustDomain): Promise<TrustBundle | undefined>;
  /** Upserts one row. One write is in flight at a time, and a request above 3 MiB is not sent. */
  setFederatedBundle(bundle: TrustBundle): Promise<WriteOutcome>;
  /** Deletes one row in mode RESTRICT: refused with status 9 while registration entries name it. A missing row is `done`. */
  deleteFederatedBundle(trustDomain: TrustDomain): Promise<WriteOutcome>;
  /**
   * Trust domains with a dynamic relationship, bounded alike. Static ones of server.conf are invisible
   * to this API.
   */
  listFederationRelationships(): Promise<readonly TrustDomain[]>;
  /**
   * Mints an X509-SVID for a CSR. Returns DER certificates, leaf first, without the root.
   * @param ttlS A wish in whole seconds; the server caps it to its CA's end.
   */
  mintX509Svid(csr: Uint8Array, ttlS: number): Promise<readonly Uint8Array[]>;
  /** Ends calls under way and lets go of the socket. */
  close(): void;
}
