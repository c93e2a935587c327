import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { x509Proofs } from "../../src/x509/proofs.ts";
import { type TestKeyType, makeKeyPair, spkiOf } from "../arbitraries/certificate.ts";
import { TAG, bitString, integer, oid, sequence, tlv } from "../arbitraries/der.ts";
import { mutatedDer } from "../arbitraries/mutated-der.ts";

const KINDS = [
  ["ec-p256", "ec-p256", 256],
  ["ec-p384", "ec-p384", 384],
  ["ec-p521", "ec-p521", 521],
  ["rsa-2048", "rsa", 2048],
  ["ed25519", "ed25519", 256],
] as const satisfies readonly (readonly [TestKeyType, string, number])[];

const P256 = oid("1.2.840.10045.3.1.7");
const EC = oid("1.2.840.10045.2.1");
const RSA = oid("1.2.840.113549.1.1.1");
const NULL = tlv(TAG.null);

const ec = spkiOf(makeKeyPair("ec-p256").publicKey);
const point = ec.subarray(-65);
const [x, y] = [point.subarray(1, 33), point.subarray(33)];

function rsa(modulus: Uint8Array, exponent: number | Uint8Array): Buffer {
  return sequence(sequence(RSA, NULL), bitString(sequence(integer(modulus), integer(exponent))));
}

/** An odd number of so many bits; nobody here needs it to be a product of primes. */
function modulus(bits: number): Buffer {
  const bytes = Buffer.alloc(Math.ceil(bits / 8), 0xff);
  bytes[0] = 0xff >> ((8 - (bits % 8)) % 8);
  return bytes;
}

/** A point of P-256 whose x was raised by p: it still fulfils the equation. */
function pointAboveTheField(): Buffer {
  const p = 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n;
  const b = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn;
  for (let small = 0n; ; small += 1n) {
    const square = (small ** 3n - 3n * small + b) % p;
    const root = power(square, (p + 1n) / 4n, p);
    if ((root * root - square) % p !== 0n) continue;
    return Buffer.concat([Buffer.of(4), bytes32(small + p), bytes32(root)]);
  }
}

/** A point of P-521 with one coordinate raised by p: its 66 bytes have room for that. */
function p521Above(coordinate: "x" | "y"): Buffer {
  const p = 2n ** 521n - 1n;
  const spki = spkiOf(makeKeyPair("ec-p521").publicKey);
  const at = spki.length - (coordinate === "x" ? 132 : 66);
  const raised = BigInt(`0x${spki.subarray(at, at + 66).toString("hex")}`) + p;
  const bytes = Buffer.from(raised.toString(16).padStart(132, "0"), "hex");
  return Buffer.concat([spki.subarray(0, at), bytes, spki.subarray(at + 66)]);
}

function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  if (exponent === 0n) return 1n;
  const half = power((base * base) % modulus, exponent / 2n, modulus);
  return exponent % 2n === 0n ? half : (half * base) % modulus;
}

function bytes32(value: bigint): Buffer {
  return Buffer.from(value.toString(16).padStart(64, "0"), "hex");
}

