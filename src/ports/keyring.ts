/**
 * The two factors that sign a record: this daemon's node key and X509-SVIDs minted for the
 * publisher's SPIFFE ID (docs/protocol.md 1). The keyring picks chains, the core decides what is
 * signed and judges the result like any peer's.
 */
import type { SigningOrder, SigningOutcome } from "../core/record/signing.ts";

export interface Keyring {
  /** Signs one block at `nowMs`; mints at most one SVID, and only for the new chain. */
  sign(order: SigningOrder, nowMs: number): Promise<SigningOutcome>;
  /** Signs the payload of a head with the node key. Returns the whole head as it travels. */
  signHead(payload: Uint8Array): Uint8Array;
  /**
   * Mints ahead when the newest SVID is past half its life or its CA stopped signing, so that the
   * kept one can speak for the old authorities when a change comes. Called at start, on a timer and
   * after each own record was applied.
   */
  mintAhead(nowMs: number): Promise<void>;
}
