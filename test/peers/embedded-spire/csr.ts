/** Certificate signing requests, as a SPIRE client makes them and as it should not. */
import "reflect-metadata"; // @peculiar/x509 does not load without it.
import {
  type JsonGeneralNames,
  Pkcs10CertificateRequestGenerator,
  SubjectAlternativeNameExtension,
} from "@peculiar/x509";

const ALGORITHMS = {
  "P-256": { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" },
  "P-384": { name: "ECDSA", namedCurve: "P-384", hash: "SHA-384" },
  Ed25519: { name: "Ed25519" },
  RSA: {
    name: "RSASSA-PKCS1-v1_5",
    hash: "SHA-256",
    modulusLength: 2048,
    publicExponent: Uint8Array.of(1, 0, 1),
  },
} as const;

/** A DER PKCS#10 request for these URIs, with a fresh key. */
export async function makeRequest(
  uris: readonly string[],
  type: keyof typeof ALGORITHMS = "P-256",
): Promise<Buffer> {
  const algorithm = ALGORITHMS[type];
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const names: JsonGeneralNames = uris.map((value) => ({ type: "url", value }));
  const request = await Pkcs10CertificateRequestGenerator.create({
    keys: keys as CryptoKeyPair,
    signingAlgorithm: algorithm,
    extensions: names.length === 0 ? [] : [new SubjectAlternativeNameExtension(names)],
  });
  return Buffer.from(request.rawData);
}
