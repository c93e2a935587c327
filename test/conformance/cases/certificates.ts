/** Step 7: authorities that pass the gate, and crafted ones that do not, each wrong in one place. */
import { type CertificateParts, extensions } from "../../arbitraries/certificate.ts";
import {
  TAG,
  bitString,
  extension,
  integer,
  name,
  octetString,
  oid,
  sequence,
  set,
  time,
  tlv,
} from "../../arbitraries/der.ts";
import { concatBytes } from "../../../src/core/std/bytes.ts";
import { type Authority, TRUST_DOMAIN, authority } from "../fixed-certificates.ts";
import { casesIn, refused, taken } from "../conformance-case.ts";
import { ca, genesis, jwtAuthority, next, otherCa, untainted } from "../fixed-records.ts";
import { p256Key } from "../fixed-keys.ts";

const { cases, add } = casesIn("certificates");
export const certificateCases = cases;

const CA = [extensions.keyUsage(5, 6), extensions.basicConstraints(true)];
const ID = extensions.uriSans(`spiffe://${TRUST_DOMAIN}`);

/** A record that lists one more authority. */
const listing = (each: Pick<Authority, "der">) =>
  next({ x509Authorities: [...untainted(ca, otherCa), { der: each.der, tainted: false }] });
const good = (title: string, shows: string, parts: Partial<CertificateParts>): void =>
  add(title, shows, [taken(genesis), taken(listing(authority(title, { parts })))]);
const bad = (title: string, shows: string, parts: Partial<CertificateParts>): void =>
  add(title, shows, [
    taken(genesis),
    refused("AUTHORITY_MALFORMED", listing(authority(title, { parts }))),
  ]);
const badDer = (title: string, shows: string, der: Uint8Array): void =>
  add(title, shows, [taken(genesis), refused("AUTHORITY_MALFORMED", listing({ der }))]);
const badExtension = (title: string, shows: string, ...more: readonly Buffer[]): void =>
  bad(title, shows, { extensions: [...CA, ID, ...more] });
const badKey = (title: string, shows: string, spki: Uint8Array): void =>
  bad(title, shows, { spki });
const withTime = (text: string): Partial<CertificateParts> => ({
  validity: sequence(tlv(TAG.utcTime, text), time(2_000_000_000)),
});
const withName = (tag: number, value: string | Uint8Array): Partial<CertificateParts> => ({
  subject: sequence(set(sequence(oid("2.5.4.10"), tlv(tag, value)))),
});

// What is no certificate of ours as a whole.
badDer("an empty sequence", "an authority is one certificate", Uint8Array.of(0x30, 0));
badDer(
  "two certificates glued together",
  "nothing follows the certificate",
  concatBytes(authority("glued 1").der, authority("glued 2").der),
);
badDer("a length in two bytes", "DER lengths are shortest", looseLength(authority("loose").der));
bad("version 1", "the certificate is v3", { version: Buffer.of() });
bad("unique identifiers", "there are no unique identifiers", {
  uniqueIds: tlv(0x81, Buffer.of(0, 1)),
});
bad("no extensions", "a CA has extensions", { extensions: [] });
bad(
  "another algorithm inside than outside",
  "the signature algorithm is the same inside and outside",
  { innerAlgorithm: sequence(oid("1.2.840.10045.4.3.3")) },
);
bad(
  "ECDSA with SHA 1",
  "the signature algorithm is on the list",
  both(sequence(oid("1.2.840.10045.4.1"))),
);
good(
  "RSA with SHA 1",
  "an old root's own signature is never verified",
  both(sequence(oid("1.2.840.113549.1.1.5"), tlv(TAG.null))),
);
bad(
  "RSA without NULL",
  "algorithms have exactly their parameters",
  both(sequence(oid("1.2.840.113549.1.1.11"))),
);

bad("version 4", "the certificate is v3", { version: tlv(0xa0, integer(3)) });
bad("a signature with unused bits", "signatures are whole bytes", {
  signature: bitString(Buffer.of(0xf0), 4),
});
bad("a length that is too long", "lengths are in their shortest form at every depth", {
  serialNumber: Buffer.of(TAG.integer, 0x81, 1, 5),
});

