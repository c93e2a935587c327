/**
 * Records that are right but for one thing, signed again by the good node key and under good
 * X509-SVIDs, so that only the rule under test can refuse them.
 *
 * `CONTENT` is about the record itself; `PLACE` about where it stands to what the daemon holds.
 */
import { generateKeyPairSync } from "node:crypto";
import { encodeEnvelope } from "../../src/core/record/envelope.ts";
import { type RecoverySignature, recordId } from "../../src/core/record/preimages.ts";
import type { RefusalCode } from "../../src/core/record/refusal.ts";
import { type State, encodeState, noLineage } from "../../src/core/record/state.ts";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import { concatBytes, fromHex, toHex } from "../../src/core/std/bytes.ts";
import { type Authority, makeAuthority } from "../arbitraries/authority.ts";
import { extensions, keyIdOf, makeKeyPair } from "../arbitraries/certificate.ts";
import { bitString } from "../arbitraries/der.ts";
import {
  type BlockParts,
  NOW_S,
  type NodeKey,
  type Svid,
  type SvidOptions,
  type TestRecord,
  makeNodeKey,
  signBlock,
  stateAfter,
  tainted,
  twinOf,
  untainted,
} from "../arbitraries/record.ts";
import { REFUSED } from "../x509/refused.ts";
import { readLoose } from "./loose-cbor.ts";
import type { Random } from "./random.ts";
import { BAD_ENVELOPES, BAD_STATES } from "./shape-mutants.ts";
import type { Bravo, World } from "./world.ts";

export type Code = RefusalCode | "taken" | "unchanged";

/** A record before it is signed. */
export interface Draft {
  readonly state: State;
  /** Replaces what the state encodes to. */
  readonly payload?: Uint8Array;
  readonly blocks: readonly [BlockParts, ...BlockParts[]];
  readonly recovery?: readonly RecoverySignature[];
}

export function seal({
  state,
  payload = encodeState(state),
  blocks,
  recovery = [],
}: Draft): Uint8Array {
  const id = recordId(1, payload);
  const signed = blocks.map((parts) => signBlock(id, parts, recovery));
  return encodeEnvelope({ kind: 1, payload, blocks: signed, recovery });
}

export interface RecordMutant {
  readonly name: string;
  readonly expected: Code;
  readonly make: (random: Random) => Uint8Array;
  /** On gossip it is refused for another reason. */
  readonly syncOnly?: true;
}

type Change = (draft: Draft, random: Random) => Draft | Uint8Array;
type Row = readonly [name: string, expected: Code, change: Change];

/** The record after bravo's held one: what SPIRE and an operator may change, changed now and then. */
export function goodDraft(bravo: Bravo, random: Random): Draft {
  const { held } = bravo;
  const { version } = held.state;
  const extras = random.oneIn(3) ? random.some(bravo.extras.slice(0, 4)) : [];
  const svids = random.shuffled(bravo.svids).slice(0, random.between(1, 2));
  return {
    state: stateAfter(held, {
      version: { ...version, sequence: version.sequence + BigInt(random.between(1, 1_000)) },
      x509Authorities: [...held.state.x509Authorities, ...extras.map(untainted)],
      jwtAuthorities: random.oneIn(3) ? bravo.jwt.slice(0, 2) : bravo.jwt,
    }),
    blocks: [
      {
        node: random.pick(bravo.nodes),
        svids,
        signedAtS: NOW_S + random.between(-90, 290),
      },
    ],
  };
}

const stated =
  (change: (state: State, random: Random) => Partial<State>): Change =>
  (draft, random) => ({ ...draft, state: { ...draft.state, ...change(draft.state, random) } });

const signed =
  (change: (block: BlockParts, random: Random) => Partial<BlockParts>): Change =>
  (draft, random) => ({
    ...draft,
    blocks: [{ ...draft.blocks[0], ...change(draft.blocks[0], random) }],
  });

const both =
  (...changes: readonly Change[]): Change =>
  (draft, random) =>
    changes.reduce<Draft | Uint8Array>(
      (made, change) => (made instanceof Uint8Array ? made : change(made, random)),
      draft,
    );

