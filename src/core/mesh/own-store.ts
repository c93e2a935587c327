/** The own slot on its way to the store, and what follows once it stands there. */
import assert from "node:assert/strict";
import type { Proofs } from "../record/proofs.ts";
import type { VerifiedRecord } from "../record/verify.ts";
import { type Slot, envelopeBytes } from "../resolver/slot.ts";
import type { Answer, Effect, Failure } from "./effect.ts";
import { type MeshState, clear } from "./mesh-state.ts";
import { announceHead, sayNotListed } from "./own-head.ts";
import { publishIfChanged } from "./publishing.ts";
import { STORE_RETRY_MS, admitNodes, sayForkEmpty, trackNodes } from "./slot-store.ts";

/** What becomes the own slot: a record that was signed, or one that came from a peer. */
export interface OwnToStore {
  readonly slot: Slot;
  readonly onStored: () => readonly Effect[];
  readonly onFailed: (message: string) => readonly Effect[];
}

export function storeOwn(
  state: MeshState,
  { slot, onStored, onFailed }: OwnToStore,
  proofs: Proofs,
): Effect[] {
  const { own, self } = state;
  const { trustDomain } = self;
  assert(state.pending === undefined, "one store effect at a time");
  state.pending = {
    onStored: (nowMs) => {
      const before = own.slot;
      const isNew = before?.held.record.idHex !== slot.held.record.idHex;
      own.slot = slot;
      own.settled = undefined;
      own.forkedUptimeMs = slot.sibling && (own.forkedUptimeMs ?? state.uptimeMs);
      const isAdopted = slot.held.record.idHex === own.awaitedRecordId;
      if (isAdopted) own.awaitedRecordId = undefined;
      if (isNew) own.publishedAtMs = nowMs;
      if (isNew) own.suspect = undefined;
      if (isNew && slot.base === undefined) own.heads.clear(); // They stood on another lineage.
      const answer = exported(slot.held);
      return [
        ...clearSigning(state),
        ...own.exports.splice(0).map((ticket): Effect => ({ kind: "answer", ticket, answer })),
        ...onStored(),
        ...(slot.sibling === undefined ? clear(state, "FORK", trustDomain) : []),
        ...sayForkEmpty(state, trustDomain, slot, nowMs),
        ...(isAdopted ? clear(state, "PIN_AWAITED", trustDomain) : []),
        ...sayNotListed(state, nowMs),
        ...trackNodes(state, trustDomain, slot, nowMs),
        ...admitNodes(slot, before),
        ...(isNew ? announceHead(state, nowMs) : []),
        { kind: "mint-ahead" },
        ...publishIfChanged(state, nowMs, proofs), // SPIRE may have changed while it was signed.
      ];
    },
    onFailed: ({ failure, message, next }, nowMs) => {
      own.retryAtMs = nowMs + STORE_RETRY_MS;
      return [...onFailed(message), ...failExports(state, failure, message, next)];
    },
  };
  return [{ kind: "store-domain", domain: { trustDomain, slot, pin: undefined } }];
}

/** A signature ends what a failed one raised. */
export function clearSigning(state: MeshState): Effect[] {
  return [
    ...clear(state, "NO_USABLE_CA", undefined),
    ...clear(state, "CONTINUITY_GAP", state.self.trustDomain),
  ];
}

export function failExports(
  state: MeshState,
  failure: Failure,
  message: string,
  next?: string,
): Effect[] {
  const answer: Answer = { kind: "failed", failure, message, next };
  return state.own.exports.splice(0).map((ticket): Effect => ({ kind: "answer", ticket, answer }));
}

export function exported(verified: VerifiedRecord): Answer {
  const { idHex } = verified.record;
  return { kind: "exported", envelope: envelopeBytes(verified), recordId: idHex };
}
