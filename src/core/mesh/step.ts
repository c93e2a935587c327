/**
 * The mesh state machine: one input in, orders out. Pure but for `state`, which it owns: no clock, no
 * randomness, no I/O, so a run replays from its inputs.
 *
 * Law: *stored before written back*. A record is first ordered to the store; only when the store
 * confirmed does it become the held one, is it answered for, and is SPIRE's row ordered.
 */
import assert from "node:assert/strict";
import { fromHex, toHex } from "../std/bytes.ts";
import type { Proofs } from "../record/proofs.ts";
import type { TrustDomain } from "../spiffe/trust-domain.ts";
import type { SyncEntry } from "./sync-entry.ts";
import type { Effect } from "./effect.ts";
import type { Input } from "./input.ts";
import { takeNamed } from "./expired.ts";
import { onParkedWoken, onRecordReceived } from "./intake.ts";
import { type MeshState, clear, raise, tell } from "./mesh-state.ts";
import {
  giveUpForgetting,
  onForgetAsked,
  onImportAsked,
  onReleaseAsked,
  onPinAsked,
  onRowDeleted,
} from "./operator.ts";
import { knockWhenDue, onDoorKnocked } from "./door.ts";
import { watchPartners } from "./freshness.ts";
import { onHeadReceived } from "./heads.ts";
import { speakWhenHeld } from "./node-change.ts";
import { giveUpOrder, onOwnOrder } from "./own-decisions.ts";
import { announceSoon, announceWhenDue, sayNotListed } from "./own-head.ts";
import { onPrepareAsked } from "./own-recovery.ts";
import { onRecordSigned } from "./own-signing.ts";
import { onExportAsked, onLocalBundleRead, onOwnTick, publishIfChanged } from "./publishing.ts";
import { endRecovering, onResumeAsked, sayRecovering } from "./recovering.ts";
import { onAdoptAsked } from "./adopting.ts";
import {
  admitNodes,
  sayAwaited,
  sayFork,
  sayForkEmpty,
  sayListedTwice,
  sayReturned,
  tryStore,
} from "./slot-store.ts";
import { forgetRefused, onRowEnded, onRowsRead, onRowsUnread, reconcileRow } from "./rows.ts";

/** How long a start waits for a peer, who may hold something higher, before it writes or publishes. */
const FIRST_SYNC_MS = 10_000;

/** What to do first, when the state was made from the store. */
export function start(state: MeshState): Effect[] {
  const slots = [...state.partners.values(), state.own].flatMap(({ slot }) => slot ?? []);
  const lost = [...state.partners.values()].filter(({ slot }) => slot === undefined);
  state.synced = state.partners.size === 0;
  const known = [...state.partners.values()].map(
    ({ pin: { trustDomain, addressHints: addresses } }): Effect => ({
      kind: "dial",
      trustDomain,
      addresses,
    }),
  );
  const { startedAtMs } = state;
  const standing = [...state.partners.values()].flatMap((partner) => {
    const { slot, pin } = partner;
    return sayFork(state, partner, startedAtMs).concat(
      slot === undefined ? [] : sayForkEmpty(state, pin.trustDomain, slot, startedAtMs),
      sayReturned(state, partner, startedAtMs),
      sayAwaited(state, partner, startedAtMs),
    );
  });
  return [
    ...slots.flatMap((slot) => admitNodes(slot, undefined)),
    ...lost.map(({ pin: { trustDomain } }): Effect => {
      const nodes = state.nodes.nodesOf(trustDomain).map(fromHex);
      return { kind: "admit-nodes", trustDomain, nodes };
    }),
    ...known,
    { kind: "mint-ahead" },
    ...standing,
    ...[...state.partners.keys(), state.self.trustDomain].flatMap((each) =>
      sayListedTwice(state, each, state.startedAtMs),
    ),
    ...sayNotListed(state, state.startedAtMs),
    ...sayRecovering(state),
  ];
}

