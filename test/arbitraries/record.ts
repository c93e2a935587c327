/**
 * Signed records as a publisher's keyring signs them: a node key, X509-SVIDs under any authority, and
 * every part of a block open to be wrong, one at a time.
 */
import {
  type KeyObject,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  sign,
} from "node:crypto";
import { type Block, type Chain, encodeEnvelope } from "../../src/core/record/envelope.ts";
import {
  type RecoverySignature,
  nodePreimage,
  recordId,
  recoveryPreimage,
  svidPreimage,
} from "../../src/core/record/preimages.ts";
import type { SigningOrder, SigningOutcome } from "../../src/core/record/signing.ts";
import {
  type RecoveryCommitment,
  type State,
  decodeState,
  encodeState,
  isGenesis,
  noLineage,
} from "../../src/core/record/state.ts";
import type { TrustBundle, X509Authority } from "../../src/core/spiffe/trust-bundle.ts";
import { type TrustDomain, publisherId } from "../../src/core/spiffe/trust-domain.ts";
import { compareBytes, concatBytes, equalBytes, fromHex, toHex } from "../../src/core/std/bytes.ts";
import { sha256 } from "../../src/core/std/sha256.ts";
import { type Authority, type LeafOptions, makeAuthority } from "./authority.ts";

/** When everything happens unless told: 2026-09-21. */
export const NOW_S = 1_790_000_000;

export interface NodeKey {
  readonly publicKey: Uint8Array;
  readonly privateKey: KeyObject;
}

export function makeNodeKey(): NodeKey {
  return nodeKeyOf(generateKeyPairSync("ed25519").privateKey);
}

/** The key of 32 secret bytes (RFC 8032, 5.1.5): the same bytes give the same key. */
export function nodeKeyFromSeed(seed: Uint8Array): NodeKey {
  const der = Buffer.concat([fromHex("302e020100300506032b657004220420"), seed]);
  return nodeKeyOf(createPrivateKey({ key: der, format: "der", type: "pkcs8" }));
}

function nodeKeyOf(privateKey: KeyObject): NodeKey {
  const spki = createPublicKey(privateKey).export({ type: "spki", format: "der" });
  return { publicKey: Uint8Array.from(spki.subarray(-32)), privateKey };
}

/** An X509-SVID of the publisher's ID and the authority it ends in. */
export interface Svid {
  readonly chain: Chain;
  readonly privateKey: KeyObject;
  readonly anchor: Authority;
}

export interface SvidOptions extends Partial<LeafOptions> {
  /** Certificates sent above the leaf, lowest first. */
  readonly sent?: readonly Authority[];
  readonly anchor?: Authority;
}

export function mintSvid(
  trustDomain: TrustDomain,
  issuer: Authority,
  { sent = [], anchor = issuer, ...leafOptions }: SvidOptions = {},
): Svid {
  const leaf = issuer.issueLeaf({ spiffeId: publisherId(trustDomain), ...leafOptions });
  const chain = [leaf.der, ...sent.map(({ der }) => der)].map((der) => Uint8Array.from(der));
  return { chain, privateKey: leaf.privateKey, anchor };
}

const P256_ORDER = BigInt("0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");

/** Signs with P-256 and SHA-256 as r‖s, with the smaller s. */
function signSvid(privateKey: KeyObject, preimage: Uint8Array): Uint8Array {
  const signature = Uint8Array.from(
    sign("sha256", preimage, { key: privateKey, dsaEncoding: "ieee-p1363" }),
  );
  const s = BigInt(`0x${toHex(signature.subarray(32))}`);
  return s > P256_ORDER / 2n ? twinOf(signature) : signature;
}

/** (r, n − s): it verifies as well. */
export function twinOf(signature: Uint8Array): Uint8Array {
  const s = P256_ORDER - BigInt(`0x${toHex(signature.subarray(32))}`);
  return concatBytes(signature.subarray(0, 32), fromHex(s.toString(16).padStart(64, "0")));
}

export interface BlockParts {
  readonly node: NodeKey;
  /** `[old, new]`, or one that is both. */
  readonly svids: readonly Svid[];
  readonly signedAtS?: number;
  /** Changes what the SVIDs signed, before the node signs over it. */
  readonly svidSignature?: (signature: Uint8Array) => Uint8Array;
  /** Changes what the node signed. */
  readonly nodeSignature?: (signature: Uint8Array) => Uint8Array;
}

export function signBlock(
  id: Uint8Array,
  { node, svids, signedAtS = NOW_S, ...wrong }: BlockParts,
  recovery: readonly RecoverySignature[] = [],
): Block {
  const chains = svids.map(({ chain }) => chain);
  const svidSignatures = svids.map(({ chain, privateKey }) => {
    const preimage = svidPreimage(id, node.publicKey, signedAtS, chain);
    const signature = signSvid(privateKey, preimage);
    return wrong.svidSignature?.(signature) ?? signature;
  });
  const preimage = nodePreimage(id, signedAtS, chains, svidSignatures, recovery);
  const signature = Uint8Array.from(sign(null, preimage, node.privateKey));
  const nodeSignature = wrong.nodeSignature?.(signature) ?? signature;
  return { nodePublicKey: node.publicKey, signedAtS, chains, svidSignatures, nodeSignature };
}

