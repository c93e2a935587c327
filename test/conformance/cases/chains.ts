/** Step 8: what a chain must be, from the publisher's leaf to the authority. */
import { extensions } from "../../arbitraries/certificate.ts";
import { extension, integer, sequence, tlv } from "../../arbitraries/der.ts";
import { concatBytes } from "../../../src/core/std/bytes.ts";
import { sha256 as hashOf } from "../../../src/core/std/sha256.ts";
import {
  type Authority,
  type CertificateOptions,
  NOW_S,
  type Svid,
  TRUST_DOMAIN,
  authority,
  svid,
} from "../fixed-certificates.ts";
import { type Arrival, casesIn, refused, taken } from "../conformance-case.ts";
import { ed25519Key, nodeKey, p256Key, p384Key } from "../fixed-keys.ts";
import {
  after,
  byOne,
  ca,
  flipped,
  genesis,
  makeRecord,
  next,
  one,
  svidOne,
  untainted,
} from "../fixed-records.ts";
import type { RefusalCode } from "../../../src/core/record/refusal.ts";

const { cases, add } = casesIn("chains");
export const chainCases = cases;

const ID = `spiffe://${TRUST_DOMAIN}`;
const PUBLISHER = `${ID}/spire-mesh/publisher`;

/** The next record under this SVID. */
const under = (each: Svid) => next({}, [{ ...byOne, svids: [each] }]);
const wrongLeaf = (
  title: string,
  shows: string,
  code: RefusalCode,
  options: CertificateOptions,
): void => add(title, shows, [taken(genesis), refused(code, under(svid(title, ca, options)))]);
/** Two records: the first lists the authority, the second is signed below it. */
function below(anchor: Authority, each: Svid, code?: RefusalCode): readonly Arrival[] {
  const listing = next({ x509Authorities: untainted(ca, anchor) });
  const record = makeRecord(after(listing), [{ ...byOne, svids: [each] }]);
  return [
    taken(genesis),
    taken(listing),
    code === undefined ? taken(record) : refused(code, record),
  ];
}

wrongLeaf("a leaf of a workload", "the leaf has the publisher's SPIFFE ID", "LEAF_NOT_PUBLISHER", {
  uriSans: [`${ID}/workload`],
});
wrongLeaf(
  "a leaf of another trust domain",
  "the leaf has the publisher's SPIFFE ID",
  "LEAF_NOT_PUBLISHER",
  { uriSans: ["spiffe://bravo.test/spire-mesh/publisher"] },
);
wrongLeaf("a leaf with two names", "the leaf has one URI SAN", "LEAF_NOT_PUBLISHER", {
  uriSans: [PUBLISHER, `${ID}/workload`],
});
wrongLeaf("a leaf that is a CA", "the leaf is no CA", "LEAF_NOT_PUBLISHER", {
  parts: {
    extensions: [
      extensions.keyUsage(0),
      extensions.basicConstraints(true),
      extensions.uriSans(PUBLISHER),
    ],
  },
});
wrongLeaf("a leaf that signs certificates", "the leaf has no keyCertSign", "LEAF_NOT_PUBLISHER", {
  parts: {
    extensions: [
      extensions.keyUsage(0, 5),
      extensions.basicConstraints(false),
      extensions.uriSans(PUBLISHER),
    ],
  },
});
wrongLeaf("a leaf without a key usage", "the leaf has digitalSignature", "LEAF_NOT_PUBLISHER", {
  parts: { extensions: [extensions.basicConstraints(false), extensions.uriSans(PUBLISHER)] },
});
wrongLeaf("a leaf with a P 384 key", "the leaf's key is one of P-256", "LEAF_NOT_PUBLISHER", {
  key: p384Key("leaf"),
});
wrongLeaf("a leaf that has ended", "the leaf is valid when it signs", "CHAIN_NOT_VALID_THEN", {
  notBeforeS: NOW_S - 100,
  notAfterS: NOW_S - 1,
});
wrongLeaf(
  "a leaf that is not valid yet",
  "the leaf is valid when it signs",
  "CHAIN_NOT_VALID_THEN",
  { notBeforeS: NOW_S + 1, notAfterS: NOW_S + 100 },
);
add("a leaf in its last second", "validity includes both ends", [
  taken(genesis),
  taken(under(svid("last second", ca, { notBeforeS: NOW_S, notAfterS: NOW_S }))),
]);
add(
  "a leaf minted for a node key",
  "the SVID's key is no node key of the record: one theft would be both factors",
  [taken(genesis), refused("LEAF_KEY_IS_NODE_KEY", mintedForNode())],
);
add("a leaf that is no certificate", "certificates pass the strict gate", [
  taken(genesis),
  refused("CHAIN_MALFORMED", under({ ...svidOne, chain: [Uint8Array.of(0x30, 0)] })),
]);
add("two certificates in one", "one byte string is one certificate", [
  taken(genesis),
  refused("CHAIN_MALFORMED", under({ ...svidOne, chain: [concatBytes(...svidOne.chain, ca.der)] })),
]);
add("an SVID signature by another key", "the leaf's key signs", [
  taken(genesis),
  refused("SVID_SIGNATURE_INVALID", under({ ...svidOne, key: p256Key("somebody") })),
]);
add("an SVID signature with a bit flipped", "the leaf's key signs exactly this", [
  taken(genesis),
  refused("SVID_SIGNATURE_INVALID", next({}, [{ ...byOne, svidSignature: flipped }])),
]);
add("a block of another record", "block signatures name the record", [
  taken(genesis),
  refused("NODE_SIGNATURE_INVALID", next({}, [{ ...byOne, of: genesis.id }])),
]);

