/**
 * What happens in the daemon, as it happens: one JSON object a line. The stream starts at the moment
 * of the call and tells nothing of before; `status` does.
 */
import { z } from "zod";
import { Sha256Hex, Timestamp, TrustDomainName, Uint64 } from "./scalars.ts";

/** The events there are now. A reader takes others too, as later versions add some. */
export type WatchEventName =
  | "record-accepted"
  | "record-refused"
  | "bundle-written"
  | "bundle-published"
  | "domain-forgotten"
  | "peer-connected"
  | "peer-lost"
  | "spire-away"
  | "spire-back"
  | "finding-raised"
  | "finding-cleared";

export const WatchEvent = z.object({
  t: Timestamp,
  event: z.string(),
  trust_domain: TrustDomainName.nullable(),
  record_id: Sha256Hex.optional(),
  sequence_number: Uint64.optional(),
  peer_id: z.string().optional(),
  /** Refusal or finding. */
  code: z.string().optional(),
  /** A sentence for people. */
  message: z.string().optional(),
});
export type WatchEvent = z.infer<typeof WatchEvent>;
