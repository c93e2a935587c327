/** Certificates that must pass the gate: SPIRE's own, and what ordinary corporate CAs emit. */
import { type AuthorityOptions, VALID_FROM_S, makeAuthority } from "../arbitraries/authority.ts";
import { extensions, makeKeyPair } from "../arbitraries/certificate.ts";
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
} from "../arbitraries/der.ts";

const TRUST_DOMAIN = "alpha.test";
/** Characters next to those that BMPString has not, and an alphabet's first and last. */
const BMP_EDGES = Buffer.from("d7ffe000fdcffdf0fffd002000a0", "hex");
/** A host name of 253 characters in labels of 63. */
const LONGEST_HOST = [63, 63, 63, 61].map((length) => "a".repeat(length)).join(".");

const CA = [extensions.keyUsage(5, 6), extensions.basicConstraints(true)];

const spire = makeAuthority({ trustDomain: TRUST_DOMAIN });
const spireIntermediate = spire.issueIntermediate();

/** A CA in SPIRE's shape with other extensions or other parts. */
function authority(overrides: AuthorityOptions["overrides"] = {}): Buffer {
  return makeAuthority({ trustDomain: TRUST_DOMAIN, overrides }).der;
}

function withExtension(...more: readonly Buffer[]): Buffer {
  return authority({ extensions: [...CA, ...more] });
}

function uri(text: string): Buffer {
  return tlv(0x86, text);
}

function distributionPoint(...names: readonly Buffer[]): Buffer {
  return sequence(sequence(tlv(0xa0, tlv(0xa0, ...names))));
}

function nameConstraints(permitted: readonly Buffer[], excluded: readonly Buffer[] = []): Buffer {
  return sequence(subtrees(0xa0, permitted), subtrees(0xa1, excluded));
}

function subtrees(tag: number, bases: readonly Buffer[]): Buffer {
  return bases.length === 0 ? Buffer.of() : tlv(tag, ...bases.map((base) => sequence(base)));
}

const corporateName = sequence(
  set(sequence(oid("2.5.4.6"), tlv(TAG.printableString, "DE"))),
  set(
    sequence(oid("2.5.4.11"), tlv(TAG.teletexString, "Trust*Center")),
    sequence(oid("2.5.4.10"), tlv(TAG.utf8String, "Größe & Söhne")),
  ),
  set(sequence(oid("0.9.2342.19200300.100.1.25"), tlv(TAG.ia5String, "corp"))),
  set(sequence(oid("2.5.4.3"), tlv(TAG.bmpString, Buffer.from("0052006f006f0074", "hex")))),
);

/** URIs that Go and RFC 3986 take. */
const GOOD_URIS = [
  "spiffe://a",
  "spiffe://alpha.test/",
  "spiffe://a_b.c-d.test/x//y/%41%ff",
  "http://alpha.test:1/",
  "http://alpha.test:65535",
  "http://alpha.test:80/a?b=/c?d#e/f?g",
  "ldap:///CN=Root,DC=corp?crl?base",
  "urn:a",
  "a+-.0:b/c",
  "http://a?",
  "http://a#",
];

