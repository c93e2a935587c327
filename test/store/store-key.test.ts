/** Keys of the level store: one for each thing, in the order of versions. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compareVersions } from "../../src/core/record/state.ts";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import { compareBytes, toHex } from "../../src/core/std/bytes.ts";
import {
  META_KEY,
  domainKey,
  pinKey,
  readKey,
  stepKey,
  stepRange,
} from "../../src/store/store-key.ts";

const name = fc.oneof(
  fc.constantFrom("__proto__", ".", "..", "a", "aa", "ab"),
  fc.stringMatching(/^[a-z0-9._-]{1,255}$/),
) as fc.Arbitrary<TrustDomain>;
const u32 = fc.oneof(
  fc.constantFrom(0, 1, 255, 256),
  fc.nat(2 ** 31 - 1),
  fc.constant(2 ** 32 - 1),
);
const version = fc.record({
  epoch: u32,
  rev: u32,
  sequence: fc.oneof(fc.bigInt(0n, 300n), fc.bigInt(0n, 2n ** 64n - 1n)),
});

describe("keys of the store", () => {
  test("of one trust domain's steps order as their versions do", () => {
    fc.assert(
      fc.property(name, version, version, (each, left, right) => {
        const order = compareBytes(stepKey(each, left), stepKey(each, right));
        expect(Math.sign(order)).toBe(Math.sign(compareVersions(left, right)));
      }),
    );
  });

  test("of a trust domain's steps lie in its range, and no other domain's do", () => {
    fc.assert(
      fc.property(name, name, version, (own, other, each) => {
        const { gte, lte } = stepRange(own);
        const key = stepKey(other, each);
        const isInside = compareBytes(gte, key) <= 0 && compareBytes(key, lte) <= 0;
        expect(isInside).toBe(own === other);
      }),
    );
  });

  test("say what they were made of", () => {
    fc.assert(
      fc.property(name, (trustDomain) => {
        expect(readKey(domainKey(trustDomain))).toEqual({ kind: "domain", trustDomain });
        expect(readKey(pinKey(trustDomain))).toEqual({ kind: "pin", trustDomain });
      }),
    );
    expect(readKey(META_KEY)).toEqual({ kind: "meta" });
  });

  test.each(["", "00", "6d00", "64", "6400", "640261", "640141", "7001ff"])(
    "are never %s",
    (hex) => {
      expect(readKey(Buffer.from(hex, "hex"))).toBeUndefined();
      expect(toHex(Buffer.from(hex, "hex"))).toBe(hex);
    },
  );
});
