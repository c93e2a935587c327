/** Distinguished names, and the kinds of GeneralName that have a place in a certificate we take. */
import { compareBytes } from "../core/std/bytes.ts";
import { type DerCursor, DerProblem, TAG, readDer, readOid } from "./der.ts";
import { readIa5, readString } from "./text.ts";

/** Identifier octets of the kinds that are read; directoryName is a CHOICE, so wrapped once more. */
const GENERAL_NAMES = { email: 0x81, dns: 0x82, uri: 0x86, ip: 0x87, directory: 0xa4 } as const;
type GeneralNameKind = keyof typeof GENERAL_NAMES;
const GENERAL_NAME_TAGS = Object.entries(GENERAL_NAMES) as readonly [GeneralNameKind, number][];

export interface GeneralName {
  readonly kind: GeneralNameKind;
  /** The content of the value as it stands in the certificate, already checked. */
  readonly content: Uint8Array;
}

const DNS_LABEL = "[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?";
const HOST = `(?=.{1,253}$)${DNS_LABEL}(?:\\.${DNS_LABEL})*`;
/** A host name of at most 253 characters, labels of at most 63 (RFC 1034, 3.1); `_` is common. */
export const HOST_NAME = new RegExp(`^${HOST}$`);

const ATEXT = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+";
/** `local@host` with a local part of plain words (RFC 2821's dot-string). */
export const MAILBOX = new RegExp(`^${ATEXT}(?:\\.${ATEXT})*@${HOST}$`);

const PCHAR = "(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})";
const URI_HOST = "[A-Za-z0-9_-]+(?:\\.[A-Za-z0-9_-]+)*";
/**
 * RFC 3986 with a scheme and without user information. The host is made of the characters of trust
 * domain names, or is empty as in `ldap:///CN=…`. Go refuses an empty label, a final one too; RFC 3986
 * would not. Addresses in brackets are not on the list: which of them parse has changed from one Go
 * release to the next.
 */
const URI = new RegExp(
  "^[A-Za-z][A-Za-z0-9+.-]*:" +
    `(?://(?:${URI_HOST})?(?::[0-9]{1,5})?(?:/${PCHAR}*)*|${PCHAR}(?:${PCHAR}|/)*)` +
    `(?:\\?(?:${PCHAR}|[/?])*)?(?:#(?:${PCHAR}|[/?])*)?$`,
);

/**
 * Reads a Name of one or more RDNs and returns its encoding: names are compared as bytes.
 * The values of one RDN ascend, as those of any SET OF in DER (X.690, 11.6).
 */
export function readName(cursor: DerCursor): Uint8Array {
  const name = cursor.takeWhole(TAG.sequence);
  readDer(name, (rdns) => rdns.list(TAG.sequence, readRdn));
  return name;
}

/** The same for a subject, which may be empty. */
export function readSubject(cursor: DerCursor): Uint8Array {
  const name = cursor.takeWhole(TAG.sequence);
  if (!isEmptyName(name)) readDer(name, readName);
  return name;
}

/** Whether the encoding of a Name is that of no RDN: identifier octet and length alone. */
export function isEmptyName(name: Uint8Array): boolean {
  return name.length === 2;
}

function readRdn(cursor: DerCursor): void {
  const attributes = cursor.list(TAG.set, (values) => {
    const attribute = values.takeWhole(TAG.sequence);
    readDer(attribute, readAttribute);
    return attribute;
  });
  for (const [index, attribute] of attributes.entries()) {
    const next = attributes[index + 1];
    if (next !== undefined && compareBytes(attribute, next) >= 0) {
      throw new DerProblem("values of an RDN are not in order");
    }
  }
}

function readAttribute(cursor: DerCursor): void {
  cursor.within(TAG.sequence, (attribute) => {
    readOid(attribute);
    readString(attribute);
  });
}

/** Reads one GeneralName of a kind on the list. Others (otherName, registeredID, …) are refused. */
export function readGeneralName(cursor: DerCursor): GeneralName {
  for (const [kind, tag] of GENERAL_NAME_TAGS) {
    if (!cursor.sees(tag)) continue;
    const content = cursor.take(tag);
    checks[kind](content);
    return { kind, content };
  }
  throw new DerProblem("GeneralName of a kind that is not on the list");
}

/** GeneralNames: one or more, whatever tag the field has. */
export function readGeneralNames(cursor: DerCursor, tag: number = TAG.sequence): GeneralName[] {
  return cursor.list(tag, readGeneralName);
}

const checks: Readonly<Record<GeneralNameKind, (content: Uint8Array) => void>> = {
  email(content) {
    if (!MAILBOX.test(readIa5(content))) throw new DerProblem("rfc822Name is not a mailbox");
  },
  dns(content) {
    if (!HOST_NAME.test(readIa5(content).replace(/^\*\./, ""))) {
      throw new DerProblem("dNSName is not a host name");
    }
  },
  uri(content) {
    if (!URI.test(readIa5(content))) throw new DerProblem("URI does not parse");
  },
  ip(content) {
    if (content.length !== 4 && content.length !== 16) {
      throw new DerProblem("iPAddress is neither 4 nor 16 bytes");
    }
  },
  directory(content) {
    readDer(content, readName);
  },
};
