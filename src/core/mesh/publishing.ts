/**
 * The own trust domain: when SPIRE's bundle becomes a record.
 *
 *     local-bundle-read ─▶ candidate ─▶ sign-record ─▶ record-signed ─▶ verify ─▶ store ─▶ publish
 *
 * Nothing is published that a partner holding the last record would refuse: the signed record passes
 * the same verification against the own stored one.
 */
import assert from "node:assert/strict";
import { toSeconds } from "../std/unix-time.ts";
import { anchorsOf, readAuthorities } from "../record/authority.ts";
import { encodeEnvelope } from "../record/envelope.ts";
import { recordId } from "../record/preimages.ts";
import type { Proofs } from "../record/proofs.ts";
import { type Judged, type RefusalCode, refuse } from "../record/refusal.ts";
import type { SigningOutcome } from "../record/signing.ts";
import { type State, compareVersions, encodeState } from "../record/state.ts";
import { type VerifiedRecord, readRecord, verifyRecord } from "../record/verify.ts";
import { advance, envelopeBytes, startSlot } from "../resolver/slot.ts";
import type { TrustBundle } from "../spiffe/trust-bundle.ts";
import { SIGNED_AT_SLACK_S } from "../std/limits.ts";
import { candidateOf, contentDigest } from "./candidate.ts";
import type { Answer, Effect, Failure } from "./effect.ts";
import { FINDINGS } from "./finding.ts";
import type { Ticket } from "./input.ts";
import { type MeshState, clear, isRaised, raise, tell } from "./mesh-state.ts";
import { judgeSuspect, rememberRead } from "./own-record.ts";
import { judgeRead } from "./read-findings.ts";
import { STORE_RETRY_MS, admitNodes, trackNodes } from "./slot-store.ts";

/** How long SPIRE may look older than the last record: a replica's server lags by its cache. */
const WENT_BACK_MS = 10_000;
/** Signing failed: SPIRE's CA is between two states for 0.3 to 1 s at most (measured). */
const SIGNING_RETRY_MS = 500;
/** The longest wait that is set here. Above: the clock was set back, and it is tried at once. */
const RETRY_MS_MAX = STORE_RETRY_MS;
const CHECK_CLOCK = "check this host's clock against SPIRE Server's and the true time";
/** A clock that is set right ends these gaps alone. */
const WAIT_FOR_CLOCK = `${CHECK_CLOCK}; when it is right, the record is signed by itself`;
const START_ANEW =
  "start on an empty data_dir, run `spire-mesh export -o FILE`, and partners `spire-mesh bundle pin TD -fingerprint F` with its record";

export function onLocalBundleRead(
  state: MeshState,
  bundle: TrustBundle,
  nowMs: number,
  proofs: Proofs,
): Effect[] {
  const { own } = state;
  own.read = bundle;
  own.readAtMs = nowMs;
  rememberRead(state, nowMs, proofs);
  return publishIfChanged(state, nowMs, proofs);
}

/** Once a second: what waited for time to pass. */
export function onOwnTick(state: MeshState, nowMs: number, proofs: Proofs): Effect[] {
  // The watcher reads four times a second and speaks when something changed or SPIRE is away.
  if (state.own.read !== undefined && state.spireAway === undefined) state.own.readAtMs = nowMs;
  return [...judgeSuspect(state, nowMs), ...publishIfChanged(state, nowMs, proofs)];
}

export function onExportAsked(
  state: MeshState,
  ticket: Ticket,
  nowMs: number,
  proofs: Proofs,
): Effect[] {
  const { own } = state;
  if (own.slot !== undefined) return [{ kind: "answer", ticket, answer: exported(own.slot.held) }];
  own.exports.push(ticket);
  if (own.read === undefined) {
    return failExports(state, "NOT_READY", "SPIRE's own bundle was not read yet");
  }
  own.retryAtMs = 0;
  return publishIfChanged(state, nowMs, proofs);
}

