/**
 * The own trust domain: when SPIRE's bundle becomes a record, and what records that claim to be
 * ours are worth.
 *
 *     local-bundle-read ─▶ candidate ─▶ sign-record ─▶ record-signed ─▶ verify ─▶ store ─▶ publish
 *
 * Nothing is published that a partner holding the last record would refuse: the signed record passes
 * the same verification against the own stored one.
 */
import assert from "node:assert/strict";
import { toHex } from "../std/bytes.ts";
import { ok } from "../std/result.ts";
import { anchorsOf, readAuthorities } from "../record/authority.ts";
import { encodeEnvelope } from "../record/envelope.ts";
import { recordId } from "../record/preimages.ts";
import type { Proofs } from "../record/proofs.ts";
import { type Judged, refuse } from "../record/refusal.ts";
import type { SigningOutcome } from "../record/signing.ts";
import { type State, encodeState, noLineage } from "../record/state.ts";
import { type VerifiedRecord, readRecord, verifyRecord } from "../record/verify.ts";
import { advance, envelopeBytes, relate, startSlot } from "../resolver/slot.ts";
import { type TrustBundle, authoritiesDigest } from "../spiffe/trust-bundle.ts";
import { type Frame, makeCandidate, sameContent } from "./candidate.ts";
import type { Answer, Effect } from "./effect.ts";
import type { Ticket } from "./input.ts";
import { type MeshState, type Self, clear, raise, tell } from "./mesh-state.ts";

