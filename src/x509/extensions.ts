/**
 * The extensions of a certificate: a positive list, each with a strict decoder of its whole value.
 *
 * Anything else is refused, with one exception: a *non-critical* extension below a private arc passes
 * unread. Windows CAs put several of those on every certificate (1.3.6.1.4.1.311), and as private
 * arcs are nobody's standard, no version of Go's parser looks into them.
 */
import type { KeyUsage, NameConstraints } from "../core/record/proofs.ts";
import {
  type DerCursor,
  DerProblem,
  TAG,
  readDefaultFalse,
  readDer,
  readNamedBits,
  readOid,
  readSmallUnsigned,
  readUnsigned,
} from "./der.ts";
import { readNameConstraints } from "./name-constraints.ts";
import { readGeneralName, readGeneralNames } from "./names.ts";
import { readIa5, readString } from "./text.ts";

/** What the extensions of one certificate say, as far as anybody judges it. */
export interface ExtensionFacts {
  readonly isCa: boolean;
  readonly pathLength: number | undefined;
  readonly keyUsage: KeyUsage | undefined;
  readonly uriSans: readonly string[];
  readonly subjectKeyId: Uint8Array | undefined;
  readonly authorityKeyId: Uint8Array | undefined;
  readonly nameConstraints: NameConstraints | undefined;
  /** Whether a critical subjectAltName is there: with it, the subject may be empty. */
  readonly namedByCriticalSan: boolean;
}

interface Known {
  /** Go refuses a certificate that marks some extensions critical (RFC 5280 forbids it for them). */
  readonly mayBeCritical: boolean;
  /** Reads the whole value and returns what it adds to the facts. */
  read(value: DerCursor, critical: boolean): Partial<ExtensionFacts>;
}

/** Private enterprises, and Netscape's comments in what old OpenSSL configurations made. */
const PRIVATE_ARCS = ["1.3.6.1.4.1.", "2.16.840.1.113730.1."];

/** Bits are numbered 0 to 7: what OpenSSL reads of it, and Go does not. */
const NETSCAPE_CERT_TYPE_BITS = 8;
/** Bits are numbered 0 to 8 (RFC 5280, 4.2.1.3). */
const KEY_USAGE_BITS = 9;
const DIGITAL_SIGNATURE = 0;
const KEY_CERT_SIGN = 5;
/** Key ids are SHA-1 or SHA-256 as a rule. Longer than any hash is refused. */
const KEY_ID_BYTES_MAX = 64;
const SERIAL_NUMBER_BYTES_MAX = 20;

const KNOWN: ReadonlyMap<string, Known> = new Map<string, Known>([
  ["2.5.29.14", { mayBeCritical: false, read: readSubjectKeyId }],
  ["2.5.29.15", { mayBeCritical: true, read: readKeyUsage }],
  ["2.5.29.17", { mayBeCritical: true, read: readSubjectAltName }],
  ["2.5.29.18", { mayBeCritical: false, read: checked(readGeneralNames) }],
  ["2.5.29.19", { mayBeCritical: true, read: readBasicConstraints }],
  ["2.5.29.30", { mayBeCritical: true, read: readConstraints }],
  ["2.5.29.31", { mayBeCritical: false, read: checked(readDistributionPoints) }],
  ["2.5.29.32", { mayBeCritical: true, read: checked(readPolicies) }],
  ["2.5.29.35", { mayBeCritical: false, read: readAuthorityKeyId }],
  ["2.5.29.37", { mayBeCritical: true, read: checked(readExtendedKeyUsage) }],
  ["2.5.29.46", { mayBeCritical: false, read: checked(readDistributionPoints) }],
  ["1.3.6.1.5.5.7.1.1", { mayBeCritical: false, read: checked(readAccessDescriptions) }],
  ["1.3.6.1.5.5.7.1.11", { mayBeCritical: false, read: checked(readAccessDescriptions) }],
  ["2.16.840.1.113730.1.1", { mayBeCritical: false, read: checked(readNetscapeCertType) }],
]);

/** Reads `Extensions`: one or more, none twice. */
export function readExtensions(cursor: DerCursor): ExtensionFacts {
  const seen = new Set<string>();
  let facts = NONE;
  cursor.list(TAG.sequence, (extensions) =>
    extensions.within(TAG.sequence, (extension) => {
      const id = readOid(extension);
      if (seen.has(id)) throw new DerProblem(`extension ${id} is there twice`);
      seen.add(id);
      const critical = readDefaultFalse(extension);
      facts = { ...facts, ...readExtension(id, critical, extension.take(TAG.octetString)) };
    }),
  );
  return facts;
}

const NONE: ExtensionFacts = {
  isCa: false,
  pathLength: undefined,
  keyUsage: undefined,
  uriSans: [],
  subjectKeyId: undefined,
  authorityKeyId: undefined,
  nameConstraints: undefined,
  namedByCriticalSan: false,
};

function readExtension(id: string, critical: boolean, value: Uint8Array): Partial<ExtensionFacts> {
  const known = KNOWN.get(id);
  if (known === undefined) {
    if (!critical && PRIVATE_ARCS.some((arc) => id.startsWith(arc))) return {};
    throw new DerProblem(`extension ${id} is not on the list`);
  }
  if (critical && !known.mayBeCritical) throw new DerProblem(`extension ${id} is critical`);
  return readDer(value, (content) => known.read(content, critical));
}

