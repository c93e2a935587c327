/** Every case is the one good record with one thing wrong. */
import { generateKeyPairSync } from "node:crypto";
import { describe, expect, test } from "vitest";
import { encodeEnvelope } from "../../../src/core/record/envelope.ts";
import type { State } from "../../../src/core/record/state.ts";
import { restoreRecord } from "../../../src/core/record/verify.ts";
import { envelopeBytes } from "../../../src/core/resolver/slot.ts";
import { concatBytes, fromHex, toHex } from "../../../src/core/std/bytes.ts";
import { encodeCbor } from "../../../src/core/std/cbor.ts";
import { sha256Hex } from "../../../src/core/std/sha256.ts";
import { x509Proofs } from "../../../src/x509/proofs.ts";
import { type AuthorityOptions, makeAuthority } from "../../arbitraries/authority.ts";
import { extensions, keyIdOf, makeKeyPair } from "../../arbitraries/certificate.ts";
import { bitString } from "../../arbitraries/der.ts";
import {
  type BlockParts,
  NOW_S,
  type NodeKey,
  type Svid,
  type TestRecord,
  commitmentTo,
  makeNodeKey,
  makePublisher,
  makeRecord,
  makeRecoveredRecord,
  signBlock,
  stateAfter,
  tainted,
  twinOf,
  untainted,
} from "../../arbitraries/record.ts";
import { type Verdict, verdict, verified } from "./verdict.ts";

const alpha = makePublisher("alpha.test");
const { ca, node, svid, genesis, newCa, mint, trustDomain } = alpha;
const held = verified(genesis);

/** The good record: it prepares a second authority. */
const nextCa = newCa();
const nextSvid = mint(nextCa);
const prepared: Partial<State> = { x509Authorities: [untainted(ca), untainted(nextCa)] };

function next(
  change: Partial<State> = {},
  block: Partial<BlockParts> = {},
  before = genesis,
): TestRecord {
  return alpha.next(before, { ...prepared, ...change }, block.svids ?? [svid], block);
}

type Cases = readonly (readonly [string, Verdict, () => TestRecord])[];

/** The object identifier of one extension, encoded. */
const kindOf = (each: Buffer): string => each.subarray(2, 7).toString("hex");

/** A leaf of the publisher that differs from SPIRE's in the named extensions. */
function leafWith(...changed: readonly Buffer[]): Svid {
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
}

function leafOf(spiffeId: string): Svid {
  return mint(ca, { spiffeId });
}

const badSignature = bitString(Buffer.from("3006020101020101", "hex"));

describe("a record", () => {
  test("is taken as it is, by gossip and by sync", () => {
    expect(verdict(next(), held)).toBe("taken");
    expect(verdict(next(), held, NOW_S, "sync")).toBe("taken");
    expect(verdict(genesis, undefined)).toBe("taken");
  });

  test("comes back from the own store as it was verified", () => {
    const record = verified(next(), held);
    const restored = restoreRecord(envelopeBytes(record), x509Proofs);
    expect(restored).toEqual({ ok: true, value: record });
  });

  test("is never taken with one byte changed", () => {
    const { envelope } = next();
    for (let place = 0; place < envelope.length; place += 13) {
      const damaged = Uint8Array.from(envelope);
      damaged[place] = (damaged[place] ?? 0) ^ 0x01;
      expect(verdict({ envelope: damaged }, held), `byte ${place}`).not.toBe("taken");
    }
  });
});

const flipped = (signature: Uint8Array): Uint8Array =>
  signature.map((byte, index) => (index === 5 ? byte ^ 1 : byte));
const scalar = (hex: string): Uint8Array => fromHex(hex.padStart(64, "0"));
const N = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
const N_LESS_1 = `${N.slice(0, -1)}0`;
const HALF_N = "7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a8";
const HALF_N_AND_1 = "7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a9";
const withR =
  (hex: string) =>
  (signature: Uint8Array): Uint8Array =>
    concatBytes(scalar(hex), signature.subarray(32));
