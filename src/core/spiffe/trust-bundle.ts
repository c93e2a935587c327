/**
 * A trust bundle as SPIRE's API states it: authorities with their taint, and a sequence number.
 * Everything that compares bundles compares authorities alone: a row that differs in its number
 * only is the same row, and writing it again would push it to every workload.
 */
import { compareBytes, equalBytes } from "../std/bytes.ts";
import { KEY_ID_LENGTH_MAX } from "../std/limits.ts";
import { sha256 } from "../std/sha256.ts";
import type { TrustDomain } from "./trust-domain.ts";

export interface X509Authority {
  /** One DER certificate. In a bundle just read from SPIRE it may be anything: SPIRE checks little. */
  readonly der: Uint8Array;
  readonly tainted: boolean;
}

/** A JWT key id as the protocol carries it: printable ASCII without spaces. */
export const JWT_KEY_ID = new RegExp(`^[\\x21-\\x7e]{1,${KEY_ID_LENGTH_MAX}}$`);

export interface JwtAuthority {
  readonly keyId: string;
  /** DER SubjectPublicKeyInfo. */
  readonly spki: Uint8Array;
  /** Unix time in seconds; 0 = never. */
  readonly expiresAtS: number;
  readonly tainted: boolean;
}

export interface TrustBundle {
  readonly trustDomain: TrustDomain;
  /** SPIRE's own counter, unsigned 64-bit (SPIFFE Trust Domain and Bundle, 4.1.1). */
  readonly sequenceNumber: bigint;
  readonly x509Authorities: readonly X509Authority[];
  readonly jwtAuthorities: readonly JwtAuthority[];
}

/**
 * Whether two bundles hold the same authorities, whatever their order and number. Taint is left
 * out: SPIRE drops it from a federated row (measured), so it can never be read back.
 */
export function sameAuthorities(left: TrustBundle, right: TrustBundle): boolean {
  return equalBytes(authoritiesDigest(left), authoritiesDigest(right));
}

/** SHA-256 over the sorted hashes of a bundle's authorities, without taint. 32 bytes. */
export function authoritiesDigest(bundle: TrustBundle): Uint8Array {
  const x509 = bundle.x509Authorities.map(({ der }) => sha256(der));
  const jwt = bundle.jwtAuthorities.map(({ keyId, spki, expiresAtS }) =>
    sha256(Buffer.concat([sha256(Buffer.from(keyId)), sha256(spki), Buffer.from(`${expiresAtS}`)])),
  );
  return sha256(
    Buffer.concat([
      Buffer.from(`${x509.length} ${jwt.length} `),
      ...x509.sort(compareBytes),
      ...jwt.sort(compareBytes),
    ]),
  );
}