// Fields.
bad("a negative serial number", "serial numbers are positive", {
  serialNumber: tlv(TAG.integer, Buffer.of(0xff)),
});
bad("serial number 0", "serial numbers are positive", { serialNumber: integer(0) });
bad("a padded serial number", "integers are shortest", {
  serialNumber: tlv(TAG.integer, Buffer.of(0, 1)),
});
bad("a serial number of 21 bytes", "serial numbers have at most 20 bytes, the sign byte included", {
  serialNumber: integer(Buffer.alloc(20, 0x80)),
});
good(
  "a serial number of 20 bytes",
  "serial numbers have at most 20 bytes, the sign byte included",
  { serialNumber: integer(Buffer.alloc(20, 0x7f)) },
);
bad("a time without seconds", "times are written in full", withTime("2401010000Z"));
bad("a time with a zone", "times end with Z", withTime("240101000000+0000"));
bad("the 30th of February", "times exist", withTime("240230000000Z"));
bad("a generalized time before 2050", "UTCTime until 2049", {
  validity: sequence(time(0), tlv(TAG.generalizedTime, "20491231235959Z")),
});
bad("an end before the beginning", "validity has a duration", {
  validity: sequence(time(100), time(99)),
});
bad(
  "an asterisk in a PrintableString",
  "PrintableString has X.680's alphabet",
  withName(TAG.printableString, "a*"),
);
bad(
  "a UTF8String that is not UTF 8",
  "strings are what their type says",
  withName(TAG.utf8String, Buffer.of(0xc3, 0x28)),
);
bad("a line feed in a name", "names have no control characters", withName(TAG.utf8String, "a\nb"));
bad(
  "a name that is no string",
  "attribute values are strings of five types",
  withName(TAG.integer, Buffer.of(1)),
);
bad("an empty subject", "a CA has a subject", { subject: sequence() });
good("a name of two values", "an RDN may have several values, in order", {
  subject: sequence(
    set(
      sequence(oid("2.5.4.10"), tlv(TAG.utf8String, "a")),
      sequence(oid("2.5.4.11"), tlv(TAG.utf8String, "b")),
    ),
  ),
});
bad("a name of two values out of order", "the values of an RDN ascend", {
  subject: sequence(
    set(
      sequence(oid("2.5.4.11"), tlv(TAG.utf8String, "b")),
      sequence(oid("2.5.4.10"), tlv(TAG.utf8String, "a")),
    ),
  ),
});

bad("an empty issuer", "an issuer has a name", { issuer: sequence() });
bad("an IA5String with an umlaut", "IA5String is ASCII", withName(TAG.ia5String, Buffer.of(0xe4)));
bad("a padded object identifier", "arcs are in their shortest form", {
  subject: sequence(
    set(sequence(tlv(TAG.oid, Buffer.of(0x55, 0x80, 0x04, 0x03)), tlv(TAG.utf8String, "a"))),
  ),
});

// Keys.
badKey(
  "a compressed point",
  "EC points are uncompressed",
  ecKey("1.2.840.10045.3.1.7", Buffer.from(pointOf("compressed").subarray(0, 33)).fill(2, 0, 1)),
);
badKey(
  "a point off its curve",
  "EC points lie on their curve",
  ecKey("1.2.840.10045.3.1.7", Buffer.concat([Buffer.of(4), Buffer.alloc(64, 1)])),
);
badKey(
  "a key of secp256k1",
  "curves are P-256, P-384 and P-521",
  ecKey("1.3.132.0.10", pointOf("k1")),
);
badKey("an RSA key of 1024 bits", "RSA keys have 2048 to 8192 bits", rsaKey(128, 65_537));
good("an RSA key of 2048 bits", "RSA keys have 2048 to 8192 bits", { spki: rsaKey(256, 65_537) });
badKey(
  "an RSA key with an even exponent",
  "the exponent is odd and 3 at the least",
  rsaKey(256, 65_536),
);
badKey(
  "an Ed25519 key of small order",
  "Ed25519 keys are no points of small order",
  sequence(
    sequence(oid("1.3.101.112")),
    bitString(Buffer.concat([Buffer.of(1), Buffer.alloc(31)])),
  ),
);

