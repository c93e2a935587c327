/** Strings, object identifiers, distinguished names and general names of every type and kind. */
import * as fc from "fast-check";
import { compareBytes } from "../../src/core/std/bytes.ts";
import { TAG, oid, sequence, set, tlv } from "./der.ts";
import { type Der, bytes, joined, listOf, mostly } from "./der-grammar.ts";

// Text: alphabets of each string type, and what is next to them.
export const ASCII = fc.stringMatching(/^[ -~]{1,12}$/);
const PRINTABLE = fc.stringMatching(/^[A-Za-z0-9 '()+,\-./:=?]{1,12}$/);
const LABEL = fc.stringMatching(/^[a-z0-9]([a-z0-9_-]{0,5}[a-z0-9])?$/);
export const HOST = fc
  .array(LABEL, { minLength: 1, maxLength: 3 })
  .map((labels) => labels.join("."));
const LONG_HOST = fc
  .tuple(fc.integer({ min: 60, max: 66 }), fc.integer({ min: 1, max: 4 }))
  .map(([length, count]) => Array.from({ length: count }, () => "a".repeat(length)).join("."));
export const ODD_HOST = fc.oneof(
  LONG_HOST,
  HOST.map((host) => `${host}.`),
  HOST.map((host) => `.${host}`),
  HOST.map((host) => host.replace(/.?$/, "..x")),
  HOST.map((host) => `-${host}-`),
  HOST.map((host) => `${host} x`),
  fc.constant(""),
  fc.constant("é"),
  fc.ipV4(),
  fc.ipV6(),
);
const PATH = fc.stringMatching(/^(\/[A-Za-z0-9._~!$&'()*+,;=:@-]{0,5}){0,3}$/);
export const URI = fc.oneof(
  fc.tuple(HOST, PATH).map(([host, path]) => `spiffe://${host}${path}`),
  fc.webUrl({ withFragments: true, withQueryParameters: true }),
  fc.tuple(HOST, fc.nat({ max: 99_999 })).map(([host, port]) => `http://${host}:${port}/crl`),
  fc.constant("ldap:///CN=Root,DC=corp?certificateRevocationList?base?objectClass=x"),
  fc.uuid().map((id) => `urn:uuid:${id}`),
);
export const ODD_URI = fc.oneof(
  fc.ipV6().map((address) => `http://[${address}]/`),
  ODD_HOST.map((host) => `spiffe://${host}/x`),
  fc.tuple(HOST, ASCII).map(([host, path]) => `spiffe://${host}/${path}`),
  fc.tuple(HOST, ASCII).map(([host, port]) => `spiffe://${host}:${port}`),
  fc.stringMatching(/^[a-z:/%@[\]#?.0-9]{0,12}$/),
  fc.constantFrom(
    "//a",
    "/a",
    "a",
    "a:",
    "a:/",
    "a:b",
    "a://",
    "a://:1",
    "1a:b",
    "a://%41",
    "a:%zz",
  ),
);

const UTF8 = fc.oneof(PRINTABLE, fc.string({ unit: "binary", minLength: 1, maxLength: 8 }));
/** Beside the surrogates, which begin at 0xd800; a string of any characters has some. */
const BMP = fc.oneof(
  { weight: 30, arbitrary: PRINTABLE },
  fc
    .array(fc.integer({ min: 0x20, max: 0xd800 }), { minLength: 1, maxLength: 6 })
    .map((units) => String.fromCharCode(...units)),
  UTF8,
);
export const STRING: Der = mostly(
  fc.oneof(
    UTF8.map((text) => tlv(TAG.utf8String, text)),
    PRINTABLE.map((text) => tlv(TAG.printableString, text)),
    ASCII.map((text) => tlv(TAG.ia5String, text)),
    ASCII.map((text) => tlv(TAG.teletexString, text)),
    BMP.map((text) => tlv(TAG.bmpString, Buffer.from(text, "utf16le").swap16())),
  ),
  fc
    .tuple(
      fc.constantFrom(0x0c, 0x12, 0x13, 0x14, 0x16, 0x1a, 0x1b, 0x1c, 0x1e, 0x03, 0x04, 0x02),
      fc.oneof(
        bytes(0, 8),
        ASCII.map((text) => Buffer.from(text)),
      ),
    )
    .map(([tag, content]) => tlv(tag, content)),
);

const ARC = fc.oneof(fc.nat({ max: 200 }), fc.constantFrom(2 ** 31 - 1, 16_383, 16_384));
export const OID: Der = mostly(
  fc.oneof(
    fc.constantFrom("2.5.4.3", "2.5.4.6", "2.5.4.10", "1.2.840.113549.1.9.1", "2.999.1").map(oid),
    fc.array(ARC, { minLength: 0, maxLength: 5 }).map((arcs) => oid(["1.3", ...arcs].join("."))),
  ),
  bytes(0, 6).map((content) => tlv(TAG.oid, content)),
  fc.constant(oid(`1.3.${2 ** 31}`)),
);

export const ATTRIBUTE = joined(sequence, OID, STRING);
/** Several attributes ascend as DER wants it, or do not. */
export const RDN: Der = fc.oneof(
  { weight: 8, arbitrary: listOf(ATTRIBUTE, { max: 1, wrap: set }) },
  {
    weight: 1,
    arbitrary: fc
      .uniqueArray(ATTRIBUTE, {
        minLength: 2,
        maxLength: 3,
        selector: (each) => each.toString("hex"),
      })
      .map((each) => set(...each.toSorted(compareBytes))),
  },
);
const UNORDERED_RDN = listOf(ATTRIBUTE, { min: 2, wrap: set });
export const NAME: Der = mostly(
  listOf(RDN),
  joined(sequence, UNORDERED_RDN),
  fc.constant(sequence()),
);

export const GENERAL_NAME: Der = mostly(
  fc.oneof(
    { weight: 3, arbitrary: URI.map((uri) => tlv(0x86, uri)) },
    { weight: 2, arbitrary: HOST.map((host) => tlv(0x82, host)) },
    HOST.map((host) => tlv(0x82, `*.${host}`)),
    HOST.map((host) => tlv(0x81, `root@${host}`)),
    bytes(4, 4).map((address) => tlv(0x87, address)),
    bytes(16, 16).map((address) => tlv(0x87, address)),
    NAME.map((name) => tlv(0xa4, name)),
  ),
  ODD_URI.map((uri) => tlv(0x86, uri)),
  ODD_HOST.map((host) => tlv(0x82, host)),
  fc.oneof(ODD_HOST, fc.emailAddress(), ASCII).map((mailbox) => tlv(0x81, mailbox)),
  bytes(0, 20).map((address) => tlv(0x87, address)),
  OID.map((id) => tlv(0xa0, id, tlv(0xa0, tlv(TAG.utf8String, "other")))),
  OID.map((id) => tlv(0x88, id.subarray(2))),
  fc
    .tuple(fc.integer({ min: 0x80, max: 0xaf }), bytes(0, 6))
    .map(([tag, content]) => tlv(tag, content)),
);
export const GENERAL_NAMES = listOf(GENERAL_NAME);
