/**
 * Assembles and signs a certificate from encoded parts, each of which may be replaced. The defaults
 * are what SPIRE emits.
 */
import { type KeyObject, createHash, generateKeyPairSync, sign } from "node:crypto";
import { TAG, bitString, extension, integer, octetString, oid, sequence, tlv } from "./der.ts";

/** Key kinds of the positive list, and some that are not on it. */
export type TestKeyType =
  | "ec-p256"
  | "ec-p384"
  | "ec-p521"
  | "ec-p224"
  | "ec-secp256k1"
  | "rsa-1024"
  | "rsa-2048"
  | "ed25519";

export interface TestKeyPair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

/** DER of each field of a TBSCertificate and of what follows it. */
export interface CertificateParts {
  /** `[0] EXPLICIT` version; empty bytes leave it out. */
  readonly version: Uint8Array;
  readonly serialNumber: Uint8Array;
  /** AlgorithmIdentifier inside the signed part. */
  readonly innerAlgorithm: Uint8Array;
  readonly issuer: Uint8Array;
  readonly validity: Uint8Array;
  readonly subject: Uint8Array;
  readonly spki: Uint8Array;
  /** issuerUniqueID and subjectUniqueID; empty by default. */
  readonly uniqueIds: Uint8Array;
  /** Each one extension; an empty list leaves the field out. */
  readonly extensions: readonly Uint8Array[];
  /** Bytes after the last field, inside the signed part. */
  readonly tbsTail: Uint8Array;
  readonly outerAlgorithm: Uint8Array;
  /** The signature BIT STRING; by default the issuer's over the signed part. */
  readonly signature: Uint8Array;
}

const CURVES = {
  "ec-p256": "P-256",
  "ec-p384": "P-384",
  "ec-p521": "P-521",
  "ec-p224": "secp224r1",
  "ec-secp256k1": "secp256k1",
} as const;

export function makeKeyPair(type: TestKeyType = "ec-p256"): TestKeyPair {
  if (type === "ed25519") return generateKeyPairSync("ed25519");
  if (type === "rsa-1024") return generateKeyPairSync("rsa", { modulusLength: 1024 });
  if (type === "rsa-2048") return generateKeyPairSync("rsa", { modulusLength: 2048 });
  return generateKeyPairSync("ec", { namedCurve: CURVES[type] });
}

/** DER SubjectPublicKeyInfo. */
export function spkiOf(publicKey: KeyObject): Buffer {
  return publicKey.export({ type: "spki", format: "der" });
}

/** SHA-1 of the SubjectPublicKeyInfo: 20 bytes, any unique value would do. */
export function keyIdOf(publicKey: KeyObject): Buffer {
  return createHash("sha1").update(spkiOf(publicKey)).digest();
}

const ECDSA_SHA256 = sequence(oid("1.2.840.10045.4.3.2"));
const RSA_SHA256 = sequence(oid("1.2.840.113549.1.1.11"), tlv(TAG.null));
const ED25519 = sequence(oid("1.3.101.112"));

/** The AlgorithmIdentifier that a key signs with here: SHA-256, or plain Ed25519. */
function algorithmOf(privateKey: KeyObject): Buffer {
  if (privateKey.asymmetricKeyType === "ed25519") return ED25519;
  return privateKey.asymmetricKeyType === "rsa" ? RSA_SHA256 : ECDSA_SHA256;
}

/** Builds one certificate signed by `issuerKey`. */
export function buildCertificate(
  parts: Pick<CertificateParts, "issuer" | "validity" | "subject" | "spki" | "extensions"> &
    Partial<CertificateParts>,
  issuerKey: KeyObject,
): Buffer {
  const algorithm = algorithmOf(issuerKey);
  const none = Buffer.of();
  const tbs = sequence(
    parts.version ?? tlv(0xa0, integer(2)),
    parts.serialNumber ?? integer(nextSerial()),
    parts.innerAlgorithm ?? algorithm,
    parts.issuer,
    parts.validity,
    parts.subject,
    parts.spki,
    parts.uniqueIds ?? none,
    parts.extensions.length === 0 ? none : tlv(0xa3, sequence(...parts.extensions)),
    parts.tbsTail ?? none,
  );
  const digest = issuerKey.asymmetricKeyType === "ed25519" ? null : "sha256";
  return sequence(
    tbs,
    parts.outerAlgorithm ?? algorithm,
    parts.signature ?? bitString(sign(digest, tbs, issuerKey)),
  );
}

let serial = 0;

/** Serial numbers differ within a process, as those of one CA must. */
function nextSerial(): number {
  serial += 1;
  return serial;
}

/** Extensions as SPIRE emits them. */
export const extensions = {
  basicConstraints: (isCa: boolean, pathLength?: number): Buffer =>
    extension(
      "2.5.29.19",
      sequence(
        isCa ? tlv(TAG.boolean, Uint8Array.of(0xff)) : Buffer.of(),
        pathLength === undefined ? Buffer.of() : integer(pathLength),
      ),
      true,
    ),
  /** Bits by number: 0 digitalSignature, 2 keyEncipherment, 4 keyAgreement, 5 keyCertSign, 6 cRLSign. */
  keyUsage: (...bits: readonly number[]): Buffer => {
    const byte = bits.reduce((sum, bit) => sum | (0x80 >> bit), 0);
    return extension("2.5.29.15", bitString(Uint8Array.of(byte), 7 - Math.max(...bits)), true);
  },
  serverAndClientAuth: (): Buffer =>
    extension("2.5.29.37", sequence(oid("1.3.6.1.5.5.7.3.1"), oid("1.3.6.1.5.5.7.3.2"))),
  subjectKeyId: (keyId: Uint8Array): Buffer => extension("2.5.29.14", octetString(keyId)),
  authorityKeyId: (keyId: Uint8Array): Buffer => extension("2.5.29.35", sequence(tlv(0x80, keyId))),
  uriSans: (...uris: readonly string[]): Buffer =>
    extension("2.5.29.17", sequence(...uris.map((uri) => tlv(0x86, uri)))),
};
