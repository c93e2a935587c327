/** Extensions that must not pass the gate, each wrong in one place, and the words of the answer. */
import { type CertificateParts, extensions } from "../arbitraries/certificate.ts";
import { TAG, bitString, extension, integer, oid, sequence, tlv } from "../arbitraries/der.ts";
import type { Refused } from "./refused.ts";

const NETSCAPE_CERT_TYPE = "2.16.840.1.113730.1.1";
const CA = [extensions.keyUsage(5, 6), extensions.basicConstraints(true)];

/** Wrong in an extension. */
export const REFUSED_EXTENSIONS: Refused = {
  "an extension twice": [{ extensions: [...CA, extensions.keyUsage(5)] }, "twice"],
  // OpenSSL, which reads it, takes a CA whose value it cannot read for none.
  "a Netscape certificate type that is text": [
    withExtension(extension(NETSCAPE_CERT_TYPE, tlv(TAG.ia5String, "made by hand"))),
    "identifier octet 0x03",
  ],
  "a Netscape certificate type with a ninth bit": [
    withExtension(extension(NETSCAPE_CERT_TYPE, tlv(TAG.bitString, Buffer.of(7, 0, 0x80)))),
    "without a name",
  ],
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
  "a path length of 32 bits": [
    {
      extensions: [
        extension(
          "2.5.29.19",
          sequence(tlv(TAG.boolean, Buffer.of(0xff)), integer(Buffer.of(0x80, 0, 0, 0))),
        ),
      ],
    },
    "31 bits",
  ],
  "a path length of 33 bits": [
    {
      extensions: [
        extension(
          "2.5.29.19",
          sequence(tlv(TAG.boolean, Buffer.of(0xff)), integer(Buffer.of(1, 0, 0, 0, 0))),
        ),
      ],
    },
    "31 bits",
  ],
  "a BOOLEAN of two bytes": [
    { extensions: [extension("2.5.29.19", sequence(tlv(TAG.boolean, Buffer.of(0xff, 0xff))))] },
    "BOOLEAN",
  ],
  "an empty BOOLEAN": [
    { extensions: [extension("2.5.29.19", sequence(tlv(TAG.boolean)))] },
    "BOOLEAN",
  ],
  "key usage without a byte": [
    { extensions: [extension("2.5.29.15", tlv(TAG.bitString))] },
    "names no bit",
  ],
  "a subject key identifier of 65 bytes": [
    withExtension(extensions.subjectKeyId(Buffer.alloc(65, 1))),
    "longer than 64 bytes",
  ],
  "an authority key identifier of 65 bytes": [
    withExtension(extensions.authorityKeyId(Buffer.alloc(65, 1))),
    "longer than 64 bytes",
  ],
  "an authority key identifier with a serial number of 21 bytes": [
    withExtension(
      extension(
        "2.5.29.35",
        sequence(tlv(0xa1, tlv(0x82, "a")), tlv(0x82, Buffer.alloc(21, 0x7f))),
      ),
    ),
    "above 20 bytes",
  ],
  "an authority key identifier with an issuer alone": [
    withExtension(extension("2.5.29.35", sequence(tlv(0xa1, tlv(0x82, "a"))))),
    "0x82, found nothing",
  ],
  "a critical alternative name of the issuer": [
    withExtension(extension("2.5.29.18", sequence(tlv(0x82, "a")), true)),
    "2.5.29.18 is critical",
  ],
  "critical distribution points": [
    withExtension(
      extension("2.5.29.31", sequence(sequence(tlv(0xa0, tlv(0xa0, tlv(0x82, "a"))))), true),
    ),
    "2.5.29.31 is critical",
  ],
  "critical distribution points of deltas": [
    withExtension(
      extension("2.5.29.46", sequence(sequence(tlv(0xa0, tlv(0xa0, tlv(0x82, "a"))))), true),
    ),
    "2.5.29.46 is critical",
  ],
  "a critical subject information access": [
    withExtension(
      extension(
        "1.3.6.1.5.5.7.1.11",
        sequence(sequence(oid("1.3.6.1.5.5.7.48.5"), tlv(0x86, "http://a"))),
        true,
      ),
    ),
    "1.3.6.1.5.5.7.1.11 is critical",
  ],
  "a critical comment of Netscape": [
    withExtension(extension("2.16.840.1.113730.1.13", tlv(TAG.ia5String, "a"), true)),
    "not on the list",
  ],
  "an extension of an arc that begins as a private one": [
    withExtension(extension("1.3.6.1.4.11", tlv(TAG.null))),
    "not on the list",
  ],
  "a distribution point with reasons": [
    withExtension(
      extension(
        "2.5.29.31",
        sequence(sequence(tlv(0xa0, tlv(0xa0, tlv(0x86, "http://a"))), tlv(0x81, Buffer.of(1, 2)))),
      ),
    ),
    "bytes after",
  ],
  "a policy qualifier of another kind": [
    withExtension(
      extension(
        "2.5.29.32",
        sequence(
          sequence(oid("2.5.29.32.0"), sequence(sequence(oid("1.2.3"), tlv(TAG.utf8String, "a")))),
        ),
      ),
    ),
    "policy qualifier 1.2.3 is not on the list",
  ],
  "a user notice with a reference": [
    withExtension(
      extension(
        "2.5.29.32",
        sequence(
          sequence(
            oid("2.5.29.32.0"),
            sequence(
              sequence(
                oid("1.3.6.1.5.5.7.2.2"),
                sequence(sequence(tlv(TAG.utf8String, "a"), sequence(integer(1)))),
              ),
            ),
          ),
        ),
      ),
    ),
    "known type",
  ],
  "no policy in its list": [withExtension(extension("2.5.29.32", sequence())), "found nothing"],
};

/** A good CA with more extensions. */
export function withExtension(...more: readonly Buffer[]): Partial<CertificateParts> {
  return { extensions: [...CA, ...more] };
}

/** Critical name constraints that permit these. */
export function constraints(...bases: readonly Buffer[]): Buffer {
  return extension("2.5.29.30", sequence(tlv(0xa0, ...bases.map((base) => sequence(base)))), true);
}
