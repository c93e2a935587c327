/**
 * The scalars of the admin API, as JSON carries them: 64-bit numbers are decimal strings, times are
 * RFC 3339 in UTC with milliseconds, ids are lower-case hex. Nothing here transforms: what is checked
 * is what is used, so the same schemas describe the API, the server and the client.
 */
import { z } from "zod";

/** SPIFFE-ID 2.1 and 2.3. */
const TRUST_DOMAIN_NAME = /^[a-z0-9._-]{1,255}$/;

/** A trust domain's name alone. */
export const TrustDomainName = z.string().regex(TRUST_DOMAIN_NAME, {
  error: ({ input }) =>
    TRUST_DOMAIN_NAME.test(String(input).toLowerCase())
      ? "write it in lower case"
      : "write the trust domain's name alone, such as example.org",
});

/** An unsigned 64-bit number in decimal: JSON numbers lose digits above 2^53. */
export const Uint64 = z.string().regex(/^(?:0|[1-9]\d{0,19})$/, "write a decimal number");

/** An unsigned 32-bit number. */
export const Uint32 = z.int().min(0).max(0xffff_ffff);

/** How many of something there are. */
export const Count = z.int().min(0);

/** `2026-01-31T23:59:59.123Z` (RFC 3339). */
export const Timestamp = z.iso.datetime({ precision: 3 });

/** SHA-256 in lower-case hex: record ids, lineages, hashes of certificates. */
export const Sha256Hex = z.string().regex(/^[0-9a-f]{64}$/, "write 64 lower-case hex digits");

/** Lower-case hex of any length: key identifiers of certificates. */
export const Hex = z.string().regex(/^(?:[0-9a-f]{2})*$/, "write lower-case hex");

/** An Ed25519 public key, in hex. */
export const PublicKeyHex = z
  .string()
  .regex(/^[0-9a-f]{64}$/, "write a public key as 64 lower-case hex digits");

/** An Ed25519 signature, in hex. */
export const SignatureHex = z.string().regex(/^[0-9a-f]{128}$/, "write 128 lower-case hex digits");

/** A libp2p peer id in base58btc; whether it is one of an Ed25519 key, the daemon says. */
export const PeerId = z
  .string()
  .regex(/^[1-9A-HJ-NP-Za-km-z]{40,64}$/, "write a peer id, such as 12D3KooW…");

/** Of a statement's reason in the mesh too (docs/protocol.md 6). Above: refused, USAGE. */
const REASON_BYTES_MAX = 256;

/** Why a person decided something: one line for the log. */
export const Reason = z
  .string()
  .regex(/^[^\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]*$/u, "write the reason without control characters")
  .refine((text) => text.trim() !== "", "write a reason")
  .refine((text) => Buffer.byteLength(text) <= REASON_BYTES_MAX, {
    error: `write the reason in at most ${REASON_BYTES_MAX} bytes`,
  });

/** The last moment of year 9999, which RFC 3339 can still write. */
const TIME_MS_MAX = Date.UTC(9_999, 11, 31, 23, 59, 59, 999);

/** A time as JSON carries it; a partner's key may end later than RFC 3339 can say. */
export function timestamp(unixMs: number): string {
  return new Date(Math.min(unixMs, TIME_MS_MAX)).toISOString();
}
