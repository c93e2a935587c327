/** Step 8 for chains of more than a leaf; each case is a first record under one root. */
import { describe, expect, test } from "vitest";
import { makeAuthority } from "../../arbitraries/authority.ts";
import { extensions } from "../../arbitraries/certificate.ts";
import { bitString, extension, sequence, tlv } from "../../arbitraries/der.ts";
import { NOW_S, type Svid, makePublisher, makeRecord, mintSvid } from "../../arbitraries/record.ts";
import { type Verdict, verdict } from "./verdict.ts";

const { genesis, mint, node, trustDomain } = makePublisher("alpha.test");
const badSignature = bitString(Buffer.from("3006020101020101", "hex"));

/** A first record under this authority, with this SVID. */
function under(anchor: { readonly der: Uint8Array }, signer: Svid): Verdict {
  const x509Authorities = [{ der: Uint8Array.from(anchor.der), tainted: false }];
  const state = { ...genesis.state, x509Authorities };
  return verdict(makeRecord(state, [{ node, svids: [signer] }]), undefined);
}

const uris = (tag: number, ...bases: readonly string[]): Buffer =>
  tlv(tag, ...bases.map((base) => sequence(tlv(0x86, base))));
const dnsOnly = tlv(0xa0, sequence(tlv(0x82, "corp.test")));

