import crypto, { generateKeyPairSync, sign } from "node:crypto";
import { syncBuiltinESMExports } from "node:module";
import * as fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { x509Proofs } from "../../src/x509/proofs.ts";
import { type TestKeyType, makeKeyPair, spkiOf } from "../arbitraries/certificate.ts";
import type { KeyFacts } from "../../src/core/record/proofs.ts";

const message = fc.uint8Array({ maxLength: 200 });
const L = 2n ** 252n + 27742317777372353535851937790883648493n;
const N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

/** Encodings of points, as hex: y little-endian, the last bit is the sign of x. */
const SMALL_ORDER = {
  "the identity": `01${"00".repeat(31)}`,
  "order 2": `ec${"ff".repeat(30)}7f`,
  "order 4": "00".repeat(32),
  "order 4, negative": `${"00".repeat(31)}80`,
  "order 8": "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "order 8, negative": "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
  "order 8, the other": "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  "order 8, the other, negative":
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
};
const NOT_CANONICAL = {
  "the identity with a sign": `01${"00".repeat(30)}80`,
  "−1 with a sign": `ec${"ff".repeat(31)}`,
  "y = p": `ed${"ff".repeat(30)}7f`,
  "y = p + 1": `ee${"ff".repeat(30)}7f`,
  "y = 2^255 − 1": `${"ff".repeat(31)}7f`,
};

function ed25519() {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const bytes = Uint8Array.from(spkiOf(publicKey).subarray(-32));
  return {
    publicKey: bytes,
    sign: (data: Uint8Array) => Uint8Array.from(sign(null, data, privateKey)),
  };
}

/** How many key objects node:crypto makes meanwhile. */
function keyObjectsMade(run: () => void): number {
  const spy = vi.spyOn(crypto, "createPublicKey");
  syncBuiltinESMExports();
  try {
    run();
    return spy.mock.calls.length;
  } finally {
    spy.mockRestore();
    syncBuiltinESMExports();
  }
}

function spkiOfPoint(publicKey: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), publicKey]);
}

