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
import { toSeconds } from "../std/unix-time.ts";
import type { TrustDomain } from "../spiffe/trust-domain.ts";
import { claimedTrustDomain } from "../record/claimed-trust-domain.ts";
import { Effort } from "../record/effort.ts";
import type { Proofs } from "../record/proofs.ts";
import type { Refusal } from "../record/refusal.ts";
import { judgeRecovery } from "../record/recovery.ts";
import { judgeStep } from "../record/step.ts";
import {
  type SignedRecord,
  type VerifiedRecord,
  hasExpired,
  readRecord,
} from "../record/verify.ts";
import {
  type Relation,
  type Slot,
  addBlocks,
  addSibling,
  advance,
  isCounted,
  relate,
  startSlot,
} from "../resolver/slot.ts";
import type { Effect } from "./effect.ts";
import type { Input, Ticket } from "./input.ts";
import {
  type Arrival,
  type Judging,
  UNPAID,
  isPaid,
  judgeRecord,
  relaysOf,
  verifyPaid,
} from "./judging.ts";
import { type MeshState, clear, raise } from "./mesh-state.ts";
import { waitsForAStep } from "./parked.ts";
import type { Partner, Pin } from "./partner.ts";
import { climb } from "./expired.ts";
import { doubtOwnRecord } from "./own-record.ts";
import { storeOwn } from "./own-store.ts";
import { accepted, answer, refused, sayAwaited, storeSlot } from "./slot-store.ts";

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
  const { heads } = partner ?? state.own;
  const judging: Judging = { ...arrival, effort, meter, heads, relays };
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
  const { ticket, nowMs } = judging;
  const { slot } = partner;
  const pin = withHints(partner.pin, judging.addressHints);
  const relation = slot === undefined ? undefined : relate(slot, record);
  // Within one lineage the version never falls, not even for a pin that waited too long.
  if (record.idHex === pin.awaitedRecordId && relation !== "older") {
    const start = { ...pin, approvedRecordId: record.idHex, awaitedRecordId: undefined };
    return takeFirstRecord(state, record, start, judging);
  }
  if (record.idHex === pin.awaitedRecordId && slot !== undefined) {
    return endWaiting(state, partner, slot, record, ticket);
  }
  if (slot === undefined || relation === undefined) {
    const detail = `the record of ${trustDomain} that was named is not here yet`;
    return refused({ code: "FIRST_RECORD_UNNAMED", detail }, record, ticket);
  }
  const verified = judgeRecord(slot, relation, record, judging);
  if (!verified.ok) {
    const { reason } = verified;
    if (relation === "newer" && park(state, record, reason, judging)) {
      return judging.carrier === "parked" ? [] : refused(reason, record, ticket);
    }
    // A later step is signed under what an earlier one lists, not under what has expired.
    const isExpired = relation === "newer" && hasExpired(slot.effective, toSeconds(nowMs));
    const climbed = isExpired ? climb(state, partner, record, judging) : [];
    return [
      ...refused(reason, record, ticket),
      ...climbed,
      ...sayGap(state, relation, reason, record, judging),
      ...sayRecoveryFork(state, slot, record, judging),
    ];
  }
  if (verified.value === "held") return storeUnlessSame(slot);
  if (relation === "fork" && !isCounted(slot, verified.value)) {
    const refusal = uncounted(verified.value);
    return [...refused(refusal, record, ticket), ...sayUncounted(state, refusal, record, nowMs)];
  }
  return storeUnlessSame(nextSlot(slot, relation, verified.value, nowMs));

  function storeUnlessSame(next: Slot): Effect[] {
    if (next === slot && pin === partner.pin) {
      return answer(ticket, { kind: "unchanged", trustDomain, recordId: record.idHex });
    }
    return storeSlot(state, pin, next, relation ?? "newer", record, ticket);
  }
}

/** The record that was named is here, and what came meanwhile follows it. */
function endWaiting(
  state: MeshState,
  partner: Partner,
  slot: Slot,
  { idHex: recordId, state: { trustDomain } }: SignedRecord,
  ticket: Ticket | undefined,
): Effect[] {
  const pin = { ...partner.pin, awaitedRecordId: undefined };
  assert(state.pending === undefined, "one store effect at a time");
  state.pending = {
    onStored: (nowMs) => {
      partner.pin = pin;
      const told = answer(ticket, { kind: "unchanged", trustDomain, recordId });
      return [...told, ...sayAwaited(state, partner, nowMs)];
    },
    onFailed: ({ failure, message, next }) =>
      answer(ticket, { kind: "failed", failure, message, next }),
  };
  return [{ kind: "store-domain", domain: { trustDomain, slot, pin } }];
}