const withS =
  (hex: string) =>
  (signature: Uint8Array): Uint8Array =>
    concatBytes(signature.subarray(0, 32), scalar(hex));

const bytesAndSignatures: Cases = [
  ["is no CBOR", "ENVELOPE_MALFORMED", () => ({ ...next(), envelope: fromHex("a0") })],
  [
    "has bytes after it",
    "ENVELOPE_MALFORMED",
    () => ({ ...next(), envelope: concatBytes(next().envelope, fromHex("00")) }),
  ],
  [
    "has another payload than a state",
    "PAYLOAD_MALFORMED",
    () => ({
      ...next(),
      envelope: encodeEnvelope({
        kind: 1,
        payload: encodeCbor("state"),
        blocks: [signBlock(genesis.id, { node, svids: [svid] })],
        recovery: [],
      }),
    }),
  ],
  [
    "comes with two blocks",
    "BLOCK_COUNT",
    () =>
      makeRecord(stateAfter(genesis, prepared), [
        { node, svids: [svid] },
        { node, svids: [svid] },
      ]),
  ],
  ["carries the twin (r, n − s)", "SIGNATURE_ENCODING", () => next({}, { svidSignature: twinOf })],
  ["carries r = 0", "SIGNATURE_ENCODING", () => next({}, { svidSignature: withR("0") })],
  ["carries s = 0", "SIGNATURE_ENCODING", () => next({}, { svidSignature: withS("0") })],
  // Within its bounds, and then no signature of anything.
  [
    "carries r = n − 1",
    "SVID_SIGNATURE_INVALID",
    () => next({}, { svidSignature: withR(N_LESS_1) }),
  ],
  ["carries r = 1", "SVID_SIGNATURE_INVALID", () => next({}, { svidSignature: withR("1") })],
  ["carries s = 1", "SVID_SIGNATURE_INVALID", () => next({}, { svidSignature: withS("1") })],
  ["carries s = n/2", "SVID_SIGNATURE_INVALID", () => next({}, { svidSignature: withS(HALF_N) })],
  ["carries r = n", "SIGNATURE_ENCODING", () => next({}, { svidSignature: withR(N) })],
  [
    "carries s = n/2 + 1",
    "SIGNATURE_ENCODING",
    () => next({}, { svidSignature: withS(HALF_N_AND_1) }),
  ],
  [
    "is signed by another node key than it names",
    "NODE_SIGNATURE_INVALID",
    () => next({}, { node: { ...node, privateKey: makeNodeKey().privateKey } }),
  ],
  [
    "has a node signature with one bit changed",
    "NODE_SIGNATURE_INVALID",
    () => next({}, { nodeSignature: flipped }),
  ],
  [
    "has another SVID's signature",
    "SVID_SIGNATURE_INVALID",
    () => next({}, { svids: [{ ...svid, privateKey: nextSvid.privateKey }] }),
  ],
  [
    "has an SVID signature with one bit changed",
    "SVID_SIGNATURE_INVALID",
    () => next({}, { svidSignature: flipped }),
  ],
  [
    "has the SVID signature of another record",
    "SVID_SIGNATURE_INVALID",
    () => {
      const [other = new Uint8Array()] = signBlock(genesis.id, {
        node,
        svids: [svid],
      }).svidSignatures;
      return next({}, { svidSignature: () => other });
    },
  ],
];