/** How long SPIRE may look older than the last record: a replica's server lags by its cache. */
const WENT_BACK_MS = 10_000;
/** Two equal reads this far apart prove what SPIRE says at a sequence number. */
const PROVEN_READ_MS = 3_000;
/** How long SPIRE may be behind a record that another own node read. */
const SUSPECT_MS = 10_000;
/** Sequence numbers whose content is remembered; older ones are never judged. */
const READS_MAX = 64;
/** Signing failed: SPIRE's CA is between two states for 0.3 to 1 s at most (measured). */
const SIGNING_RETRY_MS = 500;

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
  const { own } = state;
  if (own.read !== undefined && state.spireAway === undefined) {
    const known = own.reads.get(own.read.sequenceNumber);
    if (known !== undefined) known.lastMs = nowMs; // Unchanged until the watcher says otherwise.
  }
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
  const { own, self } = state;
  const { read } = own;
  if (read === undefined || own.signing !== undefined || nowMs < own.retryAtMs) return [];
  if (own.slot === undefined && own.exports.length === 0) return [];
  if (own.settled === read) return [];
  if (own.slot !== undefined && !state.synced) return []; // A higher own record may come first.
  const frame: Frame =
    own.slot === undefined
      ? genesisFrame(self, read.sequenceNumber)
      : {
          ...own.slot.held.record.state,
          lineage: own.slot.held.record.lineage,
          version: {
            ...own.slot.held.record.state.version,
            sequence: read.sequenceNumber,
          },
        };
  const candidate = makeCandidate(read, frame, Math.floor(nowMs / 1_000), proofs);
  const effects = sayUnpublishable(state, candidate.unpublishable, nowMs);
  if (candidate.tooBig) {
    const message = "SPIRE lists more usable authorities than one record can carry";
    return [...effects, ...raise(state, "STATE_TOO_BIG", undefined, message, nowMs)];
  }
  effects.push(...clear(state, "STATE_TOO_BIG", undefined));
  if (candidate.noUsableCa) {
    const message = "SPIRE's bundle has no untainted X.509 authority that partners could read";
    return [...effects, ...raise(state, "NO_USABLE_CA", undefined, message, nowMs)];
  }
  if (own.slot !== undefined) {
    const held = own.slot.held.record.state;
    if (sameContent(candidate.state, held)) {
      own.settled = read;
      own.wentBackSinceMs = undefined;
      return [...effects, ...clear(state, "SPIRE_WENT_BACK", undefined), ...clearSigning(state)];
    }
    if (read.sequenceNumber <= held.version.sequence) {
      return [...effects, ...waitForSequence(state, held, nowMs)];
    }
    own.wentBackSinceMs = undefined;
    effects.push(...clear(state, "SPIRE_WENT_BACK", undefined));
  }
  const authorities = readAuthorities(candidate.state, proofs);
  assert(authorities.ok, "a candidate holds only authorities that were read");
  own.signing = candidate.state;
  return [
    ...effects,
    {
      kind: "sign-record",
      order: {
        recordId: recordId(1, encodeState(candidate.state)),
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
  if (outcome.kind !== "signed") {
    own.retryAtMs = nowMs + SIGNING_RETRY_MS;
    if (outcome.kind === "no-new-chain") {
      const message = `SPIRE minted no X509-SVID under an untainted authority: ${outcome.problem}`;
      return [
        ...raise(state, "NO_USABLE_CA", undefined, message, nowMs),
        ...failExports(state, "SPIRE_REFUSED", message),
      ];
    }
    const message = "no kept X509-SVID chains to the last published authorities";
    return raise(state, "CONTINUITY_GAP", state.self.trustDomain, message, nowMs);
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
    return [
      ...raise(state, "CONTINUITY_GAP", state.self.trustDomain, message, nowMs),
      ...failExports(state, "SPIRE_REFUSED", message),
    ];
  }
  return storeOwn(state, verified.value, { kind: "publish", envelope: bytes });
}

/** Steps 1 to 10 for a record of the own trust domain against the own stored one. */
function verifyOwn(
  state: MeshState,
  bytes: Uint8Array,
  nowMs: number,
  proofs: Proofs,
): Judged<VerifiedRecord> {
  const read = readRecord(bytes, "gossip", proofs);
  return read.ok
    ? verifyRecord(read.value, state.own.slot?.held, Math.floor(nowMs / 1_000), proofs)
    : read;
}

type Reason =
  | { readonly kind: "publish"; readonly envelope: Uint8Array }
  | { readonly kind: "adopt" };

function storeOwn(state: MeshState, verified: VerifiedRecord, reason: Reason): Effect[] {
  const { own, self } = state;
  const slot = own.slot === undefined ? startSlot(verified) : advance(own.slot, verified);
  assert(state.pending === undefined, "one store effect at a time");
  state.pending = {
    onStored: (nowMs) => {
      own.slot = slot;
      own.settled = undefined;
      own.publishedAtMs = nowMs;
      own.suspect = undefined;
      const { version } = verified.record.state;
      const { trustDomain } = self;
      const effects: Effect[] = [
        ...clearSigning(state),
        ...own.exports
          .splice(0)
          .map((ticket): Effect => ({ kind: "answer", ticket, answer: exported(verified) })),
      ];
      if (reason.kind === "publish") {
        effects.push({ kind: "publish-record", envelope: reason.envelope });
        const { idHex } = verified.record;
        const { sequence } = version;
        effects.push(
          tell({
            kind: "bundle-published",
            trustDomain,
            sequenceNumber: sequence,
            recordId: idHex,
          }),
        );
      }
      effects.push({ kind: "mint-ahead" });
      return effects;
    },
    onFailed: (message, nowMs) => {
      own.retryAtMs = nowMs + WENT_BACK_MS;
      return failExports(state, "STORE_FULL", message);
    },
  };
  return [
    { kind: "store-domain", domain: { trustDomain: self.trustDomain, slot, pin: undefined } },
  ];
}

/**
 * Rule S: a verified record of the own trust domain that came from a peer. It may be our own later
 * record (this disk is older than the mesh) or somebody else's with our keys.
 */
export function onOwnRecord(
  state: MeshState,
  verified: VerifiedRecord,
  nowMs: number,
): Judged<Effect[]> {
  const { own } = state;
  assert(own.slot !== undefined, "an own record is judged against the held one");
  const { sequence } = verified.record.state.version;
  const digest = digestOf(verified.record.state);
  const known = own.reads.get(sequence);
  if (known !== undefined && known.digest !== digest) {
    if (known.lastMs - known.firstMs >= PROVEN_READ_MS) return ok(forged(state, verified, nowMs));
    own.suspect = { record: verified, sinceMs: nowMs };
    return refuse("FORGED_OWN", `SPIRE was read with other authorities at sequence ${sequence}`);
  }
  if (own.read === undefined || sequence > own.read.sequenceNumber) {
    own.suspect ??= { record: verified, sinceMs: nowMs };
    return refuse("FORGED_OWN", `SPIRE has not reached sequence ${sequence} yet`);
  }
  if (relate(own.slot, verified.record) === "fork") {
    return refuse("FORK", "another own record of the held version, with the same authorities");
  }
  // A lower sequence that was never read here is superseded, not judged: its version still counts.
  return ok(storeOwn(state, verified, { kind: "adopt" }));
}

function judgeSuspect(state: MeshState, nowMs: number): Effect[] {
  const { own } = state;
  const { suspect } = own;
  if (suspect === undefined || own.read === undefined || state.spireAway !== undefined) return [];
  const { sequence } = suspect.record.record.state.version;
  const known = own.reads.get(sequence);
  if (known?.digest === digestOf(suspect.record.record.state)) {
    own.suspect = undefined; // SPIRE said the same in the end; the next sync brings it again.
    return [];
  }
  const contradicted = known !== undefined && known.lastMs - known.firstMs >= PROVEN_READ_MS;
  const neverReached = sequence > own.read.sequenceNumber && nowMs - suspect.sinceMs >= SUSPECT_MS;
  return contradicted || neverReached ? forged(state, suspect.record, nowMs) : [];
}

function forged(state: MeshState, verified: VerifiedRecord, nowMs: number): Effect[] {
  const { idHex, state: said } = verified.record;
  const message = `record ${idHex} is signed for ${said.trustDomain} at sequence ${said.version.sequence}, and its SPIRE Server never said so`;
  return raise(state, "FORGED_OWN", undefined, message, nowMs);
}

/** Remembers what SPIRE says at this sequence number, as a record would say it. */
function rememberRead(state: MeshState, nowMs: number, proofs: Proofs): void {
  const { own, self } = state;
  if (own.read === undefined) return;
  const { sequenceNumber } = own.read;
  const frame = own.slot?.held.record.state ?? genesisFrame(self, sequenceNumber);
  const digest = digestOf(makeCandidate(own.read, frame, 0, proofs).state);
  const known = own.reads.get(sequenceNumber);
  if (known?.digest === digest) {
    known.lastMs = nowMs;
    return;
  }
  own.reads.delete(sequenceNumber);
  own.reads.set(sequenceNumber, { digest, firstMs: nowMs, lastMs: nowMs });
  const [oldest] = own.reads.keys();
  if (own.reads.size > READS_MAX && oldest !== undefined) own.reads.delete(oldest);
}

/** Everything in a first record that is not SPIRE's. */
function genesisFrame(self: Self, sequence: bigint): Frame {
  return {
    trustDomain: self.trustDomain,
    lineage: noLineage(),
    version: { epoch: 0, rev: 0, sequence },
    nodes: [self.nodePublicKey],
    removed: [],
    recovery: undefined,
  };
}

function digestOf(state: State): string {
  return toHex(authoritiesDigest({ ...state, sequenceNumber: state.version.sequence }));
}

/** SPIRE shows other authorities under a number that is not above the published one. */
function waitForSequence(state: MeshState, held: State, nowMs: number): Effect[] {
  const { own } = state;
  own.wentBackSinceMs ??= nowMs;
  if (nowMs - own.wentBackSinceMs < WENT_BACK_MS) return [];
  const message = `SPIRE is at sequence ${own.read?.sequenceNumber} with other authorities, ${held.version.sequence} was published`;
  return raise(state, "SPIRE_WENT_BACK", undefined, message, nowMs);
}

function sayUnpublishable(state: MeshState, reasons: readonly string[], nowMs: number): Effect[] {
  const code = "AUTHORITY_UNPUBLISHABLE";
  if (reasons.length === 0) return clear(state, code, undefined);
  return raise(state, code, undefined, `left out of the record: ${reasons.join("; ")}`, nowMs);
}

function clearSigning(state: MeshState): Effect[] {
  return [
    ...clear(state, "NO_USABLE_CA", undefined),
    ...clear(state, "CONTINUITY_GAP", state.self.trustDomain),
  ];
}

function failExports(
  state: MeshState,
  failure: "NOT_READY" | "SPIRE_REFUSED" | "STORE_FULL",
  message: string,
): Effect[] {
  const answer: Answer = { kind: "failed", failure, message };
  return state.own.exports.splice(0).map((ticket): Effect => ({ kind: "answer", ticket, answer }));
}

function exported(verified: VerifiedRecord): Answer {
  const { idHex } = verified.record;
  return { kind: "exported", envelope: envelopeBytes(verified), recordId: idHex };
}
