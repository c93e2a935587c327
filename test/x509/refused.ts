/** Parts of certificates that must not pass the gate, each wrong in one place, and the words of the answer. */
import { type CertificateParts, extensions } from "../arbitraries/certificate.ts";
import {
  TAG,
  bitString,
  extension,
  integer,
  oid,
  sequence,
  set,
  time,
  tlv,
} from "../arbitraries/der.ts";

const ECDSA_SHA1 = sequence(oid("1.2.840.10045.4.1"));
const ECDSA_SHA256 = oid("1.2.840.10045.4.3.2");
const ECDSA_SHA384 = sequence(oid("1.2.840.10045.4.3.3"));

/** Each replaces parts of a good CA; the words are a part of the answer. */
export type Refused = Readonly<Record<string, readonly [Partial<CertificateParts>, string]>>;

/** Wrong in a field, beside the extensions. */
export const REFUSED: Refused = {
  "no version": [{ version: Buffer.of() }, "identifier octet 0xa0"],
  "version 1 written out": [{ version: tlv(0xa0, integer(0)) }, "not version 3"],
  "version 4": [{ version: tlv(0xa0, integer(3)) }, "not version 3"],
  "a negative serial number": [{ serialNumber: tlv(TAG.integer, Buffer.of(0xff)) }, "negative"],
  "serial number 0": [{ serialNumber: integer(0) }, "serial number"],
  "a padded serial number": [{ serialNumber: tlv(TAG.integer, Buffer.of(0, 1)) }, "shortest"],
  "a serial number of 21 bytes": [
    { serialNumber: integer(Buffer.alloc(20, 0x80)) },
    "serial number",
  ],
  "an empty serial number": [{ serialNumber: tlv(TAG.integer) }, "INTEGER is empty"],
  "another algorithm inside than outside": [{ innerAlgorithm: ECDSA_SHA384 }, "differ"],
  "ECDSA with SHA-1": [
    { innerAlgorithm: ECDSA_SHA1, outerAlgorithm: ECDSA_SHA1 },
    "not on the list",
  ],
  "an algorithm with parameters it does not have": [
    {
      innerAlgorithm: sequence(ECDSA_SHA256, tlv(TAG.null)),
      outerAlgorithm: sequence(ECDSA_SHA256, tlv(TAG.null)),
    },
    "bytes after",
  ],
  "a signature with unused bits": [{ signature: bitString(Buffer.of(0xf0), 4) }, "unused bits"],
  "an empty issuer": [{ issuer: sequence() }, "found nothing"],
  "an asterisk in a PrintableString": [
    { subject: subject(TAG.printableString, "a*") },
    "Printable",
  ],
  "an ampersand in a PrintableString": [
    { subject: subject(TAG.printableString, "R&D") },
    "Printable",
  ],
  "an at sign in a PrintableString": [
    { subject: subject(TAG.printableString, "a@b") },
    "Printable",
  ],
  "a UTF8String that is not UTF-8": [
    { subject: subject(TAG.utf8String, Buffer.of(0xc3, 0x28)) },
    "UTF-8",
  ],
  "a UTF8String with a surrogate": [
    { subject: subject(TAG.utf8String, Buffer.of(0xed, 0xa0, 0x80)) },
    "UTF-8",
  ],
  "an IA5String with an umlaut": [
    { subject: subject(TAG.ia5String, Buffer.of(0xe4)) },
    "IA5String",
  ],
  "a line feed in a name": [{ subject: subject(TAG.utf8String, "a\nb") }, "control"],
  "a BMPString of an odd length": [{ subject: subject(TAG.bmpString, Buffer.of(0, 65, 0)) }, "odd"],
  "a BMPString with a surrogate": [
    { subject: subject(TAG.bmpString, Buffer.of(0xd8, 0)) },
    "surrogate",
  ],
  "a name that is no string": [{ subject: subject(TAG.integer, Buffer.of(1)) }, "known type"],
  "an empty string in a name": [{ subject: subject(TAG.printableString, "") }, "empty"],
  "an empty RDN": [{ subject: sequence(set()) }, "found nothing"],
  "an RDN out of order": [
    {
      subject: sequence(
        set(
          sequence(oid("2.5.4.11"), tlv(TAG.utf8String, "b")),
          sequence(oid("2.5.4.10"), tlv(TAG.utf8String, "a")),
        ),
      ),
    },
    "not in order",
  ],
  "a padded object identifier": [
    { subject: attribute(tlv(TAG.oid, Buffer.of(0x55, 0x80, 0x04, 0x03))) },
    "padded",
  ],
  "an object identifier that is cut off": [
    { subject: attribute(tlv(TAG.oid, Buffer.of(0x55, 0x84))) },
    "cut off",
  ],
  "an object identifier with an arc of 32 bits": [
    { subject: attribute(tlv(TAG.oid, Buffer.of(0x55, 0x88, 0x80, 0x80, 0x80, 0x00))) },
    "31 bits",
  ],
  "a time without seconds": [{ validity: validity("2401010000Z") }, "in full"],
  "a time with a zone": [{ validity: validity("240101000000+0000") }, "in full"],
  "a time with a fraction": [
    { validity: sequence(time(0), tlv(TAG.generalizedTime, "20500101000000.5Z")) },
    "in full",
  ],
  "the 30th of February": [{ validity: validity("240230000000Z") }, "does not exist"],
  "hour 24": [{ validity: validity("240101240000Z") }, "does not exist"],
  "a leap second": [{ validity: validity("161231235960Z") }, "does not exist"],
  "GeneralizedTime before 2050": [
    { validity: sequence(time(0), tlv(TAG.generalizedTime, "20491231235959Z")) },
    "before 2050",
  ],
  "an end before the beginning": [{ validity: sequence(time(100), time(99)) }, "ends before"],
  "unique identifiers": [{ uniqueIds: tlv(0x81, Buffer.of(0, 1)) }, "identifier octet 0xa3"],
  "no extensions": [{ extensions: [] }, "identifier octet 0xa3"],
  "a field after the extensions": [{ tbsTail: tlv(TAG.null) }, "bytes after"],
  "a serial number of 20 bytes and a sign byte": [
    { serialNumber: integer(Buffer.alloc(20, 0x80)) },
    "longer than 20 bytes",
  ],
  "a serial number of 21 bytes without a sign": [
    { serialNumber: integer(Buffer.alloc(21, 0x7f)) },
    "longer than 20 bytes",
  ],
  "a NULL that is not empty": [
    {
      innerAlgorithm: sequence(oid("1.2.840.113549.1.1.11"), tlv(TAG.null, Buffer.of(0))),
      outerAlgorithm: sequence(oid("1.2.840.113549.1.1.11"), tlv(TAG.null, Buffer.of(0))),
    },
    "NULL is not empty",
  ],
  "an empty subject": [{ subject: sequence() }, "empty subject"],
  "an empty subject beside a critical alternative name": [
    {
      subject: sequence(),
      extensions: [
        extensions.basicConstraints(true),
        extension("2.5.29.17", sequence(tlv(0x86, "spiffe://alpha.test")), true),
      ],
    },
    "empty subject of a CA",
  ],
  "an empty subject of a leaf beside an alternative name that is not critical": [
    {
      subject: sequence(),
      extensions: [extension("2.5.29.17", sequence(tlv(0x86, "spiffe://alpha.test/a")))],
    },
    "without a critical subjectAltName",
  ],
  "an empty subject of a leaf without an alternative name": [
    { subject: sequence(), extensions: [extensions.keyUsage(0)] },
    "without a critical subjectAltName",
  ],
  "an empty BMPString": [{ subject: subject(TAG.bmpString, Buffer.of()) }, "BMPString is empty"],
  "an empty UTF8String": [{ subject: subject(TAG.utf8String, "") }, "UTF8String is empty"],
  "an empty IA5String": [{ subject: subject(TAG.ia5String, "") }, "IA5String is empty"],
  "DEL in an IA5String": [{ subject: subject(TAG.ia5String, "\u007f") }, "IA5String"],
  "US in an IA5String": [{ subject: subject(TAG.ia5String, "\u001f") }, "IA5String"],
  "DEL in a UTF8String": [{ subject: subject(TAG.utf8String, "\u007f") }, "control"],
  "a control of Latin-1 in a UTF8String": [
    { subject: subject(TAG.utf8String, "\u0085") },
    "control",
  ],
  "NUL at the end of a BMPString": [
    { subject: subject(TAG.bmpString, Buffer.of(0, 65, 0, 0)) },
    "control",
  ],
  ...Object.fromEntries(
    ["d800", "dbff", "dc00", "dfff", "fdd0", "fdef", "fffe", "ffff"].map((unit) => [
      `U+${unit} in a BMPString`,
      [{ subject: subject(TAG.bmpString, Buffer.from(unit, "hex")) }, "non-character"] as const,
    ]),
  ),
  ...Object.fromEntries(
    ["\u00ff", "*", "&", "@", "_", "!", '"', "#", ";", "<", "[", "`", "{"].map((character) => [
      `${character} in a PrintableString`,
      [
        { subject: subject(TAG.printableString, Buffer.from(character, "latin1")) },
        "PrintableString",
      ] as const,
    ]),
  ),
  "an umlaut in a TeletexString": [
    { subject: subject(TAG.teletexString, Buffer.of(0xe4)) },
    "TeletexString",
  ],
  "an attribute twice in an RDN": [
    {
      subject: sequence(
        set(
          sequence(oid("2.5.4.10"), tlv(TAG.utf8String, "a")),
          sequence(oid("2.5.4.10"), tlv(TAG.utf8String, "a")),
        ),
      ),
    },
    "not in order",
  ],
  "an attribute with a value too many": [
    {
      subject: sequence(
        set(sequence(oid("2.5.4.10"), tlv(TAG.utf8String, "a"), tlv(TAG.utf8String, "b"))),
      ),
    },
    "bytes after",
  ],
  "an empty object identifier": [{ subject: attribute(tlv(TAG.oid)) }, "cut off"],
  "a first arc above 31 bits": [
    { subject: attribute(tlv(TAG.oid, Buffer.of(0x88, 0x80, 0x80, 0x80, 0x00))) },
    "31 bits",
  ],
  "a validity of one time": [{ validity: sequence(time(0)) }, "found nothing"],
  "a validity of three times": [{ validity: sequence(time(0), time(1), time(2)) }, "bytes after"],
  "UTCTime with a year of four digits": [{ validity: validity("20240101000000Z") }, "in full"],
  "GeneralizedTime with a year of two digits": [
    { validity: sequence(time(0), tlv(TAG.generalizedTime, "600101000000Z")) },
    "in full",
  ],
  "month 13": [{ validity: validity("241301000000Z") }, "does not exist"],
  "month 0": [{ validity: validity("240001000000Z") }, "does not exist"],
  "day 0": [{ validity: validity("240100000000Z") }, "does not exist"],
  "minute 60": [{ validity: validity("240101006000Z") }, "does not exist"],
  "the 29th of February in a year without": [
    { validity: validity("230229000000Z") },
    "does not exist",
  ],
};

function subject(tag: number, value: string | Uint8Array): Buffer {
  return sequence(set(sequence(oid("2.5.4.10"), tlv(tag, value))));
}

function attribute(type: Buffer): Buffer {
  return sequence(set(sequence(type, tlv(TAG.utf8String, "a"))));
}

function validity(notAfter: string): Buffer {
  return sequence(time(0), tlv(TAG.utcTime, notAfter));
}
