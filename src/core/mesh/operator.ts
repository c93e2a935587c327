/** What an operator asks for by name: take a file in, name a new start, forget a partner. */
import assert from "node:assert/strict";
import { PINNED_DOMAINS_MAX } from "../std/limits.ts";
import { toSeconds } from "../std/unix-time.ts";
import type { Proofs } from "../record/proofs.ts";
import { readRecord, verifyRecord } from "../record/verify.ts";
import { returned } from "../resolver/gone.ts";
import { type Slot, startSlot } from "../resolver/slot.ts";
import { sameAuthorities } from "../spiffe/trust-bundle.ts";
import type { TrustDomain } from "../spiffe/trust-domain.ts";
import type { Effect, Failure } from "./effect.ts";
import type { Input, Ticket } from "./input.ts";
import { takeRecord } from "./intake.ts";
import { desiredRow } from "../policy/row.ts";
import { type MeshState, clear, tell } from "./mesh-state.ts";
import type { Partner, Pin } from "./partner.ts";
import type { RowOutcome } from "./row-order.ts";
import { refused, sayAwaited, storeSlot, trackNodes } from "./slot-store.ts";
import { NO_ROW, endContest, otherWriter, reconcileRow, rowDigest } from "./rows.ts";

/** gRPC status FAILED_PRECONDITION: registration entries name the trust domain (read in SPIRE). */
const STATUS_FAILED_PRECONDITION = 9;

const NEXT_OF_TOO_MANY = "run `spire-mesh forget TD` for one that is not needed any more";
const NEXT_OF_FORGOTTEN = "import the file again, if it shall not be forgotten";
const NEXT_OF_PUT_BACK = "stop the other writer of the row, then run `spire-mesh forget TD` again";
const NEXT_OF_FORGETTING = "see `spire-mesh status`: the forget that is under way ends soon";

type ImportAsked = Extract<Input, { kind: "import-asked" }>;

/**
 * A file is verified exactly as from the network; with the record id as fingerprint it approves the
 * domain. A row or FederationRelationship that is already there is somebody's: it is taken over only
 * when the operator said so. An unmanaged row is never written, so whose it is does not matter.
 */
export function onImportAsked(
  state: MeshState,
  asked: ImportAsked,
  nowMs: number,
  proofs: Proofs,
): Effect[] {
  const { ticket, fingerprint } = asked;
  const read = readRecord(asked.envelope, "sync", proofs);
  if (!read.ok) return refused(read.reason, undefined, ticket);
  const record = read.value;
  const { trustDomain } = record.state;
  const no = (
    code: "OWN_TRUST_DOMAIN" | "FINGERPRINT_MISMATCH" | "TRUST_DOMAIN_UNKNOWN",
    detail: string,
  ) => refused({ code, detail }, record, ticket);
  if (trustDomain === state.self.trustDomain) {
    return no("OWN_TRUST_DOMAIN", `${trustDomain} is this daemon's own trust domain`);
  }
  if (fingerprint !== undefined && fingerprint !== record.idHex) {
    return no("FINGERPRINT_MISMATCH", `the file's record is ${record.idHex}`);
  }
  const partner = state.partners.get(trustDomain);
  if (partner !== undefined) {
    const effects = takeRecord(state, record, {
      carrier: "file",
      from: undefined,
      bytes: asked.envelope.length,
      ticket,
      addressHints: asked.addressHints,
      sinceMs: nowMs,
      nowMs,
      proofs,
    });
    const isRefused = effects.some(
      (effect) => effect.kind === "answer" && effect.answer.kind === "refused",
    );
    return [
      // Worth a try whatever becomes of the record, as the operator says so; not remembered then.
      { kind: "dial", trustDomain, addresses: asked.addressHints },
      ...(asked.replace && !isRefused ? standUp(state, partner, nowMs) : []),
      ...effects,
    ];
  }
  if (fingerprint === undefined) {
    const detail = `${trustDomain} is not approved yet: its first record needs -fingerprint`;
    return no("TRUST_DOMAIN_UNKNOWN", detail);
  }
  if (state.partners.size >= PINNED_DOMAINS_MAX) {
    const message = `${PINNED_DOMAINS_MAX} trust domains are approved already`;
    return failed(ticket, "NOT_READY", message, NEXT_OF_TOO_MANY);
  }
  const pin: Pin = {
    trustDomain,
    approvedRecordId: fingerprint,
    approvedAtMs: nowMs,
    awaitedRecordId: undefined,
    addressHints: asked.addressHints,
  };
  if (!asked.spireAsked) {
    return failed(ticket, "NOT_READY", `${trustDomain} was being forgotten`, NEXT_OF_FORGOTTEN);
  }
  const times = { nowS: toSeconds(nowMs), leastS: () => 0 };
  const verified = verifyRecord(record, undefined, times, proofs);
  if (!verified.ok) return refused(verified.reason, record, ticket);
  const isTaken = asked.replace || state.self.unmanaged.has(trustDomain);
  const slot = startSlot(verified.value);
  const owner = isTaken ? undefined : rowOwner(asked, slot, nowMs);
  if (owner !== undefined) return failed(ticket, "ROW_NOT_OURS", owner);
  const seenRow = asked.row === undefined ? NO_ROW : rowDigest(asked.row);
  return [
    ...storeSlot(state, pin, slot, "newer", record, ticket, seenRow),
    { kind: "dial", trustDomain, addresses: asked.addressHints },
  ];
}

