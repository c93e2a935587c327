/**
 * What makes a record authentic: steps 1, 2 and 6 to 10 of docs/protocol.md 3. Cheap checks come
 * before costly ones, so that a stranger never makes us parse a certificate for less than a
 * signature by a node key.
 *
 *     bytes ─ readRecord ─▶ SignedRecord ─ verifyRecord(held) ─▶ VerifiedRecord
 *             decode: 1     judgeSigners: 6     7 … 10
 *             nodes: 2
 *
 * Whose record it is and which version (steps 3 to 5) is the slot's and the mesh's to say. There are
 * no other ways to a `VerifiedRecord` than `verifyRecord` and, for what it once gave, `restoreRecord`.
 */
import assert from "node:assert/strict";
import { concatBytes, equalBytes, toHex } from "../std/bytes.ts";
import { CLOCK_SKEW_S, REV_JUMP_MAX, SIGNED_AT_SLACK_S } from "../std/limits.ts";
import { ok } from "../std/result.ts";
import { type Anchors, type AuthorityFacts, anchorsOf, readAuthorities } from "./authority.ts";
import { findAnchor, judgeChain, readChain } from "./chain.ts";
import { type Block, type Envelope, decodeEnvelope } from "./envelope.ts";
import { nodePreimage, recordId, svidPreimage } from "./preimages.ts";
import type { CertificateFacts, Proofs } from "./proofs.ts";
import { type Judged, type Refusal, refuse } from "./refusal.ts";
import { type State, decodeState, isGenesis } from "./state.ts";
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

/**
 * Step 6 against the held record: whether the step from it may be made, and by whom. No certificate
 * is read and no signature verified, so it comes before whatever the signing node has to pay for.
 *
 * @returns The blocks of listed nodes, at least one.
 */
export function judgeSigners(
  record: SignedRecord,
  held: VerifiedRecord | undefined,
): Judged<readonly Block[]> {
  const step = judgeStep(record, held);
  return step.ok ? judgeNodes(record, held?.record.state) : step;
}

/**
 * Steps 6 to 10 against the held record. For a first record, whose exact id came out of band, pass
 * undefined: the record is then its own "held".
 *
 * Each block stands or falls alone; the record is verified when one block is. The refusal is that
 * of the first block.
 *
 * @param last The newest one that is held: no block is much older, be it of that record, of a sibling
 *   or of the next one. Keys that have ended would speak again with a time of theirs.
 */