/** Signs a new record when SPIRE's bundle differs from the own record, or when one is asked for. */
export function publishIfChanged(state: MeshState, nowMs: number, proofs: Proofs): Effect[] {
  const { own } = state;
  const { read } = own;
  if (read === undefined || own.signing !== undefined || own.settled === read) return [];
  const { effects, publishable } = judgeRead(state, candidateOf(state, read, proofs), nowMs);
  if (!publishable.ok) {
    const code = isRaised(state, "STATE_TOO_BIG", undefined) ? "STATE_TOO_BIG" : "NO_USABLE_CA";
    const { next } = FINDINGS[code];
    return [...effects, ...failExports(state, "SPIRE_REFUSED", publishable.reason, next)];
  }
  const next = publishable.value.state;
  // A retry further away than any we set means that the clock was set back.
  if (nowMs < own.retryAtMs && own.retryAtMs - nowMs <= RETRY_MS_MAX) return effects;
  if (own.slot === undefined && own.exports.length === 0) return effects;
  if (isRaised(state, "NODE_NOT_LISTED", undefined)) return effects;
  if (own.slot !== undefined && !state.synced) return effects; // A higher own record may come first.
  if (own.slot !== undefined) {
    const held = own.slot.held.record.state;
    if (contentDigest(next) === contentDigest(held)) {
      own.settled = read;
      own.wentBackSinceMs = undefined;
      return [...effects, ...clear(state, "SPIRE_WENT_BACK", undefined), ...clearSigning(state)];
    }
    if (read.sequenceNumber <= held.version.sequence || hasWentBack(state)) {
      return [...effects, ...waitForSequence(state, held, nowMs)];
    }
    own.wentBackSinceMs = undefined;
  }
  const authorities = readAuthorities(next, proofs);
  assert(authorities.ok, "a candidate holds only authorities that were read");
  own.signing = next;
  return [
    ...effects,
    {
      kind: "sign-record",
      order: {
        recordId: recordId(1, encodeState(next)),
        recovery: [],
        heldAuthorities: own.slot === undefined ? [] : anchorsOf(own.slot.held.authorities),
        newAuthorities: anchorsOf(authorities.value),
      },
    },
  ];
}

export function onRecordSigned(
  state: MeshState,
  outcome: SigningOutcome,
  nowMs: number,
  proofs: Proofs,
): Effect[] {
  const { own } = state;
  const signing = own.signing;
  assert(signing !== undefined, "only what was ordered is signed");
  own.signing = undefined;
  const held = own.slot?.held.record.state;
  if (held !== undefined && compareVersions(signing.version, held.version) <= 0) {
    return publishIfChanged(state, nowMs, proofs); // A higher own record was adopted meanwhile.
  }
  if (outcome.kind !== "signed") {
    own.retryAtMs = nowMs + SIGNING_RETRY_MS;
    if (outcome.kind === "spire-away") {
      return failExports(state, "SPIRE_UNREACHABLE", outcome.problem);
    }
    if (outcome.kind === "no-new-chain") {
      const message = `SPIRE minted no X509-SVID under an untainted authority: ${outcome.problem}`;
      return [
        ...raise(state, "NO_USABLE_CA", undefined, message, nowMs),
        ...failExports(state, "SPIRE_REFUSED", message, FINDINGS.NO_USABLE_CA.next),
      ];
    }
    const message = "no kept X509-SVID chains to the last published authorities";
    return raiseGap(state, message, nextOfGap(state, undefined), nowMs);
  }
  const bytes = encodeEnvelope({
    kind: 1,
    payload: encodeState(signing),
    blocks: [outcome.block],
    recovery: [],
  });
  const verified = verifyOwn(state, bytes, nowMs, proofs);
  if (!verified.ok) {
    own.retryAtMs = nowMs + SIGNING_RETRY_MS;
    const message = `the signed record would be refused by partners: ${verified.reason.code}, ${verified.reason.detail}`;
    const next = nextOfGap(state, verified.reason.code);
    return [
      ...raiseGap(state, message, next, nowMs),
      ...failExports(state, "SPIRE_REFUSED", message, next),
    ];
  }
  const { trustDomain } = state.self;
  const { idHex } = verified.value.record;
  const published: Effect[] = [
    { kind: "publish-record", envelope: bytes },
    tell({
      kind: "bundle-published",
      trustDomain,
      sequenceNumber: signing.version.sequence,
      recordId: idHex,
    }),
  ];
  return storeOwn(
    state,
    verified.value,
    () => published,
    () => [],
    proofs,
  );
}