add("a leaf with a path length", "only a CA has a path length", [
  taken(genesis),
  refused(
    "CHAIN_MALFORMED",
    under(
      svid("leaf 22", ca, {
        parts: {
          extensions: [
            extensions.keyUsage(0),
            extension("2.5.29.19", sequence(integer(1))),
            extensions.uriSans(PUBLISHER),
          ],
        },
      }),
    ),
  ),
]);
add("a leaf that does not sign", "the leaf has digitalSignature", [
  taken(genesis),
  refused(
    "LEAF_NOT_PUBLISHER",
    under(
      svid("leaf for keys", ca, {
        parts: {
          extensions: [
            extensions.keyUsage(2),
            extensions.basicConstraints(false),
            extensions.uriSans(PUBLISHER),
          ],
        },
      }),
    ),
  ),
]);
add("a certificate signature that is not DER", "an ECDSA signature is DER too", [
  taken(genesis),
  refused(
    "OLD_AUTHORITY_MISSING",
    under(svid("leaf 23", { ...ca, key: { ...ca.key, sign: signPadded } })),
  ),
]);
add("another issuer name", "the issuer's name is the subject of what issued it, byte for byte", [
  taken(genesis),
  refused(
    "OLD_AUTHORITY_MISSING",
    under(svid("leaf 20", ca, { parts: { issuer: authority("another").subject } })),
  ),
]);

const server = authority("server", {}, ca);
const nested = authority("nested", {}, server);
const deepest = authority("deepest", {}, nested);
add("a server below the authority", "a chain may have intermediates", [
  taken(genesis),
  taken(under(svid("leaf 1", ca, { sent: [server] }))),
]);
add("four certificates", "a chain has at most four certificates", [
  taken(genesis),
  taken(under(svid("leaf 3", ca, { sent: [deepest, nested, server] }))),
]);
add("intermediates in the wrong order", "each certificate is issued by the next one", [
  taken(genesis),
  refused("CHAIN_BROKEN", under(reordered())),
]);
add("an intermediate left out", "no path is searched for", [
  taken(genesis),
  refused("OLD_AUTHORITY_MISSING", under(svid("leaf 5", ca, { sent: [nested] }))),
]);
add(
  "the authority sent in the chain",
  "the root is not sent: it is not what issued the last certificate unless it issued itself",
  [taken(genesis), taken(under({ ...svidOne, chain: [...svidOne.chain, ca.der] }))],
);
add("an intermediate that has ended", "each certificate is valid when it signs", [
  taken(genesis),
  refused(
    "CHAIN_NOT_VALID_THEN",
    under(
      svid("leaf 6", ca, { sent: [authority("server that ended", { notAfterS: NOW_S - 1 }, ca)] }),
    ),
  ),
]);
add("an intermediate that is no CA", "each issuer is a CA", [
  taken(genesis),
  refused(
    "CHAIN_BROKEN",
    under(
      svid("leaf 7", ca, {
        sent: [authority("no CA", { parts: { extensions: [extensions.keyUsage(0)] } }, ca)],
      }),
    ),
  ),
]);
add("an intermediate without extensions of a CA", "each issuer is a CA", [
  taken(genesis),
  refused(
    "CHAIN_BROKEN",
    under(
      svid("leaf 21", ca, {
        sent: [authority("no CA at all", { parts: { extensions: [extensions.uriSans(ID)] } }, ca)],
      }),
    ),
  ),
]);
add(
  "an intermediate that signs no certificates",
  "each issuer has keyCertSign if it has a key usage",
  [
    taken(genesis),
    refused(
      "CHAIN_BROKEN",
      under(
        svid("leaf 8", ca, {
          sent: [
            authority(
              "no signer",
              {
                parts: {
                  extensions: [
                    extensions.keyUsage(0, 6),
                    extensions.basicConstraints(true),
                    extensions.uriSans(ID),
                  ],
                },
              },
              ca,
            ),
          ],
        }),
      ),
    ),
  ],
);
add("an intermediate of the same name and another key", "the issuer's key made the signature", [
  taken(genesis),
  refused(
    "CHAIN_BROKEN",
    under({
      ...svid("leaf 9", ca, { sent: [server] }),
      chain: [...svid("leaf 9", ca, { sent: [server] }).chain.slice(0, 1), impostor().der],
    }),
  ),
]);
add("another key id", "key ids agree where both are there", [
  taken(genesis),
  refused("OLD_AUTHORITY_MISSING", under(svid("leaf 10", { ...ca, keyId: new Uint8Array(20) }))),
]);
add(
  "a path length of 0 with a server below",
  "path lengths count every certificate but the leaf",
  below(
    short(),
    svid("leaf 11", short(), { sent: [authority("server of short", {}, short())] }),
    "OLD_AUTHORITY_MISSING",
  ),
);
add(
  "a path length of 0 with a leaf below",
  "path lengths count every certificate but the leaf",
  below(short(), svid("leaf 12", short())),
);

