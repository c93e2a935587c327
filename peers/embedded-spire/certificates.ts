/** The certificates that SPIRE Server signs: its self-signed CA and X509-SVIDs. Fields as measured. */
import "reflect-metadata"; // @peculiar/x509 does not load without it.
import { KeyObject, randomBytes } from "node:crypto";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Name,
  Pkcs10CertificateRequest,
  Pkcs10CertificateRequestGenerator,
  PublicKey,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";

/** How far a certificate's start lies before its making, for receivers whose clock is late. */
const NOT_BEFORE_CUSHION_MS = 10_000;
const SERIAL_BYTES = 16;
const EC_P256 = { name: "ECDSA", namedCurve: "P-256" };
const ECDSA_SHA256 = { name: "ECDSA", hash: "SHA-256" };
const SUBJECT_ALT_NAME = "2.5.29.17";
const SERIAL_NUMBER = "2.5.4.5"; // The attribute of a name, which the library has no short word for.

/** A key that signs, and the certificate that says so. */
export interface SigningCertificate {
  readonly der: Uint8Array;
  readonly privateKey: KeyObject;
}

/** What a certificate signing request asks for. */
export interface SvidRequest {
  readonly publicKey: PublicKey;
  readonly uris: readonly string[];
  readonly dnsNames: readonly string[];
  /** Undefined when the request names no subject. */
  readonly subject: Name | undefined;
}

/** Signs a CA for its own P-256 key. The subject's serialNumber is the certificate's own. */
export async function selfSignCa(options: {
  readonly trustDomain: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  readonly nowMs: number;
  readonly ttlMs: number;
}): Promise<Uint8Array> {
  const serialNumber = randomSerialNumber();
  const subject = spiffeName("SPIFFE", BigInt(`0x${serialNumber}`));
  const publicKey = new PublicKey(options.publicKey.export({ type: "spki", format: "der" }));
  return await sign(options.privateKey, {
    serialNumber,
    issuer: subject,
    subject,
    notBeforeMs: options.nowMs - NOT_BEFORE_CUSHION_MS,
    notAfterMs: options.nowMs + options.ttlMs,
    publicKey,
    extensions: [
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      new BasicConstraintsExtension(true, undefined, true),
      await SubjectKeyIdentifierExtension.create(publicKey),
      uriSan(`spiffe://${options.trustDomain}`),
    ],
  });
}

/** Signs an X509-SVID. Its end is the CA's end at the latest. */
export async function signX509Svid(options: {
  readonly request: SvidRequest;
  readonly spiffeId: string;
  readonly ca: SigningCertificate;
  readonly nowMs: number;
  readonly ttlMs: number;
}): Promise<{ readonly der: Uint8Array; readonly expiresAtMs: number }> {
  const { request, ca, nowMs } = options;
  const issuer = parseCertificate(ca.der);
  const notAfterMs = Math.min(nowMs + options.ttlMs, issuer.notAfter.getTime());
  const [commonName] = request.dnsNames;
  const subject = request.subject ?? spiffeName("SPIRE");
  const der = await sign(ca.privateKey, {
    serialNumber: randomSerialNumber(),
    issuer: issuer.subjectName,
    // SPIRE repeats the first DNS name as the subject's CN.
    subject: new Name([
      ...subject.toJSON(),
      ...(commonName === undefined ? [] : [{ CN: [commonName] }]),
    ]),
    notBeforeMs: nowMs - NOT_BEFORE_CUSHION_MS,
    notAfterMs,
    publicKey: request.publicKey,
    extensions: [
      new KeyUsagesExtension(
        KeyUsageFlags.digitalSignature | KeyUsageFlags.keyEncipherment | KeyUsageFlags.keyAgreement,
        true,
      ),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
      new BasicConstraintsExtension(false, undefined, true),
      await SubjectKeyIdentifierExtension.create(request.publicKey),
      new AuthorityKeyIdentifierExtension(subjectKeyIdOf(ca.der)),
      uriSan(options.spiffeId, request.dnsNames),
    ],
  });
  return { der, expiresAtMs: Math.floor(notAfterMs / 1_000) * 1_000 };
}

