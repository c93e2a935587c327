/**
 * What is held of one trust domain.
 *
 *     first record ──▶ held ── higher version ──▶ held (base = what stood before)
 *                       │ ── same id, another block ──▶ held, blocks add up
 *                       └── same version, other id ──▶ fork: what all of them say ── higher ──▶ held
 *
 * Values: nothing here changes in place. Every record that comes in was verified before; here is
 * only decided what stands. Adding blocks is a join (order, grouping and repetition do not matter),
 * the held version never falls, and a fork only takes away.
 */
import { compareBytes, equalBytes, toHex } from "../std/bytes.ts";
import { BLOCKS_MAX, ENVELOPE_BYTES_MAX, SIGNED_AT_SLACK_S } from "../std/limits.ts";
import { encodeEnvelope } from "../record/envelope.ts";
import { type Standing, standingOf } from "../record/standing.ts";
import { compareVersions, encodeState, isGenesis } from "../record/state.ts";
import { has, sameRecovery } from "../record/step.ts";
import type { SignedRecord, VerifiedBlock, VerifiedRecord } from "../record/verify.ts";
import { intersect, judgesSibling, trustsAll } from "./fork.ts";
import { type Gone, goneAfter } from "./gone.ts";

export interface Slot {
  /** The record of the highest version; in a fork the one of the smallest id, as evidence. */
  readonly held: VerifiedRecord;
  /** In a fork the record of the second smallest id. Two are proof enough. */
  readonly sibling: VerifiedRecord | undefined;
  /** What stands: the held record's content, in a fork what all records of that version have in common. */
  readonly effective: Standing;
  /** What stood before that version; undefined for a first record. */
  readonly base: Standing | undefined;
  /** New anchors (SHA-256 of the DER) of all records of a fork; of one alone it is the record's. */
  readonly anchors: readonly Uint8Array[];
  /** Authorities that were taken back and have not ended by themselves yet. */
  readonly gone: readonly Gone[];
}

/** How a record stands to a slot. */
export type Relation = "newer" | "same" | "older" | "fork" | "other-lineage";

export function relate(slot: Slot, record: SignedRecord): Relation {
  const held = slot.held.record;
  if (!equalBytes(held.lineage, record.lineage)) return "other-lineage";
  const order = compareVersions(record.state.version, held.state.version);
  if (order !== 0) return order > 0 ? "newer" : "older";
  if (isHeld(slot, record)) return "same";
  return isGenesisAgain(held, record) ? "older" : "fork";
}

/** Whether the record is one of the two that are kept of the highest version. */
function isHeld({ held, sibling }: Slot, { id }: SignedRecord): boolean {
  return (
    equalBytes(held.record.id, id) || (sibling !== undefined && equalBytes(sibling.record.id, id))
  );
}

/** A genesis that names its own lineage says nothing that the genesis did not say. */
function isGenesisAgain(held: SignedRecord, { state }: SignedRecord): boolean {
  if (!isGenesis(held.state)) return false;
  const { lineage } = held.state;
  return equalBytes(encodeState({ ...state, lineage }), encodeState(held.state));
}

/** The slot that starts with a record which came by its exact id. */
export function startSlot(first: VerifiedRecord): Slot {
  const held = joinBlocks(first, []);
  return { ...alone(held), base: undefined, gone: [] };
}

/** Takes a higher version; a fork below it is over. */
export function advance(slot: Slot, newer: VerifiedRecord, nowS: number): Slot {
  const next = alone(joinBlocks(newer, []));
  const gone = goneAfter(slot.gone, slot.effective, next.effective, nowS);
  return { ...next, base: slot.effective, gone };
}

function alone(held: VerifiedRecord): Omit<Slot, "base" | "gone"> {
  const anchors = [newAnchorOf(held)];
  return { held, sibling: undefined, effective: standingOf(held), anchors };
}

/** Adds verified blocks of a held record. Returns the same slot when nothing is new. */
export function addBlocks(slot: Slot, more: VerifiedRecord): Slot {
  const isSibling =
    slot.sibling !== undefined && equalBytes(slot.sibling.record.id, more.record.id);
  const before = isSibling && slot.sibling ? slot.sibling : slot.held;
  const joined = joinBlocks(before, more.blocks);
  if (joined === before) return slot;
  if (isSibling) return { ...slot, sibling: joined };
  // Of a record alone; in a fork what others were counted by stays.
  const anchors = slot.sibling === undefined ? [newAnchorOf(joined)] : slot.anchors;
  return { ...slot, held: joined, anchors };
}