const version = (change: Partial<State["version"]>): Change =>
  stated((state) => ({ version: { ...state.version, ...change } }));

const N = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
const HALF_N_AND_1 = "7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a9";
const scalar = (hex: string): Uint8Array => fromHex(hex.padStart(64, "0"));
const withR = (hex: string) => (signature: Uint8Array) =>
  concatBytes(scalar(hex), signature.subarray(32));
const withS = (hex: string) => (signature: Uint8Array) =>
  concatBytes(signature.subarray(0, 32), scalar(hex));
/** One bit of the low bytes, so that a scalar stays within its bounds. */
const flipped =
  (random: Random, from: number, to: number) =>
  (signature: Uint8Array): Uint8Array => {
    const copy = Uint8Array.from(signature);
    const at = random.between(from, to);
    copy[at] = (copy[at] ?? 0) ^ (1 << random.below(8));
    return copy;
  };
/** The order of Ed25519's base point, little-endian: S + L verifies where S < L is not asked for. */
const L = 2n ** 252n + 27742317777372353535851937790883648493n;
function withSPlusL(signature: Uint8Array): Uint8Array {
  const s = BigInt(`0x${toHex(signature.slice(32).toReversed())}`) + L;
  const bytes = fromHex(s.toString(16).padStart(64, "0")).toReversed();
  return concatBytes(signature.subarray(0, 32), bytes);
}

const oneKey = (byte: number): State["recovery"] => ({
  threshold: 1,
  keyHashes: [new Uint8Array(32).fill(byte)],
});

/** About the record itself: whoever holds bravo's record refuses it by this code. */
export function contentMutants({ bravo }: World): RecordMutant[] {
  return [
    ...rowsOf(bravo, bytesAndTimes(bravo)),
    ...rowsOf(bravo, nodesAndRecovery(bravo)),
    ...rowsOf(bravo, authorities(bravo)),
    ...rowsOf(bravo, leaves(bravo)),
    ...rowsOf(bravo, chains(bravo)),
    ...rowsOf(bravo, shapes()),
    ...syncRows(bravo),
  ];
}

function rowsOf(bravo: Bravo, rows: readonly Row[]): RecordMutant[] {
  return rows.map(([name, expected, change]) => ({
    name,
    expected,
    make: (random) => {
      const made = change(goodDraft(bravo, random), random);
      return made instanceof Uint8Array ? made : seal(made);
    },
  }));
}

function shapes(): Row[] {
  return [
    ...BAD_STATES.map(({ name, write }): Row => [
      `a state ${name}`,
      "PAYLOAD_MALFORMED",
      (draft, random) => {
        const payload = write(readLoose(encodeState(draft.state)), random);
        // What is too large for any payload is refused before it is looked at.
        return { ...draft, payload: payload.length > 90_000 ? Uint8Array.of(0xff) : payload };
      },
    ]),
    ...BAD_ENVELOPES.map(({ name, write }): Row => [
      `an envelope ${name}`,
      "ENVELOPE_MALFORMED",
      (draft, random) => write(readLoose(seal(draft)), random),
    ]),
  ];
}