/** The subjectKeyIdentifier in lower-case hex, SPIRE's id of an X.509 authority; empty without one. */
export function subjectKeyIdOf(der: Uint8Array): string {
  return parseCertificate(der).getExtension(SubjectKeyIdentifierExtension)?.keyId ?? "";
}

/** When a certificate ends, in Unix milliseconds. */
export function expiryOf(der: Uint8Array): number {
  return parseCertificate(der).notAfter.getTime();
}

/** Reads a DER PKCS#10 request and verifies that it is signed with its own key. Throws an Error. */
export async function readCsr(der: Uint8Array): Promise<SvidRequest> {
  const csr = parseCsr(der);
  if (!(await csr.verify())) throw new Error("failed to verify CSR signature");
  const extension = csr.getExtension(SUBJECT_ALT_NAME);
  const names = extension instanceof SubjectAlternativeNameExtension ? extension.names.items : [];
  const namesOf = (type: string): readonly string[] =>
    names.filter((name) => name.type === type).map((name) => name.value);
  return {
    publicKey: csr.publicKey,
    uris: namesOf("url"),
    dnsNames: namesOf("dns"),
    subject: csr.subject === "" ? undefined : csr.subjectName,
  };
}

/** Makes a P-256 key and a request for one SPIFFE ID, as `x509 mint` does. */
export async function makeCsr(
  spiffeId: string,
  dnsNames: readonly string[],
): Promise<{ readonly csr: Uint8Array; readonly privateKey: KeyObject }> {
  const keys = await crypto.subtle.generateKey(EC_P256, true, ["sign", "verify"]);
  const csr = await Pkcs10CertificateRequestGenerator.create({
    keys,
    signingAlgorithm: ECDSA_SHA256,
    extensions: [uriSan(spiffeId, dnsNames)],
  });
  return { csr: new Uint8Array(csr.rawData), privateKey: KeyObject.from(keys.privateKey) };
}

function parseCsr(der: Uint8Array): Pkcs10CertificateRequest {
  try {
    return new Pkcs10CertificateRequest(Buffer.from(der));
  } catch (error) {
    throw new Error("malformed CSR", { cause: error });
  }
}

function parseCertificate(der: Uint8Array): X509Certificate {
  return new X509Certificate(Buffer.from(der));
}

interface CertificateFields {
  readonly serialNumber: string;
  readonly issuer: Name;
  readonly subject: Name;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly publicKey: PublicKey;
  readonly extensions: Extension[];
}

async function sign(privateKey: KeyObject, fields: CertificateFields): Promise<Uint8Array> {
  const { notBeforeMs, notAfterMs, ...rest } = fields;
  const pkcs8 = privateKey.export({ type: "pkcs8", format: "der" });
  const certificate = await X509CertificateGenerator.create({
    ...rest,
    notBefore: new Date(notBeforeMs),
    notAfter: new Date(notAfterMs),
    signingKey: await crypto.subtle.importKey("pkcs8", pkcs8, EC_P256, false, ["sign"]),
    signingAlgorithm: ECDSA_SHA256,
  });
  return new Uint8Array(certificate.rawData);
}

function spiffeName(organization: string, serialNumber?: bigint): Name {
  return new Name([
    { C: ["US"] },
    { O: [organization] },
    ...(serialNumber === undefined ? [] : [{ [SERIAL_NUMBER]: [String(serialNumber)] }]),
  ]);
}

function uriSan(uri: string, dnsNames: readonly string[] = []): SubjectAlternativeNameExtension {
  return new SubjectAlternativeNameExtension([
    ...dnsNames.map((value) => ({ type: "dns" as const, value })),
    { type: "url", value: uri },
  ]);
}

/** A positive integer of 16 bytes in hex: the top bit is cleared and the next one set. */
function randomSerialNumber(): string {
  const bytes = randomBytes(SERIAL_BYTES);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString("hex");
}