export function step(state: MeshState, input: Input, nowMs: number, proofs: Proofs): Effect[] {
  switch (input.kind) {
    case "local-bundle-read":
      return onLocalBundleRead(state, input.bundle, nowMs, proofs);
    case "spire-away": {
      state.spireAway = input.reason;
      state.rowsUnread = true;
      return [
        tell({ kind: "spire-away", reason: input.reason }),
        ...raise(state, "SPIRE_UNREACHABLE", undefined, input.reason, nowMs, input.next),
        ...clear(state, "ROWS_UNREAD", undefined), // SPIRE_UNREACHABLE already says it.
        ...giveUpForgetting(state, input.reason),
      ];
    }
    case "spire-back":
      state.spireAway = undefined;
      forgetRefused(state);
      return [tell({ kind: "spire-back" }), ...clear(state, "SPIRE_UNREACHABLE", undefined)];
    case "rows-read":
      return onRowsRead(state, input.rows, input.relationships, nowMs);
    case "rows-unread":
      return onRowsUnread(state, input.reason, input.next, nowMs);
    case "row-ended":
      return input.order.kind === "delete"
        ? onRowDeleted(state, input.order.trustDomain, input.outcome, nowMs)
        : onRowEnded(state, input.order, input.outcome, nowMs);
    case "record-signed":
      return onRecordSigned(state, input.outcome, nowMs, proofs);
    case "record-received":
      return onRecordReceived(state, input, nowMs, proofs);
    case "parked-woken":
      return onParkedWoken(state, input.trustDomain, nowMs, proofs);
    case "domain-stored":
    case "domain-removed": {
      const { pending } = state;
      assert(pending !== undefined, "only what was ordered is stored");
      state.pending = undefined;
      state.storeFailedAtMs = undefined;
      return [...clear(state, "STORE_FAILED", undefined), ...pending.onStored(nowMs)];
    }
    case "store-failed": {
      const { pending } = state;
      assert(pending !== undefined, "only what was ordered can fail");
      state.pending = undefined;
      state.storeFailedAtMs = nowMs;
      return [
        ...pending.onFailed(input, nowMs),
        ...raise(state, "STORE_FAILED", undefined, input.message, nowMs),
      ];
    }
    case "peer-connected":
      state.connected.add(input.node);
      announceSoon(state, input.node);
      return [tell({ kind: input.kind, node: input.node })];
    case "peer-lost":
      state.connected.delete(input.node);
      return [tell({ kind: input.kind, node: input.node })];
    case "head-received":
      return [...onHeadReceived(state, input, nowMs, proofs), ...speakWhenHeld(state)];
    case "door-knocked":
      return onDoorKnocked(state, input, nowMs, proofs);
    case "own-order-asked":
      return onOwnOrder(state, input, nowMs, proofs);
    case "adopt-asked":
      return onAdoptAsked(state, input, nowMs);
    case "recovery-prepare-asked":
      return onPrepareAsked(state, input, proofs);
    case "release-asked":
      return onReleaseAsked(state, input);
    case "resume-asked":
      return onResumeAsked(state, input.ticket, nowMs, proofs);
    case "peer-synced":
      return onPeerSynced(state, input.node, input.entries, nowMs, proofs);
    case "status-asked":
      return [{ kind: "answer", ticket: input.ticket, answer: { kind: "done" } }];
    case "export-asked":
      return onExportAsked(state, input.ticket, nowMs, proofs);
    case "import-asked":
      return onImportAsked(state, input, nowMs, proofs);
    case "forget-asked":
      return onForgetAsked(state, input.trustDomain, input.ticket);
    case "pin-asked":
      return onPinAsked(state, input.trustDomain, input.fingerprint, input.ticket, nowMs);
    case "tick":
      state.uptimeMs = input.uptimeMs;
      return onTick(state, nowMs, proofs);
  }
}

/** A node said what it holds: it lives, and it names the version of ours that it has. */
function onPeerSynced(
  state: MeshState,
  node: string,
  entries: readonly SyncEntry[],
  nowMs: number,
  proofs: Proofs,
): Effect[] {
  const ours = entries.find(({ trustDomain }) => trustDomain === state.self.trustDomain);
  const ids = ours?.recordIds.map(toHex) ?? [];
  const held = state.own.slot?.held.record.idHex;
  const recordId = ids.find((id) => id === held) ?? ids[0]; // In a fork it names two.
  const owner = state.nodes.ownerOf(node);
  const partner = owner && state.partners.get(owner);
  if (partner !== undefined) {
    partner.lastHeardAtMs = nowMs;
    partner.lastHeardUptimeMs = state.uptimeMs;
    state.recovering?.heard.add(partner.pin.trustDomain);
    if (recordId !== undefined) partner.holdsOurs = { recordId, atMs: nowMs };
  }
  // A replica of ours says what we say: it is nobody else's word.
  const isAnother = owner !== undefined && owner !== state.self.trustDomain;
  const named = !isAnother ? [] : hearNamed(state, owner, entries);
  for (const each of state.partners.values()) if (each.unreached) each.unreached.rounds += 1;
  return [
    ...named,
    ...(state.synced ? [] : finishFirstSync(state, nowMs, proofs)),
    ...endRecovering(state, nowMs, proofs),
  ];
}

/** What a partner holds of others, for those whose authorities have all expired here (ladder.ts). */
function hearNamed(
  state: MeshState,
  voucher: TrustDomain,
  entries: readonly SyncEntry[],
): Effect[] {
  return entries.flatMap((entry) => {
    const partner = state.partners.get(entry.trustDomain);
    if (partner?.ladder === undefined || entry.trustDomain === voucher) return [];
    partner.ladder.hear(voucher, entry);
    return takeNamed(state, partner);
  });
}

function onTick(state: MeshState, nowMs: number, proofs: Proofs): Effect[] {
  const waitedMs = nowMs - state.startedAtMs;
  state.parked.dropOld(nowMs);
  const waitedLongEnough = waitedMs >= FIRST_SYNC_MS || waitedMs < 0; // The clock was set back.
  return [
    ...(!state.synced && waitedLongEnough ? finishFirstSync(state, nowMs, proofs) : []),
    ...endRecovering(state, nowMs, proofs),
    ...onOwnTick(state, nowMs, proofs),
    ...giveUpOrder(state),
    ...speakWhenHeld(state),
    ...announceWhenDue(state, nowMs),
    ...knockWhenDue(state),
    ...watchPartners(state, nowMs),
    ...tryStore(state, nowMs),
  ];
}

function finishFirstSync(state: MeshState, nowMs: number, proofs: Proofs): Effect[] {
  state.synced = true;
  return [
    ...publishIfChanged(state, nowMs, proofs),
    ...[...state.partners.values()].flatMap((partner) => reconcileRow(state, partner, nowMs)),
  ];
}