export function verifyRecord(
  record: SignedRecord,
  held: VerifiedRecord | undefined,
  nowS: number,
  proofs: Proofs,
  last = held,
): Judged<VerifiedRecord> {
  const listed = judgeSigners(record, held);
  if (!listed.ok) return listed;
  const authorities = readAuthorities(record.state, proofs, held?.authorities);
  if (!authorities.ok) return authorities;
  const newAnchors = anchorsOf(authorities.value);
  const against: Against = {
    oldAnchors: held && anchorsOf(held.authorities),
    newAnchors,
    signedAtLeastS: leastSignedAtS(last, nowS),
  };
  let refusal: Refusal | undefined;
  const blocks: VerifiedBlock[] = [];
  for (const block of listed.value) {
    const judged = verifyBlock(block, record, against, nowS, proofs);
    if (judged.ok) blocks.push(judged.value);
    else refusal ??= judged.reason;
  }
  if (blocks.length === 0) {
    assert(refusal !== undefined, "each block is verified or refused, and there is one");
    return { ok: false, reason: refusal };
  }
  // Step 11: expired keys are thrown away and may be anybody's; they prove nothing by themselves.
  return against.oldAnchors?.every(({ notAfterS }) => notAfterS < nowS) === true
    ? refuse("HELD_EXPIRED_NOT_BUILT", "every untainted authority of the held record has expired")
    : ok({ record, authorities: authorities.value, blocks });
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

/** What may change from the held state to the next one (steps 6 and 10). */
function judgeStep(record: SignedRecord, held: VerifiedRecord | undefined): Judged<undefined> {
  if (record.envelope.recovery.length > 0) {
    return refuse("RECOVERY_SIGNATURES_NOT_BUILT", "it carries recovery signatures");
  }
  if (held === undefined) return ok(undefined);
  const { state } = record;
  const before = held.record.state;
  if (state.version.epoch !== before.version.epoch) {
    return refuse("EPOCH_CHANGE_NOT_BUILT", `epoch ${state.version.epoch}`);
  }
  if (state.version.rev - before.version.rev > REV_JUMP_MAX) {
    return refuse("REV_JUMP", `rev ${before.version.rev} to ${state.version.rev}`);
  }
  const firstCommitment =
    before.recovery === undefined && state.version.rev === before.version.rev + 1;
  if (!firstCommitment && !sameRecovery(state, before)) {
    return refuse("RECOVERY_CHANGED", "the recovery keys changed without their signatures");
  }
  return ok(undefined);
}

/** Step 6: the blocks whose node is listed before and after and was never removed. */
function judgeNodes(record: SignedRecord, before: State | undefined): Judged<readonly Block[]> {
  const { state, envelope } = record;
  const standing = envelope.blocks.filter(
    ({ nodePublicKey: node }) => !has(state.removed, node) && !has(before?.removed ?? [], node),
  );
  if (standing.length === 0) return refuse("NODE_REMOVED", "a removed node signed it");
  const listed = standing.filter(
    ({ nodePublicKey: node }) => has(state.nodes, node) && has((before ?? state).nodes, node),
  );
  return listed.length > 0 ? ok(listed) : refuse("NODE_NOT_LISTED", "a node that is not listed");
}

/** What a block must link: the held authorities, the record's own, and not before a time. */
interface Against {
  /** Undefined for a first record: it is its own "held", so its last chain speaks for both. */
  readonly oldAnchors: Anchors | undefined;
  readonly newAnchors: Anchors;
  readonly signedAtLeastS: number;
}

/** Steps 6 (leaf key) and 8 to 10 for one block. */
function verifyBlock(
  block: Block,
  record: SignedRecord,
  against: Against,
  nowS: number,
  proofs: Proofs,
): Judged<VerifiedBlock> {
  const { trustDomain, nodes } = record.state;
  const { signedAtS } = block;
  const time = judgeTime(signedAtS, against.signedAtLeastS, nowS);
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
function judgeTime(signedAtS: number, leastS: number, nowS: number): Judged<undefined> {
  if (signedAtS > nowS + CLOCK_SKEW_S) {
    return refuse("SIGNED_IN_FUTURE", `${signedAtS - nowS} s ahead of this clock`);
  }
  if (signedAtS < leastS) {
    return refuse("SIGNED_TOO_EARLY", `${leastS - signedAtS} s before what the held record allows`);
  }
  return ok(undefined);
}

function leastSignedAtS(last: VerifiedRecord | undefined, nowS: number): number {
  if (last === undefined) return 0;
  return Math.min(nowS, ...last.blocks.map(({ block }) => block.signedAtS)) - SIGNED_AT_SLACK_S;
}

function has(nodes: readonly Uint8Array[], node: Uint8Array): boolean {
  return nodes.some((each) => equalBytes(each, node));
}

function sameRecovery(left: State, right: State): boolean {
  if (left.recovery === undefined || right.recovery === undefined) {
    return left.recovery === right.recovery;
  }
  return (
    left.recovery.threshold === right.recovery.threshold &&
    equalBytes(concatBytes(...left.recovery.keyHashes), concatBytes(...right.recovery.keyHashes))
  );
}

/** An Ed25519 SubjectPublicKeyInfo ends with the 32 bytes of the key (RFC 8410, 4). */
function spkiEndsWith(spki: Uint8Array, key: Uint8Array): boolean {
  return equalBytes(spki.subarray(-key.length), key);
}
