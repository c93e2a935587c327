/** Chains from the leaf to an authority, with something missing, too much or wrong on the way. */
import { concatBytes, fromHex } from "../../src/core/std/bytes.ts";
import { type Authority, makeAuthority } from "../arbitraries/authority.ts";
import { extensions } from "../arbitraries/certificate.ts";
import { bitString } from "../arbitraries/der.ts";
import { NOW_S, type Svid, type SvidOptions } from "../arbitraries/record.ts";
import { REFUSED } from "../x509/refused.ts";
import { derOf } from "./authority-mutants.ts";
import { type Change, type Row, signed } from "./record-draft.ts";
import type { Bravo } from "./world.ts";

/** An X509-SVID that is sent with these certificates. */
const chained = (svid: Svid, ...chain: readonly Uint8Array[]): Svid => ({
  ...svid,
  chain: chain.map((each) => Uint8Array.from(each)),
});

const leaf = (svid: Svid): Uint8Array => svid.chain[0] ?? new Uint8Array();

/** Under one of these X509-SVIDs. */
const use = (...some: readonly Svid[]): Change =>
  signed((_, random) => ({ svids: [random.pick(some)] }));

export function chainRows({ publisher, cas, svids }: Bravo): Row[] {
  const { ca, mint, trustDomain } = publisher;
  const [main] = svids;
  const good = ca.issueIntermediate();
  const lower = good.issueIntermediate();
  const below = (issuer: Authority, sent: readonly Authority[], more: SvidOptions = {}): Svid =>
    mint(issuer, { sent, anchor: ca, ...more });
  const foreign = ca.issueIntermediate({ uriSans: ["spiffe://other.test"] });
  const nameless = ca.issueIntermediate({ uriSans: [] });
  const expired = ca.issueIntermediate({ notAfterS: NOW_S - 100 });
  const early = ca.issueIntermediate({ notBeforeS: NOW_S + 400 });
  const short = ca.issueIntermediate({ pathLength: 0 });
  const noCa = ca.issueIntermediate({
    overrides: {
      extensions: [
        extensions.keyUsage(5, 6),
        extensions.basicConstraints(false),
        extensions.uriSans(`spiffe://${trustDomain}`),
      ],
    },
  });
  const mute = ca.issueIntermediate({
    overrides: {
      extensions: [
        extensions.keyUsage(6),
        extensions.basicConstraints(true),
        extensions.uriSans(`spiffe://${trustDomain}`),
      ],
    },
  });
  const unsigned = ca.issueIntermediate({
    overrides: { signature: bitString(fromHex("3006020101020101")) },
  });
  const underShort = cas.short.issueIntermediate();
  const viaGood = below(good, [good]);
  const viaLower = below(lower, [lower, good]);
  const refused = Object.values(REFUSED).map(([overrides]) =>
    derOf(makeAuthority({ trustDomain, overrides })),
  );
  return [
    ["a chain by an intermediate", "taken", use(viaGood, viaLower)],
    ["a chain with the root in it", "taken", use(chained(main, leaf(main), ca.der))],
    [
      "a chain without its intermediate",
      "OLD_AUTHORITY_MISSING",
      use(below(good, []), below(lower, [lower])),
    ],
    ["a chain with a hole", "CHAIN_BROKEN", use(chained(viaLower, leaf(viaLower), good.der))],
    [
      "a chain in the wrong order",
      "CHAIN_BROKEN",
      use(chained(viaLower, leaf(viaLower), good.der, lower.der)),
    ],
    [
      "a chain that begins with its issuer",
      "LEAF_NOT_PUBLISHER",
      use(chained(viaGood, good.der, leaf(viaGood)), chained(main, ca.der)),
    ],
    ["a chain with the leaf twice", "CHAIN_BROKEN", use(chained(main, leaf(main), leaf(main)))],
    [
      "a chain that goes on with a stranger",
      "CHAIN_BROKEN",
      use(
        chained(main, leaf(main), cas.next.der),
        chained(viaGood, leaf(viaGood), good.der, cas.next.der),
      ),
    ],
    [
      "a certificate that the gate refuses",
      "CHAIN_MALFORMED",
      signed((_, random) => ({
        svids: [
          random.pick([
            chained(main, leaf(main), random.pick(refused)),
            chained(main, concatBytes(leaf(main), Uint8Array.of(0))),
            chained(main, leaf(main).subarray(0, -1)),
            chained(main, random.bytes(40)),
          ]),
        ],
      })),
    ],
    [
      "an intermediate of another trust domain",
      "ISSUER_NOT_TRUST_DOMAIN",
      use(below(foreign, [foreign]), below(nameless, [nameless])),
    ],
    [
      "an intermediate that was not valid then",
      "CHAIN_NOT_VALID_THEN",
      signed((_, random) => ({
        svids: [random.pick([below(expired, [expired]), below(early, [early])])],
        signedAtS: NOW_S,
      })),
    ],
    [
      "an intermediate that is no CA",
      "CHAIN_BROKEN",
      use(below(noCa, [noCa]), below(mute, [mute])),
    ],
    [
      "an intermediate that nobody signed",
      "OLD_AUTHORITY_MISSING",
      use(below(unsigned, [unsigned])),
    ],
    [
      "a leaf that its intermediate did not sign",
      "CHAIN_BROKEN",
      use(
        chained(
          viaGood,
          leaf(viaGood),
          ca.issueIntermediate({ keys: good.keys, overrides: { issuer: ca.subject } }).der,
        ),
      ),
    ],
    [
      "more intermediates than the path length allows",
      "CHAIN_BROKEN",
      use(below(short.issueIntermediate(), [short.issueIntermediate(), short])),
    ],
    [
      "more intermediates than the authority's path length allows",
      "OLD_AUTHORITY_MISSING",
      use(mint(underShort, { sent: [underShort], anchor: cas.short })),
    ],
    [
      "an SVID that names another key of its authority",
      "OLD_AUTHORITY_MISSING",
      use(
        mint(ca, {
          overrides: {
            extensions: [
              extensions.keyUsage(0, 2, 4),
              extensions.basicConstraints(false),
              extensions.authorityKeyId(cas.next.keyId),
              extensions.uriSans(`spiffe://${trustDomain}/spire-mesh/publisher`),
            ],
          },
        }),
        mint(ca, { overrides: { issuer: cas.next.subject } }),
      ),
    ],
  ];
}
