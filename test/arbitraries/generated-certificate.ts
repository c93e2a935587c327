/**
 * Certificates and keys built from the grammar of X.509, each part mostly as the standard wants it
 * and now and then as it does not. Unlike damaged certificates these combine parts freely, with
 * kinds, types and shapes that no certificate of ours has. Signatures are bytes without meaning: a
 * reader does not verify.
 */
import * as fc from "fast-check";
import { compareBytes } from "../../src/core/std/bytes.ts";
import { type TestKeyType, makeKeyPair, spkiOf } from "./certificate.ts";
import { TAG, bitString, integer, octetString, oid, sequence, set, time, tlv } from "./der.ts";

type Der = fc.Arbitrary<Buffer>;

/** Of so many choices one is a shape that the standard does not want. */
const ODD_ONE_IN = 120;

function mostly(good: Der, ...odd: readonly Der[]): Der {
  return fc.oneof(
    { weight: ODD_ONE_IN - 1, arbitrary: good },
    { weight: 1, arbitrary: fc.oneof(...odd) },
  );
}

function optionally(part: Der): Der {
  return fc.oneof(part, fc.constant(Buffer.of()));
}

/** Sequences and sets of parts that are generated one by one. */
function joined(wrap: (...parts: readonly Uint8Array[]) => Buffer, ...parts: readonly Der[]): Der {
  return fc.tuple(...parts).map((each) => wrap(...each));
}

function listOf(
  item: Der,
  {
    min = 1,
    max = 3,
    wrap = sequence,
  }: { min?: number; max?: number; wrap?: typeof sequence } = {},
): Der {
  const items = fc.array(item, { minLength: min, maxLength: max }).map((each) => wrap(...each));
  return min === 0 ? items : mostly(items, fc.constant(wrap()));
}

const tagged =
  (tag: number) =>
  (...parts: readonly Uint8Array[]) =>
    tlv(tag, ...parts);
const bytes = (minLength: number, maxLength: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength, maxLength });
const constant = (hex: string): Der => fc.constant(Buffer.from(hex, "hex"));