const corporate = authority("corporate", { uriSans: [] });
const foreign = authority("foreign", { uriSans: ["spiffe://bravo.test"] });
add(
  "an authority that names no trust domain",
  "the issuer of the leaf has the one URI SAN of the trust domain",
  below(corporate, svid("leaf 13", corporate), "ISSUER_NOT_TRUST_DOMAIN"),
);
add(
  "a server of the trust domain below it",
  "an authority above may name none",
  below(
    corporate,
    svid("leaf 14", corporate, { sent: [authority("server of corporate", {}, corporate)] }),
  ),
);
add(
  "an authority that names another trust domain",
  "an authority above names this trust domain or none",
  below(
    foreign,
    svid("leaf 15", foreign, { sent: [authority("server of foreign", {}, foreign)] }),
    "ISSUER_NOT_TRUST_DOMAIN",
  ),
);
add(
  "an authority that has ended",
  "the authority is valid when it signs",
  below(ended(), svid("leaf 16", ended()), "CHAIN_NOT_VALID_THEN"),
);

const constrained = (
  label: string,
  critical: boolean,
  ...parts: readonly Uint8Array[]
): Authority => authority(label, { more: [extension("2.5.29.30", sequence(...parts), critical)] });
const permitted = (tag: number, value: string): Uint8Array => tlv(0xa0, sequence(tlv(tag, value)));
const excluded = (tag: number, value: string): Uint8Array => tlv(0xa1, sequence(tlv(tag, value)));
const constraint = (title: string, shows: string, anchor: Authority, code?: RefusalCode): void =>
  add(title, shows, below(anchor, svid(title, anchor), code));
constraint(
  "a constraint that permits the trust domain",
  "the host of a SPIFFE ID is its trust domain",
  constrained("permits alpha.test", true, permitted(0x86, "alpha.test")),
);
constraint(
  "a constraint in capitals",
  "hosts are compared in any case of letters",
  constrained("permits Alpha.Test", true, permitted(0x86, "Alpha.Test")),
);
constraint(
  "a constraint that permits what is below test",
  "a constraint with a dot in front means hosts below it",
  constrained("permits below test", true, permitted(0x86, ".test")),
);
constraint(
  "a constraint that permits test alone",
  "a constraint without a dot means that host",
  constrained("permits test", true, permitted(0x86, "test")),
  "NAME_CONSTRAINED",
);
constraint(
  "a constraint that excludes the trust domain",
  "excluded is excluded",
  constrained("excludes alpha.test", true, excluded(0x86, "alpha.test")),
  "NAME_CONSTRAINED",
);
constraint(
  "a constraint that excludes test",
  "Go reads an excluded host as all below it too, so it is excluded here",
  constrained("excludes test", true, excluded(0x86, "test")),
  "NAME_CONSTRAINED",
);
constraint(
  "a constraint on DNS names that is critical",
  "critical constraints on other names are not judged but refused",
  constrained("permits DNS names", true, permitted(0x82, "alpha.test")),
  "NAME_CONSTRAINED",
);
constraint(
  "a constraint on DNS names that is not critical",
  "other constraints say nothing about a SPIFFE ID",
  constrained("permits DNS names softly", false, permitted(0x82, "alpha.test")),
);

