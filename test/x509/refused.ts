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

const CA = [extensions.keyUsage(5, 6), extensions.basicConstraints(true)];
const ECDSA_SHA1 = sequence(oid("1.2.840.10045.4.1"));
const ECDSA_SHA256 = oid("1.2.840.10045.4.3.2");
const ECDSA_SHA384 = sequence(oid("1.2.840.10045.4.3.3"));

/** Each replaces parts of a good CA; the words are a part of the answer. */
export const REFUSED: Readonly<Record<string, readonly [Partial<CertificateParts>, string]>> = {
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
  "an extension twice": [{ extensions: [...CA, extensions.keyUsage(5)] }, "twice"],
  "critical FALSE written out": [
    withExtension(
      sequence(
        oid("2.5.29.14"),
        tlv(TAG.boolean, Buffer.of(0)),
        tlv(TAG.octetString, tlv(4, "id")),
      ),
    ),
    "BOOLEAN",
  ],
  "critical TRUE as 0x01": [
    withExtension(
      sequence(
        oid("2.5.29.17"),
        tlv(TAG.boolean, Buffer.of(1)),
        tlv(TAG.octetString, sequence(tlv(0x86, "a:b"))),
      ),
    ),
    "BOOLEAN",
  ],
  "cA TRUE as 0x01": [
    { extensions: [extension("2.5.29.19", sequence(tlv(TAG.boolean, Buffer.of(1))))] },
    "BOOLEAN",
  ],
  "cA FALSE written out": [
    { extensions: [extension("2.5.29.19", sequence(tlv(TAG.boolean, Buffer.of(0))))] },
    "BOOLEAN",
  ],
  "a path length without cA": [
    { extensions: [extension("2.5.29.19", sequence(integer(1)))] },
    "no CA",
  ],
  "a negative path length": [
    {
      extensions: [
        extension(
          "2.5.29.19",
          sequence(tlv(TAG.boolean, Buffer.of(0xff)), tlv(TAG.integer, Buffer.of(0x80))),
        ),
      ],
    },
    "negative",
  ],
  "key usage with set padding bits": [
    { extensions: [extension("2.5.29.15", bitString(Buffer.of(0x07), 2))] },
    "trailing",
  ],
  "key usage with a trailing zero bit": [
    { extensions: [extension("2.5.29.15", bitString(Buffer.of(0x04), 1))] },
    "trailing",
  ],
  "key usage with a trailing zero byte": [
    { extensions: [extension("2.5.29.15", bitString(Buffer.of(0x06, 0), 0))] },
    "trailing",
  ],
  "key usage with 8 unused bits": [
    { extensions: [extension("2.5.29.15", bitString(Buffer.of(0x80), 8))] },
    "trailing",
  ],
  "key usage without a bit": [
    { extensions: [extension("2.5.29.15", bitString(Buffer.of()))] },
    "names no bit",
  ],
  "key usage of a tenth bit": [
    { extensions: [extension("2.5.29.15", bitString(Buffer.of(0, 0x40), 6))] },
    "without a name",
  ],
  "no extended key usage in its list": [
    withExtension(extension("2.5.29.37", sequence())),
    "found nothing",
  ],
  "an empty subject key identifier": [
    withExtension(extensions.subjectKeyId(Buffer.of())),
    "key identifier",
  ],
  "a critical subject key identifier": [
    withExtension(extension("2.5.29.14", tlv(4, "id"), true)),
    "critical",
  ],
  "a critical authority key identifier": [
    withExtension(extension("2.5.29.35", sequence(tlv(0x80, "id")), true)),
    "critical",
  ],
  "a critical authority information access": [
    withExtension(
      extension(
        "1.3.6.1.5.5.7.1.1",
        sequence(sequence(oid("1.3.6.1.5.5.7.48.1"), tlv(0x86, "http://a"))),
        true,
      ),
    ),
    "critical",
  ],
  "an authority key identifier with a serial number alone": [
    withExtension(extension("2.5.29.35", sequence(tlv(0x82, Buffer.of(1))))),
    "0xa1",
  ],
  "an authority information access without a place": [
    withExtension(extension("1.3.6.1.5.5.7.1.1", sequence(sequence(oid("1.3.6.1.5.5.7.48.1"))))),
    "GeneralName",
  ],
  "an authority information access that is not a list": [
    withExtension(
      extension("1.3.6.1.5.5.7.1.1", sequence(oid("1.3.6.1.5.5.7.48.1"), tlv(0x86, "http://a"))),
    ),
    "0x30",
  ],
  "an empty distribution point": [
    withExtension(extension("2.5.29.31", sequence(sequence()))),
    "0xa0",
  ],
  "a policy twice": [
    withExtension(
      extension("2.5.29.32", sequence(sequence(oid("2.5.29.32.0")), sequence(oid("2.5.29.32.0")))),
    ),
    "twice",
  ],
  "empty name constraints": [withExtension(extension("2.5.29.30", sequence(), true)), "empty"],
  "an empty list of constraints": [withExtension(constraints()), "found nothing"],
  "a URI constraint on an address": [
    withExtension(constraints(tlv(0x86, "10.0.0.1"))),
    "URI constraint",
  ],
  "a URI constraint that is a URI": [
    withExtension(constraints(tlv(0x86, "spiffe://alpha.test"))),
    "URI constraint",
  ],
  "an address constraint with a mask that has gaps": [
    withExtension(constraints(tlv(0x87, Buffer.from("0a000000ff00ff00", "hex")))),
    "gaps",
  ],
  "a constraint with a minimum": [
    withExtension(
      extension(
        "2.5.29.30",
        sequence(tlv(0xa0, sequence(tlv(0x82, "a"), tlv(0x80, Buffer.of(0))))),
      ),
    ),
    "bytes after",
  ],
  "bytes after the value of an extension": [
    withExtension(extension("2.5.29.14", Buffer.concat([tlv(4, "id"), tlv(TAG.null)]))),
    "bytes after",
  ],
  "an unknown critical extension": [
    withExtension(extension("1.3.6.1.4.1.99999.1", tlv(5), true)),
    "not on the list",
  ],
  "an unknown extension of a standard arc": [
    withExtension(extension("2.5.29.99", tlv(5))),
    "not on the list",
  ],
  "a subject alternative name of another kind": [
    withExtension(
      extension("2.5.29.17", sequence(tlv(0xa0, oid("1.2.3"), tlv(0xa0, tlv(12, "a"))))),
    ),
    "GeneralName",
  ],
  "no subject alternative name in its list": [
    withExtension(extension("2.5.29.17", sequence())),
    "GeneralName",
  ],
  "an address of five bytes": [
    withExtension(extension("2.5.29.17", sequence(tlv(0x87, Buffer.alloc(5))))),
    "iPAddress",
  ],
  "a DNS name with a space": [
    withExtension(extension("2.5.29.17", sequence(tlv(0x82, "a b")))),
    "dNSName",
  ],
  "an email address without a host": [
    withExtension(extension("2.5.29.17", sequence(tlv(0x81, "root")))),
    "mailbox",
  ],
};

