/** A bundle document at its edges, and the words for a person who brought a bad one. */
import { describe, expect, test } from "vitest";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import { readBundleDocument } from "../../src/x509/bundle-document.ts";
import { makeAuthority } from "../arbitraries/authority.ts";
import { makeKeyPair } from "../arbitraries/certificate.ts";

const ALPHA = "alpha.test" as TrustDomain;
const ca = makeAuthority({ trustDomain: ALPHA });
const keys = makeKeyPair();
const jwk = { use: "jwt-svid", kid: "kid-1", ...keys.publicKey.export({ format: "jwk" }) };
const x5c = [Buffer.from(ca.der).toString("base64")];

/** The words of a refusal, or the sequence number and how many authorities were read. */
function outcome(text: string): string {
  const read = readBundleDocument(text, ALPHA);
  if (!read.ok) return read.reason;
  const { sequenceNumber, x509Authorities, jwtAuthorities } = read.value;
  return `${sequenceNumber}: ${x509Authorities.length} + ${jwtAuthorities.length}`;
}

const documentOf = (...each: readonly unknown[]): string => JSON.stringify({ keys: each });
const padded = (length: number): string => '{"keys":[]}'.padEnd(length);

const ROWS: readonly (readonly [text: string, said: string])[] = [
  ['{"keys":[]}', "0: 0 + 0"],
  ['{"keys":[],"spiffe_sequence":0}', "0: 0 + 0"],
  ['{"keys":[],"spiffe_sequence":9007199254740993}', "9007199254740993: 0 + 0"],
  ['{"keys":[],"spiffe_sequence":18446744073709551615}', "18446744073709551615: 0 + 0"],
  ['{"keys":[],"spiffe_sequence":18446744073709551616}', "`spiffe_sequence` is no 64-bit number"],
  ['{"keys":[],"spiffe_sequence":1e3}', "`spiffe_sequence` is no 64-bit number"],
  ['{"keys":[],"spiffe_sequence":1.0}', "`spiffe_sequence` is no 64-bit number"],
  ['{"keys":[],"spiffe_sequence":99999999999999999999}', "`spiffe_sequence` is no 64-bit number"],
  ['{"keys":[],"spiffe_sequence":100000000000000000000}', "`spiffe_sequence` is no 64-bit number"],
  ['{"keys":[],"spiffe_sequence":"1"}', "`spiffe_sequence` is no 64-bit number"],
  ['{"keys":[],"spiffe_sequence":-1}', "`spiffe_sequence` is no 64-bit number"],
  ['{"keys":[],"spiffe_sequence":null}', "`spiffe_sequence` is no 64-bit number"],
  ['{"keys":[],"spiffe_sequence":[1]}', "`spiffe_sequence` is no 64-bit number"],
  ["null", "document is no object"],
  ["[]", "document is no object"],
  ['"a"', "document is no object"],
  ["{}", "`keys` is no list"],
  ['{"keys":{}}', "`keys` is no list"],
  ['{"keys":[null]}', "key is no object"],
  ['{"keys":[[]]}', "key is no object"],
  ['{"keys":[1]}', "key is no object"],
  [documentOf({ use: "x509-svid", x5c }), "0: 1 + 0"],
  [documentOf(jwk), "0: 0 + 1"],
  [documentOf(jwk, { ...jwk, kid: "kid-2" }, { use: "x509-svid", x5c }), "0: 1 + 2"],
  [documentOf({ ...jwk, use: "other" }, { x5c }), "0: 0 + 0"],
  [documentOf(jwk, jwk), "two keys have one `kid`"],
  [documentOf({ ...jwk, kid: "" }), "a JWT authority has no `kid`"],
  [documentOf({ ...jwk, kid: 1 }), "a JWT authority has no `kid`"],
  [documentOf({ ...jwk, d: "AAAA" }), "JWT authority kid-1 is a private key"],
  [
    documentOf({ use: "x509-svid", x5c: ["AAAA"] }),
    "X.509 authority: expected identifier octet 0x30, found 0x00",
  ],
  [documentOf({ use: "x509-svid", x5c: ["AAA"] }), "`x5c` is not base64"],
  ...[undefined, [], "AAAA", [1], [...x5c, ...x5c]].map((each): [string, string] => [
    documentOf({ use: "x509-svid", x5c: each }),
    "an X.509 authority has not exactly one certificate in `x5c`",
  ]),
  [
    documentOf({
      use: "jwt-svid",
      kid: "kid-1",
      ...makeKeyPair("ec-secp256k1").publicKey.export({ format: "jwk" }),
    }),
    "JWT authority kid-1: curve 1.3.132.0.10 is not on the list",
  ],
];

describe("a bundle document", () => {
  // Named without the text: it has fresh keys, and a test keeps its name from run to run.
  test.each(ROWS.map(([text, said]) => ({ text, said })))("(%#) $said", ({ text, said }) => {
    expect(outcome(text)).toBe(said);
  });

  test("that is no text is a bug of the caller", () => {
    expect(() => Reflect.apply(readBundleDocument, undefined, [])).toThrow(TypeError);
  });

  test("names the mistake in what is no JSON or no key", () => {
    expect(outcome("{")).toMatch(/^document is no JSON: SyntaxError: ./);
    const nested = `{"keys":${"[".repeat(200_000)}${"]".repeat(200_000)}}`;
    expect(outcome(nested)).toMatch(/^document is no JSON: RangeError: ./);
    expect(outcome(documentOf({ ...jwk, x: undefined }))).toMatch(
      /^a JWT authority is no public key: .*Error/,
    );
  });

  test("may have 1,048,576 characters and not one more", () => {
    expect(outcome(padded(2 ** 20))).toBe("0: 0 + 0");
    expect(outcome(padded(2 ** 20 + 1))).toBe("document is longer than 1048576 characters");
  });

  test("gives authorities that are not tainted, and keys whose end is not known", () => {
    const read = readBundleDocument(documentOf(jwk, { use: "x509-svid", x5c }), ALPHA);
    expect(read).toEqual({
      ok: true,
      value: {
        trustDomain: ALPHA,
        sequenceNumber: 0n,
        x509Authorities: [{ der: Uint8Array.from(ca.der), tainted: false }],
        jwtAuthorities: [
          {
            keyId: "kid-1",
            spki: expect.anything(),
            expiresAtS: 0,
            tainted: false,
          },
        ],
      },
    });
  });
});