const p384 = authority("P-384", { key: p384Key("ca") });
const ed25519 = authority("Ed25519", { key: ed25519Key("ca") });
add(
  "an authority with a P 384 key",
  "authorities may have keys of P-384",
  below(p384, svid("leaf 17", p384)),
);
add(
  "an authority with an Ed25519 key",
  "authorities may have keys of Ed25519",
  below(ed25519, svid("leaf 18", ed25519)),
);

add(
  "four authorities of one name",
  "four keys of the same name and key id are tried, by hash",
  namesakes(4),
);
add("five authorities of one name", "a fifth key is not tried", namesakes(5));
add("too much to check", "a record may ask for at most 64 signature checks", tooCostly());

/** A signature by the first authority, with a zero byte before r that its DER does not have. */
function signPadded(message: Uint8Array): Uint8Array {
  const [, length = 0, tag = 0, ofR = 0, ...rest] = ca.key.sign(message);
  return Uint8Array.from([0x30, length + 1, tag, ofR + 1, 0, ...rest]);
}

function mintedForNode() {
  const { publicKey } = nodeKey("leaf");
  const minted = { ...svid("for a node", ca, { key: ed25519Key("leaf") }), key: svidOne.key };
  return next({ nodes: [one.publicKey, publicKey] }, [{ ...byOne, svids: [minted] }]);
}

/** The leaf first, then its issuer's issuer, then its issuer. */
function reordered(): Svid {
  const each = svid("leaf 4", ca, { sent: [nested, server] });
  const [leaf = ca.der, first = ca.der, second = ca.der] = each.chain;
  return { ...each, chain: [leaf, second, first] };
}

/** The server's name and key id with another key. */
function impostor(): Authority {
  const key = p256Key("impostor");
  return authority(
    "impostor",
    {
      key,
      subject: server.subject,
      parts: {
        extensions: [
          extensions.keyUsage(5, 6),
          extensions.basicConstraints(true),
          extensions.subjectKeyId(server.keyId),
          extensions.uriSans(ID),
        ],
      },
    },
    ca,
  );
}

function short(): Authority {
  return authority("short", { pathLength: 0 });
}

function ended(): Authority {
  return authority("ended", { notAfterS: NOW_S - 1 });
}

/** Authorities of one name without key ids; the one with the largest hash signs. */
function namesakes(count: number): readonly Arrival[] {
  const { subject } = authority("namesake");
  const all = Array.from({ length: count }, (_, index) =>
    authority(`namesake ${index}`, {
      subject,
      parts: {
        extensions: [
          extensions.keyUsage(5),
          extensions.basicConstraints(true),
          extensions.uriSans(ID),
        ],
      },
    }),
  );
  const listing = next({ x509Authorities: untainted(ca, ...all) });
  const hashes = listing.state.x509Authorities;
  const last = [...all].sort((left, right) => order(left) - order(right)).at(-1) ?? ca;
  const record = makeRecord(after(listing), [
    { ...byOne, svids: [svid(`leaf of ${count}`, last)] },
  ]);
  return [
    taken(genesis),
    taken(listing),
    count > 4 ? refused("OLD_AUTHORITY_MISSING", record) : taken(record),
  ];

  function order({ der }: Authority): number {
    const sorted = hashes
      .map((each) => each.der)
      .sort((left, right) => Buffer.compare(hashOf(left), hashOf(right)));
    return sorted.findIndex((each) => Buffer.compare(each, der) === 0);
  }
}

/** Eight blocks below three intermediates, each of which asks for ten checks and fails at the last. */
function tooCostly(): readonly Arrival[] {
  const deep = svid("leaf 19", ca, { sent: [deepest, nested, server] });
  let signatures = 0;
  const everySecond = (signature: Uint8Array): Uint8Array => {
    signatures += 1;
    return signatures % 2 === 0 ? flipped(signature) : signature;
  };
  const blocks = Array.from({ length: 8 }, (_, index) => ({
    node: one,
    svids: [deep, deep],
    signedAtS: NOW_S - index,
    svidSignature: everySecond,
  }));
  return [taken(genesis), refused("TOO_COSTLY", next({}, blocks))];
}