/** An extension that is only checked: nobody judges by it. */
function checked(check: (value: DerCursor) => unknown): Known["read"] {
  return (value) => {
    check(value);
    return {};
  };
}

function readBasicConstraints(value: DerCursor): Partial<ExtensionFacts> {
  return value.within(TAG.sequence, (fields) => {
    const isCa = readDefaultFalse(fields);
    if (fields.atEnd) return { isCa };
    if (!isCa) throw new DerProblem("basicConstraints limit the path of no CA");
    return { isCa, pathLength: readSmallUnsigned(fields) };
  });
}

function readKeyUsage(value: DerCursor): Partial<ExtensionFacts> {
  const bits = readNamedBits(value);
  if (bits.length > KEY_USAGE_BITS) throw new DerProblem("keyUsage has a bit without a name");
  const keyUsage = {
    digitalSignature: bits[DIGITAL_SIGNATURE] === true,
    keyCertSign: bits[KEY_CERT_SIGN] === true,
  };
  return { keyUsage };
}

/** OpenSSL takes a CA for none where it cannot read this one; those who verify with it are many. */
function readNetscapeCertType(value: DerCursor): void {
  const { length } = readNamedBits(value);
  if (length > NETSCAPE_CERT_TYPE_BITS) {
    throw new DerProblem("Netscape's certificate type has a bit without a name");
  }
}

function readSubjectAltName(value: DerCursor, critical: boolean): Partial<ExtensionFacts> {
  const names = readGeneralNames(value);
  // Go judges no directory names: critical, they would be an extension that it does not handle.
  if (critical && names.every(({ kind }) => kind === "directory")) {
    throw new DerProblem("critical subjectAltName of directory names alone");
  }
  const uris = names.filter(({ kind }) => kind === "uri");
  return {
    uriSans: uris.map(({ content }) => readIa5(content)),
    namedByCriticalSan: critical,
  };
}

function readConstraints(value: DerCursor, critical: boolean): Partial<ExtensionFacts> {
  return { nameConstraints: readNameConstraints(value, critical) };
}

function readSubjectKeyId(value: DerCursor): Partial<ExtensionFacts> {
  return { subjectKeyId: readKeyId(value, TAG.octetString) };
}

function readAuthorityKeyId(value: DerCursor): Partial<ExtensionFacts> {
  return value.within(TAG.sequence, (fields) => {
    const authorityKeyId = fields.sees(0x80) ? readKeyId(fields, 0x80) : undefined;
    if (!fields.atEnd) {
      // Issuer name and serial number come together or not at all (RFC 5280, 4.2.1.1).
      readGeneralNames(fields, 0xa1);
      if (readUnsigned(fields, 0x82).length > SERIAL_NUMBER_BYTES_MAX) {
        throw new DerProblem("authorityKeyIdentifier has a serial number above 20 bytes");
      }
    }
    return { authorityKeyId };
  });
}

function readKeyId(cursor: DerCursor, tag: number): Uint8Array {
  const keyId = cursor.take(tag);
  if (keyId.length === 0 || keyId.length > KEY_ID_BYTES_MAX) {
    throw new DerProblem("key identifier is empty or longer than 64 bytes");
  }
  return keyId;
}

function readExtendedKeyUsage(value: DerCursor): void {
  value.list(TAG.sequence, (purposes) => readOid(purposes));
}

/** Only full names: nobody writes reasons, indirect CRLs or relative names into a CA. */
function readDistributionPoints(value: DerCursor): void {
  value.list(TAG.sequence, (points) =>
    points.within(TAG.sequence, (point) =>
      point.within(0xa0, (pointName) => readGeneralNames(pointName, 0xa0)),
    ),
  );
}

function readAccessDescriptions(value: DerCursor): void {
  value.list(TAG.sequence, (descriptions) =>
    descriptions.within(TAG.sequence, (description) => {
      readOid(description);
      readGeneralName(description);
    }),
  );
}

const CPS_URI = "1.3.6.1.5.5.7.2.1";
const USER_NOTICE = "1.3.6.1.5.5.7.2.2";
const VISIBLE_STRING = 0x1a;

function readPolicies(value: DerCursor): void {
  const seen = new Set<string>();
  value.list(TAG.sequence, (policies) =>
    policies.within(TAG.sequence, (policy) => {
      const id = readOid(policy);
      if (seen.has(id)) throw new DerProblem(`policy ${id} is there twice`);
      seen.add(id);
      if (!policy.atEnd) policy.list(TAG.sequence, readPolicyQualifier);
    }),
  );
}

function readPolicyQualifier(qualifiers: DerCursor): void {
  qualifiers.within(TAG.sequence, (qualifier) => {
    const id = readOid(qualifier);
    if (id === CPS_URI) readIa5(qualifier.take(TAG.ia5String));
    else if (id === USER_NOTICE) qualifier.within(TAG.sequence, readExplicitText);
    else throw new DerProblem(`policy qualifier ${id} is not on the list`);
  });
}

/** A user notice's text; references to numbered notices are not on the list. */
function readExplicitText(notice: DerCursor): void {
  if (notice.sees(VISIBLE_STRING)) readIa5(notice.take(VISIBLE_STRING));
  else readString(notice);
}