/** Why a verified record of the held version is evidence and no more. */
function uncounted({ record }: VerifiedRecord): Refusal {
  const { idHex, envelope } = record;
  return envelope.recovery.length > 0
    ? { code: "RECOVERY_FORK", detail: `record ${idHex} is signed by the recovery keys as well` }
    : { code: "FORK", detail: `record ${idHex} does not trust what the held one is signed under` };
}

/**
 * Recovery keys signed another record of this epoch, of whatever version: two sites recover at once, or
 * somebody has the keys. The held one stays.
 */
function sayRecoveryFork(
  state: MeshState,
  { base, effective }: Slot,
  { id, idHex, envelope, state: said }: SignedRecord,
  { proofs, nowMs }: Judging,
): Effect[] {
  const isSameEpoch = said.version.epoch === effective.state.version.epoch;
  if (!isSameEpoch || base?.state.version.epoch !== said.version.epoch - 1) return [];
  if (!judgeRecovery(id, envelope.recovery, base.state.recovery, proofs).ok) return [];
  const message = `another record of epoch ${said.version.epoch} of ${said.trustDomain}: record ${idHex} is signed by the recovery keys as well`;
  return raise(state, "RECOVERY_FORK", said.trustDomain, message, nowMs);
}

function sayUncounted(
  state: MeshState,
  { code, detail }: Refusal,
  { state: { trustDomain } }: SignedRecord,
  nowMs: number,
): Effect[] {
  const message = `another record of the held version of ${trustDomain}: ${detail}`;
  return raise(state, code === "FORK" ? "FORK" : "RECOVERY_FORK", trustDomain, message, nowMs);
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
    if (judgeStep(record, slot.effective, proofs).ok) tries += 1;
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
  const { own } = state;
  const { slot } = own;
  const { trustDomain } = record.state;
  const taken = (): Effect[] => [
    ...answer(ticket, { kind: "taken", trustDomain, recordId: record.idHex }),
    accepted(record),
  ];
  const failed = (message: string): Effect[] =>
    refused({ code: "STORE_FAILED", detail: message }, record, ticket);
  // As of a partner: within one lineage the version never falls.
  const isOlder = slot !== undefined && relate(slot, record) === "older";
  if (record.idHex === own.awaitedRecordId && isOlder) {
    own.awaitedRecordId = undefined; // What came meanwhile follows it.
    return [
      ...answer(ticket, { kind: "unchanged", trustDomain, recordId: record.idHex }),
      ...clear(state, "PIN_AWAITED", trustDomain),
    ];
  }
  if (record.idHex === own.awaitedRecordId) {
    const verified = verifyPaid(record, undefined, undefined, "record", judging);
    if (!verified.ok) return refused(verified.reason, record, ticket);
    const started = { slot: startSlot(verified.value), onStored: taken, onFailed: failed };
    return storeOwn(state, started, proofs);
  }
  if (slot === undefined) {
    const detail = "this daemon has not published yet, so no record of its domain is known";
    return refused({ code: "FIRST_RECORD_UNNAMED", detail }, record, ticket);
  }
  const relation = relate(slot, record);
  const verified = judgeRecord(slot, relation, record, judging);
  if (!verified.ok) return refused(verified.reason, record, ticket);
  if (verified.value === "held") {
    return refused({ code: "DUPLICATE", detail: "it is the own record" }, record, ticket);
  }
  if (relation !== "same") {
    const doubt = doubtOwnRecord(state, verified.value, nowMs);
    if (doubt !== undefined) return [...refused(doubt.refusal, record, ticket), ...doubt.effects];
  }
  if (relation === "fork" && !isCounted(slot, verified.value)) {
    const refusal = uncounted(verified.value);
    return [...refused(refusal, record, ticket), ...sayUncounted(state, refusal, record, nowMs)];
  }
  const next = nextSlot(slot, relation, verified.value, nowMs);
  if (next === slot) {
    return refused({ code: "DUPLICATE", detail: "its blocks are held" }, record, ticket);
  }
  return storeOwn(state, { slot: next, onStored: taken, onFailed: failed }, proofs);
}

function nextSlot(slot: Slot, relation: Relation, verified: VerifiedRecord, nowMs: number): Slot {
  if (relation === "newer") return advance(slot, verified, toSeconds(nowMs));
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
  const isGap = code === "HELD_EXPIRED" || (code === "OLD_AUTHORITY_MISSING" && hasAllSteps);
  if (relation !== "newer" || !isGap) return [];
  const message = `record ${record.idHex} of ${trustDomain} at sequence ${version.sequence} is not signed under an authority that is held`;
  return raise(state, "CONTINUITY_GAP", trustDomain, message, nowMs);
}