/**
 * Steps 1 to 10 for a record of the own trust domain against the own stored one. What partners judge by
 * their clocks is judged without ours here: with it set back, they would refuse what it lets by, and
 * nothing would be signed again once it is right.
 */
function verifyOwn(
  state: MeshState,
  bytes: Uint8Array,
  nowMs: number,
  proofs: Proofs,
): Judged<VerifiedRecord> {
  const read = readRecord(bytes, "gossip", proofs);
  if (!read.ok) return read;
  const held = state.own.slot?.held;
  const verified = verifyRecord(read.value, held, toSeconds(nowMs), proofs);
  if (!verified.ok || held === undefined) return verified;
  const behindS = lastSignedAtS(held) - lastSignedAtS(verified.value);
  return behindS <= SIGNED_AT_SLACK_S
    ? verified
    : refuse("SIGNED_TOO_EARLY", `this host's clock is ${behindS} s behind the last signature`);
}

/** When the newest of its blocks was signed, by both factors. Seconds of Unix time. */
export function lastSignedAtS({ blocks }: VerifiedRecord): number {
  return Math.max(...blocks.map(({ block }) => block.signedAtS));
}

/** Makes a verified record the own one: a signed one, or one that came back from a peer. */
export function storeOwn(
  state: MeshState,
  verified: VerifiedRecord,
  onStored: () => readonly Effect[],
  onFailed: (message: string) => readonly Effect[],
  proofs: Proofs,
): Effect[] {
  const { own, self } = state;
  const slot = own.slot === undefined ? startSlot(verified) : advance(own.slot, verified);
  assert(state.pending === undefined, "one store effect at a time");
  state.pending = {
    onStored: (nowMs) => {
      const admitted = admitNodes(slot, own.slot);
      own.slot = slot;
      own.settled = undefined;
      own.publishedAtMs = nowMs;
      own.suspect = undefined;
      const answer = exported(verified);
      return [
        ...clearSigning(state),
        ...own.exports.splice(0).map((ticket): Effect => ({ kind: "answer", ticket, answer })),
        ...onStored(),
        ...trackNodes(state, self.trustDomain, slot.held, nowMs),
        ...admitted,
        { kind: "mint-ahead" },
        ...publishIfChanged(state, nowMs, proofs), // SPIRE may have changed while it was signed.
      ];
    },
    onFailed: ({ failure, message, next }, nowMs) => {
      own.retryAtMs = nowMs + STORE_RETRY_MS;
      return [...onFailed(message), ...failExports(state, failure, message, next)];
    },
  };
  return [
    { kind: "store-domain", domain: { trustDomain: self.trustDomain, slot, pin: undefined } },
  ];
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

function raiseGap(state: MeshState, message: string, next: string, nowMs: number): Effect[] {
  return raise(state, "CONTINUITY_GAP", state.self.trustDomain, message, nowMs, next);
}

/** What partners are told is of no use to whoever made the gap. */
function nextOfGap({ own }: MeshState, code: RefusalCode | undefined): string {
  if (own.slot === undefined) return `${CHECK_CLOCK}, then run \`spire-mesh export -o FILE\` again`;
  if (code === "CHAIN_NOT_VALID_THEN") return WAIT_FOR_CLOCK;
  return code === "SIGNED_TOO_EARLY"
    ? `${WAIT_FOR_CLOCK}. If it was ahead at the last signature instead, wait until that time, or ${START_ANEW}`
    : `${CHECK_CLOCK}; when it is right, ${START_ANEW}`;
}

function clearSigning(state: MeshState): Effect[] {
  return [
    ...clear(state, "NO_USABLE_CA", undefined),
    ...clear(state, "CONTINUITY_GAP", state.self.trustDomain),
  ];
}

function failExports(state: MeshState, failure: Failure, message: string, next?: string): Effect[] {
  const answer: Answer = { kind: "failed", failure, message, next };
  return state.own.exports.splice(0).map((ticket): Effect => ({ kind: "answer", ticket, answer }));
}

function exported(verified: VerifiedRecord): Answer {
  const { idHex } = verified.record;
  return { kind: "exported", envelope: envelopeBytes(verified), recordId: idHex };
}
