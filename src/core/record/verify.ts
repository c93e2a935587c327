/**
 * What makes a record authentic: steps 1, 2 and 6 to 10 of docs/protocol.md 3. Cheap checks come
 * before costly ones, so that a stranger never makes us parse a certificate for less than a
 * signature by a node key.
 *
 *     bytes ─ readRecord ─▶ SignedRecord ─ verifyRecord(before) ─▶ VerifiedRecord
 *             decode: 1     judgeStep: 6       7 … 10
 *             nodes: 2
 *
 * Whose record it is and which version (steps 3 to 5) is the slot's and the mesh's to say. There are
 * no other ways to a `VerifiedRecord` than `verifyRecord` and, for what it once gave, `restoreRecord`.
 */
import assert from "node:assert/strict";
import { equalBytes, toHex } from "../std/bytes.ts";
import { CLOCK_SKEW_S } from "../std/limits.ts";
import { ok } from "../std/result.ts";
import { type Anchors, type AuthorityFacts, anchorsOf, readAuthorities } from "./authority.ts";
import { findAnchor, judgeChain, readChain } from "./chain.ts";
import { type Block, type Envelope, decodeEnvelope } from "./envelope.ts";
import { nodePreimage, recordId, svidPreimage } from "./preimages.ts";
import type { CertificateFacts, Proofs } from "./proofs.ts";
import { type Judged, type Refusal, refuse } from "./refusal.ts";
import type { Standing } from "./standing.ts";
import { type State, decodeState, isGenesis } from "./state.ts";
import { judgeStep } from "./step.ts";
import { isCanonicalSvidSignature } from "./svid-signature.ts";

/** What a record says, whoever wrote it. */
interface Content {
  /** 32 bytes, and the same as 64 hex digits. */
  readonly id: Uint8Array;
  readonly idHex: string;
  /** The lineage it belongs to: its own id for a genesis. 32 bytes. */
  readonly lineage: Uint8Array;
  readonly state: State;
}

/** A record of which no signature was checked: anybody may have made it up. */
export interface UnprovenRecord extends Content {
  readonly claimed: Envelope;
}

/** A record whose blocks are signed by the node keys that they carry; nothing more is known. */
export interface SignedRecord extends Content {
  readonly envelope: Envelope;
}

/** A block that proved both factors, old and new. */
export interface VerifiedBlock {
  readonly block: Block;
  /** SHA-256 of the new anchor's DER: with the node it names the block. */
  readonly newAnchor: Uint8Array;
}

/** A record that is what its trust domain says, as far as the receiver can know. */
export interface VerifiedRecord {
  readonly record: SignedRecord;
  readonly authorities: readonly AuthorityFacts[];
  /** At least one, as they came; a slot sorts them and keeps one of each node and anchor. */
  readonly blocks: readonly VerifiedBlock[];
}

/**
 * Steps 1 and 2: size, depth, strict decoding, signature encodings, node signatures.
 *
 * @param carrier On gossip exactly one block is allowed, or whoever adds blocks makes new message ids.
 *   From sync or a file, blocks whose node signature fails are left out; one must remain.
 */
export function readRecord(
  bytes: Uint8Array,
  carrier: "gossip" | "sync",
  proofs: Proofs,
): Judged<SignedRecord> {
  const decoded = decodeRecord(bytes, carrier);
  return decoded.ok ? judgeNodeSignatures(decoded.value, proofs) : decoded;
}

/** Step 1. */
export function decodeRecord(
  bytes: Uint8Array,
  carrier: "gossip" | "sync",
): Judged<UnprovenRecord> {
  const read = decodeEnvelope(bytes);
  if (!read.ok) return refuse("ENVELOPE_MALFORMED", read.reason);
  const { kind, payload, blocks } = read.value;
  if (carrier === "gossip" && blocks.length !== 1) {
    return refuse("BLOCK_COUNT", `${blocks.length} blocks in one gossip message`);
  }
  const state = decodeState(payload);
  if (!state.ok) return refuse("PAYLOAD_MALFORMED", state.reason);
  if (blocks.some((block) => !block.svidSignatures.every(isCanonicalSvidSignature))) {
    return refuse("SIGNATURE_ENCODING", "an SVID signature is not r‖s with 0 < r < n, 0 < s ≤ n/2");
  }
  const id = recordId(kind, payload);
  const lineage = isGenesis(state.value) ? id : state.value.lineage;
  return ok({ id, idHex: toHex(id), lineage, state: state.value, claimed: read.value });
}