/** Who keeps the row already, in words; undefined when it is free or says what we would write. */
function rowOwner(
  { row, hasRelationship }: ImportAsked,
  slot: Slot,
  nowMs: number,
): string | undefined {
  const { trustDomain } = slot.effective.state;
  if (hasRelationship) {
    return `SPIRE Server has a FederationRelationship for ${trustDomain} and refreshes its row itself`;
  }
  if (row === undefined) return undefined;
  const desired = desiredRow(slot, toSeconds(nowMs));
  return desired !== undefined && sameAuthorities(desired, row)
    ? undefined
    : `SPIRE Server holds another bundle for ${trustDomain}`;
}

/** The other writer of a contested row is gone, says the operator. */
function standUp(state: MeshState, partner: Partner, nowMs: number): Effect[] {
  return [...endContest(state, partner), ...reconcileRow(state, partner, nowMs)];
}

/**
 * Takes exactly one record as the new start: another lineage or a sibling; never an older record of
 * the held lineage.
 */
export function onPinAsked(
  state: MeshState,
  trustDomain: TrustDomain,
  fingerprint: string,
  ticket: Ticket,
  nowMs: number,
): Effect[] {
  const partner = state.partners.get(trustDomain);
  if (partner === undefined) {
    return failed(ticket, "NOT_FOUND", `${trustDomain} was not imported`);
  }
  const { slot } = partner;
  if (slot === undefined) {
    // The store lost it: there is nothing to store it with, and the marks still name what stood.
    partner.pin = { ...partner.pin, awaitedRecordId: fingerprint };
    return [...done(ticket), ...sayAwaited(state, partner, nowMs), { kind: "sync-soon" }];
  }
  const isForked = slot.sibling !== undefined;
  const isHeld = slot.held.record.idHex === fingerprint;
  if (isHeld && !isForked && partner.pin.awaitedRecordId === undefined) return done(ticket);
  // In a fork naming one of the two takes it alone; else naming the held record takes a pin back.
  const chosen =
    isForked && [slot.held, slot.sibling].find((each) => each?.record.idHex === fingerprint);
  if (chosen) {
    const pin = { ...partner.pin, approvedRecordId: fingerprint, awaitedRecordId: undefined };
    return storeSlot(state, pin, startSlot(chosen), "newer", chosen.record, ticket);
  }
  const pin = { ...partner.pin, awaitedRecordId: isHeld ? undefined : fingerprint };
  assert(state.pending === undefined, "one store effect at a time");
  state.pending = {
    onStored: (atMs) => {
      partner.pin = pin;
      return [...done(ticket), ...sayAwaited(state, partner, atMs), { kind: "sync-soon" }];
    },
    onFailed: ({ failure, message, next }) => failed(ticket, failure, message, next),
  };
  return [{ kind: "store-domain", domain: { trustDomain, slot, pin } }];
}

/** What was taken back and came back is meant: the row takes it, until it is taken back again. */
export function onReleaseAsked(
  state: MeshState,
  { ticket, trustDomain, recordId }: Extract<Input, { kind: "release-asked" }>,
): Effect[] {
  const partner = state.partners.get(trustDomain);
  const slot = partner?.slot;
  if (partner === undefined || slot === undefined) {
    return failed(ticket, "NOT_FOUND", `${trustDomain} was not imported`);
  }
  const back = returned(slot.effective, slot.gone);
  if (back.length === 0) {
    return failed(ticket, "NOT_FOUND", `nothing of ${trustDomain} is held back`);
  }
  const { record } = slot.held;
  if (record.idHex !== recordId) {
    const message = `${trustDomain} stands on record ${record.idHex} by now`;
    return failed(ticket, "NOT_FOUND", message, "look at it, and name that one");
  }
  const gone = slot.gone.filter((each) => !back.includes(each));
  return storeSlot(state, partner.pin, { ...slot, gone }, "newer", record, ticket);
}

