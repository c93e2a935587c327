/** Keys, algorithms and the certificate around them, at their edges and in the words of the answer. */
import { createPublicKey, sign } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { CertificateFacts } from "../../src/core/record/proofs.ts";
import { readDer, readingDer, writeUnsigned } from "../../src/x509/der.ts";
import { isUsablePoint } from "../../src/x509/ed25519.ts";
import { x509Proofs } from "../../src/x509/proofs.ts";
import { readSignatureAlgorithm } from "../../src/x509/signature-algorithm.ts";
import { makeAuthority } from "../arbitraries/authority.ts";
import { buildCertificate, extensions, makeKeyPair, spkiOf } from "../arbitraries/certificate.ts";
import {
  TAG,
  bitString,
  extension,
  integer,
  name,
  oid,
  sequence,
  time,
  tlv,
} from "../arbitraries/der.ts";

const NULL = tlv(TAG.null);
const RSA = oid("1.2.840.113549.1.1.1");
const EC = oid("1.2.840.10045.2.1");
const P256 = oid("1.2.840.10045.3.1.7");
const OUT_OF_RANGE = "RSA modulus or exponent is even, or the exponent is out of range";

const rsa = (modulus: Uint8Array, exponent: Uint8Array): Buffer =>
  sequence(sequence(RSA, NULL), bitString(sequence(integer(modulus), integer(exponent))));
const modulus = Buffer.alloc(256, 0xff);
const ec = (point: Uint8Array): Buffer => sequence(sequence(EC, P256), bitString(point));
const point = spkiOf(makeKeyPair().publicKey).subarray(-65);

/** The words for a key that is refused, or its size. */
function keyOutcome(spki: Uint8Array): string | number {
  const facts = x509Proofs.readKey(spki);
  return "malformed" in facts ? facts.malformed : facts.bits;
}

