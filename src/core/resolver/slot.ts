/**
 * What is held of one trust domain.
 *
 *     first record ──▶ held ── higher version ──▶ held (base = the one before)
 *                       │ ── same id, another block ──▶ held, blocks add up
 *                       └── same version, other id ──▶ held, sibling kept as evidence ── higher ──▶ held
 *
 * Values: nothing here changes in place. Every record that comes in was verified before; here is
 * only decided which one is held. Adding blocks is a join (order, grouping and repetition do not
 * matter), the held version never falls.
 */
import { compareBytes, equalBytes, toHex } from "../std/bytes.ts";
import { BLOCKS_MAX, ENVELOPE_BYTES_MAX } from "../std/limits.ts";
import { encodeEnvelope } from "../record/envelope.ts";
import { compareVersions } from "../record/state.ts";
import type { SignedRecord, VerifiedBlock, VerifiedRecord } from "../record/verify.ts";

export interface Slot {
  readonly held: VerifiedRecord;
  /** The record held before: what blocks and siblings of the held version are judged against. */
  readonly base: VerifiedRecord | undefined;
  /** Another record of the held version: the publisher contradicted itself. One is proof enough. */
  readonly sibling: VerifiedRecord | undefined;
}

/** How a record stands to a slot. */
export type Relation = "newer" | "same" | "older" | "fork" | "other-lineage";

export function relate(slot: Slot, record: SignedRecord): Relation {
  const held = slot.held.record;
  if (!equalBytes(held.lineage, record.lineage)) return "other-lineage";
  const order = compareVersions(record.state.version, held.state.version);
  if (order !== 0) return order > 0 ? "newer" : "older";
  return equalBytes(held.id, record.id) ? "same" : "fork";
}

/** The slot that starts with a record which came by its exact id. */
export function startSlot(first: VerifiedRecord): Slot {
  return { held: joinBlocks(first, []), base: undefined, sibling: undefined };
}

/** Takes a higher version; a fork below it is over. */
export function advance(slot: Slot, newer: VerifiedRecord): Slot {
  return { held: joinBlocks(newer, []), base: slot.held, sibling: undefined };
}

/** Adds verified blocks of the held record. Returns the same slot when nothing is new. */
export function addBlocks(slot: Slot, more: VerifiedRecord): Slot {
  const held = joinBlocks(slot.held, more.blocks);
  return held === slot.held ? slot : { ...slot, held };
}

/**
 * The blocks that are kept of one record: the smallest eight by (node, new anchor), and for one pair
 * the one signed last. Returns the same record when these are its blocks.
 */
function joinBlocks(record: VerifiedRecord, more: readonly VerifiedBlock[]): VerifiedRecord {
  const best = new Map<string, VerifiedBlock>();
  for (const each of [...record.blocks, ...more]) {
    const key = blockKey(each);
    const present = best.get(key);
    if (present === undefined || signedLater(each, present)) best.set(key, each);
  }
  const kept: VerifiedBlock[] = [];
  for (const [, each] of [...best].sort(([left], [right]) => (left < right ? -1 : 1))) {
    const fits =
      kept.length < BLOCKS_MAX &&
      envelopeBytes(record, [...kept, each]).length <= ENVELOPE_BYTES_MAX;
    if (fits) kept.push(each);
  }
  const unchanged =
    kept.length === record.blocks.length &&
    kept.every((each, index) => sameBlock(each, record.blocks[index]));
  return unchanged ? record : { ...record, blocks: kept };
}

/** Keeps the first sibling as evidence. Returns the same slot when there is one already. */
export function addSibling(slot: Slot, sibling: VerifiedRecord): Slot {
  return slot.sibling === undefined ? { ...slot, sibling: joinBlocks(sibling, []) } : slot;
}

/** The record with all blocks that verified, as it is stored, synced and exported. */
export function envelopeBytes(
  verified: VerifiedRecord,
  blocks: readonly VerifiedBlock[] = verified.blocks,
): Uint8Array {
  const { envelope } = verified.record;
  return encodeEnvelope({ ...envelope, blocks: blocks.map(({ block }) => block) });
}

function blockKey({ block, newAnchor }: VerifiedBlock): string {
  return toHex(block.nodePublicKey) + toHex(newAnchor);
}

/** The smaller signature settles a tie, so that order of arrival does not. */
function signedLater(left: VerifiedBlock, right: VerifiedBlock): boolean {
  const difference = left.block.signedAtS - right.block.signedAtS;
  if (difference !== 0) return difference > 0;
  return compareBytes(left.block.nodeSignature, right.block.nodeSignature) < 0;
}

function sameBlock(left: VerifiedBlock, right: VerifiedBlock | undefined): boolean {
  return right !== undefined && equalBytes(left.block.nodeSignature, right.block.nodeSignature);
}
