/** Leaves that are not the publisher's X509-SVID. */
import { generateKeyPairSync } from "node:crypto";
import { toHex } from "../../src/core/std/bytes.ts";
import { extensions, keyIdOf, makeKeyPair } from "../arbitraries/certificate.ts";
import type { Svid } from "../arbitraries/record.ts";
import { type Change, type Row, both, signed, stated } from "./record-draft.ts";
import type { Bravo } from "./world.ts";

/** The object identifier of one extension, encoded. */
const kindOf = (each: Uint8Array): string => toHex(each.subarray(2, 7));

/** Under one of these X509-SVIDs, or with it for the old chain. */
const withSvid = (some: readonly Svid[]): Change =>
  signed(({ svids: good }, random) => ({
    svids: random.oneIn(2) ? [random.pick(some)] : [random.pick(some), ...good.slice(0, 1)],
  }));

export function leafRows({ publisher, svids, nodes }: Bravo): Row[] {
  const { ca, trustDomain, mint } = publisher;
  const leafWith = (...changed: readonly Buffer[]): Svid => {
    const keyPair = makeKeyPair();
    const spire = [
      extensions.keyUsage(0, 2, 4),
      extensions.basicConstraints(false),
      extensions.subjectKeyId(keyIdOf(keyPair.publicKey)),
      extensions.authorityKeyId(ca.keyId),
      extensions.uriSans(`spiffe://${trustDomain}/spire-mesh/publisher`),
    ];
    const kept = spire.filter((each) => !changed.some((other) => kindOf(other) === kindOf(each)));
    return mint(ca, { keyPair, overrides: { extensions: [...kept, ...changed] } });
  };
  const named = [
    "spiffe://bravo.test",
    "spiffe://bravo.test/",
    "spiffe://bravo.test/spire-mesh",
    "spiffe://bravo.test/spire-mesh/publisher/1",
    "spiffe://bravo.test/spire-mesh/publishe",
    "spiffe://bravo.test/spire-mesh/Publisher",
    "spiffe://alpha.test/spire-mesh/publisher",
    "spiffe://a.bravo.test/spire-mesh/publisher",
    "https://bravo.test/spire-mesh/publisher",
  ].map((spiffeId) => mint(ca, { spiffeId }));
  const id = `spiffe://${trustDomain}/spire-mesh/publisher`;
  const other = [
    leafWith(extensions.uriSans(id, "spiffe://bravo.test/web")),
    leafWith(extensions.uriSans(id, id)),
    leafWith(extensions.basicConstraints(true)),
    leafWith(extensions.keyUsage(0, 5)),
    leafWith(extensions.keyUsage(2)),
    ...(["ec-p384", "ec-p521", "rsa-2048", "ed25519"] as const).map((type): Svid => {
      const { chain, anchor } = mint(ca, { keyPair: makeKeyPair(type) });
      return { chain, anchor, privateKey: svids[0].privateKey };
    }),
  ];
  const nodeKeyPair = generateKeyPairSync("ed25519");
  const forNode = { ...mint(ca, { keyPair: nodeKeyPair }), privateKey: svids[0].privateKey };
  const spki = nodeKeyPair.publicKey.export({ type: "spki", format: "der" });
  const asNode = Uint8Array.from(spki.subarray(-32));
  return [
    ["an SVID of another ID", "LEAF_NOT_PUBLISHER", withSvid(named)],
    ["a leaf that is no SVID of the publisher", "LEAF_NOT_PUBLISHER", withSvid(other)],
    [
      "an SVID for a node key",
      "LEAF_KEY_IS_NODE_KEY",
      both(
        stated(({ nodes: all }) => ({ nodes: [...all, asNode] })),
        withSvid([forNode]),
      ),
    ],
    [
      "an SVID for the signing node's key",
      "LEAF_KEY_IS_NODE_KEY",
      both(
        stated(() => ({ nodes: [...nodes.map(({ publicKey }) => publicKey), asNode] })),
        withSvid([forNode]),
      ),
    ],
  ];
}
