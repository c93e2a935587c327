/** Authorities that a record lists, and those that its X509-SVIDs are under: old, new, tainted, neither. */
import type { State } from "../../src/core/record/state.ts";
import { concatBytes } from "../../src/core/std/bytes.ts";
import { type Authority, makeAuthority } from "../arbitraries/authority.ts";
import { extensions, makeKeyPair } from "../arbitraries/certificate.ts";
import { NOW_S, type Svid, tainted, untainted } from "../arbitraries/record.ts";
import { REFUSED } from "../x509/refused.ts";
import { type Change, type Row, both, signed, stated } from "./record-draft.ts";
import type { Bravo } from "./world.ts";

export const derOf = (authority: Authority): Uint8Array => Uint8Array.from(authority.der);

/** One of these in the list besides. */
const also = (ders: readonly Uint8Array[], taints: readonly boolean[] = [false, true]): Change =>
  stated(({ x509Authorities }, random) => ({
    x509Authorities: [...x509Authorities, { der: random.pick(ders), tainted: random.pick(taints) }],
  }));

const onlySvid = (svid: Svid): Change => signed(() => ({ svids: [svid] }));
const listed = (...some: State["x509Authorities"]): Change =>
  stated(() => ({ x509Authorities: some }));

export function authorityRows({ cas, publisher, svids, jwt, extras }: Bravo): Row[] {
  const { trustDomain } = publisher;
  const make = (options: Partial<Parameters<typeof makeAuthority>[0]>): Uint8Array =>
    derOf(makeAuthority({ trustDomain, ...options }));
  const refused = Object.values(REFUSED).map(([overrides]) => make({ overrides }));
  const notAuthorities = [
    Uint8Array.of(0x30, 0x00),
    concatBytes(publisher.ca.der, cas.next.der),
    concatBytes(publisher.ca.der, Uint8Array.of(0)),
    publisher.ca.der.subarray(0, -1),
    svids[0].chain[0] ?? new Uint8Array(),
    make({ keyType: "ec-p224" }),
    make({ keyType: "ec-secp256k1" }),
    make({ keyType: "rsa-1024" }),
    make({ uriSans: ["spiffe://bravo.test", "spiffe://other.test"] }),
    make({
      overrides: { extensions: [extensions.keyUsage(6), extensions.basicConstraints(true)] },
    }),
    make({ overrides: { extensions: [extensions.keyUsage(5, 6)] } }),
  ].map((each) => Uint8Array.from(each));
  const badKeys = [
    Uint8Array.of(0x30, 0x00),
    Uint8Array.from(makeKeyPair("rsa-1024").publicKey.export({ type: "spki", format: "der" })),
    Uint8Array.from(makeKeyPair("ec-p224").publicKey.export({ type: "spki", format: "der" })),
    concatBytes(jwt[0]?.spki ?? new Uint8Array(), Uint8Array.of(0)),
  ];
  const nextSvid = publisher.mint(cas.next);
  const expiredSvid = publisher.mint(cas.expired);
  const [main] = svids;
  return [
    ["an authority that the gate refuses", "AUTHORITY_MALFORMED", also(refused)],
    ["bytes that are no authority", "AUTHORITY_MALFORMED", also(notAuthorities)],
    [
      "a JWT key that the gate refuses",
      "AUTHORITY_MALFORMED",
      stated((_, random) => ({
        jwtAuthorities: [
          { keyId: "bad", spki: random.pick(badKeys), expiresAtS: 0, tainted: random.oneIn(2) },
        ],
      })),
    ],
    [
      "an authority of another trust domain",
      "taken",
      also([make({ uriSans: ["spiffe://x.test"] }), make({ uriSans: [] })]),
    ],
    [
      "64 authorities",
      "taken",
      stated(({ x509Authorities }) => ({
        x509Authorities: [...x509Authorities.slice(0, 7), ...extras.map(untainted)],
        jwtAuthorities: [],
      })),
    ],
    [
      "tainted authorities alone",
      "NEW_AUTHORITY_MISSING",
      stated(({ x509Authorities }) => ({
        x509Authorities: x509Authorities.map((each) => ({ ...each, tainted: true })),
      })),
    ],
    [
      "the signing authority tainted",
      "NEW_AUTHORITY_MISSING",
      both(onlySvid(main), listed(tainted(publisher.ca), untainted(cas.second))),
    ],
    [
      "the signing authority gone",
      "NEW_AUTHORITY_MISSING",
      both(onlySvid(main), listed(untainted(cas.second))),
    ],
    [
      "the old and the new chain when every authority changes",
      "taken",
      both(
        signed(() => ({ svids: [main, nextSvid] })),
        listed(untainted(cas.next)),
      ),
    ],
    [
      "the old and the new chain when the old authority is tainted",
      "taken",
      both(
        signed(() => ({ svids: [main, nextSvid] })),
        listed(untainted(cas.next), tainted(publisher.ca)),
      ),
    ],
    [
      "the new chain alone when every authority changes",
      "OLD_AUTHORITY_MISSING",
      both(onlySvid(nextSvid), listed(untainted(cas.next))),
    ],
    [
      "the new chain before the old one",
      "OLD_AUTHORITY_MISSING",
      both(
        signed(() => ({ svids: [nextSvid, main] })),
        listed(untainted(cas.next)),
      ),
    ],
    [
      "the new chain twice",
      "OLD_AUTHORITY_MISSING",
      both(
        signed(() => ({ svids: [nextSvid, nextSvid] })),
        listed(untainted(cas.next), untainted(publisher.ca)),
      ),
    ],
    [
      "the old chain twice",
      "NEW_AUTHORITY_MISSING",
      both(
        signed(() => ({ svids: [main, main] })),
        listed(untainted(cas.next)),
      ),
    ],
    [
      "an SVID of an authority that is held tainted",
      "OLD_AUTHORITY_MISSING",
      onlySvid(publisher.mint(cas.tainted)),
    ],
    [
      "an SVID of a held tainted authority that it calls untainted",
      "OLD_AUTHORITY_MISSING",
      both(
        onlySvid(publisher.mint(cas.tainted)),
        stated(({ x509Authorities }) => ({
          x509Authorities: x509Authorities.map((each) => ({ ...each, tainted: false })),
        })),
      ),
    ],
    [
      "an SVID of an expired authority",
      "CHAIN_NOT_VALID_THEN",
      signed(() => ({ svids: [expiredSvid], signedAtS: NOW_S })),
    ],
    [
      "an SVID of an authority of another trust domain",
      "ISSUER_NOT_TRUST_DOMAIN",
      onlySvid(publisher.mint(cas.foreign)),
    ],
    [
      "an SVID of an authority that may not speak for the trust domain",
      "NAME_CONSTRAINED",
      onlySvid(publisher.mint(cas.constrained)),
    ],
  ];
}
