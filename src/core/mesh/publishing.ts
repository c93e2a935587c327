/**
 * The own trust domain: when SPIRE's bundle, or an operator's order, becomes a record.
 *
 *     local-bundle-read ─┐
 *     an order, a fork ──┴▶ candidate ─▶ sign-record ─▶ record-signed ─▶ verify ─▶ store ─▶ publish
 *                                                       (own-signing.ts)
 *
 * Nothing is published that a partner holding the last record would refuse: the signed record passes
 * the same verification against the own stored one.
 */
import assert from "node:assert/strict";
import { equalBytes } from "../std/bytes.ts";
import { anchorsOf, readAuthorities } from "../record/authority.ts";
import { recordId } from "../record/preimages.ts";
import type { Proofs } from "../record/proofs.ts";
import { type State, encodeState } from "../record/state.ts";
import { has } from "../record/step.ts";
import type { Slot } from "../resolver/slot.ts";
import type { TrustBundle } from "../spiffe/trust-bundle.ts";
import { candidateOf, contentDigest } from "./candidate.ts";
import type { Effect } from "./effect.ts";
import { FINDINGS } from "./finding.ts";
import type { Ticket } from "./input.ts";
import { type MeshState, clear, isRaised, raise } from "./mesh-state.ts";
import { failOrder, nextOwnStep } from "./own-decisions.ts";
import type { OwnStep } from "./own-frame.ts";
import type { Signing } from "./own-order.ts";
import { judgeSuspect, rememberRead } from "./own-record.ts";
import { clearSigning, exported, failExports } from "./own-store.ts";
import { judgeRead } from "./read-findings.ts";
import { STORE_RETRY_MS } from "./slot-store.ts";

/** How long SPIRE may look older than the last record: a replica's server lags by its cache. */
const WENT_BACK_MS = 10_000;
/** The longest wait that is set here. Above: the clock was set back, and it is tried at once. */
const RETRY_MS_MAX = STORE_RETRY_MS;

export function onLocalBundleRead(
  state: MeshState,
  bundle: TrustBundle,
  nowMs: number,
  proofs: Proofs,
): Effect[] {
  const { own } = state;
  own.read = bundle;
  own.readAtMs = nowMs;
  own.readSinceUptimeMs = state.uptimeMs;
  rememberRead(state, nowMs, proofs);
  return publishIfChanged(state, nowMs, proofs);
}

/** Once a second: what waited for time to pass. */
export function onOwnTick(state: MeshState, nowMs: number, proofs: Proofs): Effect[] {
  // The watcher reads four times a second and speaks when something changed or SPIRE is away.
  if (state.own.read !== undefined && state.spireAway === undefined) state.own.readAtMs = nowMs;
  if (state.self.role === "consumer") return [];
  return [...judgeSuspect(state, nowMs), ...publishIfChanged(state, nowMs, proofs)];
}

export function onExportAsked(
  state: MeshState,
  ticket: Ticket,
  nowMs: number,
  proofs: Proofs,
): Effect[] {
  const { own, self } = state;
  if (own.slot !== undefined) return [{ kind: "answer", ticket, answer: exported(own.slot.held) }];
  if (self.role === "consumer") {
    const message = "a consumer has no record of its own to make: export at a publisher";
    return [
      {
        kind: "answer",
        ticket,
        answer: {
          kind: "failed",
          failure: "NOT_READY",
          message,
          next: "run `spire-mesh own adopt -fingerprint F` here with the record's id",
        },
      },
    ];
  }
  own.exports.push(ticket);
  if (own.read === undefined) {
    return failExports(state, "NOT_READY", "SPIRE's own bundle was not read yet");
  }
  own.retryAtMs = 0;
  return publishIfChanged(state, nowMs, proofs);
}

/** Signs a record when SPIRE's bundle differs from the own one, a fork is to end, or an order stands. */
export function publishIfChanged(state: MeshState, nowMs: number, proofs: Proofs): Effect[] {
  const { own } = state;
  const { read, slot } = own;
  if (read === undefined || own.signing !== undefined) return [];
  if (state.self.role === "consumer") return [];
  const step = nextOwnStep(state);
  if (own.settled === read && step === undefined) return signAgain(state, nowMs, proofs);
  const candidate = candidateOf(state, read, step, proofs);
  const { effects, publishable } = judgeRead(state, candidate, nowMs);
  if (!publishable.ok) {
    const code = isRaised(state, "STATE_TOO_BIG", undefined) ? "STATE_TOO_BIG" : "NO_USABLE_CA";
    const { next } = FINDINGS[code];
    return [...effects, ...failExports(state, "SPIRE_REFUSED", publishable.reason, next)];
  }
  // A retry further away than any we set means that the clock was set back.
  if (nowMs < own.retryAtMs && own.retryAtMs - nowMs <= RETRY_MS_MAX) return effects;
  if (slot === undefined && own.exports.length === 0 && step === undefined) return effects;
  if (slot !== undefined && !mayPublish(state, slot, step)) return effects;
  const next = step?.kind === "recovery-signed" ? step.state : publishable.value.state;
  if (slot !== undefined) {
    const wait = waitsFor(state, slot, step, next, nowMs);
    if (wait !== undefined) return [...effects, ...wait];
  }
  own.wentBackSinceMs = undefined;
  if (slot !== undefined && step?.kind === "new-lineage" && isOldGenesis(slot, next)) {
    const message =
      "SPIRE says what it said at the start: the first record would be the old one again";
    const advice = "run `spire-server localauthority x509 prepare`, then this again";
    return [...effects, ...failOrder(state, own.ordered, "NOT_READY", message, advice)];
  }
  const isFirst = slot === undefined || step?.kind === "new-lineage";
  const recovery = step?.kind === "recovery-signed" ? step.signatures : [];
  const ordered = step !== undefined && step === own.ordered?.order ? own.ordered : undefined;
  return [
    ...effects,
    ...sign(state, { state: next, as: isFirst ? "first" : "next", recovery, ordered }, proofs),
  ];
}

