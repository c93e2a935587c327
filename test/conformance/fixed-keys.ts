/**
 * Keys that are the same each time: secrets are hashes of their names. ECDSA takes its nonces from key
 * and message (RFC 6979), which node:crypto does not offer, so the same case gives the same bytes.
 */
import { createHash, sign } from "node:crypto";
import { p256, p384 } from "@noble/curves/nist.js";
import { bitString, oid, sequence } from "../arbitraries/der.ts";
import { type NodeKey, nodeKeyFromSeed } from "../arbitraries/record.ts";

/** A key that issues certificates. */
export interface CertificateKey {
  /** DER SubjectPublicKeyInfo. */
  readonly spki: Uint8Array;
  /** DER AlgorithmIdentifier of its signatures. */
  readonly algorithm: Uint8Array;
  /** A signature as certificates carry it. */
  sign(message: Uint8Array): Uint8Array;
}

/** A P-256 key, which also signs for an X509-SVID: r‖s with the smaller s. */
export interface SvidKey extends CertificateKey {
  signSvid(message: Uint8Array): Uint8Array;
}

const EC = oid("1.2.840.10045.2.1");
const P256 = oid("1.2.840.10045.3.1.7");
const P384 = oid("1.3.132.0.34");
const ED25519 = sequence(oid("1.3.101.112"));

function seed(name: string, algorithm: "sha256" | "sha384"): Uint8Array {
  return Uint8Array.from(createHash(algorithm).update(`conformance ${name}`).digest());
}

/** A node's key, or a recovery key. */
export function nodeKey(name: string): NodeKey {
  return nodeKeyFromSeed(seed(`node ${name}`, "sha256"));
}

export function p256Key(name: string): SvidKey {
  const secret = seed(`p256 ${name}`, "sha256");
  return {
    spki: sequence(sequence(EC, P256), bitString(p256.getPublicKey(secret, false))),
    algorithm: sequence(oid("1.2.840.10045.4.3.2")),
    sign: (message) => p256.sign(message, secret, { lowS: false, format: "der" }),
    signSvid: (message) => p256.sign(message, secret, { lowS: true, format: "compact" }),
  };
}

export function p384Key(name: string): CertificateKey {
  const secret = seed(`p384 ${name}`, "sha384");
  return {
    spki: sequence(sequence(EC, P384), bitString(p384.getPublicKey(secret, false))),
    algorithm: sequence(oid("1.2.840.10045.4.3.3")),
    sign: (message) => p384.sign(message, secret, { lowS: false, format: "der" }),
  };
}

export function ed25519Key(name: string): CertificateKey {
  const { publicKey, privateKey } = nodeKey(name);
  return {
    spki: sequence(ED25519, bitString(publicKey)),
    algorithm: ED25519,
    sign: (message) => sign(null, message, privateKey),
  };
}