describe("a key", () => {
  test.each<readonly [string, Uint8Array, string | number]>([
    ["of RSA, exponent 3", rsa(modulus, Buffer.of(3)), 2_048],
    ["of RSA, exponent 257", rsa(modulus, Buffer.of(1, 1)), 2_048],
    ["of RSA, the largest exponent", rsa(modulus, Buffer.of(0x7f, 0xff, 0xff, 0xff)), 2_048],
    ["of RSA, an exponent of 32 bits", rsa(modulus, Buffer.of(0x80, 0, 0, 1)), OUT_OF_RANGE],
    ["of RSA, an exponent of 33 bits", rsa(modulus, Buffer.of(1, 0, 0, 0, 1)), OUT_OF_RANGE],
    ["of RSA, exponent 1", rsa(modulus, Buffer.of(1)), OUT_OF_RANGE],
    ["of RSA, exponent 2", rsa(modulus, Buffer.of(2)), OUT_OF_RANGE],
    ["of RSA, exponent 0", rsa(modulus, Buffer.of(0)), OUT_OF_RANGE],
    ["of RSA, an even modulus", rsa(Buffer.alloc(256, 0xfe), Buffer.of(3)), OUT_OF_RANGE],
    [
      "of RSA, 2041 bits",
      rsa(Buffer.concat([Buffer.of(1), modulus.subarray(1)]), Buffer.of(3)),
      "RSA key of 2041 bits",
    ],
    [
      "of RSA, 2047 bits",
      rsa(Buffer.concat([Buffer.of(0x7f), modulus.subarray(1)]), Buffer.of(3)),
      "RSA key of 2047 bits",
    ],
    [
      "of RSA, 2048 bits",
      rsa(Buffer.concat([Buffer.of(0x80), modulus.subarray(1)]), Buffer.of(3)),
      2_048,
    ],
    ["of RSA, 8192 bits", rsa(Buffer.alloc(1_024, 0xff), Buffer.of(3)), 8_192],
    [
      "of RSA, 8193 bits",
      rsa(Buffer.concat([Buffer.of(1), Buffer.alloc(1_024, 0xff)]), Buffer.of(3)),
      "RSA key of 8193 bits",
    ],
    ["of RSA, modulus 0", rsa(Buffer.of(0), Buffer.of(3)), "RSA key of 0 bits"],
    [
      "of RSA with a third number",
      sequence(sequence(RSA, NULL), bitString(sequence(integer(modulus), integer(3), integer(3)))),
      "bytes after the last value",
    ],
    [
      "of RSA with a NULL of one byte",
      sequence(sequence(RSA, tlv(TAG.null, "a")), bitString(sequence())),
      "NULL is not empty",
    ],
    ["of P-256", ec(point), 256],
    ["of P-256, a byte too few", ec(point.subarray(0, -1)), "EC point is not uncompressed"],
    [
      "of P-256, a byte too many",
      ec(Buffer.concat([point, Buffer.of(0)])),
      "EC point is not uncompressed",
    ],
    [
      "of P-256, a point of the form 5",
      ec(Buffer.concat([Buffer.of(5), point.subarray(1)])),
      "EC point is not uncompressed",
    ],
    [
      "of P-256, the point 0, 0",
      ec(Buffer.concat([Buffer.of(4), Buffer.alloc(64)])),
      "EC point is not on its curve",
    ],
    ["of P-224", spkiOf(makeKeyPair("ec-p224").publicKey), "curve 1.3.132.0.33 is not on the list"],
    [
      "of DSA",
      sequence(sequence(oid("1.2.840.10040.4.1")), bitString(Buffer.of(0))),
      "key algorithm 1.2.840.10040.4.1 is not on the list",
    ],
    [
      "of Ed25519, one byte too few",
      sequence(sequence(oid("1.3.101.112")), bitString(Buffer.alloc(31, 9))),
      "Ed25519 key is no usable point",
    ],
  ])("%s: %s", (_, spki, said) => {
    expect(keyOutcome(spki)).toBe(said);
  });

  test("at the limit of bytes is read, and not above it", () => {
    expect(keyOutcome(new Uint8Array(2_048))).toBe("expected identifier octet 0x30, found 0x00");
    expect(keyOutcome(new Uint8Array(2_049))).toBe("longer than 2048 bytes");
  });

  // y = p − 2 is no small order: the greatest that may be a key. The sign bit does not count.
  test.each([
    [`eb${"ff".repeat(30)}7f`, true],
    [`eb${"ff".repeat(30)}ff`, true],
    [`ec${"ff".repeat(30)}7f`, false],
    [`ed${"ff".repeat(30)}7f`, false],
    [`02${"00".repeat(31)}`, true],
    [`02${"00".repeat(30)}80`, true],
    [`01${"00".repeat(31)}`, false],
    [`00${"00".repeat(31)}`, false],
    [`02${"00".repeat(30)}`, false],
    [`02${"00".repeat(32)}`, false],
  ])("of Ed25519 with y %s is usable: %s", (hex, isUsable) => {
    expect(isUsablePoint(Buffer.from(hex, "hex"))).toBe(isUsable);
  });
});

test.each([
  ["00", "020100"],
  ["0000", "020100"],
  ["01", "020101"],
  ["007f", "02017f"],
  ["80", "02020080"],
  ["00ff", "020200ff"],
  ["0100", "02020100"],
])("the number %s is written as %s", (bytes, der) => {
  expect(Buffer.from(writeUnsigned(Buffer.from(bytes, "hex"))).toString("hex")).toBe(der);
});

const algorithmOutcome = (der: Uint8Array): unknown => {
  const answer = readingDer(der, 100, (bytes) => readDer(bytes, readSignatureAlgorithm));
  return "malformed" in answer ? answer.malformed : answer;
};

