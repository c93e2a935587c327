/**
 * A record that came in, by whatever carrier: steps 1 to 13 of docs/protocol.md 3, in order.
 *
 *     read (1, 2) ─▶ whose (3) ─▶ first by exact id (4) or relation to the slot (5) ─▶ verify (6 … 10)
 *          ─▶ store (12) ─▶ answer ─▶ SPIRE's row (13)
 *
 * A refused record changes nothing but counters.
 */
import assert from "node:assert/strict";
import type { Proofs } from "../record/proofs.ts";
import { type Refusal, type RefusalCode, refuse } from "../record/refusal.ts";
import {
  type SignedRecord,
  type VerifiedRecord,
  readRecord,
  verifyRecord,
} from "../record/verify.ts";
import {
  type Relation,
  type Slot,
  addBlocks,
  addSibling,
  advance,
  relate,
  startSlot,
} from "../resolver/slot.ts";
import type { Answer, Effect } from "./effect.ts";
import type { Ticket } from "./input.ts";
import { type MeshState, clear, raise, tell } from "./mesh-state.ts";
import { type Partner, type Pin, newPartner } from "./partner.ts";
import { doubtOwnRecord } from "./own-record.ts";
import { storeOwn } from "./publishing.ts";
import { reconcileRow } from "./rows.ts";

export function onRecordReceived(
  state: MeshState,
  envelope: Uint8Array,
  carrier: "gossip" | "sync",
  ticket: Ticket,
  nowMs: number,
  proofs: Proofs,
): Effect[] {
  const read = readRecord(envelope, carrier, proofs);
  if (!read.ok) return refused(read.reason, undefined, ticket);
  return takeRecord(state, read.value, ticket, nowMs, proofs);
}

/**
 * Steps 3 to 13 for a record that is whole and signed by the nodes it carries.
 *
 * @param addressHints Where an operator says the partner is; remembered unless the record is refused.
 */
export function takeRecord(
  state: MeshState,
  record: SignedRecord,
  ticket: Ticket,
  nowMs: number,
  proofs: Proofs,
  addressHints: readonly string[] = [],
): Effect[] {
  const { trustDomain } = record.state;
  if (trustDomain === state.self.trustDomain) {
    return takeOwnRecord(state, record, ticket, nowMs, proofs);
  }
  const partner = state.partners.get(trustDomain);
  if (partner === undefined || partner.forgetting !== undefined) {
    const reason = `nobody approved ${trustDomain}`;
    return refused({ code: "TRUST_DOMAIN_UNKNOWN", detail: reason }, record, ticket);
  }
  const pin = withHints(partner.pin, addressHints);
  // Within one lineage the version never falls, not even for a pin that waited too long.
  const isRollback = relate(partner.slot, record) === "older";
  if (record.idHex === pin.awaitedRecordId && !isRollback) {
    const start = { ...pin, approvedRecordId: record.idHex, awaitedRecordId: undefined };
    return takeFirstRecord(state, record, start, ticket, nowMs, proofs);
  }
  const { slot } = partner;
  const relation = relate(slot, record);
  const beside = besideHeld(relation, record);
  if (beside !== undefined) return refused(beside, record, ticket);
  const verified = verifyRecord(
    record,
    judgedBy(slot, relation),
    Math.floor(nowMs / 1_000),
    proofs,
  );
  if (!verified.ok) {
    return [
      ...refused(verified.reason, record, ticket),
      ...sayGap(state, relation, verified.reason, record, nowMs),
    ];
  }
  const next = nextSlot(slot, relation, verified.value);
  if (next === slot) {
    if (relation === "fork") {
      const detail = "one sibling is kept as evidence already";
      return refused({ code: "FORK", detail }, record, ticket);
    }
    if (pin === partner.pin) {
      return answer(ticket, { kind: "unchanged", trustDomain, recordId: record.idHex });
    }
  }
  return storeSlot(state, pin, next, relation, record, ticket);
}

/** The newest hints come first, as the store keeps the first ones only. Same pin: nothing is new. */
function withHints(pin: Pin, hints: readonly string[]): Pin {
  const known = new Set(pin.addressHints);
  if (hints.every((hint) => known.has(hint))) return pin;
  return { ...pin, addressHints: [...new Set([...hints, ...pin.addressHints])] };
}

/** Step 4: the first record of a lineage, whose exact id came out of band. */
function takeFirstRecord(
  state: MeshState,
  record: SignedRecord,
  pin: Pin,
  ticket: Ticket,
  nowMs: number,
  proofs: Proofs,
): Effect[] {
  const verified = verifyRecord(record, undefined, Math.floor(nowMs / 1_000), proofs);
  if (!verified.ok) return refused(verified.reason, record, ticket);
  return storeSlot(state, pin, startSlot(verified.value), "newer", record, ticket);
}

function takeOwnRecord(
  state: MeshState,
  record: SignedRecord,
  ticket: Ticket,
  nowMs: number,
  proofs: Proofs,
): Effect[] {
  const { slot } = state.own;
  if (slot === undefined) {
    const detail = "this daemon has not published yet, so no record of its domain is known";
    return refused({ code: "FIRST_RECORD_UNNAMED", detail }, record, ticket);
  }
  const relation = relate(slot, record);
  const beside = besideHeld(relation, record);
  if (beside !== undefined) return refused(beside, record, ticket);
  if (relation === "same") {
    return refused({ code: "DUPLICATE", detail: "it is this daemon's own record" }, record, ticket);
  }
  const verified = verifyRecord(
    record,
    judgedBy(slot, relation),
    Math.floor(nowMs / 1_000),
    proofs,
  );
  if (!verified.ok) return refused(verified.reason, record, ticket);
  const doubt = doubtOwnRecord(state, verified.value, nowMs);
  if (doubt !== undefined) return [...refused(doubt.refusal, record, ticket), ...doubt.effects];
  const { trustDomain } = record.state;
  const adopted = (): Effect[] => [
    ...answer(ticket, { kind: "taken", trustDomain, recordId: record.idHex }),
    accepted(record),
  ];
  const failed = (message: string): Effect[] =>
    refused({ code: "STORE_FAILED", detail: message }, record, ticket);
  return storeOwn(state, verified.value, adopted, failed, proofs);
}