/** The undo of an import: the row goes first (RESTRICT), then what is stored. */
export function onForgetAsked(
  state: MeshState,
  trustDomain: TrustDomain,
  ticket: Ticket,
): Effect[] {
  const partner = state.partners.get(trustDomain);
  if (partner === undefined) {
    return failed(ticket, "NOT_FOUND", `${trustDomain} was not imported`);
  }
  if (state.spireAway !== undefined) return failed(ticket, "SPIRE_UNREACHABLE", state.spireAway);
  if (partner.forgetting !== undefined) {
    const message = `${trustDomain} is being forgotten already`;
    return failed(ticket, "NOT_READY", message, NEXT_OF_FORGETTING);
  }
  partner.forgetting = ticket;
  if (state.self.unmanaged.has(trustDomain)) return removeDomain(state, partner, ticket);
  return [{ kind: "order-row", order: { kind: "delete", trustDomain } }];
}

/** SPIRE answered the deletion. */
export function onRowDeleted(
  state: MeshState,
  trustDomain: TrustDomain,
  outcome: RowOutcome,
  nowMs: number,
): Effect[] {
  const partner = state.partners.get(trustDomain);
  if (partner === undefined || outcome.kind === "superseded") return [];
  const { row, forgetting: ticket } = partner;
  row.writing = false; // A write that waited was given up for the deletion.
  row.ordered = undefined;
  if (outcome.kind === "equal") {
    row.seen = NO_ROW;
    row.kept = undefined; // Nobody else overwrote it: it went by our own order.
    if (ticket !== undefined) return removeDomain(state, partner, ticket);
    // Else whoever asked was told that SPIRE is away.
  }
  partner.forgetting = undefined;
  return [
    ...(ticket === undefined ? [] : notDeleted(state, trustDomain, ticket, outcome)),
    ...reconcileRow(state, partner, nowMs),
  ];
}

function notDeleted(
  state: MeshState,
  trustDomain: TrustDomain,
  ticket: Ticket,
  outcome: RowOutcome,
): Effect[] {
  if (outcome.kind === "away") return failed(ticket, "SPIRE_UNREACHABLE", outcome.message);
  if (outcome.kind !== "refused") {
    const message = `the row was deleted and put back at once by ${otherWriter(state, trustDomain)}`;
    return failed(ticket, "ROW_NOT_OURS", message, NEXT_OF_PUT_BACK);
  }
  const inUse = outcome.status === STATUS_FAILED_PRECONDITION;
  return failed(ticket, inUse ? "ROW_IN_USE" : "SPIRE_REFUSED", outcome.message);
}

/** SPIRE went away with a deletion under way: the partner stays. */
export function giveUpForgetting(state: MeshState, reason: string): Effect[] {
  return [...state.partners.values()].flatMap((partner) => {
    const ticket = partner.forgetting;
    if (ticket === undefined) return [];
    partner.forgetting = undefined;
    return failed(ticket, "SPIRE_UNREACHABLE", reason);
  });
}

function removeDomain(state: MeshState, partner: Partner, ticket: Ticket): Effect[] {
  const { trustDomain } = partner.pin;
  assert(state.pending === undefined, "one store effect at a time");
  state.pending = {
    onStored: (nowMs) => {
      state.partners.delete(trustDomain);
      state.parked.takeAll(trustDomain);
      const theirs = [...state.findings.values()].filter(
        (each) => each.trustDomain === trustDomain,
      );
      return [
        ...theirs.flatMap(({ code }) => clear(state, code, trustDomain)),
        ...trackNodes(state, trustDomain, undefined, nowMs),
        ...done(ticket),
        { kind: "admit-nodes", trustDomain, nodes: [] },
        tell({ kind: "domain-forgotten", trustDomain }),
      ];
    },
    onFailed: ({ failure, message, next }, nowMs) => {
      partner.forgetting = undefined;
      return [...failed(ticket, failure, message, next), ...reconcileRow(state, partner, nowMs)];
    },
  };
  return [{ kind: "remove-domain", trustDomain }];
}

function done(ticket: Ticket): Effect[] {
  return [{ kind: "answer", ticket, answer: { kind: "done" } }];
}

function failed(ticket: Ticket, failure: Failure, message: string, next?: string): Effect[] {
  return [{ kind: "answer", ticket, answer: { kind: "failed", failure, message, next } }];
}
