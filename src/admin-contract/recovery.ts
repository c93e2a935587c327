/**
 * Offline recovery keys at the daemon: the first commitment, the record that the keys are asked to sign,
 * and what they signed. Keys and passphrases never come here.
 */
import { z } from "zod";
import { ExportContent } from "./exchange.ts";
import { PublicKeyHex, Sha256Hex, SignatureHex, TrustDomainName, Uint32 } from "./scalars.ts";

/** As docs/protocol.md 1 has it. Above: refused. */
const KEYS_MAX = 5;
/** A record's payload of 96 KiB, in base64. Above: refused, USAGE. */
const PAYLOAD_LENGTH_MAX = (96 * 1024 * 4) / 3;

/** `threshold` of the keys with these hashes sign together. */
const Commitment = z.strictObject({
  threshold: z.int().min(1).max(KEYS_MAX),
  /** SHA-256 of the public keys. */
  key_hashes: z.array(Sha256Hex).min(1).max(KEYS_MAX),
});
export type Commitment = z.infer<typeof Commitment>;

/** What partners hold, as far as recovery goes. */
const HeldRecovery = z.strictObject({ epoch: Uint32, rev: Uint32, ...Commitment.shape });
export type HeldRecovery = z.infer<typeof HeldRecovery>;

export const RecoveryStatus = z.object({
  trust_domain: TrustDomainName,
  lineage: Sha256Hex,
  epoch: Uint32,
  rev: Uint32,
  record_id: Sha256Hex,
  /** Null, and no hashes, when the own record commits to no recovery keys. */
  threshold: z.int().nullable(),
  key_hashes: z.array(Sha256Hex),
});
export type RecoveryStatus = z.infer<typeof RecoveryStatus>;

/** A commitment file: for whom the keys were made, and their hashes. */
export const CommitRequest = z.strictObject({
  trust_domain: TrustDomainName,
  lineage: Sha256Hex,
  ...Commitment.shape,
});
export type CommitRequest = z.infer<typeof CommitRequest>;

export const PrepareRequest = z.strictObject({
  /** `recover`: a new epoch with this node alone. `exchange`: other recovery keys, and nothing else. */
  as: z.enum(["recover", "exchange"]),
  /** An export of the last record, where this daemon has lost it. */
  record: ExportContent.optional(),
  /** The recovery keys after it; null for none. */
  next: Commitment.nullable(),
});
export type PrepareRequest = z.infer<typeof PrepareRequest>;

export const PrepareReply = z.object({
  /** Of the record that the keys are asked to sign. */
  payload: z.base64(),
  held: HeldRecovery,
});
export type PrepareReply = z.infer<typeof PrepareReply>;

export const RecoverRequest = z.strictObject({
  payload: z.base64().max(PAYLOAD_LENGTH_MAX),
  held: HeldRecovery,
  signatures: z
    .array(z.strictObject({ public_key: PublicKeyHex, signature: SignatureHex }))
    .min(1)
    .max(KEYS_MAX),
});
export type RecoverRequest = z.infer<typeof RecoverRequest>;
