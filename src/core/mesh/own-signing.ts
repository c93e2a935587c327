/** What the keyring made of a record of the own trust domain: verified as partners would, then stored. */
import assert from "node:assert/strict";
import { SIGNED_AT_SLACK_S } from "../std/limits.ts";
import { toSeconds } from "../std/unix-time.ts";
import { encodeEnvelope } from "../record/envelope.ts";
import type { Proofs } from "../record/proofs.ts";
import { type Judged, type RefusalCode, refuse } from "../record/refusal.ts";
import type { SigningOutcome } from "../record/signing.ts";
import { compareVersions, encodeState } from "../record/state.ts";
import { type VerifiedRecord, readRecord, verifyRecord } from "../record/verify.ts";
import { type Slot, addBlocks, advance, signedAtLeastS, startSlot } from "../resolver/slot.ts";
import type { Effect, Failure } from "./effect.ts";
import { FINDINGS } from "./finding.ts";
import { type MeshState, raise, tell } from "./mesh-state.ts";
import { holdBack, isRuled } from "./node-change.ts";
import { endOrder, failOrder } from "./own-decisions.ts";
import type { Signing } from "./own-order.ts";
import { failExports, storeOwn } from "./own-store.ts";
import { publishIfChanged } from "./publishing.ts";

/** Signing failed: SPIRE's CA is between two states for 0.3 to 1 s at most (measured). */
const SIGNING_RETRY_MS = 500;
const CHECK_CLOCK = "check this host's clock against SPIRE Server's and the true time";
/** A clock that is set right ends these gaps alone. */
const WAIT_FOR_CLOCK = `${CHECK_CLOCK}; when it is right, the record is signed by itself`;
const START_ANEW =
  "have recovery keys sign what `spire-mesh recovery request -without-keys -out FILE` writes; without such keys run `spire-mesh own new-lineage -reason R`, and partners `spire-mesh bundle pin TD -fingerprint F` with its record";

export function onRecordSigned(
  state: MeshState,
  outcome: SigningOutcome,
  nowMs: number,
  proofs: Proofs,
): Effect[] {
  const { own } = state;
  const { signing, slot } = own;
  assert(signing !== undefined, "only what was ordered is signed");
  own.signing = undefined;
  if (isOvertaken(slot, signing)) {
    return [...failOvertaken(state, signing), ...publishIfChanged(state, nowMs, proofs)];
  }
  if (outcome.kind !== "signed") return onUnsigned(state, signing, outcome, nowMs);
  const bytes = encodeEnvelope({
    kind: 1,
    payload: encodeState(signing.state),
    blocks: [outcome.block],
    recovery: signing.recovery,
  });
  const verified = verifyOwn(state, signing, bytes, nowMs, proofs);
  if (!verified.ok) {
    const { code, detail } = verified.reason;
    const message = `the signed record would be refused by partners: ${code}, ${detail}`;
    return onGap(state, signing, message, code, nowMs);
  }
  return storeSigned(state, signing, verified.value, bytes, nowMs, proofs);
}

/** What recovery keys signed stays what it is: it would be signed for ever, and overtaken. */
function failOvertaken(state: MeshState, { ordered }: Signing): Effect[] {
  if (ordered?.order.kind !== "recovery-signed") return [];
  const message = "a higher own record came meanwhile, which what was signed does not follow";
  return failOrder(state, ordered, "NOT_READY", message, "see `spire-mesh recovery status`");
}

/** Another own record came meanwhile, which this one does not follow. */
function isOvertaken(slot: Slot | undefined, { as, state }: Signing): boolean {
  if (slot === undefined || as === "first") return false;
  const order = compareVersions(state.version, slot.held.record.state.version);
  return as === "again" ? order !== 0 : order <= 0;
}

function storeSigned(
  state: MeshState,
  signing: Signing,
  verified: VerifiedRecord,
  envelope: Uint8Array,
  nowMs: number,
  proofs: Proofs,
): Effect[] {
  const { own, self } = state;
  const slot = slotAfter(own.slot, signing, verified, nowMs);
  if (slot === own.slot) return [];
  const { idHex: recordId } = verified.record;
  const { trustDomain } = self;
  const order = signing.ordered?.order;
  const spoken = (): Effect[] =>
    isRuled(order)
      ? holdBack(state, slot, order, envelope)
      : [{ kind: "publish-record", envelope }];
  const sequenceNumber = signing.state.version.sequence;
  const published = (): Effect[] => [
    ...spoken(),
    tell({ kind: "bundle-published", trustDomain, sequenceNumber, recordId }),
  ];
  return storeOwn(
    state,
    {
      slot,
      onStored: () => [
        ...(signing.as === "again" ? [] : published()),
        ...endOrder(state, signing.ordered, recordId),
      ],
      onFailed: (message) => failOrder(state, signing.ordered, "STORE_FULL", message, undefined),
    },
    proofs,
  );
}