describe("a signature algorithm", () => {
  test.each([
    ["1.2.840.10045.4.3.2", "ec", "sha256"],
    ["1.2.840.10045.4.3.3", "ec", "sha384"],
    ["1.2.840.10045.4.3.4", "ec", "sha512"],
    ["1.2.840.113549.1.1.5", "rsa", undefined],
    ["1.2.840.113549.1.1.11", "rsa", "sha256"],
    ["1.2.840.113549.1.1.12", "rsa", "sha384"],
    ["1.2.840.113549.1.1.13", "rsa", "sha512"],
    ["1.3.101.112", "ed25519", null],
  ])("%s is %s with %s, and has its own parameters alone", (id, family, digest) => {
    const [own, other] = family === "rsa" ? [[NULL], []] : [[], [NULL]];
    expect(algorithmOutcome(sequence(oid(id), ...own))).toEqual({ family, digest });
    expect(algorithmOutcome(sequence(oid(id), ...other))).toBeTypeOf("string");
    expect(algorithmOutcome(sequence(oid(id), tlv(TAG.null, "a")))).toBe(
      family === "rsa" ? "NULL is not empty" : "bytes after the last value",
    );
  });

  test.each(["1.2.840.113549.1.1.4", "1.2.840.113549.1.1.10", "1.3.101.113", "1.2.840.10045.4.1"])(
    "%s is not on the list",
    (id) => {
      expect(algorithmOutcome(sequence(oid(id)))).toBe(
        `signature algorithm ${id} is not on the list`,
      );
    },
  );

  test.each([
    ["ec-p256", "1.2.840.10045.4.3.2", "sha256"],
    ["ec-p256", "1.2.840.10045.4.3.3", "sha384"],
    ["ec-p384", "1.2.840.10045.4.3.4", "sha512"],
    ["rsa-2048", "1.2.840.113549.1.1.11", "sha256"],
    ["rsa-2048", "1.2.840.113549.1.1.12", "sha384"],
    ["rsa-2048", "1.2.840.113549.1.1.13", "sha512"],
  ] as const)("of a %s key, %s, verifies %s", (keyType, id, digest) => {
    const parent = makeAuthority({ trustDomain: "alpha.test", keyType });
    const algorithm = sequence(oid(id), ...(keyType === "rsa-2048" ? [NULL] : []));
    const issuer = read(parent.der);
    expect(x509Proofs.issuedBy(signedWith(digest, algorithm, parent), issuer)).toBe(true);
    const other = digest === "sha256" ? "sha384" : "sha256";
    expect(x509Proofs.issuedBy(signedWith(other, algorithm, parent), issuer)).toBe(false);
  });

  // Asked without a digest, OpenSSL takes SHA-256.
  test.each(["sha1", "sha256"])("of SHA-1 never verifies, and were it made with %s", (digest) => {
    const parent = makeAuthority({ trustDomain: "alpha.test", keyType: "rsa-2048" });
    const algorithm = sequence(oid("1.2.840.113549.1.1.5"), NULL);
    const child = signedWith(digest, algorithm, parent);
    expect(x509Proofs.issuedBy(child, read(parent.der))).toBe(false);
  });
});

/** A leaf with this algorithm inside and outside, whatever digest its signature has. */
function signedWith(
  digest: string,
  algorithm: Buffer,
  parent: ReturnType<typeof makeAuthority>,
): CertificateFacts {
  const parts = {
    serialNumber: integer(1),
    innerAlgorithm: algorithm,
    outerAlgorithm: algorithm,
    issuer: parent.subject as Buffer,
    validity: sequence(time(0), time(1)),
    subject: name([["2.5.4.3", "a"]]),
    spki: spkiOf(makeKeyPair().publicKey),
    extensions: [extensions.basicConstraints(false)],
  };
  const unsigned = buildCertificate(
    { ...parts, signature: bitString(Buffer.of(0)) },
    parent.keys.privateKey,
  );
  const tbs = readDer(unsigned, (whole) =>
    whole.within(TAG.sequence, (fields) => {
      const signed = fields.takeWhole(TAG.sequence);
      fields.take(TAG.sequence);
      fields.take(TAG.bitString);
      return signed;
    }),
  );
  const signature = bitString(sign(digest, tbs, parent.keys.privateKey));
  return read(buildCertificate({ ...parts, signature }, parent.keys.privateKey));
}