describe("verifiesNode", () => {
  const key = ed25519();

  test("takes what the key signed, and neither another message nor another key", () => {
    const other = ed25519();
    fc.assert(
      fc.property(message, message, (signed, another) => {
        const signature = key.sign(signed);
        expect(x509Proofs.verifiesNode(key.publicKey, signed, signature)).toBe(true);
        expect(x509Proofs.verifiesNode(other.publicKey, signed, signature)).toBe(false);
        const same = Buffer.compare(signed, another) === 0;
        expect(x509Proofs.verifiesNode(key.publicKey, another, signature)).toBe(same);
      }),
    );
  });

  test("answers the same again, and makes the objects of 2,048 keys that verified but once", () => {
    const data = Buffer.from("head");
    const signature = key.sign(data);
    const bad = signature.with(40, (signature[40] ?? 0) ^ 1);
    const answers = (each: Uint8Array): boolean =>
      x509Proofs.verifiesNode(key.publicKey, data, each);
    const others = Array.from({ length: 2_048 }, () => {
      const { publicKey, sign: signOf } = ed25519();
      return { publicKey, signature: signOf(data) };
    });
    const othersVerify = (from: number, to: number): boolean =>
      others
        .slice(from, to)
        .every((other) => x509Proofs.verifiesNode(other.publicKey, data, other.signature));

    expect(keyObjectsMade(() => expect(othersVerify(0, 2_048)).toBe(true))).toBe(2_048);
    // What does not verify is not kept: nobody pushes others out with keys of others.
    expect(keyObjectsMade(() => expect([bad, bad].map(answers)).toEqual([false, false]))).toBe(2);
    expect(keyObjectsMade(() => expect(othersVerify(0, 1)).toBe(true))).toBe(0);
    // One more, and the one that verified nothing for the longest goes.
    const three = [signature, bad, signature];
    expect(keyObjectsMade(() => expect(three.map(answers)).toEqual([true, false, true]))).toBe(1);
    expect(keyObjectsMade(() => expect(othersVerify(2, 2_048)).toBe(true))).toBe(0);
    expect(keyObjectsMade(() => expect(othersVerify(0, 1)).toBe(true))).toBe(0);
    expect(keyObjectsMade(() => expect(othersVerify(1, 2)).toBe(true))).toBe(1);
  });

  test("refuses a signature with any bit changed", () => {
    fc.assert(
      fc.property(message, fc.nat({ max: 511 }), (signed, bit) => {
        const signature = key.sign(signed);
        signature[bit >> 3] = (signature[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        expect(x509Proofs.verifiesNode(key.publicKey, signed, signature)).toBe(false);
      }),
    );
  });

  test("refuses S + L, which fulfils the same equation", () => {
    fc.assert(
      fc.property(message, (signed) => {
        const signature = key.sign(signed);
        const s = littleEndian(signature.subarray(32)) + L;
        const malleated = Buffer.concat([signature.subarray(0, 32), littleEndianBytes(s)]);
        expect(x509Proofs.verifiesNode(key.publicKey, signed, malleated)).toBe(false);
      }),
    );
  });

  test.each([0, 31, 33])("refuses a key of %i bytes", (length) => {
    const signature = key.sign(Buffer.of());
    expect(x509Proofs.verifiesNode(new Uint8Array(length), Buffer.of(), signature)).toBe(false);
  });

  test.each([0, 63, 65])("refuses a signature of %i bytes", (length) => {
    expect(x509Proofs.verifiesNode(key.publicKey, Buffer.of(), new Uint8Array(length))).toBe(false);
  });

  test.each(Object.entries({ ...SMALL_ORDER, ...NOT_CANONICAL }))(
    "refuses the key %s",
    (_, hex) => {
      const publicKey = Buffer.from(hex, "hex");
      for (const r of Object.values(SMALL_ORDER)) {
        const signature = Buffer.from(r + "00".repeat(32), "hex");
        expect(x509Proofs.verifiesNode(publicKey, Buffer.from("anything"), signature)).toBe(false);
      }
      expect(x509Proofs.readKey(spkiOfPoint(publicKey))).toHaveProperty("malformed");
    },
  );

  test.each(Object.entries(NOT_CANONICAL))("refuses R as %s", (_, hex) => {
    const signature = Buffer.concat([Buffer.from(hex, "hex"), key.sign(Buffer.of()).subarray(32)]);
    expect(x509Proofs.verifiesNode(key.publicKey, Buffer.of(), signature)).toBe(false);
  });
});

describe("verifiesSvid", () => {
  const { publicKey, privateKey } = makeKeyPair("ec-p256");
  const facts = keyFacts(spkiOf(publicKey));
  const signP256 = (data: Uint8Array) =>
    Uint8Array.from(sign("sha256", data, { key: privateKey, dsaEncoding: "ieee-p1363" }));

  test("takes what the key signed, and no other message", () => {
    fc.assert(
      fc.property(message, message, (signed, another) => {
        const signature = signP256(signed);
        expect(x509Proofs.verifiesSvid(facts, signed, signature)).toBe(true);
        const same = Buffer.compare(signed, another) === 0;
        expect(x509Proofs.verifiesSvid(facts, another, signature)).toBe(same);
      }),
    );
  });

  test("makes a key's object once", () => {
    const fresh = keyFacts(spkiOf(publicKey));
    const signature = signP256(Buffer.of());
    const verifies = (): boolean => x509Proofs.verifiesSvid(fresh, Buffer.of(), signature);
    expect(keyObjectsMade(() => expect([verifies(), verifies()]).toEqual([true, true]))).toBe(1);
  });

  test("takes both of a signature's twins: which one is the core's to judge", () => {
    const signature = signP256(Buffer.of());
    const s = N - bigEndian(signature.subarray(32));
    const twin = Buffer.concat([signature.subarray(0, 32), bigEndianBytes(s)]);
    expect(x509Proofs.verifiesSvid(facts, Buffer.of(), twin)).toBe(true);
  });

  test("refuses the DER form and other lengths", () => {
    const der = sign("sha256", Buffer.of(), privateKey);
    const signature = signP256(Buffer.of());
    const others = [
      der,
      signature.subarray(1),
      Buffer.concat([signature, Buffer.of(0)]),
      Buffer.of(),
    ];
    for (const other of others)
      expect(x509Proofs.verifiesSvid(facts, Buffer.of(), other)).toBe(false);
  });

  test("refuses a zero before r, between r and s, and after s", () => {
    const signature = signP256(Buffer.of());
    const zero = Buffer.of(0);
    for (const at of [0, 32, 64]) {
      const padded = Buffer.concat([signature.subarray(0, at), zero, signature.subarray(at)]);
      expect(x509Proofs.verifiesSvid(facts, Buffer.of(), padded)).toBe(false);
    }
  });

  test.each([0n, N, N + 1n, 2n ** 256n - 1n])("refuses %i as r or s", (scalar) => {
    const signature = signP256(Buffer.of());
    const [r, s] = [signature.subarray(0, 32), signature.subarray(32)];
    const bad = bigEndianBytes(scalar);
    for (const parts of [
      [bad, s],
      [r, bad],
      [bad, bad],
    ]) {
      expect(x509Proofs.verifiesSvid(facts, Buffer.of(), Buffer.concat(parts))).toBe(false);
    }
  });

  test.each(["ec-p384", "rsa-2048", "ed25519"] satisfies TestKeyType[])(
    "refuses a key of kind %s",
    (kind) => {
      const other = keyFacts(spkiOf(makeKeyPair(kind).publicKey));
      expect(x509Proofs.verifiesSvid(other, Buffer.of(), new Uint8Array(64).fill(1))).toBe(false);
    },
  );
});

function keyFacts(spki: Uint8Array): KeyFacts {
  const facts = x509Proofs.readKey(spki);
  if ("malformed" in facts) throw new Error(facts.malformed);
  return facts;
}

function bigEndian(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString("hex")}`);
}

function bigEndianBytes(value: bigint): Buffer {
  return Buffer.from(value.toString(16).padStart(64, "0"), "hex");
}

function littleEndian(bytes: Uint8Array): bigint {
  return bigEndian(bytes.toReversed());
}

function littleEndianBytes(value: bigint): Uint8Array {
  return bigEndianBytes(value).reverse();
}