/** What a record of another relation than `newer` is judged against; undefined: against itself. */
export function judgedAgainst(slot: Slot, relation: Relation): Standing | undefined {
  if (relation === "newer") return slot.effective;
  // Without a base blocks are judged by the record itself, but never a sibling: that would be
  // anybody's, as the lineage is public.
  return relation === "fork" ? judgesSibling(slot.base, slot.effective) : slot.base;
}

/**
 * Whether a verified record of the held version counts: it keeps the recovery keys, no recovery key
 * signed it, and it trusts what the others were signed under. Else it is evidence and no more.
 */
export function isCounted({ base, effective, anchors }: Slot, sibling: VerifiedRecord): boolean {
  const { state, envelope } = sibling.record;
  // What an operator named stands alone: a peer who gives us the other one again does not undo that.
  return (
    base !== undefined &&
    envelope.recovery.length === 0 &&
    sameRecovery(state.recovery, effective.state.recovery) &&
    trustsAll(sibling, anchors)
  );
}

/**
 * Takes in another record of the held version, which counts. The two smallest ids are kept, and what
 * all have in common stands. Returns the same slot when nothing is new.
 */
export function addSibling(slot: Slot, sibling: VerifiedRecord): Slot {
  if (isHeld(slot, sibling.record)) return slot;
  const kept = [slot.held, ...(slot.sibling ? [slot.sibling] : []), joinBlocks(sibling, [])].sort(
    (one, other) => compareBytes(one.record.id, other.record.id),
  );
  const [held = slot.held, second] = kept;
  const effective = common(held, intersect(slot.effective, standingOf(sibling)));
  const anchor = newAnchorOf(sibling);
  const anchors = has(slot.anchors, anchor) ? slot.anchors : [...slot.anchors, anchor];
  const isNothingNew =
    held === slot.held &&
    second === slot.sibling &&
    anchors === slot.anchors &&
    equalStandings(effective, slot.effective);
  if (isNothingNew) return slot;
  // Whoever came first: gone is what any of them lacks. What has ended meanwhile is forgotten later.
  const gone = slot.base ? goneAfter(slot.gone, slot.base, effective, 0) : slot.gone;
  return { ...slot, held, sibling: second, effective, anchors, gone };
}

/** What is no matter of the intersection is that of the smallest id, whoever came first. */
function common(held: VerifiedRecord, { state, authorities }: Standing): Standing {
  const { nodes, x509Authorities, jwtAuthorities } = state;
  const rest = standingOf(held).state;
  return { authorities, state: { ...rest, nodes, x509Authorities, jwtAuthorities } };
}

/** No node is left that all records of a fork list: nobody can end it but recovery keys. */
export function isForkEmpty({ effective }: Slot): boolean {
  return effective.state.nodes.length === 0;
}

/** When any block of what is held was signed at least, less what clocks may differ. Unix seconds. */
export function signedAtLeastS({ held, sibling }: Slot, nowS: number): number {
  const blocks = [...held.blocks, ...(sibling?.blocks ?? [])];
  return Math.min(nowS, ...blocks.map(({ block }) => block.signedAtS)) - SIGNED_AT_SLACK_S;
}

/** The record with all blocks that verified, as it is stored, synced and exported. */
export function envelopeBytes(
  verified: VerifiedRecord,
  blocks: readonly VerifiedBlock[] = verified.blocks,
): Uint8Array {
  const { envelope } = verified.record;
  return encodeEnvelope({ ...envelope, blocks: blocks.map(({ block }) => block) });
}

/** That of the verified block with the smallest node, then anchor (docs/protocol.md 2). */
function newAnchorOf({ blocks }: VerifiedRecord): Uint8Array {
  const [first] = blocks.toSorted((one, other) => (blockKey(one) < blockKey(other) ? -1 : 1));
  return first?.newAnchor ?? new Uint8Array();
}

function equalStandings(one: Standing, other: Standing): boolean {
  const isSame =
    one.state.nodes.length === other.state.nodes.length &&
    one.authorities.length === other.authorities.length &&
    one.state.jwtAuthorities.length === other.state.jwtAuthorities.length;
  // An intersection has what it had before, or less: only taint and ends may differ in place.
  return (
    isSame &&
    one.authorities.every(({ tainted }, index) => tainted === other.authorities[index]?.tainted) &&
    one.state.jwtAuthorities.every(({ tainted, expiresAtS }, index) => {
      const twin = other.state.jwtAuthorities[index];
      return tainted === twin?.tainted && expiresAtS === twin.expiresAtS;
    })
  );
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