const versionsAndNodes: Cases = [
  [
    "is signed by a node that nobody listed",
    "NODE_NOT_LISTED",
    () => next({}, { node: makeNodeKey() }),
  ],
  [
    "is signed by a node that only the record itself lists",
    "NODE_NOT_LISTED",
    () => {
      const stranger = makeNodeKey();
      return next({ nodes: [node.publicKey, stranger.publicKey] }, { node: stranger });
    },
  ],
  [
    "is signed by a node that it does not list any more",
    "NODE_NOT_LISTED",
    () => next({ nodes: [makeNodeKey().publicKey] }),
  ],
  [
    "is signed by a node that it removes",
    "NODE_REMOVED",
    () => next({ removed: [node.publicKey] }),
  ],
  ["raises rev by 1,024", "taken", () => next({ version: { epoch: 0, rev: 1_024, sequence: 2n } })],
  [
    "raises rev by 1,025",
    "REV_JUMP",
    () => next({ version: { epoch: 0, rev: 1_025, sequence: 2n } }),
  ],
  [
    "begins an epoch where no recovery keys are committed",
    "RECOVERY_NOT_COMMITTED",
    () => next({ version: { epoch: 1, rev: 0, sequence: 2n } }),
  ],
  [
    "leaves an epoch out",
    "EPOCH_JUMP",
    () => next({ version: { epoch: 2, rev: 0, sequence: 2n } }),
  ],
  [
    "commits to recovery keys for the first time at rev + 1",
    "taken",
    () => next({ version: { epoch: 0, rev: 1, sequence: 2n }, recovery: oneKey(1) }),
  ],
  [
    "commits to recovery keys for the first time at the same rev",
    "RECOVERY_CHANGED",
    () => next({ recovery: oneKey(1) }),
  ],
  [
    "commits to recovery keys for the first time at rev + 2",
    "RECOVERY_CHANGED",
    () => next({ version: { epoch: 0, rev: 2, sequence: 2n }, recovery: oneKey(1) }),
  ],
  [
    "carries a recovery signature that nothing asks for",
    "RECOVERY_UNASKED",
    () =>
      makeRecord(
        stateAfter(genesis, prepared),
        [{ node, svids: [svid] }],
        [[new Uint8Array(32), new Uint8Array(64)]],
      ),
  ],
];

function oneKey(byte: number): State["recovery"] {
  return { threshold: 1, keyHashes: [new Uint8Array(32).fill(byte)] };
}

const authority = (options: Partial<AuthorityOptions>): Uint8Array =>
  Uint8Array.from(makeAuthority({ trustDomain, ...options }).der);
const alsoLists = (der: Uint8Array): TestRecord =>
  next({ x509Authorities: [untainted(ca), { der, tainted: false }] });

const authorities: Cases = [
  ["lists bytes as an authority", "AUTHORITY_MALFORMED", () => alsoLists(fromHex("3000"))],
  [
    "lists two certificates glued together",
    "AUTHORITY_MALFORMED",
    () => alsoLists(concatBytes(ca.der, nextCa.der)),
  ],
  [
    "lists a leaf as an authority",
    "AUTHORITY_MALFORMED",
    () => alsoLists(svid.chain[0] ?? new Uint8Array()),
  ],
  [
    "lists a certificate that is no CA, though nothing limits its key",
    "AUTHORITY_MALFORMED",
    () => alsoLists(authority({ overrides: { extensions: [extensions.basicConstraints(false)] } })),
  ],
  [
    "lists a CA that may not sign certificates",
    "AUTHORITY_MALFORMED",
    () =>
      alsoLists(
        authority({
          overrides: { extensions: [extensions.keyUsage(6), extensions.basicConstraints(true)] },
        }),
      ),
  ],
  [
    "lists a CA with two URI SANs",
    "AUTHORITY_MALFORMED",
    () => alsoLists(authority({ uriSans: ["spiffe://alpha.test", "spiffe://bravo.test"] })),
  ],
  [
    "lists a CA with a key that Go does not take",
    "AUTHORITY_MALFORMED",
    () => alsoLists(authority({ keyType: "ec-p224" })),
  ],
  [
    "lists a tainted authority that does not read",
    "AUTHORITY_MALFORMED",
    () => next({ x509Authorities: [untainted(ca), { der: fromHex("3000"), tainted: true }] }),
  ],
  [
    "lists a JWT key that does not read",
    "AUTHORITY_MALFORMED",
    () =>
      next({
        jwtAuthorities: [{ keyId: "k", spki: fromHex("3000"), expiresAtS: 0, tainted: false }],
      }),
  ],
  [
    "lists a JWT key",
    "taken",
    () => {
      const spki = makeKeyPair("rsa-2048").publicKey.export({ type: "spki", format: "der" });
      return next({
        jwtAuthorities: [
          { keyId: "k", spki: Uint8Array.from(spki), expiresAtS: 0, tainted: false },
        ],
      });
    },
  ],
  [
    "lists a CA without key usage",
    "taken",
    () => alsoLists(authority({ overrides: { extensions: [extensions.basicConstraints(true)] } })),
  ],
  ["lists a CA without a SPIFFE ID", "taken", () => alsoLists(authority({ uriSans: [] }))],
];