function bytesAndTimes({ cas, publisher, svids, held }: Bravo): Row[] {
  const ending = publisher.mint(publisher.ca, { notAfterS: NOW_S + 50 });
  const beginning = publisher.mint(publisher.ca, { notBeforeS: NOW_S - 20 });
  const otherSvid = publisher.mint(cas.next);
  return [
    ["nothing wrong", "taken", (draft) => draft],
    [
      "two blocks",
      "BLOCK_COUNT",
      (draft) => ({ ...draft, blocks: [draft.blocks[0], draft.blocks[0]] }),
    ],
    ["the twin (r, n − s)", "SIGNATURE_ENCODING", signed(() => ({ svidSignature: twinOf }))],
    ["r = 0", "SIGNATURE_ENCODING", signed(() => ({ svidSignature: withR("0") }))],
    ["s = 0", "SIGNATURE_ENCODING", signed(() => ({ svidSignature: withS("0") }))],
    ["r = n", "SIGNATURE_ENCODING", signed(() => ({ svidSignature: withR(N) }))],
    ["r above n", "SIGNATURE_ENCODING", signed(() => ({ svidSignature: withR("f".repeat(64)) }))],
    ["s = n/2 + 1", "SIGNATURE_ENCODING", signed(() => ({ svidSignature: withS(HALF_N_AND_1) }))],
    [
      "an SVID signature with a bit changed",
      "SVID_SIGNATURE_INVALID",
      signed((_, random) => ({
        svidSignature: random.oneIn(2) ? flipped(random, 8, 31) : flipped(random, 40, 63),
      })),
    ],
    ["r = 1", "SVID_SIGNATURE_INVALID", signed(() => ({ svidSignature: withR("1") }))],
    ["s = 1", "SVID_SIGNATURE_INVALID", signed(() => ({ svidSignature: withS("1") }))],
    [
      "another SVID's signature",
      "SVID_SIGNATURE_INVALID",
      signed(() => ({ svids: [{ ...svids[0], privateKey: otherSvid.privateKey }] })),
    ],
    [
      "the SVID signature of another record, node, time or chain",
      "SVID_SIGNATURE_INVALID",
      (draft, random) => {
        const [block] = draft.blocks;
        const svid = svids[0];
        const { signedAtS = NOW_S, node } = block;
        const id = recordId(1, encodeState(draft.state));
        const [other = new Uint8Array()] = random.pick([
          () => signBlock(held.id, { node, svids: [svid], signedAtS }),
          () => signBlock(id, { node: makeNodeKey(), svids: [svid], signedAtS }),
          () => signBlock(id, { node, svids: [svid], signedAtS: signedAtS + 1 }),
          () =>
            signBlock(id, {
              node,
              svids: [{ ...svid, chain: [...svid.chain, ...svid.chain] }],
              signedAtS,
            }),
        ])().svidSignatures;
        return { ...draft, blocks: [{ ...block, svids: [svid], svidSignature: () => other }] };
      },
    ],
    [
      "two SVID signatures in each other's place",
      "SVID_SIGNATURE_INVALID",
      signed(() => {
        const [first, second = first] = svids;
        return {
          svids: [
            { ...first, privateKey: second.privateKey },
            { ...second, privateKey: first.privateKey },
          ],
        };
      }),
    ],
    [
      "a node signature with a bit changed",
      "NODE_SIGNATURE_INVALID",
      signed((_, random) => ({ nodeSignature: flipped(random, 0, 63) })),
    ],
    [
      "a node signature with S + L",
      "NODE_SIGNATURE_INVALID",
      signed(() => ({ nodeSignature: withSPlusL })),
    ],
    [
      "the signature of another node key",
      "NODE_SIGNATURE_INVALID",
      signed(({ node }) => ({ node: { ...node, privateKey: makeNodeKey().privateKey } })),
    ],
    [
      "a node key of small order",
      "NODE_SIGNATURE_INVALID",
      signed(({ node }, random) => {
        const publicKey = new Uint8Array(32);
        publicKey[0] = random.below(2);
        return {
          node: { ...node, publicKey },
          nodeSignature: () => concatBytes(publicKey, new Uint8Array(32)),
        };
      }),
    ],
    [
      "a node signature over other recovery signatures",
      "NODE_SIGNATURE_INVALID",
      (draft) => {
        const id = recordId(1, encodeState(draft.state));
        return encodeEnvelope({
          kind: 1,
          payload: encodeState(draft.state),
          blocks: [signBlock(id, draft.blocks[0])],
          recovery: [[new Uint8Array(32), new Uint8Array(64)]],
        });
      },
    ],
    [
      "a time ahead of the daemon's clock",
      "SIGNED_IN_FUTURE",
      signed((_, random) => ({ signedAtS: NOW_S + random.pick([301, 302, 86_400, 2 ** 40]) })),
    ],
    ["a time at the edge of the skew", "taken", signed(() => ({ signedAtS: NOW_S + 300 }))],
    [
      "a time before what the held record allows",
      "SIGNED_TOO_EARLY",
      signed((_, random) => ({ signedAtS: NOW_S - random.pick([701, 702, 86_400, NOW_S]) })),
    ],
    [
      "the earliest time that the held record allows",
      "taken",
      signed(() => ({ signedAtS: NOW_S - 700 })),
    ],
    [
      "a time after the SVID's end",
      "CHAIN_NOT_VALID_THEN",
      signed((_, random) => ({ svids: [ending], signedAtS: NOW_S + random.between(51, 300) })),
    ],
    ["the SVID's last second", "taken", signed(() => ({ svids: [ending], signedAtS: NOW_S + 50 }))],
    [
      "a time before the SVID's beginning",
      "CHAIN_NOT_VALID_THEN",
      signed((_, random) => ({ svids: [beginning], signedAtS: NOW_S - random.between(21, 600) })),
    ],
  ];
}

