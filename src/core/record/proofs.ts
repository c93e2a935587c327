/**
 * What the core asks of cryptography. `x509/` answers with node:crypto and a strict DER gate, a
 * simulation by table. Synchronous and without memory: the same bytes get the same answer.
 *
 * The split: whoever answers reads bytes and verifies one signature; what an answer *means* (may
 * this CA speak, is this chain whole, was it valid then) is judged in `core/record`.
 */

/** The public keys that SPIFFE implementations and Go both take. */
export type KeyType = "ec-p256" | "ec-p384" | "ec-p521" | "rsa" | "ed25519";

export interface KeyFacts {
  /** The DER SubjectPublicKeyInfo that was read. */
  readonly spki: Uint8Array;
  readonly type: KeyType;
  /** Modulus size for RSA (2048 to 8192), curve size for the others. */
  readonly bits: number;
}

export interface CertificateFacts {
  /** The DER bytes that were read: exactly one certificate, canonical, nothing after it. */
  readonly der: Uint8Array;
  /** DER of the issuer and subject Name, compared as bytes. */
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  /** Unix time in seconds, both inclusive (RFC 5280, 4.1.2.5). */
  readonly notBeforeS: number;
  readonly notAfterS: number;
  readonly key: KeyFacts;
  /** basicConstraints cA; false when the extension is absent. */
  readonly isCa: boolean;
  readonly pathLength: number | undefined;
  /** Undefined when the certificate has no keyUsage extension. */
  readonly keyUsage: KeyUsage | undefined;
  /** URIs of subjectAltName, in order. */
  readonly uriSans: readonly string[];
  readonly subjectKeyId: Uint8Array | undefined;
  readonly authorityKeyId: Uint8Array | undefined;
  readonly nameConstraints: NameConstraints | undefined;
}

export interface KeyUsage {
  readonly digitalSignature: boolean;
  readonly keyCertSign: boolean;
}

export interface NameConstraints {
  /** Host constraints for URIs (RFC 5280, 4.2.1.10). */
  readonly permittedUris: readonly string[];
  readonly excludedUris: readonly string[];
  /** The extension is critical and constrains another kind of name than URIs. */
  readonly othersCritical: boolean;
}

/** Why bytes are no certificate or key that we take, in words for a log. */
export interface Malformed {
  readonly malformed: string;
}

export interface Proofs {
  /**
   * Reads exactly one certificate. Malformed: more or fewer bytes, not canonical DER, not v3, a
   * field or an extension that is not on the positive list, an unknown critical extension, a key of
   * a kind or size we do not take.
   */
  readCertificate(der: Uint8Array): CertificateFacts | Malformed;
  /** Reads exactly one canonical SubjectPublicKeyInfo of a kind and size we take. */
  readKey(spki: Uint8Array): KeyFacts | Malformed;
  /** Whether the parent's key made the child's signature. Names, times and CA bits are not judged. */
  issuedBy(child: CertificateFacts, parent: CertificateFacts): boolean;
  /** ECDSA P-256 with SHA-256, signature as 64 bytes r‖s. False for another kind of key. */
  verifiesSvid(key: KeyFacts, preimage: Uint8Array, signature: Uint8Array): boolean;
  /**
   * Ed25519 (RFC 8032), cofactorless, S < L, canonical A and R, no small-order A.
   * `publicKey` is 32 bytes, `signature` 64.
   */
  verifiesNode(publicKey: Uint8Array, preimage: Uint8Array, signature: Uint8Array): boolean;
}