const leaves: Cases = [
  [
    "has a chain that is no certificate",
    "CHAIN_MALFORMED",
    () => next({}, { svids: [{ ...svid, chain: [fromHex("3000")] }] }),
  ],
  [
    "has a leaf with a byte after it",
    "CHAIN_MALFORMED",
    () =>
      next(
        {},
        { svids: [{ ...svid, chain: svid.chain.map((der) => concatBytes(der, fromHex("00"))) }] },
      ),
  ],
  [
    "has an SVID minted for the node key",
    "LEAF_KEY_IS_NODE_KEY",
    () => {
      const keyPair = generateKeyPairSync("ed25519");
      const publicKey = Uint8Array.from(
        keyPair.publicKey.export({ type: "spki", format: "der" }).subarray(-32),
      );
      const minted = { ...mint(ca, { keyPair }), privateKey: svid.privateKey };
      return next({ nodes: [node.publicKey, publicKey] }, { svids: [minted] });
    },
  ],
  [
    "has an SVID with a P-384 key",
    "LEAF_NOT_PUBLISHER",
    () =>
      next(
        {},
        {
          svids: [
            { ...mint(ca, { keyPair: makeKeyPair("ec-p384") }), privateKey: svid.privateKey },
          ],
        },
      ),
  ],
  [
    "has a workload's SVID",
    "LEAF_NOT_PUBLISHER",
    () => next({}, { svids: [leafOf("spiffe://alpha.test/workload")] }),
  ],
  [
    "has an SVID below the publisher's path",
    "LEAF_NOT_PUBLISHER",
    () => next({}, { svids: [leafOf("spiffe://alpha.test/spire-mesh/publisher/1")] }),
  ],
  [
    "has the publisher's SVID of another trust domain",
    "LEAF_NOT_PUBLISHER",
    () => next({}, { svids: [leafOf("spiffe://bravo.test/spire-mesh/publisher")] }),
  ],
  [
    "has an SVID of two URIs",
    "LEAF_NOT_PUBLISHER",
    () =>
      next(
        {},
        {
          svids: [
            leafWith(
              extensions.uriSans(
                "spiffe://alpha.test/spire-mesh/publisher",
                "spiffe://alpha.test/workload",
              ),
            ),
          ],
        },
      ),
  ],
  [
    "has a leaf with the CA bit",
    "LEAF_NOT_PUBLISHER",
    () => next({}, { svids: [leafWith(extensions.basicConstraints(true))] }),
  ],
  [
    "has a leaf that may sign certificates",
    "LEAF_NOT_PUBLISHER",
    () => next({}, { svids: [leafWith(extensions.keyUsage(0, 5))] }),
  ],
  [
    "has a leaf that may not sign",
    "LEAF_NOT_PUBLISHER",
    () => next({}, { svids: [leafWith(extensions.keyUsage(2))] }),
  ],
  [
    "has a leaf without a key usage",
    "LEAF_NOT_PUBLISHER",
    () => {
      const sans = extensions.uriSans("spiffe://alpha.test/spire-mesh/publisher");
      return next({}, { svids: [mint(ca, { overrides: { extensions: [sans] } })] });
    },
  ],
  [
    "has an SVID that had expired",
    "CHAIN_NOT_VALID_THEN",
    () => next({}, { svids: [mint(ca, { notAfterS: NOW_S - 1 })] }),
  ],
  [
    "has an SVID in its last second",
    "taken",
    () => next({}, { svids: [mint(ca, { notAfterS: NOW_S })] }),
  ],
  [
    "has an SVID that was not valid yet",
    "CHAIN_NOT_VALID_THEN",
    () => next({}, { svids: [mint(ca, { notBeforeS: NOW_S + 1 })] }),
  ],
];