const keysOf = (some: readonly NodeKey[]): Uint8Array[] => some.map(({ publicKey }) => publicKey);

function nodesAndRecovery({ nodes, removedNode, publisher }: Bravo): Row[] {
  const stranger = makeNodeKey();
  const [first, ...rest] = nodes;
  return [
    [
      "another node's key beside the old ones",
      "taken",
      stated(({ nodes: all }) => ({ nodes: [...all, stranger.publicKey] })),
    ],
    [
      "the signing node alone left",
      "taken",
      both(
        stated(() => ({ nodes: keysOf([first]) })),
        signed(() => ({ node: first })),
      ),
    ],
    ["a stranger's node", "NODE_NOT_LISTED", signed(() => ({ node: stranger }))],
    [
      "a node that only it lists itself",
      "NODE_NOT_LISTED",
      both(
        stated(({ nodes: all }) => ({ nodes: [...all, stranger.publicKey] })),
        signed(() => ({ node: stranger })),
      ),
    ],
    [
      "a node that it does not list any more",
      "NODE_NOT_LISTED",
      both(
        stated(() => ({ nodes: keysOf(rest) })),
        signed(() => ({ node: first })),
      ),
    ],
    [
      "a node that it removes",
      "NODE_REMOVED",
      both(
        stated(({ removed }) => ({ removed: [...removed, first.publicKey] })),
        signed(() => ({ node: first })),
      ),
    ],
    [
      "a node that was removed before",
      "NODE_REMOVED",
      both(
        stated(({ nodes: all }, random) => ({
          nodes: [...all, removedNode.publicKey],
          removed: random.oneIn(2) ? [] : [removedNode.publicKey],
        })),
        signed(() => ({ node: removedNode })),
      ),
    ],
    [
      "another epoch",
      "EPOCH_CHANGE_NOT_BUILT",
      both(
        stated((state, random) => ({
          version: {
            epoch: random.pick([1, 2, 2 ** 32 - 1]),
            rev: random.below(3),
            sequence: state.version.sequence,
          },
        })),
      ),
    ],
    ["the farthest rev", "taken", version({ rev: 3 + 1_024 })],
    [
      "a rev too far",
      "REV_JUMP",
      stated((state, random) => ({
        version: { ...state.version, rev: random.pick([3 + 1_025, 3 + 1_026, 2 ** 32 - 1]) },
      })),
    ],
    ["the highest sequence number", "taken", version({ sequence: 2n ** 64n - 1n })],
    [
      "a first recovery key at rev + 1",
      "taken",
      both(
        version({ rev: 4 }),
        stated(() => ({ recovery: oneKey(1) })),
      ),
    ],
    [
      "a first recovery key at the same rev",
      "RECOVERY_CHANGED",
      stated(() => ({ recovery: oneKey(1) })),
    ],
    [
      "a first recovery key after rev + 1",
      "RECOVERY_CHANGED",
      both(
        stated((state, random) => ({
          version: { ...state.version, rev: 3 + random.between(2, 1_024) },
        })),
        stated(() => ({ recovery: oneKey(1) })),
      ),
    ],
    [
      "recovery signatures",
      "RECOVERY_SIGNATURES_NOT_BUILT",
      (draft, random) => ({
        ...draft,
        recovery: Array.from(
          { length: random.between(1, 5) },
          (_, index) => [new Uint8Array(32).fill(index), random.bytes(64)] as const,
        ),
      }),
    ],
    [
      "an SVID of a stranger's authority",
      "OLD_AUTHORITY_MISSING",
      signed(() => ({ svids: [strangers(publisher)] })),
    ],
  ];
}

