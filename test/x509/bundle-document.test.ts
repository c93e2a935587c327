import { X509Certificate, createPublicKey } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { JwtAuthority, TrustBundle } from "../../src/core/spiffe/trust-bundle.ts";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import { writeBundleDocument, writeBundlePem } from "../../src/x509/bundle-document.ts";
import { makeAuthority } from "../arbitraries/authority.ts";
import { type TestKeyType, makeKeyPair, spkiOf } from "../arbitraries/certificate.ts";

const TRUST_DOMAIN = "alpha.test" as TrustDomain;
const KINDS = ["ec-p256", "ec-p384", "ec-p521", "rsa-2048", "ed25519"] satisfies TestKeyType[];

const authorities = KINDS.map((keyType) => {
  const { der } = makeAuthority({ trustDomain: TRUST_DOMAIN, keyType });
  return { der: Uint8Array.from(der), tainted: false };
});
const jwtKeys = KINDS.map((kind, index): JwtAuthority => {
  const spki = Uint8Array.from(spkiOf(makeKeyPair(kind).publicKey));
  return { keyId: `key-${index}`, spki, expiresAtS: 0, tainted: false };
});

const bundles = fc.record({
  trustDomain: fc.constant(TRUST_DOMAIN),
  sequenceNumber: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  x509Authorities: fc.subarray(authorities),
  jwtAuthorities: fc.subarray(jwtKeys),
});

function bundleOf(parts: Partial<TrustBundle> = {}): TrustBundle {
  return {
    trustDomain: TRUST_DOMAIN,
    sequenceNumber: 0n,
    x509Authorities: [],
    jwtAuthorities: [],
    ...parts,
  };
}

interface Document {
  readonly keys: readonly (object & { use: string; kid?: string; x5c?: readonly string[] })[];
}

/** The same key as `jwk`, as SubjectPublicKeyInfo. */
function spkiOfJwk(jwk: object): Uint8Array {
  const key = createPublicKey({ key: { ...jwk }, format: "jwk" });
  return Uint8Array.from(spkiOf(key));
}

describe("a bundle document", () => {
  test("has every authority with its own key, and the whole sequence number", () => {
    fc.assert(
      fc.property(bundles, (bundle) => {
        const text = writeBundleDocument(bundle);
        const { keys } = JSON.parse(text) as Document;
        const x509 = keys.filter(({ use }) => use === "x509-svid");
        const jwt = keys.filter(({ use }) => use === "jwt-svid");
        expect(keys).toEqual([...x509, ...jwt]);
        expect(x509.map(({ x5c }) => x5c)).toEqual(
          bundle.x509Authorities.map(({ der }) => [Buffer.from(der).toString("base64")]),
        );
        expect(x509.map(spkiOfJwk)).toEqual(
          bundle.x509Authorities.map(({ der }) =>
            Uint8Array.from(spkiOf(new X509Certificate(der).publicKey)),
          ),
        );
        expect(jwt.map((jwk) => [jwk.kid, spkiOfJwk(jwk)])).toEqual(
          bundle.jwtAuthorities.map(({ keyId, spki }) => [keyId, spki]),
        );
        expect(text).toMatch(new RegExp(`\n  "spiffe_sequence": ${bundle.sequenceNumber}\n}\n$`));
      }),
    );
  });

  test("has the fields of the standard", () => {
    const x509Authorities = authorities.slice(0, 1);
    const jwtAuthorities = jwtKeys.slice(0, 1);
    const text = writeBundleDocument(
      bundleOf({ sequenceNumber: 7n, x509Authorities, jwtAuthorities }),
    );
    const der = x509Authorities[0]?.der ?? Buffer.of();
    const jwt = createPublicKey({
      key: Buffer.from(jwtAuthorities[0]?.spki ?? []),
      format: "der",
      type: "spki",
    });
    expect(JSON.parse(text)).toEqual({
      keys: [
        {
          use: "x509-svid",
          ...new X509Certificate(der).publicKey.export({ format: "jwk" }),
          x5c: [Buffer.from(der).toString("base64")],
        },
        { use: "jwt-svid", kid: "key-0", ...jwt.export({ format: "jwk" }) },
      ],
      spiffe_sequence: 7,
    });
    expect(text).toBe(`${JSON.stringify(JSON.parse(text), null, 2)}\n`);
  });

  test("as PEM holds each X.509 authority", () => {
    const pem = writeBundlePem(bundleOf({ x509Authorities: authorities }));
    expect(pem).toMatch(/^(?:-----BEGIN CERTIFICATE-----\n[^-]+-----END CERTIFICATE-----\n){5}$/);
    const blocks = pem.match(/-----BEGIN[^]+?END CERTIFICATE-----\n/g) ?? [];
    expect(blocks.map((block) => Uint8Array.from(new X509Certificate(block).raw))).toEqual(
      authorities.map(({ der }) => der),
    );
  });
});
