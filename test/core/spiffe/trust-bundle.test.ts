import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type TrustBundle, sameAuthorities } from "../../../src/core/spiffe/trust-bundle.ts";
import { type TrustDomain, readTrustDomain } from "../../../src/core/spiffe/trust-domain.ts";

const some = fc.uint8Array({ minLength: 1, maxLength: 2, max: 2 });
const x509 = fc.array(fc.record({ der: some, tainted: fc.boolean() }), { maxLength: 4 });
const jwt = fc.array(
  fc.record({
    keyId: fc.constantFrom("a", "b", "ab"),
    spki: some,
    expiresAtS: fc.constantFrom(0, 1, 11),
    tainted: fc.boolean(),
  }),
  { maxLength: 3 },
);
const bundle: fc.Arbitrary<TrustBundle> = fc.record({
  trustDomain: fc.constant("alpha.test" as TrustDomain),
  sequenceNumber: fc.bigInt(0n, 3n),
  x509Authorities: x509,
  jwtAuthorities: jwt,
});

/** What is compared, spelt out: every authority without its taint, in some order. */
function spelt({ x509Authorities, jwtAuthorities }: TrustBundle): string {
  const certificates = x509Authorities.map(({ der }) => der.join());
  const keys = jwtAuthorities.map((each) => `${each.keyId}|${each.spki.join()}|${each.expiresAtS}`);
  return JSON.stringify([certificates.sort(), keys.sort()]);
}

describe("the authorities of two bundles", () => {
  test("are the same exactly when each is in both, whatever order, number and taint", () => {
    fc.assert(
      fc.property(bundle, bundle, (left, right) => {
        expect(sameAuthorities(left, right)).toBe(spelt(left) === spelt(right));
      }),
      { numRuns: 500 },
    );
  });

  test("do not depend on their order", () => {
    fc.assert(
      fc.property(bundle, (each) => {
        const turned = {
          ...each,
          sequenceNumber: 9n,
          x509Authorities: each.x509Authorities.toReversed(),
          jwtAuthorities: each.jwtAuthorities.toReversed(),
        };
        expect(sameAuthorities(each, turned)).toBe(true);
      }),
    );
  });
});

describe("a trust domain name", () => {
  test.each(["a", "example.org", "a_b-c.9", "__proto__", ".", "..", "x".repeat(255)])(
    "may be %s",
    (name) => {
      expect(readTrustDomain(name)).toBe(name);
    },
  );

  test.each([
    "",
    "A.test",
    "spiffe://a.test",
    "a.test/",
    "ä.test",
    "a test",
    "a\n",
    "x".repeat(256),
  ])("is not `%s`", (name) => {
    expect(readTrustDomain(name)).toBeUndefined();
  });
});