const der = (authority: Authority): Uint8Array => Uint8Array.from(authority.der);

function authorities({ cas, publisher, svids, jwt, extras }: Bravo): Row[] {
  const { trustDomain } = publisher;
  const make = (options: Partial<Parameters<typeof makeAuthority>[0]>): Uint8Array =>
    der(makeAuthority({ trustDomain, ...options }));
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
  const also = (ders: readonly Uint8Array[], taints: readonly boolean[] = [false, true]): Change =>
    stated(({ x509Authorities }, random) => ({
      x509Authorities: [
        ...x509Authorities,
        { der: random.pick(ders), tainted: random.pick(taints) },
      ],
    }));
  const badKeys = [
    Uint8Array.of(0x30, 0x00),
    Uint8Array.from(makeKeyPair("rsa-1024").publicKey.export({ type: "spki", format: "der" })),
    Uint8Array.from(makeKeyPair("ec-p224").publicKey.export({ type: "spki", format: "der" })),
    concatBytes(jwt[0]?.spki ?? new Uint8Array(), Uint8Array.of(0)),
  ];
  const onlySvid = (svid: Svid): Change => signed(() => ({ svids: [svid] }));
  const listed = (...some: State["x509Authorities"]): Change =>
    stated(() => ({ x509Authorities: some }));
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

/** The object identifier of one extension, encoded. */
const kindOf = (each: Uint8Array): string => toHex(each.subarray(2, 7));

/** Under one of these X509-SVIDs, or with it for the old chain. */
const withSvid = (some: readonly Svid[]): Change =>
  signed(({ svids: good }, random) => ({
    svids: random.oneIn(2) ? [random.pick(some)] : [random.pick(some), ...good.slice(0, 1)],
  }));

function leaves({ publisher, svids, nodes }: Bravo): Row[] {
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

/** An X509-SVID that is sent with these certificates. */
const chained = (svid: Svid, ...chain: readonly Uint8Array[]): Svid => ({
  ...svid,
  chain: chain.map((each) => Uint8Array.from(each)),
});

const leaf = (svid: Svid): Uint8Array => svid.chain[0] ?? new Uint8Array();

function chains({ publisher, cas, svids }: Bravo): Row[] {
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
  const use = (...some: readonly Svid[]): Change =>
    signed((_, random) => ({ svids: [random.pick(some)] }));
  const viaGood = below(good, [good]);
  const viaLower = below(lower, [lower, good]);
  const refused = Object.values(REFUSED).map(([overrides]) =>
    der(makeAuthority({ trustDomain, overrides })),
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

/** Several blocks, of which each stands or falls alone. */
function syncRows(bravo: Bravo): RecordMutant[] {
  const rows: readonly (readonly [
    string,
    Code,
    (good: BlockParts, random: Random) => readonly [BlockParts, ...BlockParts[]],
  ])[] = [
    ["two good blocks", "taken", (good) => [good, good]],
    ["eight good blocks", "taken", (good) => [good, good, good, good, good, good, good, good]],
    [
      "a good block among bad ones",
      "taken",
      (good, random) => {
        const bad = badBlocks(good, random);
        const [first = good, ...rest] = random.shuffled([good, ...bad]);
        return [first, ...rest];
      },
    ],
    [
      "bad blocks alone",
      "NODE_NOT_LISTED",
      (good) => [
        { ...good, node: makeNodeKey() },
        { ...good, node: makeNodeKey() },
      ],
    ],
    [
      "a twin beside a good block",
      "SIGNATURE_ENCODING",
      (good) => [good, { ...good, svidSignature: twinOf }],
    ],
    [
      "bad node signatures alone",
      "NODE_SIGNATURE_INVALID",
      (good, random) => {
        const bad = { ...good, nodeSignature: flipped(random, 0, 63) };
        return [bad, bad];
      },
    ],
  ];
  return rows.map(([name, expected, change]) => ({
    name,
    expected,
    syncOnly: true,
    make: (random) => {
      const draft = goodDraft(bravo, random);
      return seal({ ...draft, blocks: change(draft.blocks[0], random) });
    },
  }));
}

function badBlocks(good: BlockParts, random: Random): BlockParts[] {
  return random.some<BlockParts>([
    { ...good, nodeSignature: flipped(random, 0, 63) },
    { ...good, svidSignature: flipped(random, 8, 31) },
    { ...good, node: makeNodeKey() },
    { ...good, signedAtS: NOW_S + 301 },
    { ...good, signedAtS: NOW_S - 90_000 },
  ]);
}

/** The next record of a site. */
const of = (
  site: { readonly publisher: Bravo["publisher"] },
  before: TestRecord,
  change: Partial<State> = {},
  svids?: readonly Svid[],
  block?: Partial<BlockParts>,
): Uint8Array => site.publisher.next(before, change, svids, block).envelope;

const anyVersion = (random: Random): State["version"] => ({
  epoch: 0,
  rev: random.below(5),
  sequence: BigInt(random.between(1, 40)),
});

/** Where it stands to what the daemon holds. Each may come by gossip, by sync or as a file. */
export function placeMutants(world: World): RecordMutant[] {
  const { alpha, bravo, charlie, delta, echo, foxtrot, golf, stranger } = world;
  const bravoRows: readonly Row[] = [
    [
      "a lower sequence number",
      "STALE",
      stated((state, random) => ({
        version: { ...state.version, sequence: BigInt(random.below(10)) },
      })),
    ],
    [
      "a lower rev",
      "STALE",
      stated((state, random) => ({ version: { ...state.version, rev: random.below(3) } })),
    ],
    [
      "another lineage",
      "WRONG_LINEAGE",
      stated((_, random) => ({ lineage: random.bytes(32), version: anyVersion(random) })),
    ],
    [
      "a lineage of its own",
      "WRONG_LINEAGE",
      stated((state) => ({
        lineage: noLineage(),
        version: { ...state.version, rev: 0 },
        removed: [],
      })),
    ],
    [
      "a trust domain that nobody approved",
      "TRUST_DOMAIN_UNKNOWN",
      stated((_, random) => ({
        trustDomain: random.pick([
          "__proto__",
          "constructor",
          "bravo.tes",
          "bravo.test.",
          "..",
          "x".repeat(255),
        ]) as TrustDomain,
      })),
    ],
    [
      "the name of another partner",
      "WRONG_LINEAGE",
      stated(() => ({ trustDomain: charlie.publisher.trustDomain })),
    ],
    [
      "the name and lineage of another partner",
      "NODE_NOT_LISTED",
      stated(() => ({ trustDomain: charlie.publisher.trustDomain, lineage: charlie.held.lineage })),
    ],
    [
      "the name of the daemon itself",
      "WRONG_LINEAGE",
      stated(() => ({ trustDomain: alpha.publisher.trustDomain })),
    ],
    [
      "the name and lineage of the daemon itself",
      "NODE_NOT_LISTED",
      stated(() => ({ trustDomain: alpha.publisher.trustDomain, lineage: alpha.held.lineage })),
    ],
  ];
  const otherContent = (random: Random): Partial<State> => ({
    x509Authorities: [untainted(charlie.publisher.ca), untainted(random.pick(bravo.extras))],
  });
  const { version: charlieVersion } = charlie.held.state;
  const rows: readonly (readonly [string, Code, (random: Random) => Uint8Array])[] = [
    ["the held record", "unchanged", () => bravo.held.envelope],
    [
      "the held record with a block of another node",
      "taken",
      (random) =>
        seal({
          state: bravo.held.state,
          blocks: [
            { node: bravo.nodes[0], svids: [bravo.svids[0]], signedAtS: NOW_S - random.below(50) },
          ],
        }),
    ],
    ["the record before the held one", "STALE", () => bravo.first.envelope],
    [
      "a sibling of the held record",
      "taken",
      (random) => of(charlie, charlie.held, { version: charlieVersion, ...otherContent(random) }),
    ],
    [
      "a second sibling",
      "FORK",
      (random) =>
        of(golf, golf.held, {
          version: golf.held.state.version,
          x509Authorities: [untainted(golf.publisher.ca), untainted(random.pick(bravo.extras))],
        }),
    ],
    ["a record above a fork", "taken", () => of(golf, golf.held)],
    [
      "a lower epoch",
      "STALE",
      (random) =>
        of(echo, echo.held, { version: { epoch: random.below(2), rev: 9, sequence: 99n } }),
    ],
    [
      "other recovery keys",
      "RECOVERY_CHANGED",
      (random) =>
        of(foxtrot, foxtrot.held, {
          version: { epoch: 0, rev: random.between(0, 2), sequence: 5n },
          recovery: random.pick([
            () => undefined,
            () => oneKey(1),
            () => ({
              threshold: 2,
              keyHashes: [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)],
            }),
          ])(),
        }),
    ],
    ["the same recovery keys", "taken", () => of(foxtrot, foxtrot.held)],
    [
      "a record after one whose authorities have all expired",
      "HELD_EXPIRED_NOT_BUILT",
      (random) =>
        of(
          delta,
          delta.held,
          {
            x509Authorities: [
              ...delta.held.state.x509Authorities,
              untainted(random.pick(bravo.extras)),
            ],
          },
          [delta.publisher.svid],
          { signedAtS: NOW_S - random.between(11, 150) },
        ),
    ],
    ["a stranger's record", "TRUST_DOMAIN_UNKNOWN", () => stranger.held.envelope],
  ];
  return [
    ...rowsOf(bravo, bravoRows),
    ...rows.map(([name, expected, make]) => ({ name, expected, make })),
  ];
}

/** Records of the daemon's own trust domain, rightly signed by its own keys. */
export function ownMutants({ alpha }: World): RecordMutant[] {
  const { publisher, held } = alpha;
  const next = (random: Random, change: Partial<State> = {}): Uint8Array =>
    publisher.next(held, {
      version: {
        ...held.state.version,
        sequence: held.state.version.sequence + BigInt(random.between(1, 9)),
      },
      ...change,
    }).envelope;
  return [
    { name: "the own held record", expected: "DUPLICATE", make: () => held.envelope },
    { name: "an older own record", expected: "STALE", make: () => alpha.first.envelope },
    {
      name: "an own record that SPIRE never said",
      expected: "FORGED_OWN",
      make: (random) => next(random),
    },
    {
      name: "an own record with another node",
      expected: "FORGED_OWN",
      make: (random) => next(random, { nodes: [publisher.node.publicKey, random.bytes(32)] }),
    },
    {
      name: "an own record with another rev",
      expected: "FORGED_OWN",
      make: (random) =>
        next(random, { version: { epoch: 0, rev: random.between(1, 1_024), sequence: 9n } }),
    },
    {
      name: "an own record under an authority of somebody else",
      expected: "OLD_AUTHORITY_MISSING",
      make: (random) => {
        const svid = strangers(publisher);
        return publisher.next(
          held,
          { version: { epoch: 0, rev: 0, sequence: BigInt(random.between(3, 9)) } },
          [svid],
        ).envelope;
      },
    },
  ];
}

const known = new WeakMap<Bravo["publisher"], Svid>();

/** One X509-SVID of an authority that nobody lists, made once. */
function strangers(publisher: Bravo["publisher"]): Svid {
  const svid = known.get(publisher) ?? publisher.mint(publisher.newCa());
  known.set(publisher, svid);
  return svid;
}
