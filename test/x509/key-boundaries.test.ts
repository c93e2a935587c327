/** Keys at their edges, and the words for one that is refused. */
import { describe, expect, test } from "vitest";
import { isCanonicalSignature, isUsablePoint } from "../../src/x509/ed25519.ts";
import { x509Proofs } from "../../src/x509/proofs.ts";
import { makeKeyPair, spkiOf } from "../arbitraries/certificate.ts";
import { TAG, bitString, integer, oid, sequence, tlv } from "../arbitraries/der.ts";

const NULL = tlv(TAG.null);
const RSA = oid("1.2.840.113549.1.1.1");
const EC = oid("1.2.840.10045.2.1");
const P256 = oid("1.2.840.10045.3.1.7");
const EVEN_OR_SMALL = "RSA modulus or exponent is even, or the exponent is below 3";
const TOO_LARGE = "INTEGER is larger than 31 bits";

const rsa = (modulus: Uint8Array, exponent: Uint8Array): Buffer =>
  sequence(sequence(RSA, NULL), bitString(sequence(integer(modulus), integer(exponent))));
const modulus = Buffer.alloc(256, 0xff);
const ec = (point: Uint8Array): Buffer => sequence(sequence(EC, P256), bitString(point));
const point = spkiOf(makeKeyPair().publicKey).subarray(-65);

/** The words for a key that is refused, or its kind and size. */
function keyOutcome(spki: Uint8Array): string {
  const facts = x509Proofs.readKey(spki);
  return "malformed" in facts ? facts.malformed : `${facts.type} ${facts.bits}`;
}

describe("a key", () => {
  test.each<readonly [string, Uint8Array, string]>([
    ["of RSA, exponent 3", rsa(modulus, Buffer.of(3)), "rsa 2048"],
    ["of RSA, exponent 257", rsa(modulus, Buffer.of(1, 1)), "rsa 2048"],
    ["of RSA, exponent 129", rsa(modulus, Buffer.of(129)), "rsa 2048"],
    ["of RSA, the largest exponent", rsa(modulus, Buffer.of(0x7f, 0xff, 0xff, 0xff)), "rsa 2048"],
    ["of RSA, an exponent of 32 bits", rsa(modulus, Buffer.of(0x80, 0, 0, 1)), TOO_LARGE],
    ["of RSA, an exponent of 33 bits", rsa(modulus, Buffer.of(1, 0, 0, 0, 1)), TOO_LARGE],
    ["of RSA, exponent 1", rsa(modulus, Buffer.of(1)), EVEN_OR_SMALL],
    ["of RSA, exponent 2", rsa(modulus, Buffer.of(2)), EVEN_OR_SMALL],
    ["of RSA, exponent 4", rsa(modulus, Buffer.of(4)), EVEN_OR_SMALL],
    ["of RSA, exponent 0", rsa(modulus, Buffer.of(0)), EVEN_OR_SMALL],
    [
      "of RSA, an even modulus",
      rsa(modulus.with(modulus.length - 1, 0xfe), Buffer.of(3)),
      EVEN_OR_SMALL,
    ],
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
      "rsa 2048",
    ],
    ["of RSA, 8192 bits", rsa(Buffer.alloc(1_024, 0xff), Buffer.of(3)), "rsa 8192"],
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
    ["of P-256", ec(point), "ec-p256 256"],
    ["of P-384", spkiOf(makeKeyPair("ec-p384").publicKey), "ec-p384 384"],
    ["of P-521", spkiOf(makeKeyPair("ec-p521").publicKey), "ec-p521 521"],
    ["of Ed25519", spkiOf(makeKeyPair("ed25519").publicKey), "ed25519 256"],
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
  ])("%s", (_, spki, said) => {
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

describe("a signature of Ed25519", () => {
  const S = "01".padEnd(64, "0");
  // L − 1 is the greatest S, and 2^255 − 20 the greatest y; 1 and it have x = 0, so no sign.
  const L_MINUS_1 = "ecd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";
  const L = L_MINUS_1.replace("ec", "ed");
  test.each([
    [`02${"00".repeat(31)}`, S, true],
    [`02${"00".repeat(30)}80`, S, true],
    [`01${"00".repeat(31)}`, S, true],
    [`01${"00".repeat(30)}80`, S, false],
    ["00".repeat(32), S, true],
    [`${"00".repeat(31)}80`, S, true],
    [`ec${"ff".repeat(30)}7f`, S, true],
    [`ec${"ff".repeat(31)}`, S, false],
    [`eb${"ff".repeat(31)}`, S, true],
    [`ed${"ff".repeat(30)}7f`, S, false],
    [`ee${"ff".repeat(31)}`, S, false],
    [S, "00".repeat(32), true],
    [S, L_MINUS_1, true],
    [S, L, false],
    [S, "ff".repeat(32), false],
    [S, "00".repeat(31), false],
    [S, "00".repeat(33), false],
  ])("with R %s and S %s is canonical: %s", (r, s, isCanonical) => {
    expect(isCanonicalSignature(Buffer.from(r + s, "hex"))).toBe(isCanonical);
  });
});
