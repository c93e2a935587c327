/** Extensions of a certificate, those on the list and others. */
import * as fc from "fast-check";
import { TAG, bitString, integer, octetString, oid, sequence, tlv } from "./der.ts";
import {
  type Der,
  ODD_ONE_IN,
  bytes,
  constant,
  joined,
  listOf,
  mostly,
  optionally,
  tagged,
} from "./der-grammar.ts";
import {
  ASCII,
  ATTRIBUTE,
  GENERAL_NAME,
  GENERAL_NAMES,
  HOST,
  NAME,
  ODD_HOST,
  ODD_URI,
  OID,
  RDN,
  STRING,
  URI,
} from "./generated-names.ts";

const TRUE = tlv(TAG.boolean, Buffer.of(0xff));
const BOOLEAN: Der = mostly(
  fc.constantFrom(TRUE, Buffer.of()),
  fc.constantFrom("010100", "010101", "0100", "0102ffff").map((hex) => Buffer.from(hex, "hex")),
);
const SMALL: Der = mostly(
  fc.nat({ max: 5 }).map(integer),
  bytes(0, 5).map((value) => tlv(TAG.integer, value)),
  bytes(1, 9).map(integer),
);
const BASIC_CONSTRAINTS: Der = mostly(
  fc.oneof(joined(sequence, fc.constant(TRUE), optionally(SMALL)), fc.constant(sequence())),
  joined(sequence, BOOLEAN, optionally(SMALL)),
);
const KEY_USAGE: Der = mostly(
  fc
    .integer({ min: 1, max: 255 })
    .map((byte) => bitString(Buffer.of(byte), 31 - Math.clz32(byte & -byte))),
  bytes(0, 3).map((content) => tlv(TAG.bitString, content)),
  constant("0303070080"),
  constant("030307ff80"),
);
const KEY_ID = fc.oneof(bytes(20, 20), bytes(1, 64));
const ODD_KEY_ID = bytes(0, 70);
const FULL_NAME = listOf(GENERAL_NAME, { wrap: tagged(0xa0) });
const POINT: Der = mostly(
  FULL_NAME.map((names) => sequence(tlv(0xa0, names))),
  GENERAL_NAME.map((name) => sequence(tlv(0xa2, name))),
  FULL_NAME.map((names) => sequence(tlv(0xa0, names), tlv(0x81, Buffer.of(1, 0x40)))),
  RDN.map((rdn) => sequence(tlv(0xa0, tlv(0xa1, rdn)))),
  fc.constant(sequence()),
);
const QUALIFIER: Der = mostly(
  fc.oneof(
    URI.map((uri) => sequence(oid("1.3.6.1.5.5.7.2.1"), tlv(TAG.ia5String, uri))),
    STRING.map((text) => sequence(oid("1.3.6.1.5.5.7.2.2"), sequence(text))),
  ),
  joined(sequence, OID, STRING),
);
const POLICIES: Der = mostly(
  fc
    .uniqueArray(fc.nat({ max: 9_999 }), { minLength: 1, maxLength: 3 })
    .chain((ids) =>
      joined(
        sequence,
        ...ids.map((id) =>
          joined(sequence, fc.constant(oid(`1.3.6.1.4.1.${id}`)), optionally(listOf(QUALIFIER))),
        ),
      ),
    ),
  listOf(joined(sequence, OID)),
  fc.constant(sequence(sequence(oid("2.5.29.32.0")), sequence(oid("2.5.29.32.0")))),
);

const ADDRESS_RANGE = fc
  .tuple(fc.constantFrom(4, 16), fc.nat({ max: 128 }))
  .map(([length, ones]) => {
    const mask = Array.from(
      { length },
      (_, at) => 0xff & ~(0xff >> Math.min(8, Math.max(0, ones - 8 * at))),
    );
    return tlv(0x87, Buffer.alloc(length, 10), Buffer.from(mask));
  });