/** Step 2: up to eight signature checks, which nobody pays for. */
function judgeNodeSignatures(record: UnprovenRecord, proofs: Proofs): Judged<SignedRecord> {
  const { claimed, ...content } = record;
  const { id } = content;
  const signed = claimed.blocks.filter((block) => {
    const { nodePublicKey, signedAtS, chains, svidSignatures, nodeSignature } = block;
    const preimage = nodePreimage(id, signedAtS, chains, svidSignatures, claimed.recovery);
    return proofs.verifiesNode(nodePublicKey, preimage, nodeSignature);
  });
  if (signed.length === 0) return refuse("NODE_SIGNATURE_INVALID", "no block's node signature");
  return ok({ ...content, envelope: { ...claimed, blocks: signed } });
}

/** When a record may have been signed. */
export interface SigningTimes {
  readonly nowS: number;
  /** A block of this node is no older: keys that have ended would speak again with a time of theirs. */
  readonly leastS: (nodePublicKey: Uint8Array) => number;
}

/**
 * Steps 6 to 10 against what stands. For a first record, whose exact id came out of band, pass
 * undefined: the record is then its own "before".
 *
 * Each block stands or falls alone, and the record is verified when one block is, or both of a rotated
 * node. The refusal is that of the first block.
 */
export function verifyRecord(
  record: SignedRecord,
  before: Standing | undefined,
  times: SigningTimes,
  proofs: Proofs,
): Judged<VerifiedRecord> {
  const signers = judgeStep(record, before, proofs);
  if (!signers.ok) return signers;
  const authorities = readAuthorities(record.state, proofs, before?.authorities);
  if (!authorities.ok) return authorities;
  const isNewEpoch = before?.state.version.epoch !== record.state.version.epoch;
  const against: Against = {
    // Recovery keys speak for the old: whose authorities were lost has none to sign under.
    oldAnchors: before && !isNewEpoch ? anchorsOf(before.authorities) : undefined,
    newAnchors: anchorsOf(authorities.value),
    times,
  };
  let refusal: Refusal | undefined;
  const blocks: VerifiedBlock[] = [];
  for (const block of signers.value.blocks) {
    const judged = verifyBlock(block, record, against, proofs);
    if (judged.ok) blocks.push(judged.value);
    else refusal ??= judged.reason;
  }
  if (blocks.length === 0 || (signers.value.isRotation && countNodes(blocks) < 2)) {
    assert(refusal !== undefined, "each block is verified or refused, and there is one");
    return { ok: false, reason: refusal };
  }
  return ok({ record, authorities: authorities.value, blocks });
}

/**
 * Step 11: the keys of expired authorities are thrown away and may be anybody's, so they prove nothing
 * by themselves. Who holds no other is led on by somebody else's word alone.
 */
export function hasExpired({ authorities }: Standing, nowS: number): boolean {
  return anchorsOf(authorities).every(({ notAfterS }) => notAfterS < nowS);
}

function countNodes(blocks: readonly VerifiedBlock[]): number {
  return new Set(blocks.map(({ block }) => toHex(block.nodePublicKey))).size;
}

/**
 * A verified record back from the own store, whose bytes are what they were. What it was judged
 * against is gone by now, so old and new are not judged again; everything it says is read again.
 */
export function restoreRecord(bytes: Uint8Array, proofs: Proofs): Judged<VerifiedRecord> {
  const read = readRecord(bytes, "sync", proofs);
  if (!read.ok) return read;
  const record = read.value;
  const authorities = readAuthorities(record.state, proofs);
  if (!authorities.ok) return authorities;
  const anchors = anchorsOf(authorities.value);
  const blocks: VerifiedBlock[] = [];
  for (const block of record.envelope.blocks) {
    const last = block.chains.at(-1);
    assert(last !== undefined, "a block has a chain");
    const chain = readChain(last, proofs);
    if (!chain.ok) return chain;
    const { trustDomain } = record.state;
    const { signedAtS } = block;
    const missing = "NEW_AUTHORITY_MISSING";
    const anchor = findAnchor(chain.value, anchors, trustDomain, signedAtS, missing, proofs);
    if (!anchor.ok) return anchor;
    blocks.push({ block, newAnchor: anchor.value });
  }
  return ok({ record, authorities: authorities.value, blocks });
}

