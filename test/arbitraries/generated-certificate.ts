/**
 * Certificates built from the grammar of X.509. Unlike damaged certificates these combine parts
 * freely, with kinds, types and shapes that no certificate of ours has. Signatures are bytes without
 * meaning: a reader does not verify.
 */
import * as fc from "fast-check";
import { TAG, bitString, integer, oid, sequence, time, tlv } from "./der.ts";
import { type Der, ODD_ONE_IN, bytes, constant, joined, mostly } from "./der-grammar.ts";
import { EXTENSION_LIST } from "./generated-extensions.ts";
import { KEY } from "./generated-key.ts";
import { NAME, OID } from "./generated-names.ts";

const NULL = tlv(TAG.null);
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