describe("a chain with intermediates", () => {
  const root = makeAuthority({ trustDomain, uriSans: [] });
  const server = root.issueIntermediate();
  const nested = server.issueIntermediate();

  const cases: readonly (readonly [string, Verdict, () => Verdict])[] = [
    ["of one SPIRE Server", "taken", () => under(root, mint(server, { sent: [server] }))],
    ["of a nested one", "taken", () => under(root, mint(nested, { sent: [nested, server] }))],
    ["whose root is named too", "taken", () => under(root, mint(server, { sent: [server, root] }))],
    [
      "with one missing",
      "NEW_AUTHORITY_MISSING",
      () => under(root, mint(nested, { sent: [nested] })),
    ],
    [
      "in another order",
      "CHAIN_BROKEN",
      () => under(root, mint(nested, { sent: [server, nested] })),
    ],
    [
      "with one too many",
      "CHAIN_BROKEN",
      () => under(root, mint(server, { sent: [server, nested] })),
    ],
    [
      "of another domain's server under the same root",
      "ISSUER_NOT_TRUST_DOMAIN",
      () => {
        const other = root.issueIntermediate({ uriSans: ["spiffe://bravo.test"] });
        return under(root, mint(other, { sent: [other] }));
      },
    ],
    [
      "of a corporate CA that speaks for no trust domain",
      "ISSUER_NOT_TRUST_DOMAIN",
      () => {
        const corporate = root.issueIntermediate({ uriSans: [] });
        return under(root, mint(corporate, { sent: [corporate] }));
      },
    ],
    [
      "of a CA that speaks for this trust domain and another",
      "ISSUER_NOT_TRUST_DOMAIN",
      () => {
        const both = root.issueIntermediate({
          uriSans: ["spiffe://alpha.test", "spiffe://bravo.test"],
        });
        return under(root, mint(both, { sent: [both] }));
      },
    ],
    [
      "issued by the corporate root itself",
      "ISSUER_NOT_TRUST_DOMAIN",
      () => under(root, mint(root)),
    ],
    [
      "below another domain's CA",
      "ISSUER_NOT_TRUST_DOMAIN",
      () => {
        const other = root.issueIntermediate({ uriSans: ["spiffe://bravo.test"] });
        const mine = other.issueIntermediate({ uriSans: ["spiffe://alpha.test"] });
        return under(root, mint(mine, { sent: [mine, other] }));
      },
    ],
    [
      "below another domain's root",
      "ISSUER_NOT_TRUST_DOMAIN",
      () => {
        const other = makeAuthority({ trustDomain: "bravo.test" });
        const mine = other.issueIntermediate({ uriSans: ["spiffe://alpha.test"] });
        return under(other, mint(mine, { sent: [mine] }));
      },
    ],
    [
      "whose intermediate had expired",
      "CHAIN_NOT_VALID_THEN",
      () => {
        const old = root.issueIntermediate({ notAfterS: NOW_S - 1 });
        return under(root, mint(old, { sent: [old] }));
      },
    ],
    [
      "whose root had expired",
      "CHAIN_NOT_VALID_THEN",
      () => {
        const old = makeAuthority({ trustDomain, notAfterS: NOW_S - 1 });
        return under(old, mint(old));
      },
    ],
    [
      "through a leaf",
      "CHAIN_BROKEN",
      () => {
        const between = server.issueIntermediate({
          overrides: { extensions: [extensions.uriSans("spiffe://alpha.test")] },
        });
        return under(root, mint(between, { sent: [between, server] }));
      },
    ],
    [
      "through a CA that may not sign certificates",
      "CHAIN_BROKEN",
      () => {
        const between = server.issueIntermediate({
          overrides: {
            extensions: [
              extensions.keyUsage(6),
              extensions.basicConstraints(true),
              extensions.uriSans("spiffe://alpha.test"),
            ],
          },
        });
        return under(root, mint(between, { sent: [between, server] }));
      },
    ],
    [
      "longer than an intermediate allows",
      "CHAIN_BROKEN",
      () => {
        const last = root.issueIntermediate({ pathLength: 0 });
        const below = last.issueIntermediate();
        return under(root, mint(below, { sent: [below, last] }));
      },
    ],
    [
      "longer than the root allows",
      "NEW_AUTHORITY_MISSING",
      () => {
        const last = makeAuthority({ trustDomain, pathLength: 0 });
        const below = last.issueIntermediate();
        return under(last, mint(below, { sent: [below] }));
      },
    ],
    [
      "as long as the root allows",
      "taken",
      () => {
        const above = makeAuthority({ trustDomain, pathLength: 1 });
        const below = above.issueIntermediate();
        return under(above, mint(below, { sent: [below] }));
      },
    ],
    [
      "whose intermediate names another key id above",
      "CHAIN_BROKEN",
      () => {
        const other = server.issueIntermediate({
          overrides: {
            extensions: [
              extensions.basicConstraints(true),
              extensions.authorityKeyId(nested.keyId),
              extensions.uriSans("spiffe://alpha.test"),
            ],
          },
        });
        return under(root, mint(other, { sent: [other, server] }));
      },
    ],
    [
      "whose intermediate the one above did not sign",
      "CHAIN_BROKEN",
      () => {
        const other = server.issueIntermediate({ overrides: { signature: badSignature } });
        return under(root, mint(other, { sent: [other, server] }));
      },
    ],
  ];

  test.each(cases)("%s: %s", (_, code, judge) => {
    expect(judge()).toBe(code);
  });

  test.each<readonly [string, Verdict, Buffer, boolean]>([
    ["permitted to this trust domain", "taken", uris(0xa0, "alpha.test"), true],
    ["permitted to this and another", "taken", uris(0xa0, "bravo.test", "alpha.test"), true],
    ["permitted to all below .test", "taken", uris(0xa0, ".test"), true],
    ["permitted in capitals", "taken", uris(0xa0, "ALPHA.test"), true],
    ["permitted to another trust domain", "NAME_CONSTRAINED", uris(0xa0, "bravo.test"), true],
    ["permitted to what is below it", "NAME_CONSTRAINED", uris(0xa0, ".alpha.test"), true],
    ["permitted to a name that ends alike", "NAME_CONSTRAINED", uris(0xa0, "pha.test"), true],
    ["with this trust domain excluded", "NAME_CONSTRAINED", uris(0xa1, "alpha.test"), true],
    ["with all below .test excluded", "NAME_CONSTRAINED", uris(0xa1, ".test"), true],
    ["with all below test excluded, as Go reads it", "NAME_CONSTRAINED", uris(0xa1, "test"), true],
    [
      "with this trust domain excluded in capitals",
      "NAME_CONSTRAINED",
      uris(0xa1, "ALPHA.test"),
      true,
    ],
    ["with what is below it excluded", "taken", uris(0xa1, ".alpha.test"), true],
    ["with a name that ends alike excluded", "taken", uris(0xa1, "pha.test"), true],
    ["with another one excluded", "taken", uris(0xa1, "bravo.test"), true],
    ["permitted to the domain above alone", "NAME_CONSTRAINED", uris(0xa0, "test"), true],
    [
      "limited to URIs of another, not critical",
      "NAME_CONSTRAINED",
      uris(0xa0, "bravo.test"),
      false,
    ],
    ["limited in DNS names, critical", "NAME_CONSTRAINED", dnsOnly, true],
    ["limited in DNS names, not critical", "taken", dnsOnly, false],
  ])("below a CA %s: %s", (_, code, subtrees, critical) => {
    const constrained = makeAuthority({
      trustDomain,
      overrides: {
        extensions: [
          extensions.keyUsage(5, 6),
          extensions.basicConstraints(true),
          extensions.uriSans("spiffe://alpha.test"),
          extension("2.5.29.30", sequence(subtrees), critical),
        ],
      },
    });
    expect(under(constrained, mintSvid(trustDomain, constrained))).toBe(code);
  });
});