const chains: Cases = [
  [
    "has an SVID of a stranger's CA",
    "OLD_AUTHORITY_MISSING",
    () => next({}, { svids: [mint(newCa())] }),
  ],
  [
    "has an SVID of the authority that it only adds",
    "OLD_AUTHORITY_MISSING",
    () => next({}, { svids: [nextSvid] }),
  ],
  [
    "has an SVID that the authority did not sign",
    "OLD_AUTHORITY_MISSING",
    () => next({}, { svids: [mint(ca, { overrides: { signature: badSignature } })] }),
  ],
  [
    "has an SVID that names another key id of its authority",
    "OLD_AUTHORITY_MISSING",
    () => next({}, { svids: [leafWith(extensions.authorityKeyId(nextCa.keyId))] }),
  ],
  [
    "has an SVID that names another issuer",
    "OLD_AUTHORITY_MISSING",
    () => next({}, { svids: [mint(ca, { overrides: { issuer: nextCa.subject } })] }),
  ],
  [
    "has only the old chain when the old authority goes",
    "NEW_AUTHORITY_MISSING",
    () => next({ x509Authorities: [untainted(nextCa)] }),
  ],
  [
    "has only the new chain when the old authority goes",
    "OLD_AUTHORITY_MISSING",
    () => next({ x509Authorities: [untainted(nextCa)] }, { svids: [nextSvid] }),
  ],
  [
    "has the old and the new chain when the old authority goes",
    "taken",
    () => next({ x509Authorities: [untainted(nextCa)] }, { svids: [svid, nextSvid] }),
  ],
  [
    "has the new chain before the old one",
    "OLD_AUTHORITY_MISSING",
    () => next({ x509Authorities: [untainted(nextCa)] }, { svids: [nextSvid, svid] }),
  ],
  [
    "taints the only authority that signed it",
    "NEW_AUTHORITY_MISSING",
    () => next({ x509Authorities: [tainted(ca), untainted(nextCa)] }),
  ],
  [
    "taints the old authority and has both chains",
    "taken",
    () => next({ x509Authorities: [tainted(ca), untainted(nextCa)] }, { svids: [svid, nextSvid] }),
  ],
];

describe.each([
  ["its bytes and signatures", bytesAndSignatures],
  ["versions, nodes and recovery keys", versionsAndNodes],
  ["the authorities", authorities],
  ["the leaf", leaves],
  ["old and new", chains],
])("a record is judged by %s:", (_, cases) => {
  test.each(cases)("one that %s: %s", (_, code, make) => {
    expect(verdict(make(), held)).toBe(code);
  });
});

describe("a first record", () => {
  const onlyNext: Partial<State> = { x509Authorities: [untainted(nextCa)] };

  test("may be one that revoked an authority: its last chain speaks for it", () => {
    const revoked = next(onlyNext, { svids: [svid, nextSvid] });
    expect(verdict(revoked, held)).toBe("taken");
    expect(verdict(revoked, undefined)).toBe("taken");
  });

  test.each<readonly [string, Verdict, () => TestRecord]>([
    ["under no authority of its own", "NEW_AUTHORITY_MISSING", () => next(onlyNext)],
    [
      "whose last chain ends in no authority of its own",
      "NEW_AUTHORITY_MISSING",
      () => next(onlyNext, { svids: [nextSvid, svid] }),
    ],
    [
      "with a workload's SVID beside the good one",
      "LEAF_NOT_PUBLISHER",
      () => next(onlyNext, { svids: [leafOf("spiffe://alpha.test/workload"), nextSvid] }),
    ],
  ])("%s is refused: %s", (_, code, make) => {
    expect(verdict(make(), undefined)).toBe(code);
  });
});

