/** What the daemon knows, in one answer: itself, its SPIRE Server, and every trust domain. */
import { z } from "zod";
import { Count, Sha256Hex, Timestamp, TrustDomainName, Uint32, Uint64 } from "./scalars.ts";

/** `ready`: SPIRE was read, peers were asked, rows are written. `degraded`: working, but see findings. */
export const DaemonState = z.enum(["starting", "ready", "recovering", "degraded", "stopping"]);
export type DaemonState = z.infer<typeof DaemonState>;

const SpireStatus = z.object({
  /** `unknown`: not read since the start. `away`: the last read failed, see `last_error`. */
  state: z.enum(["unknown", "serving", "away"]),
  /** Of the server's own bundle, as last read. */
  sequence_number: Uint64.nullable(),
  last_read_at: Timestamp.nullable(),
  last_error: z.string().nullable(),
});

const NodeStatus = z.object({
  peer_id: z.string(),
  /** SHA-256 of the node's public key: what `node add` is told. */
  fingerprint: Sha256Hex,
  /** Multiaddrs that others can dial. */
  addresses: z.array(z.string()),
  connections: Count,
});

/** The own published record; all null before the first `export` made one. */
export const OwnStatus = z.object({
  lineage: Sha256Hex.nullable(),
  epoch: Uint32.nullable(),
  rev: Uint32.nullable(),
  sequence_number: Uint64.nullable(),
  record_id: Sha256Hex.nullable(),
  published_at: Timestamp.nullable(),
  /** How many the record lists. */
  x509_authorities: Count,
  jwt_authorities: Count,
  /** So many of the recovery keys sign together; null without such keys. */
  recovery: z.object({ threshold: Count, keys: Count }).nullable(),
});
export type OwnStatus = z.infer<typeof OwnStatus>;

/** One partner. Null where nothing is held of it yet. */
export const TrustDomainStatus = z.object({
  trust_domain: TrustDomainName,
  trust: z.enum(["accepted", "pending", "held", "suspended", "revoked", "ignored"]),
  via: z.enum(["direct", "introduced"]),
  lineage: Sha256Hex.nullable(),
  epoch: Uint32.nullable(),
  rev: Uint32.nullable(),
  sequence_number: Uint64.nullable(),
  record_id: Sha256Hex.nullable(),
  freshness: z.enum(["fresh", "stale", "frozen", "never"]),
  last_heard_at: Timestamp.nullable(),
  /** Read back from SPIRE Server, never assumed. `unknown`: its rows cannot be read. */
  spire_row: z.enum(["equal", "different", "missing", "unknown", "tombstone", "unmanaged"]),
  applied_at: Timestamp.nullable(),
  /** The newest failed attempt to connect to a node of it that is not connected; null without one. */
  last_dial_error: z
    .object({
      at: Timestamp,
      peer_id: z.string(),
      /** Multiaddrs that the attempt tried. */
      addresses: z.array(z.string()),
      message: z.string(),
    })
    .nullable(),
  /** Which of our records this partner says that it holds. */
  they_hold_ours: z.object({
    known: z.boolean(),
    record_id: Sha256Hex.nullable(),
    at: Timestamp.nullable(),
  }),
});
export type TrustDomainStatus = z.infer<typeof TrustDomainStatus>;

/** Something that an operator should know or do. */
export const Finding = z.object({
  /** Stable, upper case with underscores. */
  code: z.string(),
  severity: z.enum(["info", "warning", "critical"]),
  /** Null when it concerns this daemon as a whole. */
  trust_domain: TrustDomainName.nullable(),
  message: z.string(),
  /** The command or step to take. */
  next: z.string(),
  since: Timestamp,
});
export type Finding = z.infer<typeof Finding>;

export const Status = z.object({
  state: DaemonState,
  trust_domain: TrustDomainName,
  version: z.string(),
  started_at: Timestamp,
  spire: SpireStatus,
  node: NodeStatus,
  own: OwnStatus,
  trust_domains: z.array(TrustDomainStatus),
  findings: z.array(Finding),
});
export type Status = z.infer<typeof Status>;

/** Whether the daemon is ready, and if not, why not. That it answered at all means that it lives. */
export const Health = z.object({
  ready: z.boolean(),
  state: DaemonState,
  /** Every finding as a sentence, with ` Next: ` and a step; first what makes it not ready, if so. */
  problems: z.array(z.string()),
});
export type Health = z.infer<typeof Health>;
