import * as fc from "fast-check";
import forge from "node-forge";
import { describe, expect, test } from "vitest";
import type { CertificateFacts, Malformed } from "../../src/core/record/proofs.ts";
import { x509Proofs } from "../../src/x509/proofs.ts";
import { makeAuthority } from "../arbitraries/authority.ts";
import { type TestKeyType, extensions, makeKeyPair, spkiOf } from "../arbitraries/certificate.ts";
import { TAG, bitString, extension, oid, sequence, tlv } from "../arbitraries/der.ts";
import { generatedKey } from "../arbitraries/generated-key.ts";
import { mutatedDer } from "../arbitraries/mutated-der.ts";
import { ACCEPTED } from "./accepted.ts";
import { CRAFTED } from "./crafted.ts";
import { REFUSED_EXTENSIONS } from "./refused-extensions.ts";
import { BAD_URIS, REFUSED_NAMES } from "./refused-names.ts";
import { REFUSED } from "./refused.ts";

const accepted = fc.constantFrom(...Object.values(ACCEPTED));

function read(der: Uint8Array): CertificateFacts {
  const facts = x509Proofs.readCertificate(der);
  if ("malformed" in facts) throw new Error(facts.malformed);
  return facts;
}

const KEYS = (["ec-p256", "ec-p384", "ec-p521", "rsa-2048", "ed25519"] as const).map((kind) =>
  spkiOf(makeKeyPair(kind).publicKey),
);

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

describe("the certificate gate refuses", () => {
  test.each(Object.entries({ ...REFUSED, ...REFUSED_EXTENSIONS, ...REFUSED_NAMES }))(
    "%s",
    (_, [overrides, words]) => {
      const { der } = makeAuthority({ trustDomain: "alpha.test", overrides });
      expect(x509Proofs.readCertificate(der)).toEqual({
        malformed: expect.stringContaining(words),
      });
    },
  );

  test.each(Object.entries(CRAFTED))("%s, which encodes again to the same bytes", (_, each) => {
    const tree = forge.asn1.fromDer(each.der.toString("latin1"), true);
    expect(forge.asn1.toDer(tree).toHex()).toBe(each.der.toString("hex"));
    expect(x509Proofs.readCertificate(each.der)).toEqual({
      malformed: expect.stringContaining(each.words),
    });
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

  test.each([0, 1, 2, 3, 4, 5, 6, 7])("say of key usage bit %i alone what it allows", (bit) => {
    const overrides = { extensions: [extensions.keyUsage(bit)] };
    const { der } = makeAuthority({ trustDomain: "alpha.test", overrides });
    expect(read(der).keyUsage).toEqual({ digitalSignature: bit === 0, keyCertSign: bit === 5 });
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
      "another kind excluded, critical",
      [0xa1],
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
      overrides: { extensions: [extension("2.5.29.30", value, critical)] },
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

  test("has an answer for any key the gate takes and whatever stands as a signature", () => {
    const parents = mutatedDer(fc.constantFrom(...KEYS)).map((spki) => x509Proofs.readKey(spki));
    const any = fc.oneof(
      parents,
      generatedKey.map((spki) => x509Proofs.readKey(spki)),
    );
    const children = (["ec-p256", "rsa-2048", "ed25519"] as const).flatMap((keyType) => {
      const parent = makeAuthority({ trustDomain: "alpha.test", keyType });
      return ["", "00", "ff".repeat(64), "3006020101020101", "00".repeat(256)].map((hex) => {
        const signature = bitString(Buffer.from(hex, "hex"));
        return read(parent.issueIntermediate({ overrides: { signature } }).der);
      });
    });
    fc.assert(
      fc.property(fc.constantFrom(...children), any, (child, key) => {
        if ("malformed" in key) return;
        expect(x509Proofs.issuedBy(child, { ...child, key })).toBe(false);
      }),
      { numRuns: 1_000 },
    );
  });

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
