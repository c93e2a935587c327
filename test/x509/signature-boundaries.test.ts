/** Signature algorithms and signatures, at their edges. */
import { createPublicKey, sign } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { CertificateFacts } from "../../src/core/record/proofs.ts";
import { readDer, readingDer } from "../../src/x509/der.ts";
import { x509Proofs } from "../../src/x509/proofs.ts";
import { readSignatureAlgorithm } from "../../src/x509/signature-algorithm.ts";
import { makeAuthority } from "../arbitraries/authority.ts";
import { buildCertificate, extensions, makeKeyPair, spkiOf } from "../arbitraries/certificate.ts";
import { TAG, bitString, integer, name, oid, sequence, time, tlv } from "../arbitraries/der.ts";

const NULL = tlv(TAG.null);
/** A parent for each kind of key: RSA keys take long to make. */
const PARENTS = {
  "ec-p256": makeAuthority({ trustDomain: "alpha.test", keyType: "ec-p256" }),
  "ec-p384": makeAuthority({ trustDomain: "alpha.test", keyType: "ec-p384" }),
  "rsa-2048": makeAuthority({ trustDomain: "alpha.test", keyType: "rsa-2048" }),
};

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
    const parent = PARENTS[keyType];
    const algorithm = sequence(oid(id), ...(keyType === "rsa-2048" ? [NULL] : []));
    const issuer = read(parent.der);
    expect(x509Proofs.issuedBy(signedWith(digest, algorithm, parent), issuer)).toBe(true);
    const other = digest === "sha256" ? "sha384" : "sha256";
    expect(x509Proofs.issuedBy(signedWith(other, algorithm, parent), issuer)).toBe(false);
  });

  // Asked without a digest, OpenSSL takes SHA-256.
  test.each(["sha1", "sha256"])("of SHA-1 never verifies, and were it made with %s", (digest) => {
    const parent = PARENTS["rsa-2048"];
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