function read(der: Uint8Array): CertificateFacts {
  const facts = x509Proofs.readCertificate(der);
  if ("malformed" in facts) throw new Error(facts.malformed);
  return facts;
}

const outcome = (overrides: Parameters<typeof makeAuthority>[0]["overrides"]): string => {
  const { der } = makeAuthority({ trustDomain: "alpha.test", overrides: overrides ?? {} });
  const facts = x509Proofs.readCertificate(der);
  return "malformed" in facts ? facts.malformed : "taken";
};

const san = (critical: boolean): Buffer =>
  extension("2.5.29.17", sequence(tlv(0x86, "spiffe://alpha.test/a")), critical);

describe("a certificate", () => {
  const SERIAL = "serial number is zero or longer than 20 bytes";

  test.each<readonly [string, Buffer, string]>([
    ["1", integer(1), "taken"],
    ["256", integer(256), "taken"],
    ["0", integer(0), SERIAL],
    ["of 20 bytes", integer(Buffer.alloc(20, 0x7f)), "taken"],
    ["of 20 bytes and a sign byte", integer(Buffer.alloc(20, 0x80)), SERIAL],
    ["of 19 bytes and a sign byte", integer(Buffer.alloc(19, 0x80)), "taken"],
    ["of 21 bytes", integer(Buffer.alloc(21, 0x7f)), SERIAL],
  ])("may have serial number %s: %s", (_, serialNumber, said) => {
    expect(outcome({ serialNumber })).toBe(said);
  });

  const emptySubject = "empty subject of a CA, or without a critical subjectAltName";
  test.each<readonly [string, readonly Buffer[], string]>([
    ["a leaf with a critical subjectAltName", [san(true)], "taken"],
    ["a leaf with one that is not critical", [san(false)], emptySubject],
    ["a leaf without one", [extensions.basicConstraints(false)], emptySubject],
    ["a CA with a critical one", [extensions.basicConstraints(true), san(true)], emptySubject],
  ])("may have an empty subject, as %s: %s", (_, each, said) => {
    expect(outcome({ subject: sequence(), extensions: each })).toBe(said);
  });

  test("without an empty subject needs no subjectAltName", () => {
    expect(outcome({ extensions: [extensions.basicConstraints(true)] })).toBe("taken");
  });
});

describe("an SVID's signature", () => {
  const keys = makeKeyPair();
  const facts = x509Proofs.readKey(spkiOf(keys.publicKey));
  if ("malformed" in facts) throw new Error(facts.malformed);
  const data = Buffer.from("data");
  const signature = sign("sha256", data, { key: keys.privateKey, dsaEncoding: "ieee-p1363" });

  test("is r‖s of 64 bytes over SHA-256", () => {
    expect(x509Proofs.verifiesSvid(facts, data, signature)).toBe(true);
    expect(x509Proofs.verifiesSvid(facts, data, signature.subarray(0, 63))).toBe(false);
    expect(x509Proofs.verifiesSvid(facts, data, Buffer.concat([signature, Buffer.of(0)]))).toBe(
      false,
    );
    expect(x509Proofs.verifiesSvid(facts, data, sign("sha256", data, keys.privateKey))).toBe(false);
    const longer = sign("sha384", data, { key: keys.privateKey, dsaEncoding: "ieee-p1363" });
    expect(x509Proofs.verifiesSvid(facts, data, longer)).toBe(false);
  });

  test("is false for a P-384 key, whatever was signed", () => {
    const other = makeKeyPair("ec-p384");
    const otherFacts = x509Proofs.readKey(spkiOf(other.publicKey));
    if ("malformed" in otherFacts) throw new Error(otherFacts.malformed);
    const signed = sign("sha256", data, { key: other.privateKey, dsaEncoding: "ieee-p1363" });
    expect(x509Proofs.verifiesSvid(otherFacts, data, signed)).toBe(false);
    expect(x509Proofs.verifiesSvid(otherFacts, data, signed.subarray(0, 64))).toBe(false);
    expect(createPublicKey(other.privateKey).asymmetricKeyType).toBe("ec");
  });
});
