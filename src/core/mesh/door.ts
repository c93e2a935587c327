/**
 * The recovery door: a trust domain whose disks are gone has new nodes, whom no partner lets in to say
 * so. Its record of a new epoch may be given by anybody; what opens the door is what recovery keys
 * signed, and nothing else of a stranger's is looked at (docs/protocol.md 5).
 *
 *     record ─▶ an approved trust domain ─▶ the next epoch ─▶ the committed keys ─▶ as from a file
 *
 * The other side of the door: who was recovered knocks at every address it knows until it is let in.
 */
import type { Proofs } from "../record/proofs.ts";
import { judgeRecovery } from "../record/recovery.ts";
import { type Judged, refuse } from "../record/refusal.ts";
import {
  type SignedRecord,
  type UnprovenRecord,
  decodeRecord,
  readRecord,
} from "../record/verify.ts";
import { envelopeBytes } from "../resolver/slot.ts";
import type { Effect } from "./effect.ts";
import type { Input } from "./input.ts";
import { takeRecord } from "./intake.ts";
import type { MeshState } from "./mesh-state.ts";
import { refused } from "./slot-store.ts";

/** As often as heads are sent: the door lets one in a second, from whomever. */
const KNOCK_EVERY_MS = 60_000;
/** A day: who was not reached by then gets the record as a file. Above: nothing more is sent. */
const KNOCKS_MAX = 24 * 60;

export function onDoorKnocked(
  state: MeshState,
  { envelope, ticket }: Extract<Input, { kind: "door-knocked" }>,
  nowMs: number,
  proofs: Proofs,
): Effect[] {
  const record = judgeKnock(state, envelope, proofs);
  if (!record.ok) return refused(record.reason, undefined, ticket);
  return takeRecord(state, record.value, {
    carrier: "file",
    from: undefined,
    bytes: envelope.length,
    ticket,
    addressHints: [],
    sinceMs: nowMs,
    nowMs,
    proofs,
  });
}

function judgeKnock(state: MeshState, envelope: Uint8Array, proofs: Proofs): Judged<SignedRecord> {
  const decoded = decodeRecord(envelope, "sync");
  if (!decoded.ok) return decoded;
  const keys = judgeKeys(state, decoded.value, proofs);
  return keys.ok ? readRecord(envelope, "sync", proofs) : keys;
}

function judgeKeys(state: MeshState, record: UnprovenRecord, proofs: Proofs): Judged<undefined> {
  const { trustDomain, version } = record.state;
  const held = state.partners.get(trustDomain)?.slot?.effective.state;
  if (held === undefined) {
    return refuse("TRUST_DOMAIN_UNKNOWN", `nobody approved ${trustDomain}, or it has no record`);
  }
  if (version.epoch !== held.version.epoch + 1) {
    return refuse("EPOCH_JUMP", `epoch ${held.version.epoch} to ${version.epoch} at the door`);
  }
  return judgeRecovery(record.id, record.claimed.recovery, held.recovery, proofs);
}

/** Once a second: the record that began this epoch is given again to whom it may not have reached. */
export function knockWhenDue(state: MeshState): Effect[] {
  const { own, uptimeMs } = state;
  const { slot, knocking } = own;
  const record = slot?.held.record;
  if (slot !== undefined && record !== undefined && record.envelope.recovery.length > 0) {
    if (knocking?.recordId !== record.idHex) {
      const envelope = envelopeBytes(slot.held);
      own.knocking = { recordId: record.idHex, envelope, dueUptimeMs: uptimeMs, knocks: 0 };
    }
  }
  const { knocking: now } = own;
  if (now === undefined || uptimeMs < now.dueUptimeMs || now.knocks >= KNOCKS_MAX) return [];
  now.dueUptimeMs = uptimeMs + KNOCK_EVERY_MS;
  now.knocks += 1;
  return [{ kind: "knock", envelope: now.envelope }];
}
