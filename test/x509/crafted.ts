/**
 * Eighteen CAs, each canonical as ASN.1 and wrong in one place as X.509: what a gate that parses and
 * encodes again lets by. Go refuses sixteen of them.
 */
import { makeAuthority } from "../arbitraries/authority.ts";
import { type CertificateParts, extensions } from "../arbitraries/certificate.ts";
import {
  TAG,
  bitString,
  extension,
  integer,
  octetString,
  oid,
  sequence,
  set,
  time,
  tlv,
} from "../arbitraries/der.ts";

const CA = [extensions.keyUsage(5, 6), extensions.basicConstraints(true)];
const OCSP = oid("1.3.6.1.5.5.7.48.1");

function crafted(overrides: Partial<CertificateParts>): Buffer {
  return makeAuthority({ trustDomain: "alpha.test", overrides }).der;
}

function withExtension(id: string, value: Uint8Array, critical = false): Buffer {
  return crafted({ extensions: [...CA, extension(id, value, critical)] });
}

function named(tag: number, text: string | Uint8Array): Buffer {
  return crafted({ subject: sequence(set(sequence(oid("2.5.4.10"), tlv(tag, text)))) });
}

function boolean(byte: number): Buffer {
  return tlv(TAG.boolean, Buffer.of(byte));
}

interface Crafted {
  readonly der: Buffer;
  /** A part of the gate's answer. */
  readonly words: string;
  /** Go alone would take it. */
  readonly goTakes?: true;
}

export const CRAFTED: Readonly<Record<string, Crafted>> = {
  "critical TRUE as 0x01": {
    der: crafted({
      extensions: [
        ...CA,
        sequence(oid("2.5.29.37"), boolean(1), octetString(sequence(oid("2.5.29.37.0")))),
      ],
    }),
    words: "BOOLEAN is not TRUE as 0xff",
  },
  "cA TRUE as 0x01": {
    der: crafted({ extensions: [extension("2.5.29.19", sequence(boolean(1)), true)] }),
    words: "BOOLEAN is not TRUE as 0xff",
  },
  "cA FALSE written out": {
    der: crafted({ extensions: [extension("2.5.29.19", sequence(boolean(0)), true)] }),
    words: "BOOLEAN is not TRUE as 0xff",
    goTakes: true,
  },
  "a negative serial number": {
    der: crafted({ serialNumber: tlv(TAG.integer, Buffer.of(0x80)) }),
    words: "INTEGER is negative",
  },
  "a time without seconds": {
    der: crafted({ validity: sequence(time(0), tlv(TAG.utcTime, "4901010000Z")) }),
    words: "time is not written in full",
    goTakes: true,
  },
  "a GeneralizedTime without seconds": {
    der: crafted({ validity: sequence(time(0), tlv(TAG.generalizedTime, "205001010000Z")) }),
    words: "time is not written in full",
  },
  "an at sign in a PrintableString": {
    der: named(TAG.printableString, "root@alpha.test"),
    words: "PrintableString is empty or outside its alphabet",
  },
  "an umlaut in an IA5String": {
    der: named(TAG.ia5String, Buffer.of(0xe4)),
    words: "IA5String is empty or outside its alphabet",
  },
  "Latin-1 in a UTF8String": {
    der: named(TAG.utf8String, Buffer.of(0x47, 0xf6)),
    words: "UTF8String is not UTF-8",
  },
  "key usage with padding bits set": {
    der: crafted({ extensions: [extension("2.5.29.15", bitString(Buffer.of(0x07), 1), true)] }),
    words: "BIT STRING has trailing zero bits",
  },
  "key usage with eight unused bits": {
    der: crafted({ extensions: [extension("2.5.29.15", bitString(Buffer.of(0x80), 8), true)] }),
    words: "BIT STRING has trailing zero bits",
  },
  "an authority information access that is one description": {
    der: withExtension("1.3.6.1.5.5.7.1.1", sequence(OCSP, tlv(0x86, "http://ocsp.alpha.test"))),
    words: "expected identifier octet 0x30, found 0x06",
  },
  "a critical authority information access": {
    der: withExtension(
      "1.3.6.1.5.5.7.1.1",
      sequence(sequence(OCSP, tlv(0x86, "http://ocsp.alpha.test"))),
      true,
    ),
    words: "extension 1.3.6.1.5.5.7.1.1 is critical",
  },
  "a subjectAltName with a URI that does not parse": {
    der: withExtension("2.5.29.17", sequence(tlv(0x86, "spiffe://alpha.test/%zz"))),
    words: "URI does not parse",
  },
  "a subjectAltName with an address of five bytes": {
    der: withExtension("2.5.29.17", sequence(tlv(0x87, Buffer.alloc(5)))),
    words: "iPAddress is neither 4 nor 16 bytes",
  },
  "a subject key identifier that is an INTEGER": {
    der: withExtension("2.5.29.14", integer(7)),
    words: "expected identifier octet 0x04, found 0x02",
  },
  "a certificate policy twice": {
    der: withExtension(
      "2.5.29.32",
      sequence(sequence(oid("2.5.29.32.0")), sequence(oid("2.5.29.32.0"))),
    ),
    words: "policy 2.5.29.32.0 is there twice",
  },
  "name constraints of nothing": {
    der: withExtension("2.5.29.30", sequence(), true),
    words: "nameConstraints are empty",
  },
};