describe("a record of a domain with", () => {
  test("a tainted authority is not proven by it", () => {
    const second = alpha.next(genesis, { x509Authorities: [untainted(ca), tainted(nextCa)] });
    const holding = verified(second, held);
    const third = alpha.next(second, {}, [nextSvid]);
    expect(verdict(third, holding)).toBe("OLD_AUTHORITY_MISSING");
    expect(verdict(alpha.next(second, {}), holding)).toBe("taken");
  });

  test("recovery keys keeps them, until these sign others at rev + 1", () => {
    const key = makeNodeKey();
    const recovery = commitmentTo([key]);
    const first = makePublisher("alpha.test", { recovery });
    const holding = verified(first.genesis);
    const more = { threshold: 1, keyHashes: [1, 2].map((byte) => new Uint8Array(32).fill(byte)) };
    const others = [undefined, oneKey(2), more, { ...more, threshold: 2 }];
    const after = (rev: number, next: State["recovery"], keys: readonly NodeKey[]): TestRecord => {
      const version = { epoch: 0, rev, sequence: 2n };
      const state = stateAfter(first.genesis, { version, recovery: next });
      return makeRecoveredRecord(state, [{ node: first.node, svids: [first.svid] }], keys);
    };
    expect(verdict(after(1, recovery, []), holding)).toBe("taken");
    for (const next of others) {
      expect(verdict(after(1, next, []), holding), "by the live factors alone").toBe(
        "RECOVERY_COUNT",
      );
      expect(verdict(after(1, next, [key]), holding)).toBe("taken");
      expect(verdict(after(2, next, [key]), holding)).toBe("RECOVERY_CHANGED");
    }
    expect(verdict(after(1, { ...recovery, threshold: 1 }, [key]), holding)).toBe(
      "RECOVERY_UNASKED",
    );
    const again = commitmentTo([key, makeNodeKey()], 1);
    expect(verdict(after(1, again, [key]), holding)).toBe("RECOVERY_REVEALED");
  });

  test("a former node is not spoken for by it", () => {
    const left = makeNodeKey();
    const both = { nodes: [node.publicKey, left.publicKey] };
    const first = makeRecord({ ...genesis.state, ...both }, [{ node, svids: [svid] }]);
    const second = alpha.next(first, { nodes: [node.publicKey], removed: [left.publicKey] });
    const holding = verified(second, verified(first));
    const again = alpha.next(second, { ...both, removed: [] }, [svid], { node: left });
    expect(verdict(again, holding)).toBe("NODE_REMOVED");
  });
});

const at = (signedAtS: number): TestRecord => next({}, { signedAtS });

