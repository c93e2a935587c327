/**
 * What SPIRE Server takes as a certificate or a key, which is what Go's crypto/x509 takes. Being as
 * lax is the point: the dangers that follow from it are what this server is here to show.
 *
 * An `asn1` field goes through Go's ParseCertificates, plural: no bytes and several certificates one
 * after the other pass, and only agents fail on them (measured). What this cannot have from OpenSSL
 * is Go's opinion of every inner field. Of 6,000 certificates damaged in one or two places, 68 % got
 * a real server's answer, 29.5 % were taken here and refused there, 2.5 % the other way (measured).
 */
import { X509Certificate, createPublicKey } from "node:crypto";

const SEQUENCE = 0x30;
/** Named curves of Go's crypto/x509, in OpenSSL's words. */
const CURVES = new Set(["secp224r1", "prime256v1", "secp384r1", "secp521r1"]);
const KEY_TYPES = new Set(["rsa", "dsa", "ed25519", "x25519"]);

/** Reads the certificates of one `asn1` field: none, one or several. Throws an Error. */
export function parseCertificates(der: Uint8Array): readonly X509Certificate[] {
  const certificates: X509Certificate[] = [];
  for (let rest = der; rest.length > 0;) {
    const length = elementLength(rest);
    if (length === undefined) throw new Error("x509: malformed certificate");
    certificates.push(parseOne(rest.subarray(0, length)));
    rest = rest.subarray(length);
  }
  return certificates;
}

/** Checks a DER SubjectPublicKeyInfo. Throws an Error. */
export function checkPublicKey(spki: Uint8Array): void {
  const key = readKey(spki);
  const curve = key.asymmetricKeyDetails?.namedCurve;
  const known = KEY_TYPES.has(key.asymmetricKeyType ?? "") || CURVES.has(curve ?? "");
  if (!known) throw new Error("x509: unknown public key algorithm");
  // Go refuses trailing bytes, compressed points and an RSA key without its NULL parameters.
  if (!key.export({ type: "spki", format: "der" }).equals(spki)) {
    throw new Error("x509: malformed public key");
  }
}

function readKey(spki: Uint8Array): ReturnType<typeof createPublicKey> {
  try {
    return createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" });
  } catch (error) {
    throw new Error("x509: malformed public key", { cause: error });
  }
}

function parseOne(der: Uint8Array): X509Certificate {
  try {
    return new X509Certificate(der);
  } catch (error) {
    throw new Error("x509: malformed certificate", { cause: error });
  }
}

/** Bytes of the SEQUENCE that `bytes` begin with, header included; undefined when there is none. */
function elementLength(bytes: Uint8Array): number | undefined {
  const [tag, first] = bytes;
  if (tag !== SEQUENCE || first === undefined) return undefined;
  const lengthBytes = first < 0x80 ? 0 : first & 0x7f;
  // A length in more than four bytes is above 4 GiB, so it cannot be true.
  if (first === 0x80 || lengthBytes > 4 || bytes.length < 2 + lengthBytes) return undefined;
  let length = first < 0x80 ? first : 0;
  for (const byte of bytes.subarray(2, 2 + lengthBytes)) length = length * 256 + byte;
  const total = 2 + lengthBytes + length;
  return total <= bytes.length ? total : undefined;
}