badKey(
  "a point in hybrid form",
  "EC points are uncompressed",
  ecKey("1.2.840.10045.3.1.7", Buffer.concat([Buffer.of(6), pointOf("hybrid").subarray(1)])),
);
badKey("an RSA key of 8200 bits", "RSA keys have 2048 to 8192 bits", rsaKey(1_025, 65_537));
badKey("an RSA key with an even modulus", "the modulus is odd", rsaKey(256, 65_537, 0xfe));
badKey(
  "an Ed25519 key that is not reduced",
  "the y of an Ed25519 key is below p",
  sequence(
    sequence(oid("1.3.101.112")),
    bitString(Buffer.concat([Buffer.of(0xf0), Buffer.alloc(30, 0xff), Buffer.of(0x7f)])),
  ),
);

// What it may do.
bad("no CA", "an authority is a CA", { extensions: [extensions.basicConstraints(false), ID] });
bad("no keyCertSign", "an authority with a key usage has keyCertSign", {
  extensions: [extensions.keyUsage(6), extensions.basicConstraints(true), ID],
});
good("no key usage", "an authority may have no key usage", {
  extensions: [extensions.basicConstraints(true), ID],
});
bad("two URI SANs", "an authority has at most one URI SAN", {
  extensions: [...CA, extensions.uriSans("spiffe://alpha.test", "spiffe://bravo.test")],
});

// Extensions.
badExtension(
  "cA TRUE as 1",
  "TRUE is 0xff",
  sequence(oid("2.5.29.31"), tlv(TAG.boolean, Buffer.of(1)), octetString(sequence())),
);
bad("cA FALSE written out", "FALSE is never written", {
  extensions: [extension("2.5.29.19", sequence(tlv(TAG.boolean, Buffer.of(0))))],
});
bad("a key usage with a trailing zero bit", "named bits end with a set bit", {
  extensions: [
    extension("2.5.29.15", bitString(Buffer.of(0x04), 1)),
    extensions.basicConstraints(true),
  ],
});
badExtension("an extension twice", "no extension stands twice", extensions.keyUsage(5));
badExtension(
  "an unknown critical extension",
  "what is critical is known",
  extension("1.3.6.1.4.1.99999.1", tlv(5), true),
);
badExtension(
  "an unknown extension of a standard arc",
  "what is not on the list is refused",
  extension("2.5.29.99", tlv(5)),
);
good("an unknown extension of a private arc", "what is private and not critical passes unread", {
  extensions: [...CA, ID, extension("1.3.6.1.4.1.99999.1", Buffer.of(1, 2, 3))],
});
badExtension(
  "a critical subject key id",
  "some extensions are never critical",
  extension("2.5.29.14", tlv(4, "id"), true),
);
badExtension(
  "an empty subject key id",
  "key ids have 1 to 64 bytes",
  extensions.subjectKeyId(Buffer.of()),
);
badExtension(
  "bytes behind the value of an extension",
  "a value fills its extension",
  extension("2.5.29.14", Buffer.concat([tlv(4, "id"), tlv(TAG.null)])),
);
badExtension(
  "an authority information access without a place",
  "each extension is read to its end",
  extension("1.3.6.1.5.5.7.1.1", sequence(sequence(oid("1.3.6.1.5.5.7.48.1")))),
);
badExtension(
  "an address of five bytes",
  "names in extensions are what their kind says",
  extension("2.5.29.18", sequence(tlv(0x87, Buffer.alloc(5)))),
);
badExtension(
  "an other name",
  "kinds of names that are not on the list are refused",
  extension("2.5.29.18", sequence(tlv(0xa0, oid("1.2.3"), tlv(0xa0, tlv(12, "a"))))),
);
badExtension(
  "a constraint that is a URI",
  "a URI constraint is a host or a domain",
  extension("2.5.29.30", sequence(tlv(0xa0, sequence(tlv(0x86, "spiffe://alpha.test")))), true),
);
good("every extension on the list", "what strict decoders read to the end passes", {
  extensions: [...CA, ID, ...allExtensions()],
});

bad("a key usage of a tenth bit", "key usage has nine bits", {
  extensions: [
    extension("2.5.29.15", bitString(Buffer.of(0x04, 0x40), 6)),
    extensions.basicConstraints(true),
  ],
});
bad("a path length of no CA", "only a CA has a path length", {
  extensions: [extension("2.5.29.19", sequence(integer(1)))],
});
badExtension(
  "empty name constraints",
  "name constraints constrain something",
  extension("2.5.29.30", sequence(), true),
);
badExtension(
  "a URI constraint on an address",
  "a URI constraint is a host or a domain",
  extension("2.5.29.30", sequence(tlv(0xa0, sequence(tlv(0x86, "10.0.0.1")))), true),
);

