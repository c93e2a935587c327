/** First contact without a network: a record leaves as a file and comes in as a file. */
import { z } from "zod";
import { Sha256Hex, Timestamp, TrustDomainName } from "./scalars.ts";

/**
 * Longest export file: an envelope (128 KiB) and its address hints. A larger file is refused unread.
 * Equal to the limit of core/record/export-file.ts, held together by a test.
 */
export const IMPORT_FILE_BYTES_MAX = 160 * 1024;
/** Address hints in one import; as many as an export file carries. Above: refused, USAGE. */
const PEERS_MAX = 16;
/** A multiaddr with a 255-byte DNS name, port and peer id stays far below. */
const ADDRESS_LENGTH_MAX = 512;
/** Linux has no longer paths. Above: refused, USAGE. */
const PATH_LENGTH_MAX = 4_096;

/** Multiaddrs that end in a peer id, to be dialed. */
export const PeerAddresses = z
  .array(
    z.string().max(ADDRESS_LENGTH_MAX, `an address has at most ${ADDRESS_LENGTH_MAX} characters`),
  )
  .max(PEERS_MAX, `name at most ${PEERS_MAX} addresses`);

/** An export file, in base64. */
export const ExportContent = z.base64().max(Math.ceil(IMPORT_FILE_BYTES_MAX / 3) * 4);

export const ExportReply = z.object({
  trust_domain: TrustDomainName,
  record_id: Sha256Hex,
  lineage: Sha256Hex,
  /** The file's bytes. */
  content: z.base64(),
  /** Paths of data_dir and runtime_dir: what lies there is the daemon's, so no export goes there. */
  private_directories: z.array(z.string()),
});
export type ExportReply = z.infer<typeof ExportReply>;

/** Trust domains after the named one, in the order of their names; from the first one without it. */
export const ExportPageRequest = z.strictObject({ after: TrustDomainName.optional() });

/** Some of all records that are held: as many as one answer carries, by whole trust domains. */
export const ExportPage = z.object({
  /** In a fork there are two of one trust domain. */
  records: z.array(ExportReply.omit({ private_directories: true })),
  /** To be asked for as `after`; null when these were the last. */
  next: TrustDomainName.nullable(),
  private_directories: z.array(z.string()),
});
export type ExportPage = z.infer<typeof ExportPage>;

/**
 * One file. Its content travels, as the daemon never opens a path that an operator named.
 * With `fingerprint` the file's record must have exactly this id, and its trust domain is approved;
 * without, only records of approved trust domains are taken.
 */
export const ImportRequest = z.strictObject({
  /** What the operator calls it: for messages and the audit log. */
  file: z.string().max(PATH_LENGTH_MAX),
  content: ExportContent,
  fingerprint: Sha256Hex.optional(),
  /** Multiaddrs to dial, besides those in the file. */
  peers: PeerAddresses.default([]),
  /** Take the row over although SPIRE holds another one or a FederationRelationship. */
  replace: z.boolean().default(false),
});

export const ImportOutcome = z.object({
  file: z.string(),
  trust_domain: TrustDomainName,
  record_id: Sha256Hex,
  /**
   * Of a held record: the newest signature that proved both factors. Else the newest of a node that the
   * record lists; null when none of them signed the file's record.
   */
  signed_at: Timestamp.nullable(),
  /** `unchanged`: held already. `held`: taken in, but policy keeps it from SPIRE. */
  outcome: z.enum(["accepted", "unchanged", "held", "refused"]),
  /** Why it was refused or held (`SIGNATURE_INVALID`, …); otherwise null. */
  code: z.string().nullable(),
  /** The same in a sentence, and what to do. */
  message: z.string().nullable(),
  next: z.string().nullable(),
});
export type ImportOutcome = z.infer<typeof ImportOutcome>;

export const ForgetRequest = z.strictObject({ trust_domain: TrustDomainName });

export const ForgetReply = z.object({
  trust_domain: TrustDomainName,
  /** `missing`: SPIRE held none. `unmanaged`: policy leaves it to others, so it stays as it is. */
  row: z.enum(["deleted", "missing", "unmanaged"]),
});
export type ForgetReply = z.infer<typeof ForgetReply>;