describe("a record is judged by its time:", () => {
  test.each([
    ["taken", 300],
    ["SIGNED_IN_FUTURE", 301],
    ["taken", -600],
    ["SIGNED_TOO_EARLY", -601],
  ])("%s when signed %d s from now and from the held one", (code, seconds) => {
    expect(verdict(at(NOW_S + seconds), held)).toBe(code);
  });

  test("a held record that was signed long ago allows as much", () => {
    expect(verdict(at(NOW_S - 600), held, NOW_S + 86_400)).toBe("taken");
    expect(verdict(at(NOW_S - 601), held, NOW_S + 86_400)).toBe("SIGNED_TOO_EARLY");
  });

  test("a held record that was signed ahead of this clock asks for no more", () => {
    const ahead = verified(next({}, { signedAtS: NOW_S + 300 }), held);
    const third = alpha.next(next(), {}, [svid], { signedAtS: NOW_S - 600 });
    expect(verdict(third, ahead)).toBe("taken");
  });

  test("a first record may be as old as its chain", () => {
    const signedAtS = 1_600_000_000;
    const old = makeRecord(genesis.state, [{ node, svids: [svid], signedAtS }]);
    expect(verdict(old, undefined)).toBe("taken");
    const before = makeRecord(genesis.state, [{ node, svids: [svid], signedAtS: 1_500_000_000 }]);
    expect(verdict(before, undefined)).toBe("CHAIN_NOT_VALID_THEN");
  });

  test("an authority that has ended then signs nothing, whatever its SVIDs say", () => {
    const old = makeAuthority({ trustDomain, notAfterS: NOW_S - 10 });
    const both = [untainted(ca), untainted(old)];
    const first = makeRecord({ ...genesis.state, x509Authorities: both }, [
      { node, svids: [svid] },
    ]);
    const svids = [mint(old)];
    const second = (signedAtS: number): TestRecord => alpha.next(first, {}, svids, { signedAtS });
    expect(verdict(second(NOW_S), verified(first))).toBe("CHAIN_NOT_VALID_THEN");
    expect(verdict(second(NOW_S - 10), verified(first))).toBe("taken");
  });

  test("authorities that have all expired now prove nothing by themselves", () => {
    const short = makeAuthority({ trustDomain, notAfterS: NOW_S + 60 });
    const signers = [mint(short)];
    const state = { ...genesis.state, x509Authorities: [untainted(short)] };
    const first = makeRecord(state, [{ node, svids: signers }]);
    const second = alpha.next(
      first,
      { x509Authorities: [untainted(short), untainted(ca)] },
      signers,
    );
    const holding = verified(first);
    expect(verdict(second, holding, NOW_S + 60)).toBe("taken");
    expect(verdict(second, holding, NOW_S + 61)).toBe("HELD_EXPIRED");
    expect(verdict(first, undefined, NOW_S + 86_400)).toBe("taken");
  });
});

describe("a record with several blocks", () => {
  const state = stateAfter(genesis, prepared);
  const good: BlockParts = { node, svids: [svid] };
  const second: BlockParts = { node, svids: [svid, nextSvid] };
  const read = (...blocks: readonly BlockParts[]): Verdict =>
    verdict(makeRecord(state, blocks), held, NOW_S, "sync");

  test.each<readonly [string, Verdict, readonly BlockParts[]]>([
    ["two good ones", "taken", [good, second]],
    ["a bad node signature first", "taken", [{ ...good, nodeSignature: flipped }, second]],
    ["a bad node signature last", "taken", [second, { ...good, nodeSignature: flipped }]],
    ["a stranger's block first", "taken", [{ ...good, node: makeNodeKey() }, second]],
    ["a bad SVID signature first", "taken", [{ ...good, svidSignature: flipped }, second]],
    ["a block from the future", "taken", [{ ...good, signedAtS: NOW_S + 301 }, second]],
    [
      "a twin beside a good one",
      "SIGNATURE_ENCODING",
      [{ ...good, svidSignature: twinOf }, second],
    ],
    [
      "only bad ones: the first one's reason",
      "SVID_SIGNATURE_INVALID",
      [
        { ...good, svidSignature: flipped },
        { ...good, signedAtS: NOW_S + 301 },
      ],
    ],
    ["only strangers", "NODE_NOT_LISTED", [{ ...good, node: makeNodeKey() }]],
    ["eight good ones", "taken", Array.from({ length: 8 }, () => good)],
    ["nine good ones", "ENVELOPE_MALFORMED", Array.from({ length: 9 }, () => good)],
  ])("%s", (_, code, blocks) => {
    expect(read(...blocks)).toBe(code);
  });

  test("keeps those that proved themselves", () => {
    const record = makeRecord(state, [good, { ...good, svidSignature: flipped }, second]);
    const { blocks } = verified(record, held);
    expect(new Set(blocks.map(({ block }) => block.chains.length))).toEqual(new Set([1, 2]));
  });

  test("names each block's anchor: the smallest hash of what could have issued it", () => {
    const { blocks } = verified(makeRecord(state, [second]), held);
    const hashes = blocks.map(({ newAnchor }) => toHex(newAnchor));
    expect(hashes).toEqual([sha256Hex(nextCa.der)]);
  });
});