function slotAfter(
  slot: Slot | undefined,
  { as }: Signing,
  verified: VerifiedRecord,
  nowMs: number,
): Slot {
  if (slot === undefined || as === "first") return startSlot(verified);
  return as === "again" ? addBlocks(slot, verified) : advance(slot, verified, toSeconds(nowMs));
}

/**
 * Steps 1 to 10 for a record of the own trust domain against the own stored one. What partners judge by
 * their clocks is judged without ours here: with it set back, they would refuse what it lets by, and
 * nothing would be signed again once it is right.
 */
function verifyOwn(
  { own }: MeshState,
  { as }: Signing,
  bytes: Uint8Array,
  nowMs: number,
  proofs: Proofs,
): Judged<VerifiedRecord> {
  const read = readRecord(bytes, "gossip", proofs);
  if (!read.ok) return read;
  const nowS = toSeconds(nowMs);
  const slot = as === "first" ? undefined : own.slot;
  const leastS = slot === undefined ? 0 : signedAtLeastS(slot, nowS);
  const before = as === "again" ? slot?.base : slot?.effective;
  const verified = verifyRecord(read.value, before, { nowS, leastS: () => leastS }, proofs);
  if (!verified.ok || slot === undefined) return verified;
  const behindS = lastSignedAtS(slot.held) - lastSignedAtS(verified.value);
  return behindS <= SIGNED_AT_SLACK_S
    ? verified
    : refuse("SIGNED_TOO_EARLY", `this host's clock is ${behindS} s behind the last signature`);
}

/** When the newest of its blocks was signed, by both factors. Seconds of Unix time. */
export function lastSignedAtS({ blocks }: VerifiedRecord): number {
  return Math.max(...blocks.map(({ block }) => block.signedAtS));
}

function onUnsigned(
  state: MeshState,
  signing: Signing,
  outcome: Exclude<SigningOutcome, { kind: "signed" }>,
  nowMs: number,
): Effect[] {
  const { own } = state;
  own.retryAtMs = nowMs + SIGNING_RETRY_MS;
  if (signing.as === "again") return []; // A block more is worth a try, not a finding.
  if (outcome.kind === "spire-away") {
    return failAll(state, signing, "SPIRE_UNREACHABLE", outcome.problem, undefined);
  }
  if (outcome.kind === "no-new-chain") {
    const message = `SPIRE minted no X509-SVID under an untainted authority: ${outcome.problem}`;
    return [
      ...raise(state, "NO_USABLE_CA", undefined, message, nowMs),
      ...failAll(state, signing, "SPIRE_REFUSED", message, FINDINGS.NO_USABLE_CA.next),
    ];
  }
  const message = "no kept X509-SVID chains to the last published authorities";
  return onGap(state, signing, message, undefined, nowMs);
}

/** The record cannot follow the own one, for partners as for us. */
function onGap(
  state: MeshState,
  signing: Signing,
  message: string,
  code: RefusalCode | undefined,
  nowMs: number,
): Effect[] {
  state.own.retryAtMs = nowMs + SIGNING_RETRY_MS;
  if (signing.as === "again") return [];
  const next = nextOfGap(state, code);
  return [
    ...raise(state, "CONTINUITY_GAP", state.self.trustDomain, message, nowMs, next),
    ...failAll(state, signing, "SPIRE_REFUSED", message, next),
  ];
}

function failAll(
  state: MeshState,
  { ordered }: Signing,
  failure: Failure,
  message: string,
  next: string | undefined,
): Effect[] {
  return [
    ...failExports(state, failure, message, next),
    ...failOrder(state, ordered, failure, message, next),
  ];
}

/** What partners are told is of no use to whoever made the gap. */
function nextOfGap({ own }: MeshState, code: RefusalCode | undefined): string {
  if (own.slot === undefined) return `${CHECK_CLOCK}, then run \`spire-mesh export -o FILE\` again`;
  if (code === "CHAIN_NOT_VALID_THEN") return WAIT_FOR_CLOCK;
  return code === "SIGNED_TOO_EARLY"
    ? `${WAIT_FOR_CLOCK}. If it was ahead at the last signature instead, wait until that time, or ${START_ANEW}`
    : `${CHECK_CLOCK}; when it is right, ${START_ANEW}`;
}