function isOldGenesis({ held }: Slot, next: State): boolean {
  return equalBytes(recordId(1, encodeState(next)), held.record.lineage);
}

/** A higher own record may come first; a clone and a node that is not listed are silent. */
function mayPublish(state: MeshState, slot: Slot, step: OwnStep | undefined): boolean {
  if (isRaised(state, "CLONE", undefined)) return false;
  if (step?.kind === "new-lineage" || step?.kind === "recovery-signed") return true;
  const isListed = has(slot.effective.state.nodes, state.self.nodePublicKey);
  return isListed && state.synced && state.recovering === undefined;
}

/** Undefined when the candidate is to be signed; else what happens meanwhile. */
function waitsFor(
  state: MeshState,
  slot: Slot,
  step: OwnStep | undefined,
  next: State,
  nowMs: number,
): Effect[] | undefined {
  const { own } = state;
  const held = slot.effective.state;
  const isSame = contentDigest(next) === contentDigest(held);
  switch (step?.kind) {
    case "confirm-restore":
    case "new-lineage":
    case "recovery-signed":
      return undefined;
    case undefined:
      if (isSame) {
        own.settled = own.read;
        own.wentBackSinceMs = undefined;
        return [...clear(state, "SPIRE_WENT_BACK", undefined), ...clearSigning(state)];
      }
      return next.version.sequence <= held.version.sequence || hasWentBack(state)
        ? waitForSequence(state, held, nowMs)
        : undefined;
    default: {
      const isBehind =
        next.version.sequence < held.version.sequence ||
        (next.version.sequence === held.version.sequence && !isSame && step?.kind !== "heal");
      return isBehind || hasWentBack(state) ? waitForSequence(state, held, nowMs) : undefined;
    }
  }
}

/** Orders the signature of one record: one at a time. */
function sign(state: MeshState, signing: Signing, proofs: Proofs): Effect[] {
  const { own } = state;
  const authorities = readAuthorities(signing.state, proofs);
  assert(authorities.ok, "a candidate holds only authorities that were read");
  own.signing = signing;
  const standing = signing.as === "again" ? own.slot?.base : own.slot?.effective;
  const isNewEpoch = standing?.state.version.epoch !== signing.state.version.epoch;
  const needsOld = signing.as !== "first" && standing !== undefined && !isNewEpoch;
  return [
    {
      kind: "sign-record",
      order: {
        recordId: recordId(1, encodeState(signing.state)),
        recovery: signing.recovery,
        heldAuthorities: needsOld ? anchorsOf(standing.authorities) : [],
        newAuthorities: anchorsOf(authorities.value),
      },
    },
  ];
}

/**
 * A replica published what this node stands on too: its block is one more proof of the same bytes, for
 * partners who hold other authorities. Tried once a record, and given over sync, not gossiped.
 */
function signAgain(state: MeshState, nowMs: number, proofs: Proofs): Effect[] {
  const { own, self } = state;
  const { slot } = own;
  if (slot === undefined || slot.sibling !== undefined || !mayPublish(state, slot, undefined))
    return [];
  const { idHex, envelope, state: held } = slot.held.record;
  if (own.signedAgain === idHex || nowMs < own.retryAtMs) return [];
  const isSigned = slot.held.blocks.some(({ block }) =>
    equalBytes(block.nodePublicKey, self.nodePublicKey),
  );
  if (isSigned) return [];
  own.signedAgain = idHex;
  return sign(
    state,
    { state: held, as: "again", recovery: envelope.recovery, ordered: undefined },
    proofs,
  );
}

/** SPIRE showed other authorities at a number that is not above the published one. It stays so when SPIRE counts on: a restored datastore may bring back what was revoked. */
function hasWentBack(state: MeshState): boolean {
  return isRaised(state, "SPIRE_WENT_BACK", undefined);
}

function waitForSequence(state: MeshState, held: State, nowMs: number): Effect[] {
  const { own } = state;
  if (state.spireAway !== undefined) {
    own.wentBackSinceMs = undefined; // What it said last may be a replica's cache.
    return [];
  }
  own.wentBackSinceMs ??= nowMs;
  if (nowMs - own.wentBackSinceMs < WENT_BACK_MS) return [];
  const message = `SPIRE is at sequence ${own.read?.sequenceNumber} with other authorities, ${held.version.sequence} was published`;
  return raise(state, "SPIRE_WENT_BACK", undefined, message, nowMs);
}