const BASE: Der = mostly(
  fc.oneof(
    { weight: 3, arbitrary: HOST.map((host) => tlv(0x86, host)) },
    HOST.map((host) => tlv(0x86, `.${host}`)),
    HOST.map((host) => tlv(0x82, host)),
    HOST.map((host) => tlv(0x81, host)),
    HOST.map((host) => tlv(0x81, `root@${host}`)),
    ADDRESS_RANGE,
    NAME.map((name) => tlv(0xa4, name)),
  ),
  fc
    .tuple(fc.constantFrom(0x81, 0x82, 0x86), fc.oneof(ODD_HOST, ODD_URI, ASCII))
    .map(([tag, text]) => tlv(tag, text)),
  bytes(8, 8).map((range) => tlv(0x87, range)),
  bytes(0, 34).map((range) => tlv(0x87, range)),
  GENERAL_NAME,
);
const SUBTREES = (tag: number): Der => listOf(joined(sequence, BASE), { wrap: tagged(tag) });
const CONSTRAINTS: Der = mostly(
  fc.oneof(
    joined(sequence, SUBTREES(0xa0)),
    joined(sequence, SUBTREES(0xa1)),
    joined(sequence, SUBTREES(0xa0), SUBTREES(0xa1)),
  ),
  joined(sequence, SUBTREES(0xa1), SUBTREES(0xa0)),
  fc.constant(sequence()),
  BASE.map((base) => sequence(tlv(0xa0, sequence(base, tlv(0x80, Buffer.of(1)))))),
);
const AUTHORITY_KEY_ID: Der = mostly(
  fc.oneof(
    { weight: 4, arbitrary: KEY_ID.map((keyId) => sequence(tlv(0x80, keyId))) },
    fc.constant(sequence()),
    fc
      .tuple(NAME, bytes(1, 19))
      .map(([name, serial]) =>
        sequence(tlv(0xa1, tlv(0xa4, name)), tlv(0x82, integer(serial).subarray(2))),
      ),
  ),
  ODD_KEY_ID.map((keyId) => sequence(tlv(0x80, keyId))),
  bytes(0, 3).map((serial) => sequence(tlv(0x82, serial))),
  fc
    .tuple(KEY_ID, bytes(0, 22))
    .map(([keyId, serial]) =>
      sequence(tlv(0x80, keyId), tlv(0xa1, tlv(0x82, "a")), tlv(0x82, serial)),
    ),
);
const ACCESS = listOf(
  joined(
    sequence,
    fc.constantFrom("1.3.6.1.5.5.7.48.1", "1.3.6.1.5.5.7.48.2", "1.3.6.1.5.5.7.48.5").map(oid),
    GENERAL_NAME,
  ),
);

/** Extensions by identifier: what they hold, and whether the standard lets them be critical. */
const EXTENSIONS: Readonly<Record<string, readonly [Der, boolean]>> = {
  "2.5.29.14": [fc.oneof({ weight: 9, arbitrary: KEY_ID }, ODD_KEY_ID).map(octetString), false],
  "2.5.29.15": [KEY_USAGE, true],
  "2.5.29.17": [GENERAL_NAMES, true],
  "2.5.29.18": [GENERAL_NAMES, false],
  "2.5.29.19": [BASIC_CONSTRAINTS, true],
  "2.5.29.30": [CONSTRAINTS, true],
  "2.5.29.31": [listOf(POINT), false],
  "2.5.29.32": [POLICIES, true],
  "2.5.29.35": [AUTHORITY_KEY_ID, false],
  "2.5.29.37": [listOf(OID), true],
  "2.5.29.46": [listOf(POINT), false],
  "1.3.6.1.5.5.7.1.1": [ACCESS, false],
  "1.3.6.1.5.5.7.1.11": [ACCESS, false],
  "1.3.6.1.4.1.311.21.1": [SMALL, false],
  "2.16.840.1.113730.1.13": [STRING, false],
};
/** Of standards, but not on our list; Go reads the first four. */
const ODD_EXTENSIONS: Readonly<Record<string, Der>> = {
  "2.5.29.33": listOf(joined(sequence, OID, OID)),
  "2.5.29.36": SMALL.map((value) => sequence(tlv(0x80, value.subarray(2)))),
  "2.5.29.54": SMALL,
  "2.5.29.9": listOf(ATTRIBUTE),
  "2.5.29.99": STRING,
  "1.3.6.1.5.5.7.1.3": listOf(OID),
};
const EXTENSION_IDS = Object.keys(EXTENSIONS);
const USUALLY = ["2.5.29.19", "2.5.29.15", "2.5.29.17"] as const;

function extensionOf(id: string): Der {
  const [value, mayBeCritical] = EXTENSIONS[id] ?? [SMALL, false];
  const critical = mayBeCritical
    ? BOOLEAN
    : mostly(constant(""), fc.constantFrom(TRUE, tlv(TAG.boolean, Buffer.of(0))));
  const whole = mostly(
    value,
    bytes(0, 12).map((content) => Buffer.from(content)),
    value.map((content) => Buffer.concat([content, Buffer.of(5, 0)])),
  );
  return joined(sequence, fc.constant(oid(id)), critical, whole.map(octetString));
}

const ODD_EXTENSION: Der = fc.oneof(
  ...Object.entries(ODD_EXTENSIONS).map(([id, value]) =>
    joined(sequence, fc.constant(oid(id)), BOOLEAN, value.map(octetString)),
  ),
);
export const EXTENSION_LIST: fc.Arbitrary<readonly Buffer[]> = fc
  .tuple(
    fc.subarray(EXTENSION_IDS, { maxLength: 4 }),
    fc.subarray([...USUALLY], { minLength: 1 }),
    fc.nat({ max: ODD_ONE_IN }),
  )
  .chain(([some, usual, odd]) => {
    const ids = [...new Set([...some, ...usual])];
    const twice = odd === 0 ? ids.slice(0, 1) : [];
    const parts = [...ids, ...twice].map(extensionOf);
    return fc.tuple(...(odd === 1 ? [...parts, ODD_EXTENSION] : parts));
  })
  .chain((list) => fc.shuffledSubarray([...list], { minLength: list.length }));
