/** Records and heads that are the same each time, with any part of them open to be wrong. */
import assert from "node:assert/strict";
import { sign } from "node:crypto";
import {
  type Head,
  encodeHead,
  encodeHeadPayload,
  headSigningBytes,
} from "../../src/core/record/head.ts";
import { type Block, encodeEnvelope } from "../../src/core/record/envelope.ts";
import {
  type RecoverySignature,
  nodePreimage,
  recordId,
  recoveryPreimage,
  svidPreimage,
} from "../../src/core/record/preimages.ts";
import {
  type RecoveryCommitment,
  type State,
  encodeState,
  isGenesis,
  noLineage,
} from "../../src/core/record/state.ts";
import type { JwtAuthority, X509Authority } from "../../src/core/spiffe/trust-bundle.ts";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import { compareBytes, toHex } from "../../src/core/std/bytes.ts";
import { type CborValue, decodeCbor, encodeCbor } from "../../src/core/std/cbor.ts";
import { sha256 } from "../../src/core/std/sha256.ts";
import { type NodeKey, nodeKeyFromSeed } from "../arbitraries/record.ts";
import {
  type Authority,
  NOW_S,
  type Svid,
  TRUST_DOMAIN,
  authority,
  svid,
} from "./fixed-certificates.ts";
import { nodeKey, p256Key } from "./fixed-keys.ts";

export interface BlockDraft {
  readonly node: NodeKey;
  /** `[old, new]`, or one that is both. */
  readonly svids: readonly Svid[];
  readonly signedAtS?: number;
  /** Changes what the SVIDs signed, before the node signs over it. */
  readonly svidSignature?: (signature: Uint8Array) => Uint8Array;
  /** Changes what the node signed. */
  readonly nodeSignature?: (signature: Uint8Array) => Uint8Array;
  /** The record whose id is signed, when it is another. */
  readonly of?: Uint8Array;
}

export interface FixedRecord {
  readonly id: Uint8Array;
  readonly idHex: string;
  readonly state: State;
  /** The id of its genesis. */
  readonly lineage: Uint8Array;
  readonly envelope: Uint8Array;
}

export function makeRecord(
  state: State,
  blocks: readonly BlockDraft[] = [byOne],
  recovery: readonly RecoverySignature[] = [],
): FixedRecord {
  const payload = encodeState(state);
  const id = recordId(1, payload);
  return {
    id,
    idHex: toHex(id),
    state,
    lineage: isGenesis(state) ? id : state.lineage,
    envelope: envelopeOf(payload, blocks, recovery),
  };
}

/** A payload of any bytes, signed as a record's. */
export function envelopeOf(
  payload: Uint8Array,
  blocks: readonly BlockDraft[] = [byOne],
  recovery: readonly RecoverySignature[] = [],
): Uint8Array {
  const signed = blocks.map((draft) => signBlock(recordId(1, payload), draft, recovery));
  return encodeEnvelope({ kind: 1, payload, blocks: signed, recovery });
}

function signBlock(
  id: Uint8Array,
  { node, svids, signedAtS = NOW_S, of = id, ...wrong }: BlockDraft,
  recovery: readonly RecoverySignature[],
): Block {
  const chains = svids.map(({ chain }) => chain);
  const svidSignatures = svids.map(({ chain, key }) => {
    const signature = key.signSvid(svidPreimage(of, node.publicKey, signedAtS, chain));
    return wrong.svidSignature?.(signature) ?? signature;
  });
  const preimage = nodePreimage(of, signedAtS, chains, svidSignatures, recovery);
  const signature = Uint8Array.from(sign(null, preimage, node.privateKey));
  const nodeSignature = wrong.nodeSignature?.(signature) ?? signature;
  return { nodePublicKey: node.publicKey, signedAtS, chains, svidSignatures, nodeSignature };
}

/** The recovery signatures of a record, ascending by key. */
export function signRecovery(state: State, keys: readonly NodeKey[]): RecoverySignature[] {
  const preimage = recoveryPreimage(recordId(1, encodeState(state)));
  return [...keys]
    .sort((one, other) => compareBytes(one.publicKey, other.publicKey))
    .map(({ publicKey, privateKey }) => [
      publicKey,
      Uint8Array.from(sign(null, preimage, privateKey)),
    ]);
}

export function recoveredRecord(
  state: State,
  keys: readonly NodeKey[],
  blocks: readonly BlockDraft[] = [byOne],
): FixedRecord {
  return makeRecord(state, blocks, signRecovery(state, keys));
}

