/**
 * The payload of a `state` record: what a trust domain says about itself (docs/protocol.md 2).
 * No clock, no signer, no nonce: replicas that see the same SPIRE make identical bytes.
 */
import type { TrustDomain } from "../spiffe/trust-domain.ts";

/** Total order of a trust domain's states, compared left to right. */
export interface Version {
  /** u32; rises only by recovery keys. */
  readonly epoch: number;
  /** u32; rises on what the sequence cannot order: nodes, recovery, a healed fork. */
  readonly rev: number;
  /** u64; SPIRE's own sequence number. */
  readonly sequence: bigint;
}
