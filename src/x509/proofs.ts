/**
 * Answers the core's questions about certificates, keys and signatures (core/record/proofs.ts) with
 * the strict readers of this room and node:crypto. It reads and verifies; it judges nothing.
 */
import { verify } from "node:crypto";
import type { Proofs } from "../core/record/proofs.ts";
import { CERTIFICATE_BYTES_MAX, SPKI_BYTES_MAX } from "../core/std/limits.ts";
import { isSignedBy, readCertificateDer } from "./certificate.ts";
import { readDer, readingDer } from "./der.ts";
import { verifiesEd25519 } from "./ed25519.ts";
import { keyObjectOf, readPublicKey } from "./public-key.ts";

const P256_SIGNATURE_BYTES = 64;

export const x509Proofs: Proofs = {
  readCertificate(der) {
    return readingDer(der, CERTIFICATE_BYTES_MAX, readCertificateDer);
  },

  readKey(spki) {
    return readingDer(spki, SPKI_BYTES_MAX, (own) => readDer(own, readPublicKey));
  },

  issuedBy(child, parent) {
    return isSignedBy(child.der, parent);
  },

  verifiesSvid(key, preimage, signature) {
    if (key.type !== "ec-p256" || signature.length !== P256_SIGNATURE_BYTES) return false;
    // OpenSSL refuses r and s outside 1 to n − 1.
    const p256 = { key: keyObjectOf(key), dsaEncoding: "ieee-p1363" } as const;
    return verify("sha256", preimage, p256, signature);
  },

  verifiesNode: verifiesEd25519,
};