// Text: alphabets of each string type, and what is next to them.
const ASCII = fc.stringMatching(/^[ -~]{1,12}$/);
const PRINTABLE = fc.stringMatching(/^[A-Za-z0-9 '()+,\-./:=?]{1,12}$/);
const LABEL = fc.stringMatching(/^[a-z0-9]([a-z0-9_-]{0,5}[a-z0-9])?$/);
const HOST = fc.array(LABEL, { minLength: 1, maxLength: 3 }).map((labels) => labels.join("."));
const LONG_HOST = fc
  .tuple(fc.integer({ min: 60, max: 66 }), fc.integer({ min: 1, max: 4 }))
  .map(([length, count]) => Array.from({ length: count }, () => "a".repeat(length)).join("."));
const ODD_HOST = fc.oneof(
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
const URI = fc.oneof(
  fc.tuple(HOST, PATH).map(([host, path]) => `spiffe://${host}${path}`),
  fc.webUrl({ withFragments: true, withQueryParameters: true }),
  fc.tuple(HOST, fc.nat({ max: 99_999 })).map(([host, port]) => `http://${host}:${port}/crl`),
  fc.constant("ldap:///CN=Root,DC=corp?certificateRevocationList?base?objectClass=x"),
  fc.uuid().map((id) => `urn:uuid:${id}`),
  fc.ipV6().map((address) => `http://[${address}]/`),
);
const ODD_URI = fc.oneof(
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
const STRING: Der = mostly(
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
const OID: Der = mostly(
  fc.oneof(
    fc.constantFrom("2.5.4.3", "2.5.4.6", "2.5.4.10", "1.2.840.113549.1.9.1", "2.999.1").map(oid),
    fc.array(ARC, { minLength: 0, maxLength: 5 }).map((arcs) => oid(["1.3", ...arcs].join("."))),
  ),
  bytes(0, 6).map((content) => tlv(TAG.oid, content)),
  fc.constant(oid(`1.3.${2 ** 31}`)),
);

const ATTRIBUTE = joined(sequence, OID, STRING);
/** Several attributes ascend as DER wants it, or do not. */
const RDN: Der = fc.oneof(
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
const NAME: Der = mostly(listOf(RDN), joined(sequence, UNORDERED_RDN), fc.constant(sequence()));

const GENERAL_NAME: Der = mostly(
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
const GENERAL_NAMES = listOf(GENERAL_NAME);

const KEY_TYPES: readonly TestKeyType[] = ["ec-p256", "ec-p384", "ec-p521", "rsa-2048", "ed25519"];
const ODD_KEY_TYPES: readonly TestKeyType[] = ["ec-p224", "ec-secp256k1", "rsa-1024"];
const keys = (types: readonly TestKeyType[]): Der =>
  fc.constantFrom(...types.map((type) => spkiOf(makeKeyPair(type).publicKey)));
const RSA = oid("1.2.840.113549.1.1.1");
const NULL = tlv(TAG.null);
const rsaKey = (modulus: Uint8Array, exponent: Uint8Array): Buffer =>
  sequence(sequence(RSA, NULL), bitString(sequence(integer(modulus), integer(exponent))));

/** A SubjectPublicKeyInfo of every kind, and of many that are none. */
export const generatedKey: Der = fc.oneof(
  { weight: 6, arbitrary: keys(KEY_TYPES) },
  keys(ODD_KEY_TYPES),
  // Numbers of any size: nobody who reads factors them.
  fc.tuple(bytes(120, 520), bytes(1, 6)).map(([modulus, exponent]) => rsaKey(modulus, exponent)),
  bytes(256, 256).map((modulus) => rsaKey(modulus, Buffer.of(1, 0, 1))),
  bytes(30, 34).map((point) => sequence(sequence(oid("1.3.101.112")), bitString(point))),
  bytes(32, 32).map((point) => sequence(sequence(oid("1.3.101.112")), bitString(point))),
  fc
    .tuple(fc.constantFrom("1.3.101.110", "1.3.101.113", "1.2.840.10045.2.1"), OID, bytes(0, 66))
    .map(([algorithm, curve, point]) =>
      sequence(sequence(oid(algorithm), curve), bitString(point)),
    ),
  fc
    .tuple(fc.constantFrom("1.2.840.10045.3.1.7", "1.3.132.0.34"), bytes(96, 97))
    .map(([curve, point]) =>
      sequence(
        sequence(oid("1.2.840.10045.2.1"), oid(curve)),
        bitString(Buffer.concat([Buffer.of(4), point])),
      ),
    ),
);
const KEY: Der = mostly(keys(KEY_TYPES), generatedKey);

const ALGORITHM: Der = mostly(
  fc.constantFrom(
    ...["1.2.840.10045.4.3.2", "1.2.840.10045.4.3.3", "1.2.840.10045.4.3.4", "1.3.101.112"].map(
      (id) => sequence(oid(id)),
    ),
    ...[5, 11, 12, 13].map((last) => sequence(oid(`1.2.840.113549.1.1.${last}`), NULL)),
  ),
  fc.constantFrom(
    sequence(oid("1.2.840.10045.4.1")),
    sequence(oid("1.2.840.10045.4.3.2"), NULL),
    sequence(oid("1.2.840.113549.1.1.10"), sequence()),
    sequence(oid("1.2.840.113549.1.1.11")),
    sequence(oid("1.2.840.113549.1.1.11"), tlv(TAG.null, Buffer.of(0))),
    sequence(),
  ),
  OID.map((id) => sequence(id)),
);

/** 1950 to 2150: past both ends of UTCTime. */
const UNIX_S = fc.integer({ min: -631_152_000, max: 5_680_281_600 });
const ODD_TIME: Der = fc.oneof(
  UNIX_S.map((unixS) => tlv(TAG.generalizedTime, digitsOf(unixS))),
  UNIX_S.map((unixS) => tlv(TAG.utcTime, digitsOf(unixS).slice(2))),
  UNIX_S.map((unixS) => tlv(TAG.utcTime, `${digitsOf(unixS).slice(2, 12)}Z`)),
  UNIX_S.map((unixS) => tlv(TAG.utcTime, digitsOf(unixS).slice(2).replace("Z", "+0100"))),
  UNIX_S.map((unixS) => tlv(TAG.utcTime, digitsOf(unixS).slice(2).replace("Z", "+0000"))),
  UNIX_S.map((unixS) => tlv(TAG.generalizedTime, digitsOf(unixS).replace("Z", ".5Z"))),
  UNIX_S.map((unixS) => tlv(TAG.generalizedTime, digitsOf(unixS).replace("Z", ""))),
  fc.stringMatching(/^\d{12}Z$/).map((digits) => tlv(TAG.utcTime, digits)),
  fc.stringMatching(/^2\d{13}Z$/).map((digits) => tlv(TAG.generalizedTime, digits)),
);
const VALIDITY: Der = mostly(
  fc.tuple(UNIX_S, UNIX_S).map((both) => {
    const [from = 0, until = 0] = both.toSorted((left, right) => left - right);
    return sequence(time(from), time(until));
  }),
  joined(sequence, ODD_TIME, ODD_TIME),
  joined(sequence, ODD_TIME),
  fc.tuple(UNIX_S, ODD_TIME).map(([from, until]) => sequence(time(from), until)),
);

function digitsOf(unixS: number): string {
  return new Date(unixS * 1000).toISOString().replaceAll(/[-:T]|\.\d+/g, "");
}

const SERIAL_NUMBER: Der = mostly(
  bytes(1, 19).map((value) => integer(Buffer.concat([Buffer.of(1), value]))),
  bytes(19, 22).map(integer),
  bytes(0, 3).map((value) => tlv(TAG.integer, value)),
);

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
const EXTENSION_LIST: fc.Arbitrary<readonly Buffer[]> = fc
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

const VERSION: Der = mostly(
  constant("a003020102"),
  constant(""),
  constant("a003020101"),
  constant("a003020103"),
  constant("a0020200"),
);
const UNIQUE_IDS: Der = mostly(
  constant(""),
  bytes(1, 4).map((id) => tlv(0x81, id)),
);
const SIGNATURE: Der = mostly(
  bytes(64, 72).map((content) => bitString(content)),
  bytes(0, 4).map((content) => tlv(TAG.bitString, content)),
);

/** One certificate. */
export const generatedCertificate: Der = fc
  .record({
    version: VERSION,
    serialNumber: SERIAL_NUMBER,
    algorithm: ALGORITHM,
    outerAlgorithm: fc.oneof(
      { weight: ODD_ONE_IN - 1, arbitrary: fc.constant(undefined) },
      { weight: 1, arbitrary: ALGORITHM },
    ),
    issuer: NAME,
    validity: VALIDITY,
    subject: NAME,
    key: KEY,
    uniqueIds: UNIQUE_IDS,
    extensions: EXTENSION_LIST,
    signature: SIGNATURE,
  })
  .map((parts) => {
    const { version, serialNumber, algorithm, issuer, validity, subject, key, uniqueIds } = parts;
    const extensions = tlv(0xa3, sequence(...parts.extensions));
    return sequence(
      sequence(
        version,
        serialNumber,
        algorithm,
        issuer,
        validity,
        subject,
        key,
        uniqueIds,
        extensions,
      ),
      parts.outerAlgorithm ?? algorithm,
      parts.signature,
    );
  });