/** What a block must link: the authorities that stand, the record's own, and when. */
interface Against {
  /** Undefined for the first record of a lineage or an epoch: its last chain speaks for both. */
  readonly oldAnchors: Anchors | undefined;
  readonly newAnchors: Anchors;
  readonly times: SigningTimes;
}

/** Steps 6 (leaf key) and 8 to 10 for one block. */
function verifyBlock(
  block: Block,
  record: SignedRecord,
  against: Against,
  proofs: Proofs,
): Judged<VerifiedBlock> {
  const { trustDomain, nodes } = record.state;
  const { signedAtS } = block;
  const time = judgeTime(block, against.times);
  if (!time.ok) return time;
  let newAnchor: Uint8Array | undefined;
  for (const [index, chain] of block.chains.entries()) {
    const read = readChain(chain, proofs);
    if (!read.ok) return read;
    const [leaf] = read.value;
    const leafKey = leaf.key.spki;
    if (nodes.some((node) => spkiEndsWith(leafKey, node))) {
      return refuse("LEAF_KEY_IS_NODE_KEY", "the X509-SVID was minted for a node key");
    }
    const judged = judgeChain(read.value, trustDomain, signedAtS, proofs);
    if (!judged.ok) return judged;
    // Most chains are old and new: what held for the one authority need not be verified twice.
    const issuedBy = remembering(proofs.issuedBy.bind(proofs));
    const ends = (anchors: Anchors, missing: "OLD_AUTHORITY_MISSING" | "NEW_AUTHORITY_MISSING") =>
      findAnchor(read.value, anchors, trustDomain, signedAtS, missing, { issuedBy });
    if (index === 0 && against.oldAnchors !== undefined) {
      const found = ends(against.oldAnchors, "OLD_AUTHORITY_MISSING");
      if (!found.ok) return found;
    }
    if (index === block.chains.length - 1) {
      const found = ends(against.newAnchors, "NEW_AUTHORITY_MISSING");
      if (!found.ok) return found;
      newAnchor = found.value;
    }
    const preimage = svidPreimage(record.id, block.nodePublicKey, signedAtS, chain);
    const signature = block.svidSignatures[index];
    assert(signature !== undefined, "a block has a signature for each chain");
    if (!proofs.verifiesSvid(leaf.key, preimage, signature)) {
      return refuse("SVID_SIGNATURE_INVALID", `chain ${index}`);
    }
  }
  assert(newAnchor !== undefined, "a block has a chain");
  return ok({ block, newAnchor });
}

/** Asks once for each parent; the child is always the same. */
function remembering(issuedBy: Proofs["issuedBy"]): Proofs["issuedBy"] {
  const answers = new Map<CertificateFacts, boolean>();
  return (child, parent) => {
    const answer = answers.get(parent) ?? issuedBy(child, parent);
    answers.set(parent, answer);
    return answer;
  };
}

/** Step 10, time: not ahead of us, and not much older than what was already taken. */
function judgeTime(
  { signedAtS, nodePublicKey }: Block,
  { nowS, leastS }: SigningTimes,
): Judged<undefined> {
  if (signedAtS > nowS + CLOCK_SKEW_S) {
    return refuse("SIGNED_IN_FUTURE", `${signedAtS - nowS} s ahead of this clock`);
  }
  const behindS = leastS(nodePublicKey) - signedAtS;
  return behindS > 0
    ? refuse("SIGNED_TOO_EARLY", `${behindS} s before what is held of it allows`)
    : ok(undefined);
}

/** An Ed25519 SubjectPublicKeyInfo ends with the 32 bytes of the key (RFC 8410, 4). */
function spkiEndsWith(spki: Uint8Array, key: Uint8Array): boolean {
  return equalBytes(spki.subarray(-key.length), key);
}
