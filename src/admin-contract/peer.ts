/** Who this daemon is connected to. */
import { z } from "zod";
import { Count, Timestamp, TrustDomainName } from "./scalars.ts";

export const Peer = z.object({
  peer_id: z.string(),
  /** Null until a record that this daemon holds lists the peer's node key. */
  trust_domain: TrustDomainName.nullable(),
  addresses: z.array(z.string()),
  connected_since: Timestamp,
  direction: z.enum(["inbound", "outbound"]),
  /** Null until measured. */
  latency_ms: z.number().min(0).nullable(),
  /** Messages of this peer that no honest peer sends. */
  rejected: Count,
  /** Messages beyond its budget, which were not looked at. Sync repairs what that costs. */
  over_budget: Count,
  /** Its gossip is not looked at now, because of what it sent; sync goes on. */
  graylisted: z.boolean(),
});
export type Peer = z.infer<typeof Peer>;