// JWT authorities.
const jwt = (spki: Uint8Array) =>
  next({ jwtAuthorities: [jwtAuthority("key-1"), jwtAuthority("key-2", { spki })] });
add("a JWT authority that is no key", "a JWT authority is one canonical SubjectPublicKeyInfo", [
  taken(genesis),
  refused("AUTHORITY_MALFORMED", jwt(Uint8Array.of(0x30, 0))),
]);
add("a JWT authority with a byte behind", "nothing follows the key", [
  taken(genesis),
  refused("AUTHORITY_MALFORMED", jwt(concatBytes(p256Key("jwt").spki, Uint8Array.of(0)))),
]);
add("a JWT authority with an RSA key", "JWT authorities have the same kinds of keys", [
  taken(genesis),
  taken(jwt(rsaKey(256, 3))),
]);

function both(algorithm: Uint8Array): Partial<CertificateParts> {
  return { innerAlgorithm: algorithm, outerAlgorithm: algorithm };
}

/** The same certificate with its outermost length in three bytes. */
function looseLength(der: Uint8Array): Uint8Array {
  return concatBytes(Uint8Array.of(0x30, 0x83, 0), der.subarray(2));
}

function pointOf(label: string): Uint8Array {
  return p256Key(label).spki.subarray(-65);
}

function ecKey(curve: string, point: Uint8Array): Uint8Array {
  return sequence(sequence(oid("1.2.840.10045.2.1"), oid(curve)), bitString(point));
}

/** A modulus of so many bytes, all ones but for the last one: nobody has its private key. */
function rsaKey(bytes: number, exponent: number, last = 0xff): Uint8Array {
  const modulus = integer(Buffer.alloc(bytes, 0xff).fill(last, bytes - 1));
  return sequence(
    sequence(oid("1.2.840.113549.1.1.1"), tlv(TAG.null)),
    bitString(sequence(modulus, integer(exponent))),
  );
}

function allExtensions(): Buffer[] {
  const http = tlv(0x86, "http://ca.alpha.test/crl");
  const dn = tlv(0xa4, name([["2.5.4.3", "root"]]));
  const points = sequence(sequence(tlv(0xa0, tlv(0xa0, http))));
  return [
    extensions.subjectKeyId(Buffer.alloc(20, 1)),
    extension(
      "2.5.29.35",
      sequence(tlv(0x80, Buffer.alloc(20, 2)), tlv(0xa1, dn), tlv(0x82, Buffer.of(1))),
    ),
    extension(
      "2.5.29.18",
      sequence(tlv(0x81, "ca@alpha.test"), tlv(0x82, "alpha.test"), tlv(0x87, Buffer.alloc(4)), dn),
    ),
    extension(
      "2.5.29.30",
      sequence(
        tlv(
          0xa0,
          sequence(tlv(0x86, ".test")),
          sequence(tlv(0x87, Buffer.from("0a000000ff000000", "hex"))),
        ),
      ),
    ),
    extension("2.5.29.31", points),
    extension("2.5.29.46", points),
    extension(
      "2.5.29.32",
      sequence(
        sequence(
          oid("2.5.29.32.0"),
          sequence(
            sequence(oid("1.3.6.1.5.5.7.2.1"), tlv(TAG.ia5String, "http://alpha.test/cps")),
            sequence(oid("1.3.6.1.5.5.7.2.2"), sequence(tlv(TAG.utf8String, "notice"))),
          ),
        ),
      ),
    ),
    extensions.serverAndClientAuth(),
    extension("1.3.6.1.5.5.7.1.1", sequence(sequence(oid("1.3.6.1.5.5.7.48.2"), http))),
    extension("1.3.6.1.5.5.7.1.11", sequence(sequence(oid("1.3.6.1.5.5.7.48.5"), http))),
    extension("2.16.840.1.113730.1.1", bitString(Buffer.of(0x07), 0)),
    extension("2.16.840.1.113730.1.13", tlv(TAG.ia5String, "made by a tool")),
  ];
}
