import * as fc from "fast-check";
import forge from "node-forge";
import { describe, expect, test } from "vitest";
import type { CertificateFacts, Malformed } from "../../src/core/record/proofs.ts";
import { x509Proofs } from "../../src/x509/proofs.ts";
import { makeAuthority } from "../arbitraries/authority.ts";
import {
  type CertificateParts,
  type TestKeyType,
  extensions,
  spkiOf,
} from "../arbitraries/certificate.ts";
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
import { mutatedDer } from "../arbitraries/mutated-der.ts";
import { ACCEPTED } from "./accepted.ts";

const accepted = fc.constantFrom(...Object.values(ACCEPTED));

function read(der: Uint8Array): CertificateFacts {
  const facts = x509Proofs.readCertificate(der);
  if ("malformed" in facts) throw new Error(facts.malformed);
  return facts;
}

function isRefused(answer: CertificateFacts | Malformed): boolean {
  return "malformed" in answer;
}

describe("the certificate gate, as laws", () => {
  test("what passes is canonical: another ASN.1 library writes the same bytes again", () => {
    fc.assert(
      fc.property(fc.oneof(accepted, mutatedDer(accepted)), (der) => {
        if (isRefused(x509Proofs.readCertificate(der))) return;
        const tree = forge.asn1.fromDer(Buffer.from(der).toString("latin1"), true);
        expect(forge.asn1.toDer(tree).toHex()).toBe(Buffer.from(der).toString("hex"));
      }),
      { numRuns: 2_000 },
    );
  });

  test("any bytes get an answer and the same bytes the same one", () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), mutatedDer(accepted)), (bytes) => {
        expect(x509Proofs.readCertificate(bytes)).toEqual(x509Proofs.readCertificate(bytes));
      }),
      { numRuns: 2_000 },
    );
  });

  test("no bytes may be missing at the end or follow", () => {
    fc.assert(
      fc.property(accepted, fc.uint8Array({ minLength: 1, maxLength: 600 }), (der, more) => {
        expect(isRefused(x509Proofs.readCertificate(Buffer.concat([der, more])))).toBe(true);
        expect(isRefused(x509Proofs.readCertificate(Buffer.concat([der, der])))).toBe(true);
        expect(isRefused(x509Proofs.readCertificate(der.subarray(0, -more.length)))).toBe(true);
      }),
    );
  });

  test("facts do not change when the sender's buffer does", () => {
    const der = Buffer.from(makeAuthority({ trustDomain: "alpha.test" }).der);
    const facts = read(der);
    const before = structuredClone(facts);
    der.fill(0);
    expect(facts).toEqual(before);
  });
});

describe("the certificate gate takes", () => {
  test.each(Object.entries(ACCEPTED))("%s", (_, der) => {
    expect(x509Proofs.readCertificate(der)).not.toHaveProperty("malformed");
  });
});

const CA = [extensions.keyUsage(5, 6), extensions.basicConstraints(true)];
const ECDSA_SHA1 = sequence(oid("1.2.840.10045.4.1"));
const ECDSA_SHA256 = oid("1.2.840.10045.4.3.2");
const ECDSA_SHA384 = sequence(oid("1.2.840.10045.4.3.3"));