export function commitmentTo(threshold: number, keys: readonly NodeKey[]): RecoveryCommitment {
  return {
    threshold,
    keyHashes: keys.map(({ publicKey }) => sha256(publicKey)).sort(compareBytes),
  };
}

export function makeHead(
  { lineage, id, state }: FixedRecord,
  change: Partial<Head> = {},
  node: NodeKey = one,
): Uint8Array {
  const payload = encodeHeadPayload({
    trustDomain: state.trustDomain,
    lineage,
    version: state.version,
    recordId: id,
    counter: BigInt(NOW_S * 1_000),
    issuedAtMs: NOW_S * 1_000,
    ...change,
  });
  return signedHead(payload, node);
}

export function signedHead(payload: Uint8Array, node: NodeKey = one): Uint8Array {
  const signature = Uint8Array.from(sign(null, headSigningBytes(payload), node.privateKey));
  return encodeHead(payload, node.publicKey, signature);
}

/** The values of an array as it stands in CBOR. */
export function positionsOf(bytes: Uint8Array): readonly CborValue[] {
  const decoded = decodeCbor(bytes);
  assert(decoded.ok && Array.isArray(decoded.value), "an array that we made");
  return decoded.value;
}

/** The same array with some positions replaced. */
export function replaced(
  bytes: Uint8Array,
  changes: Readonly<Record<number, CborValue>>,
): Uint8Array {
  return encodeCbor(positionsOf(bytes).map((value, index) => changes[index] ?? value));
}

export function untainted(...authorities: readonly Authority[]): X509Authority[] {
  return authorities.map(({ der }) => ({ der, tainted: false }));
}

export function tainted(...authorities: readonly Authority[]): X509Authority[] {
  return authorities.map(({ der }) => ({ der, tainted: true }));
}

export function jwtAuthority(keyId: string, change: Partial<JwtAuthority> = {}): JwtAuthority {
  const { spki } = p256Key(`jwt ${keyId}`);
  return { keyId, spki, expiresAtS: NOW_S + 86_400, tainted: false, ...change };
}

/** Changes one bit of the sixth byte. */
export function flipped(bytes: Uint8Array): Uint8Array {
  return bytes.map((byte, index) => (index === 5 ? byte ^ 1 : byte));
}

/** Nodes of alpha.test, ascending by public key: the first of two is the smaller one. */
const nodes = ["one", "two", "three", "four"]
  .map(nodeKey)
  .sort((left, right) => compareBytes(left.publicKey, right.publicKey));
const [first, second, third, fourth] = nodes;
assert(first && second && third && fourth, "four nodes");
export const [one, two, three, four] = [first, second, third, fourth];
/** Nobody lists it. */
export const stranger = nodeKeyFromSeed(sha256(Uint8Array.of(7)));

export const ca = authority("ca 1");
export const otherCa = authority("ca 2");
export const svidOne = svid("svid 1", ca);
export const svidOther = svid("svid 2", otherCa);
/** How everything is signed unless told. */
export const byOne: BlockDraft = { node: one, svids: [svidOne] };
export const byTwo: BlockDraft = { node: two, svids: [svidOne] };

export const FIRST_STATE: State = {
  trustDomain: TRUST_DOMAIN as TrustDomain,
  lineage: noLineage(),
  version: { epoch: 0, rev: 0, sequence: 1n },
  nodes: [one.publicKey, two.publicKey],
  removed: [],
  recovery: undefined,
  x509Authorities: untainted(ca, otherCa),
  jwtAuthorities: [jwtAuthority("key-1")],
};

/** Two nodes, two authorities, one JWT authority; signed a minute ago. */
export const genesis = makeRecord(FIRST_STATE, [{ ...byOne, signedAtS: NOW_S - 60 }]);

/** What follows a record when nothing but the sequence and the named parts change. */
export function after({ state, lineage }: FixedRecord, change: Partial<State> = {}): State {
  const { version } = state;
  return {
    ...state,
    lineage,
    version: { ...version, sequence: version.sequence + 1n },
    ...change,
  };
}

/** The version with this epoch, rev and sequence, as a change. */
export function at(epoch: number, rev: number, sequence: bigint): Pick<State, "version"> {
  return { version: { epoch, rev, sequence } };
}

/** Alpha's record after the first one. */
export function next(
  change: Partial<State> = {},
  blocks: readonly BlockDraft[] = [byOne],
): FixedRecord {
  return makeRecord(after(genesis, change), blocks);
}
