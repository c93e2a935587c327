/** Bundles as they are in effect: what this daemon holds of each trust domain and writes to SPIRE. */
import { z } from "zod";
import { Hex, Sha256Hex, Timestamp, TrustDomainName, Uint32, Uint64 } from "./scalars.ts";

const X509AuthorityEntry = z.object({
  /** Of the DER certificate. */
  sha256: Sha256Hex,
  /** Null when the certificate has none. */
  subject_key_id: Hex.nullable(),
  not_after: Timestamp,
  tainted: z.boolean(),
});

const JwtAuthorityEntry = z.object({
  key_id: z.string(),
  /** Null: never. */
  expires_at: Timestamp.nullable(),
  tainted: z.boolean(),
});

export const BundleEntry = z.object({
  trust_domain: TrustDomainName,
  epoch: Uint32,
  rev: Uint32,
  sequence_number: Uint64,
  record_id: Sha256Hex,
  x509_authorities: z.array(X509AuthorityEntry),
  jwt_authorities: z.array(JwtAuthorityEntry),
});
export type BundleEntry = z.infer<typeof BundleEntry>;

/** `spiffe`: the JWKS that `spire-server bundle set -format spiffe` takes. `pem`: X.509 alone. */
export const BundleFormat = z.enum(["spiffe", "pem"]);
export type BundleFormat = z.infer<typeof BundleFormat>;

/** All bundles, or the one of `trust_domain`. */
export const BundleListRequest = z.strictObject({ trust_domain: TrustDomainName.optional() });

export const BundleDocumentRequest = z.strictObject({
  trust_domain: TrustDomainName,
  format: BundleFormat,
});

export const BundleDocument = z.object({
  trust_domain: TrustDomainName,
  format: BundleFormat,
  /** The file's text. */
  document: z.string(),
});

/** Takes exactly one record as the trust domain's new start. */
export const PinRequest = z.strictObject({
  trust_domain: TrustDomainName,
  fingerprint: Sha256Hex,
});

export const PinReply = z.object({
  trust_domain: TrustDomainName,
  record_id: Sha256Hex,
  /** `pending`: approved, but the record has not arrived yet; it is taken when it does. */
  outcome: z.enum(["accepted", "unchanged", "pending"]),
});
export type PinReply = z.infer<typeof PinReply>;