/** Each replaces parts of a good CA; the words are a part of the answer. */
const REFUSED: Readonly<Record<string, readonly [Partial<CertificateParts>, string]>> = {
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

const BAD_URIS = [
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

describe("the certificate gate refuses", () => {
  test.each(Object.entries(REFUSED))("%s", (_, [overrides, words]) => {
    const { der } = makeAuthority({ trustDomain: "alpha.test", overrides });
    expect(x509Proofs.readCertificate(der)).toEqual({ malformed: expect.stringContaining(words) });
  });

  test.each(BAD_URIS)("the URI %j", (uri) => {
    const { der } = makeAuthority({ trustDomain: "alpha.test", uriSans: [uri] });
    expect(isRefused(x509Proofs.readCertificate(der))).toBe(true);
  });

  test.each(["ec-p224", "ec-secp256k1", "rsa-1024"] satisfies TestKeyType[])(
    "a key of kind %s",
    (keyType) => {
      const { der } = makeAuthority({ trustDomain: "alpha.test", keyType });
      expect(isRefused(x509Proofs.readCertificate(der))).toBe(true);
    },
  );

  test("a certificate of more than 8 KiB", () => {
    const smaller = withUris(1_500);
    const larger = withUris(1_600);
    expect(smaller.length).toBeLessThanOrEqual(8_192);
    expect(isRefused(x509Proofs.readCertificate(smaller))).toBe(false);
    expect(x509Proofs.readCertificate(larger)).toEqual({ malformed: "longer than 8192 bytes" });
  });

  test("lengths that are not definite and shortest", () => {
    const body = makeAuthority({ trustDomain: "alpha.test" }).der.subarray(4);
    const lengths = [
      Buffer.of(0x80),
      Buffer.of(0x83, 0, body.length >> 8, body.length & 0xff),
      Buffer.of(0x84, 0, 0, body.length >> 8, body.length & 0xff),
    ];
    for (const length of lengths) {
      const der = Buffer.concat([Buffer.of(TAG.sequence), length, body, Buffer.of(0, 0)]);
      expect(x509Proofs.readCertificate(der)).toEqual({
        malformed: "length is indefinite or too long",
      });
    }
  });

  test.each([
    ["one octet too many", Buffer.of(TAG.integer, 0x81, 1, 5)],
    ["two octets too many", Buffer.of(TAG.integer, 0x82, 0, 1, 5)],
    [
      "a leading zero",
      Buffer.concat([Buffer.of(TAG.integer, 0x82, 0, 0x80), Buffer.alloc(128, 1)]),
    ],
  ])("a length of %s", (_, serialNumber) => {
    const { der } = makeAuthority({ trustDomain: "alpha.test", overrides: { serialNumber } });
    expect(x509Proofs.readCertificate(der)).toEqual({
      malformed: "length is not in its shortest form",
    });
  });
});

describe("the facts of a certificate", () => {
  test("say what SPIRE's leaf says", () => {
    const ca = makeAuthority({ trustDomain: "alpha.test" });
    const leaf = ca.issueLeaf({
      spiffeId: "spiffe://alpha.test/a",
      notBeforeS: 1_700_000_000,
      notAfterS: 1_700_003_600,
    });
    expect(read(leaf.der)).toMatchObject({
      der: Uint8Array.from(leaf.der),
      issuer: Uint8Array.from(ca.subject),
      notBeforeS: 1_700_000_000,
      notAfterS: 1_700_003_600,
      key: { spki: Uint8Array.from(spkiOf(leaf.publicKey)), type: "ec-p256", bits: 256 },
      isCa: false,
      pathLength: undefined,
      keyUsage: { digitalSignature: true, keyCertSign: false },
      uriSans: ["spiffe://alpha.test/a"],
      authorityKeyId: Uint8Array.from(ca.keyId),
      nameConstraints: undefined,
    });
  });

  test("say what SPIRE's CA says", () => {
    const ca = makeAuthority({ trustDomain: "alpha.test", pathLength: 0 });
    expect(read(ca.der)).toMatchObject({
      isCa: true,
      pathLength: 0,
      keyUsage: { digitalSignature: false, keyCertSign: true },
      uriSans: ["spiffe://alpha.test"],
      subjectKeyId: Uint8Array.from(ca.keyId),
      authorityKeyId: undefined,
    });
  });

  test("tell absent extensions from empty ones", () => {
    const { der } = makeAuthority({
      trustDomain: "alpha.test",
      overrides: { extensions: [extensions.basicConstraints(false)] },
    });
    expect(read(der)).toMatchObject({
      isCa: false,
      keyUsage: undefined,
      uriSans: [],
      subjectKeyId: undefined,
    });
  });

  test.each([
    [
      "permitted and excluded URIs",
      [0xa0, 0xa1],
      0x86,
      true,
      { permittedUris: [".a"], excludedUris: [".a"], othersCritical: false },
    ],
    [
      "another kind, critical",
      [0xa0],
      0x82,
      true,
      { permittedUris: [], excludedUris: [], othersCritical: true },
    ],
    [
      "another kind, not critical",
      [0xa1],
      0x82,
      false,
      { permittedUris: [], excludedUris: [], othersCritical: false },
    ],
  ] as const)("name constraints: %s", (_, fields, kind, critical, expected) => {
    const value = sequence(...fields.map((tag) => tlv(tag, sequence(tlv(kind, ".a")))));
    const { der } = makeAuthority({
      trustDomain: "alpha.test",
      overrides: { extensions: [...CA, extension("2.5.29.30", value, critical)] },
    });
    expect(read(der).nameConstraints).toEqual(expected);
  });
});

describe("issuedBy", () => {
  test.each(["ec-p256", "ec-p384", "ec-p521", "rsa-2048", "ed25519"] satisfies TestKeyType[])(
    "knows the parent with a %s key by its signature, whatever names say",
    (keyType) => {
      const parent = makeAuthority({ trustDomain: "alpha.test", keyType });
      const namesake = makeAuthority({
        trustDomain: "alpha.test",
        keyType,
        subject: parent.subject,
      });
      const child = read(parent.issueIntermediate().der);
      expect(x509Proofs.issuedBy(child, read(parent.der))).toBe(true);
      expect(x509Proofs.issuedBy(child, read(namesake.der))).toBe(false);
      expect(x509Proofs.issuedBy(child, child)).toBe(false);
    },
  );

  test("is false when the algorithm is of another kind of key, though the signature is right", () => {
    const parent = makeAuthority({ trustDomain: "alpha.test" });
    const ed25519 = sequence(oid("1.3.101.112"));
    const overrides = { innerAlgorithm: ed25519, outerAlgorithm: ed25519 };
    const child = parent.issueLeaf({ spiffeId: "spiffe://alpha.test/a", overrides });
    expect(x509Proofs.issuedBy(read(child.der), read(parent.der))).toBe(false);
  });

  test("is false for a signature with SHA-1", () => {
    const der = ACCEPTED["an old root that signed itself with SHA-1"];
    const root = read(der ?? Buffer.of());
    expect(x509Proofs.issuedBy(root, root)).toBe(false);
  });
});

/** A CA with so many URI SANs of five bytes each. */
function withUris(count: number): Buffer {
  const uriSans = Array.from({ length: count }, () => "a:b");
  return makeAuthority({ trustDomain: "alpha.test", uriSans }).der;
}

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
