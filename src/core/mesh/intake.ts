/**
 * A record that came in, by whatever carrier: steps 1 to 13 of docs/protocol.md 3, in
 * order but for time (10), which is judged before the chain (8).
 *
 *     read (1, 2) ─▶ whose (3) ─▶ first by exact id (4) or relation to the slot (5) ─▶ who signed (6)
 *          ─▶ the budgets ─▶ verify (7 … 10) ─▶ store (12) ─▶ answer ─▶ SPIRE's row (13)
 *
 * A refused record changes nothing but counters and budgets.
 */
import assert from "node:assert/strict";
import { ADDRESS_HINTS_MAX, PARKED_TRIES_MAX } from "../std/limits.ts";
import type { TrustDomain } from "../spiffe/trust-domain.ts";
import { claimedTrustDomain } from "../record/claimed-trust-domain.ts";
import { Effort } from "../record/effort.ts";
import type { Proofs } from "../record/proofs.ts";
import type { Refusal } from "../record/refusal.ts";
import {
  type SignedRecord,
  type VerifiedRecord,
  judgeSigners,
  readRecord,
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
import type { Effect } from "./effect.ts";
import type { Input } from "./input.ts";
import {
  type Arrival,
  type Judging,
  UNPAID,
  isPaid,
  judgeRecord,
  relaysOf,
  verifyPaid,
} from "./judging.ts";
import { type MeshState, raise } from "./mesh-state.ts";
import { waitsForAStep } from "./parked.ts";
import type { Partner, Pin } from "./partner.ts";
import { doubtOwnRecord } from "./own-record.ts";
import { storeOwn } from "./publishing.ts";
import { accepted, answer, refused, storeSlot } from "./slot-store.ts";

export function onRecordReceived(
  state: MeshState,
  { envelope, carrier, from, ticket }: Extract<Input, { kind: "record-received" }>,
  nowMs: number,
  proofs: Proofs,
): Effect[] {
  // Sync brings many of one trust domain at a time: of what is left unjudged only the name is read.
  const named = carrier === "sync" ? claimedTrustDomain(envelope) : undefined;
  if (named !== undefined && !isPaid(state, named, from, nowMs)) {
    return refused(UNPAID, undefined, ticket);
  }
  const read = readRecord(envelope, carrier, proofs);
  if (!read.ok) return refused(read.reason, undefined, ticket);
  const arrival: Arrival = {
    carrier,
    from,
    bytes: envelope.length,
    ticket,
    addressHints: [],
    sinceMs: nowMs,
    nowMs,
    proofs,
  };
  return takeRecord(state, read.value, arrival);
}

/** Steps 3 to 13 for a record that is whole and signed by the nodes it carries. */
export function takeRecord(state: MeshState, record: SignedRecord, arrival: Arrival): Effect[] {
  const { trustDomain } = record.state;
  const { ticket, carrier, nowMs, proofs } = arrival;
  const isOwn = trustDomain === state.self.trustDomain;
  const partner = isOwn ? undefined : state.partners.get(trustDomain);
  if (!isOwn && (partner === undefined || partner.forgetting !== undefined)) {
    const reason = `nobody approved ${trustDomain}`;
    return refused({ code: "TRUST_DOMAIN_UNKNOWN", detail: reason }, record, ticket);
  }
  const { meter } = partner ?? state.own;
  const relays = relaysOf(state, trustDomain, arrival.from);
  const effort = new Effort(proofs);
  const judging: Judging = { ...arrival, effort, meter, relays };
  const effects =
    partner === undefined
      ? takeOwnRecord(state, record, judging)
      : takePartnersRecord(state, partner, record, judging);
  const isTaken = effects.some(({ kind }) => kind === "store-domain");
  if (carrier !== "file") meter.charge(effort.work, isTaken ? [] : relays, nowMs);
  return effects;
}

function takePartnersRecord(
  state: MeshState,
  partner: Partner,
  record: SignedRecord,
  judging: Judging,
): Effect[] {
  const { trustDomain } = record.state;
  const { ticket } = judging;
  const { slot } = partner;
  const pin = withHints(partner.pin, judging.addressHints);
  const relation = relate(slot, record);
  // Within one lineage the version never falls, not even for a pin that waited too long.
  if (record.idHex === pin.awaitedRecordId && relation !== "older") {
    const start = { ...pin, approvedRecordId: record.idHex, awaitedRecordId: undefined };
    return takeFirstRecord(state, record, start, judging);
  }
  const verified = judgeRecord(slot, relation, record, judging);
  if (!verified.ok) {
    if (relation === "newer" && park(state, record, verified.reason, judging)) {
      return judging.carrier === "parked" ? [] : refused(verified.reason, record, ticket);
    }
    return [
      ...refused(verified.reason, record, ticket),
      ...sayGap(state, relation, verified.reason, record, judging),
    ];
  }
  const next = verified.value === "held" ? slot : nextSlot(slot, relation, verified.value);
  if (next === slot && pin === partner.pin) {
    return answer(ticket, { kind: "unchanged", trustDomain, recordId: record.idHex });
  }
  return storeSlot(state, pin, next, relation, record, ticket);
}

/** Keeps a gossiped record that may lack nothing but a step before it. */
function park(
  state: MeshState,
  record: SignedRecord,
  { code }: Refusal,
  { carrier, from, bytes, sinceMs }: Arrival,
): boolean {
  if (carrier === "sync" || from === undefined || !waitsForAStep(code)) return false;
  state.parked.park({ record, bytes, from, sinceMs });
  return true;
}

/** A trust domain advanced: one of its parked records may be the next step now. */
export function onParkedWoken(
  state: MeshState,
  trustDomain: TrustDomain,
  nowMs: number,
  proofs: Proofs,
): Effect[] {
  const slot = state.partners.get(trustDomain)?.slot;
  const effects: Effect[] = [];
  let tries = 0;
  for (const parked of state.parked.takeAll(trustDomain)) {
    const { record } = parked;
    if (slot === undefined || relate(slot, record) !== "newer") continue;
    if (state.pending !== undefined || tries === PARKED_TRIES_MAX) {
      state.parked.park(parked);
      continue;
    }
    if (judgeSigners(record, slot.held).ok) tries += 1;
    const again = { carrier: "parked", ticket: undefined, addressHints: [] } as const;
    effects.push(...takeRecord(state, record, { ...parked, ...again, nowMs, proofs }));
  }
  return effects;
}

/** The newest hints come first, and the oldest go. Same pin: nothing is new. */
function withHints(pin: Pin, hints: readonly string[]): Pin {
  const known = new Set(pin.addressHints);
  if (hints.every((hint) => known.has(hint))) return pin;
  const all = [...new Set([...hints, ...pin.addressHints])];
  return { ...pin, addressHints: all.slice(0, ADDRESS_HINTS_MAX) };
}

/** Step 4: the first record of a lineage, whose exact id came out of band. */
function takeFirstRecord(
  state: MeshState,
  record: SignedRecord,
  pin: Pin,
  judging: Judging,
): Effect[] {
  const { ticket } = judging;
  const verified = verifyPaid(record, undefined, undefined, "record", judging);
  if (!verified.ok) return refused(verified.reason, record, ticket);
  return storeSlot(state, pin, startSlot(verified.value), "newer", record, ticket);
}

function takeOwnRecord(state: MeshState, record: SignedRecord, judging: Judging): Effect[] {
  const { ticket, nowMs, proofs } = judging;
  const { slot } = state.own;
  if (slot === undefined) {
    const detail = "this daemon has not published yet, so no record of its domain is known";
    return refused({ code: "FIRST_RECORD_UNNAMED", detail }, record, ticket);
  }
  const relation = relate(slot, record);
  if (relation === "same") {
    return refused({ code: "DUPLICATE", detail: "it is this daemon's own record" }, record, ticket);
  }
  const verified = judgeRecord(slot, relation, record, judging);
  if (!verified.ok) return refused(verified.reason, record, ticket);
  assert(verified.value !== "held", "only a record of the held id is held");
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

function nextSlot(slot: Slot, relation: Relation, verified: VerifiedRecord): Slot {
  if (relation === "newer") return advance(slot, verified);
  return relation === "same" ? addBlocks(slot, verified) : addSibling(slot, verified);
}

/**
 * A newer record that what is held cannot speak for, and no step in between will: the partner's
 * rotation outran what was kept, or its SPIRE was rebuilt. The held state stays. A relay may lack the
 * steps, or leave them out; a node of the domain has them, and so has who made the file.
 */
function sayGap(
  state: MeshState,
  relation: Relation,
  { code }: Refusal,
  record: SignedRecord,
  { from, nowMs }: Arrival,
): Effect[] {
  const { trustDomain, version } = record.state;
  const hasAllSteps = from === undefined || state.nodes.ownerOf(from) === trustDomain;
  const isGap =
    code === "HELD_EXPIRED_NOT_BUILT" || (code === "OLD_AUTHORITY_MISSING" && hasAllSteps);
  if (relation !== "newer" || !isGap) return [];
  const message = `record ${record.idHex} of ${trustDomain} at sequence ${version.sequence} is not signed under an authority that is held`;
  return raise(state, "CONTINUITY_GAP", trustDomain, message, nowMs);
}