/** URIs that Go refuses, or that RFC 3986 does. */
export const BAD_URIS = [
  "",
  "alpha.test",
  "//alpha.test",
  "spiffe//alpha.test",
  "1spiffe://alpha.test",
  "spiffe://alpha..test",
  "spiffe://alpha.test.",
  "spiffe://.test",
  "spiffe://al pha.test",
  "spiffe://alpha.test/%",
  "spiffe://alpha.test/%4",
  "spiffe://alpha.test/%zz",
  "spiffe://alpha%41.test/",
  "spiffe://user@alpha.test/",
  "spiffe://alpha.test:port/",
  "spiffe://alpha.test:/",
  "spiffe://[::1/",
  "spiffe://[1::2::3]/",
  "spiffe://[not]/",
  "spiffe://alpha.test/\u0000",
  "spiffe://alpha.test/é",
  'spiffe://alpha.test/"',
  "spiffe://alpha.test/a b",
  "spiffe://alpha.test/#%",
  ":opaque",
];

function subject(tag: number, value: string | Uint8Array): Buffer {
  return sequence(set(sequence(oid("2.5.4.10"), tlv(tag, value))));
}

function attribute(type: Buffer): Buffer {
  return sequence(set(sequence(type, tlv(TAG.utf8String, "a"))));
}

function validity(notAfter: string): Buffer {
  return sequence(time(0), tlv(TAG.utcTime, notAfter));
}

function withExtension(...more: readonly Buffer[]): Partial<CertificateParts> {
  return { extensions: [...CA, ...more] };
}

function constraints(...bases: readonly Buffer[]): Buffer {
  return extension("2.5.29.30", sequence(tlv(0xa0, ...bases.map((base) => sequence(base)))), true);
}
