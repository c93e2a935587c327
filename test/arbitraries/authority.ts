/**
 * Small certificate authorities in SPIRE's shape, for whoever needs chains to judge: roots,
 * intermediates, leaves, each with any field replaced.
 */
import { type KeyObject, createPublicKey } from "node:crypto";
import { DerCursor, TAG, readDer } from "../../src/x509/der.ts";
import {
  type CertificateParts,
  type TestKeyPair,
  type TestKeyType,
  buildCertificate,
  extensions,
  keyIdOf,
  makeKeyPair,
  spkiOf,
} from "./certificate.ts";
import { name, sequence, time } from "./der.ts";

/** 2020-01-01 and 2049-01-01: authorities are valid in between unless told. */
export const VALID_FROM_S = 1_577_836_800;
const VALID_UNTIL_S = 2_493_072_000;

export interface AuthorityOptions {
  readonly trustDomain: string;
  readonly notBeforeS?: number;
  readonly notAfterS?: number;
  readonly keyType?: TestKeyType;
  readonly keys?: TestKeyPair;
  /** By default the one URI `spiffe://<trustDomain>`. */
  readonly uriSans?: readonly string[];
  readonly pathLength?: number;
  /** DER Name; by default SPIRE's, with a serialNumber of its own. */
  readonly subject?: Uint8Array;
  /** Replaces encoded parts of the certificate. */
  readonly overrides?: Partial<CertificateParts>;
}

export interface LeafOptions {
  readonly spiffeId: string;
  readonly notBeforeS?: number;
  readonly notAfterS?: number;
  readonly keyPair?: TestKeyPair;
  readonly overrides?: Partial<CertificateParts>;
}

export interface Leaf {
  readonly der: Buffer;
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

export interface Authority {
  readonly der: Buffer;
  readonly keys: TestKeyPair;
  /** DER Name of the subject. */
  readonly subject: Uint8Array;
  readonly keyId: Uint8Array;
  /** A leaf with one URI SAN, as SPIRE mints it. */
  issueLeaf(options: LeafOptions): Leaf;
  /** DER of a leaf for the key of a PKCS#10 request, as SPIRE answers one. */
  answerCsr(csr: Uint8Array, options: Omit<LeafOptions, "keyPair">): Buffer;
  /** A CA below this one; the same trust domain unless told. */
  issueIntermediate(options?: Partial<AuthorityOptions>): Authority;
}

/** A self-signed CA. */
export function makeAuthority(options: AuthorityOptions): Authority {
  return issueAuthority(options, undefined);
}

let authorities = 0;

function issueAuthority(options: AuthorityOptions, parent: Authority | undefined): Authority {
  authorities += 1;
  const keys = options.keys ?? makeKeyPair(options.keyType);
  const subject =
    options.subject ??
    name([
      ["2.5.4.6", "US"],
      ["2.5.4.10", "SPIFFE"],
      ["2.5.4.5", String(authorities)],
    ]);
  const keyId = keyIdOf(keys.publicKey);
  const uriSans = options.uriSans ?? [`spiffe://${options.trustDomain}`];
  const der = buildCertificate(
    {
      issuer: parent?.subject ?? subject,
      validity: validity(options),
      subject,
      spki: spkiOf(keys.publicKey),
      extensions: [
        extensions.keyUsage(5, 6),
        extensions.basicConstraints(true, options.pathLength),
        extensions.subjectKeyId(keyId),
        ...(parent === undefined ? [] : [extensions.authorityKeyId(parent.keyId)]),
        ...(uriSans.length === 0 ? [] : [extensions.uriSans(...uriSans)]),
      ],
      ...options.overrides,
    },
    (parent?.keys ?? keys).privateKey,
  );
  const authority: Authority = {
    der,
    keys,
    subject,
    keyId,
    issueLeaf: (leaf) => {
      const keys = leaf.keyPair ?? makeKeyPair();
      return { der: issueLeaf(authority, keys.publicKey, leaf), ...keys };
    },
    answerCsr: (csr, leaf) => issueLeaf(authority, publicKeyOf(csr), leaf),
    issueIntermediate: (child) =>
      issueAuthority({ trustDomain: options.trustDomain, ...child }, authority),
  };
  return authority;
}

function issueLeaf(issuer: Authority, publicKey: KeyObject, options: LeafOptions): Buffer {
  return buildCertificate(
    {
      issuer: issuer.subject,
      validity: validity(options),
      subject: name([
        ["2.5.4.6", "US"],
        ["2.5.4.10", "SPIRE"],
      ]),
      spki: spkiOf(publicKey),
      extensions: [
        extensions.keyUsage(0, 2, 4),
        extensions.serverAndClientAuth(),
        extensions.basicConstraints(false),
        extensions.subjectKeyId(keyIdOf(publicKey)),
        extensions.authorityKeyId(issuer.keyId),
        extensions.uriSans(options.spiffeId),
      ],
      ...options.overrides,
    },
    issuer.keys.privateKey,
  );
}

/** The key of a request: version and subject stand before it. */
function publicKeyOf(csr: Uint8Array): KeyObject {
  const spki = readDer(csr, (whole) => {
    const request = new DerCursor(whole.take(TAG.sequence));
    const info = new DerCursor(request.take(TAG.sequence));
    info.take(TAG.integer);
    info.take(TAG.sequence);
    return info.takeWhole(TAG.sequence);
  });
  return createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" });
}

function validity(times: { readonly notBeforeS?: number; readonly notAfterS?: number }): Buffer {
  return sequence(time(times.notBeforeS ?? VALID_FROM_S), time(times.notAfterS ?? VALID_UNTIL_S));
}
