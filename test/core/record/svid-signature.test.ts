/** Of the two forms of a signature one is canonical: a law for all, and real ones of P-256. */
import { generateKeyPairSync, randomBytes, sign, verify } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  isCanonicalSvidSignature,
  toCanonicalSvidSignature,
} from "../../../src/core/record/svid-signature.ts";
import { concatBytes, fromHex, toHex } from "../../../src/core/std/bytes.ts";

/** SP 800-186, 3.2.1.3. */
const N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

const bytesOf = (scalar: bigint): Uint8Array => fromHex(scalar.toString(16).padStart(64, "0"));
const signatureOf = (r: bigint, s: bigint): Uint8Array => concatBytes(bytesOf(r), bytesOf(s));
/** Also those whose smaller twin begins with zeros. */
const scalar = fc.oneof(
  fc.bigInt(1n, N - 1n),
  fc.bigInt(N - 300n, N - 1n),
  fc.bigInt(1n, 300n),
  fc.constant(N / 2n),
);

describe("an SVID's signature", () => {
  test("has one canonical form, with the smaller s", () => {
    fc.assert(
      fc.property(scalar, scalar, (r, s) => {
        const smaller = s <= N - s ? s : N - s;
        const canonical = toHex(signatureOf(r, smaller));
        expect(toHex(toCanonicalSvidSignature(signatureOf(r, s)))).toBe(canonical);
        expect(toHex(toCanonicalSvidSignature(signatureOf(r, N - s)))).toBe(canonical);
        expect(isCanonicalSvidSignature(signatureOf(r, s))).toBe(s === smaller);
        expect(isCanonicalSvidSignature(signatureOf(r, N - s))).toBe(N - s === smaller);
      }),
    );
  });

  test.each<[string, bigint, bigint, boolean]>([
    ["r is 1 and s is 1", 1n, 1n, true],
    ["r is the greatest scalar", N - 1n, 1n, true],
    ["s is half of the order", 1n, N / 2n, true],
    ["s is one more", 1n, N / 2n + 1n, false],
    ["r is 0", 0n, 1n, false],
    ["s is 0", 1n, 0n, false],
    ["r is the order", N, 1n, false],
    ["s is the order", 1n, N, false],
  ])("is canonical or not when %s", (_, r, s, isCanonical) => {
    expect(isCanonicalSvidSignature(signatureOf(r, s))).toBe(isCanonical);
  });

  test("verifies in its canonical form as it did before", () => {
    const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    for (let time = 0; time < 20; time += 1) {
      const message = randomBytes(32);
      const key = { key: privateKey, dsaEncoding: "ieee-p1363" } as const;
      const canonical = toCanonicalSvidSignature(sign("sha256", message, key));
      expect(isCanonicalSvidSignature(canonical)).toBe(true);
      const of = { key: publicKey, dsaEncoding: "ieee-p1363" } as const;
      expect(verify("sha256", message, of, canonical)).toBe(true);
    }
  });
});