/** Step 5: what needs no verification, as it cannot become the held record. */
function besideHeld(relation: Relation, record: SignedRecord): Refusal | undefined {
  if (relation === "other-lineage") {
    return refuse("WRONG_LINEAGE", `another lineage of ${record.state.trustDomain}`).reason;
  }
  if (relation === "older") {
    return refuse("STALE", `sequence ${record.state.version.sequence} is below the held one`)
      .reason;
  }
  return undefined;
}

/**
 * A newer record is judged by the held one, a block or sibling of the held one by its base. Without
 * a base its blocks are judged by the record itself (step 4), but never a sibling: that would be
 * anybody's, as the lineage is public.
 */
function judgedBy(slot: Slot, relation: Relation): VerifiedRecord | undefined {
  if (relation === "newer") return slot.held;
  return relation === "fork" ? (slot.base ?? slot.held) : slot.base;
}

function nextSlot(slot: Slot, relation: Relation, verified: VerifiedRecord): Slot {
  if (relation === "newer") return advance(slot, verified);
  return relation === "same" ? addBlocks(slot, verified) : addSibling(slot, verified);
}

/**
 * Steps 12 and 13: on disk first, then the answer, then SPIRE.
 *
 * @param seenRow Digest of SPIRE's row as just read, when the domain is new here.
 */
export function storeSlot(
  state: MeshState,
  pin: Pin,
  slot: Slot,
  relation: Relation,
  record: SignedRecord,
  ticket: Ticket,
  seenRow?: string,
): Effect[] {
  const { trustDomain } = pin;
  assert(state.pending === undefined, "one store effect at a time");
  state.pending = {
    onStored: (nowMs) => {
      const partner = state.partners.get(trustDomain) ?? newPartner(pin, slot);
      state.partners.set(trustDomain, partner);
      partner.pin = pin;
      partner.slot = slot;
      partner.row.seen ??= seenRow;
      const recordId = record.idHex;
      const effects = answer(ticket, { kind: "taken", trustDomain, recordId });
      if (relation === "fork") return [...effects, ...sayFork(state, partner, nowMs)];
      if (relation === "same") return effects;
      return [
        ...effects,
        accepted(record),
        ...clear(state, "FORK", trustDomain),
        ...clear(state, "CONTINUITY_GAP", trustDomain),
        ...clear(state, "PIN_AWAITED", trustDomain),
        admitNodes(state),
        ...reconcileRow(state, partner, nowMs),
      ];
    },
    onFailed: (message) => {
      const refusal: Refusal = { code: "STORE_FAILED", detail: message };
      return refused(refusal, record, ticket);
    },
  };
  return [{ kind: "store-domain", domain: { trustDomain, slot, pin } }];
}

/** The publisher contradicted itself: what is held stays applied, the sibling is the proof. */
export function sayFork(state: MeshState, { pin, slot }: Partner, nowMs: number): Effect[] {
  const { held, sibling } = slot;
  if (sibling === undefined) return [];
  const message = `${pin.trustDomain} signed two records of one version: ${held.record.idHex} is applied, ${sibling.record.idHex} is kept as evidence`;
  return raise(state, "FORK", pin.trustDomain, message, nowMs);
}

/** Nodes of every pinned trust domain may be connected, and those of the own one. */
export function admitNodes(state: MeshState): Effect {
  const held = [...state.partners.values()].flatMap(({ slot }) => slot.held.record.state.nodes);
  const own = state.own.slot?.held.record.state.nodes ?? [];
  return { kind: "admit-nodes", nodes: [...held, ...own] };
}

/** Refusals that no later record of the same kind can end: only a person can. */
const GAPS: ReadonlySet<RefusalCode> = new Set(["OLD_AUTHORITY_MISSING", "HELD_EXPIRED_NOT_BUILT"]);

/**
 * A listed node signed a newer record that the held authorities cannot speak for: the partner's
 * rotation outran what was kept, or its SPIRE was rebuilt. The held state stays.
 */
function sayGap(
  state: MeshState,
  relation: Relation,
  refusal: Refusal,
  record: SignedRecord,
  nowMs: number,
): Effect[] {
  if (relation !== "newer" || !GAPS.has(refusal.code)) return [];
  const { trustDomain, version } = record.state;
  const message = `record ${record.idHex} of ${trustDomain} at sequence ${version.sequence} is not signed under an authority that is held`;
  return raise(state, "CONTINUITY_GAP", trustDomain, message, nowMs);
}

function accepted({ state: { trustDomain, version } }: SignedRecord): Effect {
  return tell({ kind: "record-accepted", trustDomain, detail: `sequence ${version.sequence}` });
}

function answer(ticket: Ticket, told: Answer): Effect[] {
  return [{ kind: "answer", ticket, answer: told }];
}

export function refused(
  refusal: Refusal,
  record: SignedRecord | undefined,
  ticket: Ticket,
): Effect[] {
  const trustDomain = record?.state.trustDomain;
  return [
    ...answer(ticket, { kind: "refused", refusal, trustDomain, recordId: record?.idHex }),
    tell({ kind: "record-refused", trustDomain, refusal }),
  ];
}