/** One record as it travels, and what it says. */
export interface TestRecord {
  readonly state: State;
  readonly id: Uint8Array;
  readonly idHex: string;
  readonly lineage: Uint8Array;
  readonly envelope: Uint8Array;
}

export function makeRecord(
  state: State,
  blocks: readonly BlockParts[],
  recovery: readonly RecoverySignature[] = [],
): TestRecord {
  const payload = encodeState(state);
  const id = recordId(1, payload);
  const read = decodeState(payload); // As it travels: its sets sorted.
  const signed = blocks.map((parts) => signBlock(id, parts, recovery));
  return {
    state: read.ok ? read.value : state,
    id,
    idHex: toHex(id),
    lineage: isGenesis(state) ? id : state.lineage,
    envelope: encodeEnvelope({ kind: 1, payload, blocks: signed, recovery }),
  };
}

/** The commitment to recovery keys, of which `threshold` must sign. */
export function commitmentTo(
  keys: readonly NodeKey[],
  threshold = keys.length,
): RecoveryCommitment {
  return {
    threshold,
    keyHashes: keys.map(({ publicKey }) => sha256(publicKey)).sort(compareBytes),
  };
}

export function signRecovery(id: Uint8Array, keys: readonly NodeKey[]): RecoverySignature[] {
  return [...keys]
    .sort((one, other) => compareBytes(one.publicKey, other.publicKey))
    .map(({ publicKey, privateKey }) => [
      publicKey,
      Uint8Array.from(sign(null, recoveryPreimage(id), privateKey)),
    ]);
}

/** A record that recovery keys sign as well. */
export function makeRecoveredRecord(
  state: State,
  blocks: readonly BlockParts[],
  keys: readonly NodeKey[],
): TestRecord {
  return makeRecord(state, blocks, signRecovery(recordId(1, encodeState(state)), keys));
}

export function untainted({ der }: Authority): X509Authority {
  return { der: Uint8Array.from(der), tainted: false };
}

export function tainted({ der }: Authority): X509Authority {
  return { der: Uint8Array.from(der), tainted: true };
}

/** One daemon of a trust domain with one authority and an X509-SVID under it. */
export interface Publisher {
  readonly trustDomain: TrustDomain;
  readonly node: NodeKey;
  readonly ca: Authority;
  readonly svid: Svid;
  /** The first record, at sequence 1. */
  readonly genesis: TestRecord;
  /** An authority of this trust domain that nothing names yet. */
  readonly newCa: () => Authority;
  readonly mint: (issuer: Authority, options?: SvidOptions) => Svid;
  /** The record after another: its sequence plus 1 and the named changes, signed under `svids`. */
  readonly next: (
    before: TestRecord,
    change?: Partial<State>,
    svids?: readonly Svid[],
    block?: Partial<BlockParts>,
  ) => TestRecord;
}

export function makePublisher(name: string, change: Partial<State> = {}): Publisher {
  const trustDomain = name as TrustDomain;
  const node = makeNodeKey();
  const newCa = (): Authority => makeAuthority({ trustDomain });
  const ca = newCa();
  const mint = (issuer: Authority, options?: SvidOptions): Svid =>
    mintSvid(trustDomain, issuer, options);
  const svid = mint(ca);
  const first: State = {
    trustDomain,
    lineage: noLineage(),
    version: { epoch: 0, rev: 0, sequence: 1n },
    nodes: [node.publicKey],
    removed: [],
    recovery: undefined,
    x509Authorities: [untainted(ca)],
    jwtAuthorities: [],
    ...change,
  };
  return {
    trustDomain,
    node,
    ca,
    svid,
    genesis: makeRecord(first, [{ node, svids: [svid] }]),
    newCa,
    mint,
    next: (before, change = {}, svids = [svid], block = {}) =>
      makeRecord(stateAfter(before, change), [{ node, svids, ...block }]),
  };
}

/** What follows a record when nothing but the sequence and the named parts change. */
export function stateAfter({ state, lineage }: TestRecord, change: Partial<State> = {}): State {
  const { version } = state;
  return {
    ...state,
    lineage,
    version: { ...version, sequence: version.sequence + 1n },
    ...change,
  };
}

/** SPIRE's bundle that a state was made of. */
export function bundleOf(state: State): TrustBundle {
  return {
    trustDomain: state.trustDomain,
    sequenceNumber: state.version.sequence,
    x509Authorities: state.x509Authorities,
    jwtAuthorities: state.jwtAuthorities,
  };
}

/** Answers a signing order as the keyring does, with the SVIDs that it has kept. */
export function signOrder(
  order: SigningOrder,
  node: NodeKey,
  kept: readonly Svid[],
  signedAtS = NOW_S,
): SigningOutcome {
  const under = (authorities: SigningOrder["heldAuthorities"]): Svid | undefined =>
    kept.find(({ anchor }) => authorities.some(({ der }) => equalBytes(der, anchor.der)));
  const newer = under(order.newAuthorities);
  if (newer === undefined) return { kind: "no-new-chain", problem: "none was kept" };
  const older = order.heldAuthorities.length === 0 ? newer : under(order.heldAuthorities);
  if (older === undefined) return { kind: "no-old-chain" };
  const svids = older === newer ? [newer] : [older, newer];
  const block = signBlock(order.recordId, { node, svids, signedAtS }, order.recovery);
  return { kind: "signed", block };
}