const REFUSED: Readonly<Record<string, Uint8Array>> = {
  nothing: Buffer.of(),
  "bytes after the key": Buffer.concat([ec, Buffer.of(0)]),
  "half a key": ec.subarray(0, 40),
  "a compressed point": sequence(sequence(EC, P256), bitString(Buffer.concat([Buffer.of(2), x]))),
  "a hybrid point": sequence(sequence(EC, P256), bitString(Buffer.concat([Buffer.of(6), x, y]))),
  "the point at infinity": sequence(sequence(EC, P256), bitString(Buffer.of(0))),
  "a point beside its curve": sequence(
    sequence(EC, P256),
    bitString(Buffer.concat([Buffer.of(4), y, x])),
  ),
  "a coordinate above the field": sequence(sequence(EC, P256), bitString(pointAboveTheField())),
  "an x above the field of P-521": p521Above("x"),
  "a y above the field of P-521": p521Above("y"),
  "a point of another curve's length": sequence(
    sequence(EC, P256),
    bitString(spkiOf(makeKeyPair("ec-p384").publicKey).subarray(-97)),
  ),
  "no curve": sequence(sequence(EC), bitString(point)),
  "a curve written out": sequence(sequence(EC, sequence(integer(1))), bitString(point)),
  "a curve that is not on the list": spkiOf(makeKeyPair("ec-p224").publicKey),
  "an EC key with NULL besides": sequence(sequence(EC, P256, NULL), bitString(point)),
  "a key with unused bits": sequence(sequence(EC, P256), bitString(point, 1)),
  "RSA of 2047 bits": rsa(modulus(2047), 65_537),
  "RSA of 8193 bits": rsa(modulus(8193), 65_537),
  "an even RSA modulus": rsa(Buffer.concat([modulus(2040), Buffer.of(0xfe)]), 65_537),
  "RSA exponent 1": rsa(modulus(2048), 1),
  "an even RSA exponent": rsa(modulus(2048), 65_536),
  "an RSA exponent of 32 bits": rsa(modulus(2048), Buffer.of(0x80, 0, 0, 1)),
  "an RSA exponent of 40 bits": rsa(modulus(2048), Buffer.of(1, 0, 0, 0, 1)),
  "RSA without parameters": sequence(
    sequence(RSA),
    bitString(sequence(integer(modulus(2048)), integer(3))),
  ),
  "RSA with a NULL that is not empty": sequence(
    sequence(RSA, tlv(TAG.null, Buffer.of(0))),
    bitString(sequence(integer(modulus(2048)), integer(3))),
  ),
  "a negative RSA modulus": sequence(
    sequence(RSA, NULL),
    bitString(sequence(tlv(TAG.integer, modulus(2048)), integer(3))),
  ),
  "Ed25519 with parameters": sequence(
    sequence(oid("1.3.101.112"), NULL),
    bitString(spkiOf(makeKeyPair("ed25519").publicKey).subarray(-32)),
  ),
  "Ed25519 of 31 bytes": sequence(sequence(oid("1.3.101.112")), bitString(Buffer.alloc(31, 7))),
  X25519: sequence(sequence(oid("1.3.101.110")), bitString(Buffer.alloc(32, 7))),
};

describe("readKey", () => {
  test.each(KINDS)("takes %s", (kind, type, bits) => {
    const spki = spkiOf(makeKeyPair(kind).publicKey);
    expect(x509Proofs.readKey(spki)).toEqual({ spki: Uint8Array.from(spki), type, bits });
  });

  test.each([2048, 2049, 3072, 4096, 8191, 8192])("takes RSA of %i bits", (bits) => {
    expect(x509Proofs.readKey(rsa(modulus(bits), 65_537))).toMatchObject({ type: "rsa", bits });
  });

  test.each([3, 17, 2 ** 31 - 1])("takes RSA exponent %i", (exponent) => {
    expect(x509Proofs.readKey(rsa(modulus(2048), exponent))).toMatchObject({ type: "rsa" });
  });

  test.each(Object.entries(REFUSED))("refuses %s", (_, spki) => {
    expect(x509Proofs.readKey(spki)).toHaveProperty("malformed");
  });

  test("takes only keys that node:crypto can verify with", () => {
    const keys = KINDS.map(([kind]) => spkiOf(makeKeyPair(kind).publicKey));
    const oneOfThem = fc.constantFrom(...keys);
    fc.assert(
      fc.property(fc.oneof(oneOfThem, mutatedDer(oneOfThem)), (spki) => {
        const facts = x509Proofs.readKey(spki);
        if ("malformed" in facts || facts.type !== "ec-p256") return;
        expect(x509Proofs.verifiesSvid(facts, Buffer.of(), new Uint8Array(64).fill(1))).toBe(false);
      }),
      { numRuns: 500 },
    );
  });
});
