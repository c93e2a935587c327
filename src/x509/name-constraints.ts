/**
 * nameConstraints (RFC 5280, 4.2.1.10). Every kind of constraint is read strictly; only those on
 * URIs become facts, because a SPIFFE ID is a URI and no other kind of name is ever judged.
 */
import { isIP } from "node:net";
import type { NameConstraints } from "../core/record/proofs.ts";
import { type DerCursor, DerProblem, TAG, readDer } from "./der.ts";
import { HOST_NAME, MAILBOX, readName } from "./names.ts";
import { readIa5 } from "./text.ts";

const PERMITTED = 0xa0;
const EXCLUDED = 0xa1;
const URI = 0x86;
const AT_SIGN = 0x40;

interface Subtrees {
  readonly uris: string[];
  /** Whether another kind of name than URIs is constrained. */
  readonly others: boolean;
}

export function readNameConstraints(cursor: DerCursor, critical: boolean): NameConstraints {
  return cursor.within(TAG.sequence, (fields) => {
    if (fields.atEnd) throw new DerProblem("nameConstraints are empty");
    const permitted = readSubtrees(fields, PERMITTED);
    const excluded = readSubtrees(fields, EXCLUDED);
    return {
      permittedUris: permitted.uris,
      excludedUris: excluded.uris,
      othersCritical: critical && (permitted.others || excluded.others),
    };
  });
}

function readSubtrees(fields: DerCursor, tag: number): Subtrees {
  if (!fields.sees(tag)) return { uris: [], others: false };
  // `minimum` is 0 by default and `maximum` absent in this profile: neither is ever written.
  const bases = fields.list(tag, (subtrees) => subtrees.within(TAG.sequence, readBase));
  const uris = bases.filter((base) => base !== undefined);
  return { uris, others: uris.length < bases.length };
}

/** The constraint when it is one on URIs. */
function readBase(cursor: DerCursor): string | undefined {
  if (cursor.sees(URI)) return readUriConstraint(readIa5(cursor.take(URI)));
  for (const [tag, check] of OTHER_BASES) {
    if (!cursor.sees(tag)) continue;
    check(cursor.take(tag));
    return undefined;
  }
  throw new DerProblem("name constraint of a kind that is not on the list");
}

/** A host, or a domain with a leading dot; never an address. */
function readUriConstraint(constraint: string): string {
  if (isIP(constraint) !== 0 || !HOST_NAME.test(constraint.replace(/^\./, ""))) {
    throw new DerProblem("URI constraint is no host or domain");
  }
  return constraint;
}

const OTHER_BASES: ReadonlyMap<number, (content: Uint8Array) => void> = new Map([
  [0x81, checkEmailConstraint],
  [0x82, checkDomain],
  [0x87, checkAddressRange],
  [0xa4, (content: Uint8Array) => void readDer(content, readName)],
]);

/** An empty constraint is usual here: excluded, it excludes every name. */
function checkDomain(content: Uint8Array): void {
  if (content.length === 0) return;
  if (!HOST_NAME.test(readIa5(content).replace(/^\./, ""))) {
    throw new DerProblem("name constraint is no domain");
  }
}

/** One mailbox, or every mailbox of a domain. */
function checkEmailConstraint(content: Uint8Array): void {
  if (!content.includes(AT_SIGN)) checkDomain(content);
  else if (!MAILBOX.test(readIa5(content))) throw new DerProblem("name constraint is no mailbox");
}

/** An address and a mask of one bits followed by zero bits. */
function checkAddressRange(content: Uint8Array): void {
  if (content.length !== 8 && content.length !== 32) {
    throw new DerProblem("address constraint is neither 8 nor 32 bytes");
  }
  const mask = Array.from(content.subarray(content.length / 2), bits).join("");
  if (!/^1*0*$/.test(mask)) throw new DerProblem("address constraint has a mask with gaps");
}

function bits(byte: number): string {
  return byte.toString(2).padStart(8, "0");
}
