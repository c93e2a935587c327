import { X509Certificate, createPublicKey } from "node:crypto";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { JwtAuthority, TrustBundle } from "../../src/core/spiffe/trust-bundle.ts";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import {
  readBundleDocument,
  writeBundleDocument,
  writeBundlePem,
} from "../../src/x509/bundle-document.ts";
import { makeAuthority } from "../arbitraries/authority.ts";
import { type TestKeyType, makeKeyPair, spkiOf } from "../arbitraries/certificate.ts";

const VECTORS = fileURLToPath(new URL("../../../shared/vectors/", import.meta.url));
const JSON_SUITE = `${VECTORS}json-test-suite/`;
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

describe("a bundle document", () => {
  test("reads back as it was written, with the whole sequence number", () => {
    fc.assert(
      fc.property(bundles, fc.option(fc.nat(), { nil: undefined }), (bundle, hint) => {
        const read = readBundleDocument(writeBundleDocument(bundle, hint), TRUST_DOMAIN);
        expect(read).toEqual({ ok: true, value: bundle });
      }),
    );
  });

  test("any text gets an answer", () => {
    const almost = fc.json().map((json) => `{"keys": [${json}]}`);
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json(), almost), (text) => {
        expect(readBundleDocument(text, TRUST_DOMAIN)).toHaveProperty("ok");
      }),
    );
  });

  test("has the fields of the standard", () => {
    const x509Authorities = authorities.slice(0, 1);
    const jwtAuthorities = jwtKeys.slice(0, 1);
    const text = writeBundleDocument(
      bundleOf({ sequenceNumber: 7n, x509Authorities, jwtAuthorities }),
      300,
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
      spiffe_refresh_hint: 300,
    });
    expect(text).toBe(`${JSON.stringify(JSON.parse(text), null, 2)}\n`);
  });

  test("passes over keys of another use", () => {
    const text = JSON.stringify({ keys: [{ use: "wit-svid", kty: "EC" }, { kty: "EC" }] });
    expect(readBundleDocument(text, TRUST_DOMAIN)).toEqual({ ok: true, value: bundleOf() });
  });

  const good = authorities[0]?.der ?? Buffer.of();
  const base64 = Buffer.from(good).toString("base64");
  const urlSafe = base64.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  const jwk = { use: "jwt-svid", kid: "a", ...makeKeyPair().publicKey.export({ format: "jwk" }) };
  test.each([
    ["no JSON", "{"],
    ["a list", "[]"],
    ["no keys", "{}"],
    ["keys that are null", '{"keys":null}'],
    ["a key that is no object", '{"keys":["a"]}'],
    ["a negative sequence number", '{"keys":[],"spiffe_sequence":-1}'],
    ["a fractional sequence number", '{"keys":[],"spiffe_sequence":1.5}'],
    ["a sequence number of 65 bits", '{"keys":[],"spiffe_sequence":18446744073709551616}'],
    ["a sequence number in quotes", '{"keys":[],"spiffe_sequence":"1"}'],
    ["an X.509 authority without a certificate", documentOf({ use: "x509-svid" })],
    ["two certificates in one authority", documentOf({ use: "x509-svid", x5c: [base64, base64] })],
    ["a certificate that is none", documentOf({ use: "x509-svid", x5c: ["AAAA"] })],
    [
      "two certificates glued together",
      documentOf({ use: "x509-svid", x5c: [Buffer.concat([good, good]).toString("base64")] }),
    ],
    ["a JWT authority without a key id", documentOf({ ...jwk, kid: undefined })],
    ["a JWT authority without a point", documentOf({ ...jwk, x: undefined })],
    ["a symmetric JWT authority", documentOf({ use: "jwt-svid", kid: "a", kty: "oct", k: "AAAA" })],
    ["two JWT authorities of one key id", documentOf(jwk, jwk)],
    [
      "a private key",
      documentOf({ ...jwk, ...makeKeyPair().privateKey.export({ format: "jwk" }) }),
    ],
    ["a certificate with a line feed", documentOf({ use: "x509-svid", x5c: [`${base64}\n`] })],
    ["a certificate as base64url", documentOf({ use: "x509-svid", x5c: [urlSafe] })],
    ["nesting deeper than the stack", `{"keys":${"[".repeat(200_000)}${"]".repeat(200_000)}}`],
    ["more than 1 MiB", `{"keys":[]${" ".repeat(2 ** 20)}}`],
  ])("is refused with %s", (_, text) => {
    expect(readBundleDocument(text, TRUST_DOMAIN)).toEqual({
      ok: false,
      reason: expect.any(String),
    });
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

/** Files of go-spiffe and java-spiffe: how many authorities they have, or that they are refused. */
const EXPECTED: Readonly<Record<string, readonly [x509: number, jwt: number] | "refused">> = {
  "go-spiffe/bundle/spiffebundle/spiffebundle_missing_kid.json": "refused",
  "go-spiffe/bundle/spiffebundle/spiffebundle_multiple_x509.json": "refused",
  "go-spiffe/bundle/spiffebundle/spiffebundle_no_keys.json": "refused",
  "go-spiffe/bundle/spiffebundle/spiffebundle_valid_1.json": [1, 1],
  "go-spiffe/bundle/spiffebundle/spiffebundle_valid_2.json": [1, 6],
  "go-spiffe/bundle/spiffebundle/spiffebundle_valid_with_wit.json": [1, 2],
};

describe.skipIf(!existsSync(VECTORS))("the public vectors", () => {
  test.each(Object.entries(EXPECTED))("%s", (path, expected) => {
    const read = readBundleDocument(readFileSync(VECTORS + path, "utf8"), TRUST_DOMAIN);
    const outcome = read.ok
      ? [read.value.x509Authorities.length, read.value.jwtAuthorities.length]
      : "refused";
    expect(outcome).toEqual(expected);
  });

  test.skipIf(!existsSync(JSON_SUITE))("JSON that must not parse is refused", () => {
    for (const name of readdirSync(JSON_SUITE).filter((each) => each.startsWith("n_"))) {
      const text = readFileSync(JSON_SUITE + name, "utf8");
      expect(readBundleDocument(`{"keys":[],"a":${text}}`, TRUST_DOMAIN).ok, name).toBe(false);
    }
  });
});

function documentOf(...keys: readonly object[]): string {
  return JSON.stringify({ keys });
}
