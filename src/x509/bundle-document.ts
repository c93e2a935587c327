/**
 * The SPIFFE bundle document (SPIFFE Trust Domain and Bundle, 4): a trust bundle as JSON Web Keys.
 * What is written is what `spire-server bundle set -format spiffe` takes. Taint and a JWT key's end
 * have no place in it.
 */
import { type JsonWebKey, X509Certificate, createPublicKey } from "node:crypto";
import type { JwtAuthority, TrustBundle, X509Authority } from "../core/spiffe/trust-bundle.ts";
import type { TrustDomain } from "../core/spiffe/trust-domain.ts";
import { type Result, no, ok } from "../core/std/result.ts";
import { x509Proofs } from "./proofs.ts";

const X509_USE = "x509-svid";
const JWT_USE = "jwt-svid";
const U64_MAX = 2n ** 64n - 1n;
/** 64 certificates of 8 KiB as base64, and as many keys, fit in. Longer text is refused unread. */
const DOCUMENT_CHARS_MAX = 2 ** 20;

/**
 * Writes a bundle whose authorities passed the gate.
 * @param refreshHintS Whole seconds; left out when it is undefined.
 */
export function writeBundleDocument(bundle: TrustBundle, refreshHintS?: number): string {
  const keys = [...bundle.x509Authorities.map(x509Jwk), ...bundle.jwtAuthorities.map(jwtJwk)];
  const fields = [
    `"keys": ${JSON.stringify(keys, null, 2).replaceAll("\n", "\n  ")}`,
    // Unsigned 64-bit: a JSON number that `JSON.stringify` could not write.
    `"spiffe_sequence": ${bundle.sequenceNumber}`,
    ...(refreshHintS === undefined ? [] : [`"spiffe_refresh_hint": ${refreshHintS}`]),
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
  return { use: X509_USE, ...publicKey.export({ format: "jwk" }), x5c };
}

function jwtJwk({ keyId, spki }: JwtAuthority): JsonWebKey {
  const key = createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" });
  return { use: JWT_USE, kid: keyId, ...key.export({ format: "jwk" }) };
}

/**
 * Reads a bundle document. As the standard asks, keys of another use are passed over; a key of a
 * known use that we could not publish ourselves fails the whole document, as in go-spiffe.
 * The reason is in words.
 */
export function readBundleDocument(
  text: string,
  trustDomain: TrustDomain,
): Result<TrustBundle, string> {
  try {
    return ok(readDocument(text, trustDomain));
  } catch (error) {
    if (error instanceof DocumentProblem) return no(error.message);
    throw error;
  }
}

class DocumentProblem extends Error {
  override readonly name = "DocumentProblem";
}

function readDocument(text: string, trustDomain: TrustDomain): TrustBundle {
  const document = asObject(parseJson(text), "document");
  const { keys, spiffe_sequence: sequence = 0n } = document;
  if (!Array.isArray(keys)) throw new DocumentProblem("`keys` is no list");
  if (typeof sequence !== "bigint" || sequence > U64_MAX) {
    throw new DocumentProblem("`spiffe_sequence` is no 64-bit number");
  }
  const jwks = keys.map((key) => asObject(key, "key"));
  const jwtAuthorities = jwks.filter(({ use }) => use === JWT_USE).map(readJwtAuthority);
  if (new Set(jwtAuthorities.map(({ keyId }) => keyId)).size < jwtAuthorities.length) {
    throw new DocumentProblem("two keys have one `kid`");
  }
  return {
    trustDomain,
    sequenceNumber: sequence,
    x509Authorities: jwks.filter(({ use }) => use === X509_USE).map(readX509Authority),
    jwtAuthorities,
  };
}

type JsonObject = Readonly<Record<string, unknown>>;

function parseJson(text: string): unknown {
  if (text.length > DOCUMENT_CHARS_MAX) {
    throw new DocumentProblem(`document is longer than ${DOCUMENT_CHARS_MAX} characters`);
  }
  try {
    return JSON.parse(text, wholeAsBigInt);
  } catch (error) {
    // Nesting deeper than the stack ends here too.
    throw new DocumentProblem(`document is no JSON: ${String(error)}`);
  }
}

/** Reads whole numbers from their digits, as bigint: the numbers of JavaScript end at 2^53. */
function wholeAsBigInt(
  _key: string,
  value: unknown,
  { source = "" }: { readonly source?: string } = {},
): unknown {
  return /^\d{1,20}$/.test(source) ? BigInt(source) : value;
}

function asObject(value: unknown, what: string): JsonObject {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new DocumentProblem(`${what} is no object`);
  }
  return value as JsonObject;
}

function readX509Authority({ x5c }: JsonObject): X509Authority {
  const [base64, ...more] = Array.isArray(x5c) ? x5c : [];
  if (typeof base64 !== "string" || more.length > 0) {
    throw new DocumentProblem("an X.509 authority has not exactly one certificate in `x5c`");
  }
  const der = Buffer.from(base64, "base64");
  // Node passes over what is no base64, Go refuses it.
  if (der.toString("base64") !== base64) throw new DocumentProblem("`x5c` is not base64");
  const facts = x509Proofs.readCertificate(der);
  if ("malformed" in facts) throw new DocumentProblem(`X.509 authority: ${facts.malformed}`);
  return { der: facts.der, tainted: false };
}

function readJwtAuthority(jwk: JsonObject): JwtAuthority {
  const { kid } = jwk;
  if (typeof kid !== "string" || kid === "") {
    throw new DocumentProblem("a JWT authority has no `kid`");
  }
  if ("d" in jwk) throw new DocumentProblem(`JWT authority ${kid} is a private key`);
  const facts = x509Proofs.readKey(spkiOf(jwk));
  if ("malformed" in facts) throw new DocumentProblem(`JWT authority ${kid}: ${facts.malformed}`);
  return { keyId: kid, spki: facts.spki, expiresAtS: 0, tainted: false };
}

function spkiOf(jwk: JsonObject): Uint8Array {
  try {
    const key = createPublicKey({ key: jwk, format: "jwk" });
    return key.export({ type: "spki", format: "der" });
  } catch (error) {
    throw new DocumentProblem(`a JWT authority is no public key: ${String(error)}`);
  }
}
