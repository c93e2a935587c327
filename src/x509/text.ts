/**
 * The character strings of certificates. Each type has its own alphabet and what is outside it is
 * refused; control characters are refused in all of them, they have no business in a log.
 */
import { TAG, type DerCursor, DerProblem } from "./der.ts";

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** X.680, 41.4. Go also takes `*` and `&` here; the standard does not. */
const PRINTABLE_STRING = /^[A-Za-z0-9 '()+,\-./:=?]+$/;
const VISIBLE_ASCII = /^[\x20-\x7e]+$/;
const CONTROL = /\p{Cc}/u;
/** Code units that are no character of the Basic Multilingual Plane. */
const NOT_BMP = /[\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]/;

const READERS: ReadonlyMap<number, (content: Uint8Array) => string> = new Map([
  [TAG.utf8String, readUtf8],
  [TAG.printableString, (content) => matching(content, PRINTABLE_STRING, "PrintableString")],
  [TAG.ia5String, readIa5],
  // Old CAs wrote Latin-1 here and readers disagree about it, so only what is ASCII passes.
  [TAG.teletexString, (content) => matching(content, VISIBLE_ASCII, "TeletexString")],
  [TAG.bmpString, readBmp],
]);

/** An attribute value of a Name: one of the string types that Go reads, not empty. */
export function readString(cursor: DerCursor): string {
  for (const [tag, read] of READERS) {
    if (cursor.sees(tag)) return read(cursor.take(tag));
  }
  throw new DerProblem("not a string of a known type");
}

/** The content of an IA5String, without control characters, not empty. */
export function readIa5(content: Uint8Array): string {
  return matching(content, VISIBLE_ASCII, "IA5String");
}

function readUtf8(content: Uint8Array): string {
  let text: string;
  try {
    text = UTF8.decode(content);
  } catch {
    throw new DerProblem("UTF8String is not UTF-8");
  }
  return withoutControls(text, "UTF8String");
}

/** UCS-2, most significant byte first; surrogates and non-characters are not in it. */
function readBmp(content: Uint8Array): string {
  if (content.length % 2 !== 0) throw new DerProblem("BMPString has an odd length");
  const text = Buffer.from(content).swap16().toString("utf16le");
  if (NOT_BMP.test(text)) throw new DerProblem("BMPString has a surrogate or non-character");
  return withoutControls(text, "BMPString");
}

function matching(content: Uint8Array, alphabet: RegExp, type: string): string {
  const text = Buffer.from(content).toString("latin1");
  if (!alphabet.test(text)) throw new DerProblem(`${type} is empty or outside its alphabet`);
  return text;
}

function withoutControls(text: string, type: string): string {
  if (text === "" || CONTROL.test(text)) {
    throw new DerProblem(`${type} is empty or has control characters`);
  }
  return text;
}
