/**
 * The SPIFFE bundle document (SPIFFE Trust Domain and Bundle, 4): a trust bundle as JSON Web Keys.
 * What is written is what `spire-server bundle set -format spiffe` takes. Taint and a JWT key's end
 * have no place in it.
 */
import { type JsonWebKey, X509Certificate, createPublicKey } from "node:crypto";
import type { JwtAuthority, TrustBundle, X509Authority } from "../core/spiffe/trust-bundle.ts";

/** Writes a bundle whose authorities passed the gate. */
export function writeBundleDocument(bundle: TrustBundle): string {
  const keys = [...bundle.x509Authorities.map(x509Jwk), ...bundle.jwtAuthorities.map(jwtJwk)];
  const fields = [
    `"keys": ${JSON.stringify(keys, null, 2).replaceAll("\n", "\n  ")}`,
    // Unsigned 64-bit: a JSON number that `JSON.stringify` could not write.
    `"spiffe_sequence": ${bundle.sequenceNumber}`,
  ];
  return `{\n  ${fields.join(",\n  ")}\n}\n`;
}

/** Writes the X.509 authorities as PEM, one certificate after the other. */
export function writeBundlePem(bundle: TrustBundle): string {
  return bundle.x509Authorities.map(({ der }) => new X509Certificate(der).toString()).join("");
}

function x509Jwk({ der }: X509Authority): JsonWebKey {
  const { publicKey } = new X509Certificate(der);
  const x5c = [Buffer.from(der).toString("base64")];
  return { use: "x509-svid", ...publicKey.export({ format: "jwk" }), x5c };
}

function jwtJwk({ keyId, spki }: JwtAuthority): JsonWebKey {
  const key = createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" });
  return { use: "jwt-svid", kid: keyId, ...key.export({ format: "jwk" }) };
}