export const ACCEPTED: Readonly<Record<string, Buffer>> = {
  "SPIRE's self-signed CA": spire.der,
  "an intermediate below another SPIRE Server": spireIntermediate.der,
  "an X509-SVID": spireIntermediate.issueLeaf({ spiffeId: "spiffe://alpha.test/a/b" }).der,
  "an X509-SVID with DNS names and an empty subject": spire.issueLeaf({
    spiffeId: "spiffe://alpha.test/web",
    overrides: {
      subject: sequence(),
      extensions: [
        extension(
          "2.5.29.17",
          sequence(
            tlv(0x82, "*.web.alpha.test"),
            uri("spiffe://alpha.test/web"),
            tlv(0x87, Buffer.alloc(16, 1)),
          ),
          true,
        ),
      ],
    },
  }).der,
  "a CA with a P-384 key": makeAuthority({ trustDomain: TRUST_DOMAIN, keyType: "ec-p384" }).der,
  "a CA with a P-521 key": makeAuthority({ trustDomain: TRUST_DOMAIN, keyType: "ec-p521" }).der,
  "a CA with an RSA key": makeAuthority({ trustDomain: TRUST_DOMAIN, keyType: "rsa-2048" }).der,
  "a CA with an Ed25519 key": makeAuthority({ trustDomain: TRUST_DOMAIN, keyType: "ed25519" }).der,
  "a CA valid until 9999": makeAuthority({ trustDomain: TRUST_DOMAIN, notAfterS: 253_402_300_799 })
    .der,
  "a CA whose time ended in 1970": makeAuthority({
    trustDomain: TRUST_DOMAIN,
    notBeforeS: 0,
    notAfterS: 1,
  }).der,
  "a CA valid for one second": makeAuthority({
    trustDomain: TRUST_DOMAIN,
    notBeforeS: VALID_FROM_S,
    notAfterS: VALID_FROM_S,
  }).der,
  "a trust domain with an underscore": makeAuthority({ trustDomain: "a_b.c-d.test" }).der,
  "a corporate root without a SPIFFE ID": makeAuthority({
    trustDomain: TRUST_DOMAIN,
    subject: corporateName,
    uriSans: [],
    pathLength: 1,
  }).der,
  "an old root that signed itself with SHA-1": makeAuthority({
    trustDomain: TRUST_DOMAIN,
    keys: makeKeyPair("rsa-2048"),
    overrides: {
      innerAlgorithm: sequence(oid("1.2.840.113549.1.1.5"), tlv(TAG.null)),
      outerAlgorithm: sequence(oid("1.2.840.113549.1.1.5"), tlv(TAG.null)),
    },
  }).der,
  "a CA of Active Directory Certificate Services": withExtension(
    extension(
      "1.3.6.1.4.1.311.20.2",
      tlv(TAG.bmpString, Buffer.from("005300750062004300410", "hex")),
    ),
    extension("1.3.6.1.4.1.311.21.1", integer(0)),
    extensions.subjectKeyId(Buffer.alloc(20, 1)),
    extensions.authorityKeyId(Buffer.alloc(20, 2)),
    extension(
      "2.5.29.31",
      distributionPoint(
        uri(
          "ldap:///CN=Corp%20Root,CN=CDP,DC=corp?certificateRevocationList?base?objectClass=cRLDistributionPoint",
        ),
        uri("http://pki.corp.test/root.crl"),
      ),
    ),
    extension(
      "1.3.6.1.5.5.7.1.1",
      sequence(
        sequence(oid("1.3.6.1.5.5.7.48.2"), uri("http://pki.corp.test:8080/root.crt")),
        sequence(oid("1.3.6.1.5.5.7.48.1"), uri("http://ocsp.corp.test")),
      ),
    ),
  ),
  "a CA with policies": withExtension(
    extension(
      "2.5.29.32",
      sequence(
        sequence(oid("2.5.29.32.0")),
        sequence(
          oid("1.3.6.1.4.1.99999.1"),
          sequence(
            sequence(oid("1.3.6.1.5.5.7.2.1"), tlv(TAG.ia5String, "https://pki.corp.test/cps")),
            sequence(
              oid("1.3.6.1.5.5.7.2.2"),
              sequence(tlv(TAG.utf8String, "Für den Dienstgebrauch")),
            ),
            sequence(oid("1.3.6.1.5.5.7.2.2"), sequence(tlv(0x1a, "Internal use"))),
          ),
        ),
      ),
    ),
  ),
  "a CA whose authority key identifier names issuer and serial": withExtension(
    extension(
      "2.5.29.35",
      sequence(
        tlv(0x80, Buffer.alloc(20, 7)),
        tlv(0xa1, tlv(0xa4, name([["2.5.4.3", "Root"]]))),
        tlv(0x82, Buffer.of(0x00, 0x80)),
      ),
    ),
  ),
  "a CA limited to one trust domain by name constraints": withExtension(
    extension(
      "2.5.29.30",
      nameConstraints([uri("alpha.test"), uri(".alpha.test")], [uri("not.alpha.test")]),
      true,
    ),
  ),
  "a CA with name constraints of every other kind": withExtension(
    extension(
      "2.5.29.30",
      nameConstraints(
        [
          tlv(0x82, "corp.test"),
          tlv(0x81, ".corp.test"),
          tlv(0x81, "root@corp.test"),
          tlv(0x87, Buffer.from("0a000000ff000000", "hex")),
          tlv(0xa4, name([["2.5.4.10", "Corp"]])),
        ],
        [tlv(0x82), tlv(0x87, Buffer.alloc(32))],
      ),
      true,
    ),
  ),
  "a CA with an alternative name of its issuer": withExtension(
    extension(
      "2.5.29.18",
      sequence(tlv(0x81, "pki@corp.test"), uri("urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66")),
    ),
  ),
  "a CA with a private extension": withExtension(
    extension("1.3.6.1.4.1.99999.7", octetString(Buffer.of(1))),
  ),
  "a CA with every use of its key": authority({
    extensions: [
      extensions.basicConstraints(true, 0),
      extension("2.5.29.15", bitString(Buffer.of(0xff, 0x80), 7), true),
      extension("2.5.29.37", sequence(oid("2.5.29.37.0"))),
    ],
  }),
  "a CA with the longest serial number": authority({
    serialNumber: integer(Buffer.alloc(20, 0x7f)),
  }),
  "a CA whose validity passes 2049": authority({
    validity: sequence(time(2_524_607_999), time(2_524_608_000)),
  }),
  "a CA whose serial number fills 20 bytes with its sign": authority({
    serialNumber: integer(Buffer.alloc(19, 0x80)),
  }),
  "a CA valid from the first moment of UTCTime": authority({
    validity: sequence(tlv(TAG.utcTime, "500101000000Z"), tlv(TAG.utcTime, "491231235959Z")),
  }),
  "a CA valid on the day of 29 February": authority({
    validity: sequence(tlv(TAG.utcTime, "240229000000Z"), tlv(TAG.utcTime, "240229235959Z")),
  }),
  "a CA with a name at the edges of its alphabets": authority({
    subject: sequence(
      set(sequence(oid("2.5.4.10"), tlv(TAG.bmpString, BMP_EDGES))),
      set(sequence(oid("2.5.4.10"), tlv(TAG.ia5String, " ~"))),
      set(sequence(oid("2.5.4.10"), tlv(TAG.teletexString, " ~"))),
      set(sequence(oid("2.5.4.10"), tlv(TAG.printableString, "AZaz09 '()+,-./:=?"))),
      set(sequence(oid(`1.3.${2 ** 31 - 1}.128.127.0`), tlv(TAG.utf8String, " \ufeff\u{10ffff}"))),
      set(sequence(oid(`2.${2 ** 31 - 81}`), tlv(TAG.utf8String, "a"))),
    ),
  }),
  "a CA with the longest path": makeAuthority({
    trustDomain: TRUST_DOMAIN,
    pathLength: 2 ** 31 - 1,
  }).der,
  "a CA whose key signs certificates and no lists": authority({
    extensions: [
      extensions.basicConstraints(true),
      extension("2.5.29.15", bitString(Buffer.of(0x04), 2), true),
    ],
  }),
  "a CA with the longest key identifiers": withExtension(
    extensions.subjectKeyId(Buffer.alloc(64, 1)),
    extension(
      "2.5.29.35",
      sequence(
        tlv(0x80, Buffer.of(1)),
        tlv(0xa1, tlv(0x82, "root.corp.test")),
        tlv(0x82, Buffer.concat([Buffer.of(0), Buffer.alloc(20, 0xff)])),
      ),
    ),
  ),
  "a CA with an empty authority key identifier": withExtension(extension("2.5.29.35", sequence())),
  "a CA named by issuer and serial alone in its authority key identifier": withExtension(
    extension(
      "2.5.29.35",
      sequence(tlv(0xa1, tlv(0x86, "ldap:///CN=Root")), tlv(0x82, Buffer.of(1))),
    ),
  ),
  "a CA with alternative names at their longest": withExtension(
    extension(
      "2.5.29.17",
      sequence(
        tlv(0x82, LONGEST_HOST),
        tlv(0x82, "_a.b-c.0"),
        tlv(0x81, "a.b!#$%&'*+/=?^_`{|}~-@corp.test"),
        tlv(0xa4, corporateName),
        tlv(0x87, Buffer.alloc(4)),
        ...GOOD_URIS.map(uri),
      ),
      true,
    ),
  ),
  "a CA with directory names as its alternative names": withExtension(
    extension("2.5.29.17", sequence(tlv(0xa4, corporateName))),
  ),
  "a CA with address constraints of every mask of one byte": withExtension(
    extension(
      "2.5.29.30",
      nameConstraints(
        [0x00, 0x80, 0xc0, 0xe0, 0xf0, 0xf8, 0xfc, 0xfe, 0xff].map((mask) =>
          tlv(0x87, Buffer.of(0, 0, 0, 0, 0xff, mask, 0, 0)),
        ),
        [tlv(0x87, Buffer.alloc(32, 0xff)), tlv(0x81), tlv(0x86, `.${LONGEST_HOST}`)],
      ),
      true,
    ),
  ),
  "a CA with excluded constraints alone": withExtension(
    extension("2.5.29.30", nameConstraints([], [tlv(0x86, "bravo.test")]), true),
  ),
  "a CA with values at the edges of lengths": withExtension(
    ...[123, 124, 125, 126, 127, 128, 250, 251, 252, 253, 254, 255, 256].map((length) =>
      extension(`1.3.6.1.4.1.99999.${length}`, Buffer.alloc(length, 1)),
    ),
  ),
  "a CA with Netscape's comment and type and a critical policy": withExtension(
    extension("2.16.840.1.113730.1.13", tlv(TAG.ia5String, "made by hand")),
    extension("2.16.840.1.113730.1.1", tlv(TAG.bitString, Buffer.of(0, 7))),
    extension("2.5.29.32", sequence(sequence(oid("2.5.29.32.0"))), true),
    extension("2.5.29.46", distributionPoint(uri("http://pki.corp.test/delta.crl"))),
    extension(
      "1.3.6.1.5.5.7.1.11",
      sequence(sequence(oid("1.3.6.1.5.5.7.48.5"), uri("http://pki.corp.test/repository"))),
    ),
  ),
};
