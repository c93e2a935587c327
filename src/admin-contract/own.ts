/** What only a person decides about the own trust domain: its lineage, its nodes, what was restored. */
import { z } from "zod";
import { PeerAddresses } from "./exchange.ts";
import { PeerId, Reason, Sha256Hex, Timestamp, TrustDomainName } from "./scalars.ts";

/** What became of an order that ends in a record of the own trust domain. */
export const OrderReply = z.object({
  trust_domain: TrustDomainName,
  /** Of the record that says so, which is stored. */
  record_id: Sha256Hex,
  /** `unchanged`: the own record said so already. */
  outcome: z.enum(["published", "unchanged"]),
});
export type OrderReply = z.infer<typeof OrderReply>;

export const NewLineageRequest = z.strictObject({ reason: Reason });
export type NewLineageRequest = z.infer<typeof NewLineageRequest>;

export const AdoptRequest = z.strictObject({
  fingerprint: Sha256Hex,
  /** Nodes of the own trust domain that may have the record, while none is known here. */
  peers: PeerAddresses.default([]),
});
export type AdoptRequest = z.infer<typeof AdoptRequest>;

export const AdoptReply = z.object({
  trust_domain: TrustDomainName,
  record_id: Sha256Hex,
  /** `pending`: it is not here yet, and is taken when it comes. */
  outcome: z.enum(["unchanged", "pending"]),
});
export type AdoptReply = z.infer<typeof AdoptReply>;

/** Nobody resumes by mistake: what is missing may be newer than what the marks say. */
export const ResumeRequest = z.strictObject({
  accept_marks: z.literal(true, "say accept_marks: what peers may still hold is given up"),
});

export const ResumeReply = z.object({ resumed: z.literal(true) });
export type ResumeReply = z.infer<typeof ResumeReply>;

/** One node that the own record lists. */
export const NodeEntry = z.object({
  peer_id: PeerId,
  /** SHA-256 of its public key. */
  fingerprint: Sha256Hex,
  /** This daemon's own. */
  is_self: z.boolean(),
  /** The lowest of all, bytewise by public key: it carries out changes of nodes. */
  is_lowest: z.boolean(),
  connected: z.boolean(),
  /** What it announced last; for this daemon what it holds. Null before it was heard. */
  record_id: Sha256Hex.nullable(),
  /** Whether that is the record that is held here. */
  holds_ours: z.boolean(),
  /** Null for this daemon, and before it was heard. */
  last_heard_at: Timestamp.nullable(),
});
export type NodeEntry = z.infer<typeof NodeEntry>;

export const AddNodeRequest = z.strictObject({
  peer_id: PeerId,
  /** SHA-256 of the public key, as the node's own `status` shows it. */
  fingerprint: Sha256Hex,
});
export type AddNodeRequest = z.infer<typeof AddNodeRequest>;

export const RemoveNodeRequest = z.strictObject({
  peer_id: PeerId,
  /** Without asking nodes that were not heard for 5 min. */
  force: z.boolean().default(false),
});
export type RemoveNodeRequest = z.output<typeof RemoveNodeRequest>;
