/** What a trust domain stood on before, and what changed; and what a person lets come back. */
import { z } from "zod";
import {
  PeerId,
  Reason,
  Sha256Hex,
  Timestamp,
  TrustDomainName,
  Uint32,
  Uint64,
} from "./scalars.ts";

export const HistoryRequest = z.strictObject({ trust_domain: TrustDomainName });

/** One version that was held, lowest first; the last one stands. */
export const HistoryEntry = z.object({
  epoch: Uint32,
  rev: Uint32,
  sequence_number: Uint64,
  record_id: Sha256Hex,
  /** Null when an earlier version of the daemon stored it. */
  stored_at: Timestamp.nullable(),
  /** Nodes whose blocks were verified, and when they signed. */
  signed_by: z.array(z.object({ peer_id: PeerId, signed_at: Timestamp })),
  /** When SPIRE's row was last found to say so. Known of the version that stands. */
  applied_at: Timestamp.nullable(),
});
export type HistoryEntry = z.infer<typeof HistoryEntry>;

/** The last two versions, or the two named by record id. */
export const DiffRequest = z.strictObject({
  trust_domain: TrustDomainName,
  from: Sha256Hex.optional(),
  to: Sha256Hex.optional(),
});

const DiffedVersion = HistoryEntry.pick({
  epoch: true,
  rev: true,
  sequence_number: true,
  record_id: true,
});

/** Authorities by their SHA-256 or key id. */
const DiffedAuthorities = z.object({
  added: z.array(z.string()),
  removed: z.array(z.string()),
  /** In both, and from here on not to be used for signing. */
  tainted: z.array(z.string()),
  untainted: z.array(z.string()),
});
export type DiffedAuthorities = z.infer<typeof DiffedAuthorities>;

export const BundleDiff = z.object({
  trust_domain: TrustDomainName,
  from: DiffedVersion,
  to: DiffedVersion,
  /** By SHA-256. */
  x509_authorities: DiffedAuthorities,
  /** By key id; one whose key changed is removed and added. */
  jwt_authorities: DiffedAuthorities,
  nodes: z.object({ added: z.array(PeerId), removed: z.array(PeerId) }),
  recovery_keys_changed: z.boolean(),
});
export type BundleDiff = z.infer<typeof BundleDiff>;

/** An authority that was taken back and is in the named record again is meant. */
export const ReleaseRequest = z.strictObject({
  trust_domain: TrustDomainName,
  record_id: Sha256Hex,
  reason: Reason,
});

export const ReleaseReply = z.object({ trust_domain: TrustDomainName, record_id: Sha256Hex });
export type ReleaseReply = z.infer<typeof ReleaseReply>;
