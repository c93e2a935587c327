/**
 * Heads: who of a trust domain was heard, of which version, and by what clock. A head says that a node
 * lives and what it stands on; it never changes what is held (docs/protocol.md 2 and 4).
 *
 *     head ─▶ whose ─▶ lineage, node ─▶ its counter rises ─▶ signed ─▶ heard (by the receiver's monotonic clock)
 *
 * Of its own domain a daemon hears replicas, and itself only when a clone has its key.
 */
import { equalBytes, toHex } from "../std/bytes.ts";
import { CLOCK_SKEW_S } from "../std/limits.ts";
import { type ClaimedHead, type Head, decodeHead, isSignedHead } from "../record/head.ts";
import type { Proofs } from "../record/proofs.ts";
import { type Judged, type RefusalCode, refuse } from "../record/refusal.ts";
import { compareVersions } from "../record/state.ts";
import { has } from "../record/step.ts";
import { ok } from "../std/result.ts";
import type { Slot } from "../resolver/slot.ts";
import type { TrustDomain } from "../spiffe/trust-domain.ts";
import type { Effect } from "./effect.ts";
import { type HeardClocks, type HeardHeads, lowerThan } from "./heard.ts";
import type { Input } from "./input.ts";
import { type MeshState, raise, tell } from "./mesh-state.ts";
import type { Meter } from "./meter.ts";
import { answer } from "./slot-store.ts";

/** As heads count it, in milliseconds. */
const CLOCK_SKEW_MS = CLOCK_SKEW_S * 1_000;

export function onHeadReceived(
  state: MeshState,
  { envelope, ticket }: Extract<Input, { kind: "head-received" }>,
  nowMs: number,
  proofs: Proofs,
): Effect[] {
  const decoded = decodeHead(envelope);
  if (!decoded.ok) return refused(decoded.reason.code, decoded.reason.detail, undefined);
  const { head, nodePublicKey } = decoded.value;
  const { trustDomain } = head;
  const place = placeOf(state, trustDomain);
  if (place === undefined) {
    return refused("TRUST_DOMAIN_UNKNOWN", `nobody approved ${trustDomain}`, trustDomain);
  }
  const node = toHex(nodePublicKey);
  const judged = judgeHead(decoded.value, place, node, nowMs, proofs);
  if (!judged.ok) return refused(judged.reason.code, judged.reason.detail, trustDomain);
  place.clocks.set(node, { aheadMs: head.issuedAtMs - nowMs, uptimeMs: state.uptimeMs });
  const inTime = judgeTime(head, nowMs);
  if (!inTime.ok) return refused(inTime.reason.code, inTime.reason.detail, trustDomain);
  if (
    trustDomain === state.self.trustDomain &&
    equalBytes(nodePublicKey, state.self.nodePublicKey)
  ) {
    return [...answer(ticket, { kind: "done" }), ...sayClone(state, head, nowMs)];
  }
  place.heads.set(node, {
    version: head.version,
    recordId: toHex(head.recordId),
    counter: head.counter,
    issuedAtMs: head.issuedAtMs,
    heardUptimeMs: state.uptimeMs,
    lower: lowerThan(head.version, place.heads.get(node), place.slot.held.record.state.version),
  });
  const partner = state.partners.get(trustDomain);
  if (partner !== undefined) partner.lastHeardAtMs = nowMs;
  const isNews =
    partner === undefined &&
    compareVersions(head.version, place.slot.held.record.state.version) > 0;
  return [
    ...answer(ticket, { kind: "heard" }),
    // A replica published: its record is asked for at once, so that both stand on the same.
    ...(isNews ? [{ kind: "sync-soon" } as const] : []),
  ];

  function refused(code: RefusalCode, detail: string, of: TrustDomain | undefined): Effect[] {
    const refusal = { code, detail };
    const told = answer(ticket, { kind: "refused", refusal, trustDomain: of, recordId: undefined });
    // Each head reaches us by several ways, of which one is the first.
    if (code === "HEAD_STALE") return told;
    return [...told, tell({ kind: "record-refused", trustDomain: of, refusal })];
  }
}

/** What heads of a trust domain are judged by, and where they are kept. */
interface Place {
  readonly slot: Slot;
  readonly heads: HeardHeads;
  readonly clocks: HeardClocks;
  readonly meter: Meter;
}

function placeOf({ self, own, partners }: MeshState, trustDomain: TrustDomain): Place | undefined {
  const place = trustDomain === self.trustDomain ? own : partners.get(trustDomain);
  if (place?.slot === undefined) return undefined;
  const { slot, heads, clocks, meter } = place;
  return { slot, heads, clocks, meter };
}

/** The cheap first; the signature is verified only of what would be new. */
function judgeHead(
  claimed: ClaimedHead,
  { slot, heads, meter }: Place,
  node: string,
  nowMs: number,
  proofs: Proofs,
): Judged<undefined> {
  const { head, nodePublicKey } = claimed;
  if (!equalBytes(head.lineage, slot.held.record.lineage)) {
    return refuse("WRONG_LINEAGE", `a head of another lineage of ${head.trustDomain}`);
  }
  if (!has(slot.effective.state.nodes, nodePublicKey)) {
    return refuse("NODE_NOT_LISTED", "a head of a node that is not listed");
  }
  const before = heads.get(node);
  if (before !== undefined && head.counter <= before.counter) {
    return refuse("HEAD_STALE", `counter ${head.counter}, and ${before.counter} was heard`);
  }
  if (!meter.takes(node, "head", nowMs)) {
    return refuse("OVER_BUDGET", "more heads than its node may make us verify");
  }
  return isSignedHead(claimed, proofs)
    ? ok(undefined)
    : refuse("HEAD_SIGNATURE_INVALID", "its node did not sign it");
}

/** A head that was kept back, or that the clocks of both sides make one, says nothing about now. */
function judgeTime({ counter, issuedAtMs }: Head, nowMs: number): Judged<undefined> {
  const aheadMs = Math.max(Number(counter), issuedAtMs) - nowMs;
  if (aheadMs > CLOCK_SKEW_MS) {
    return refuse("HEAD_IN_FUTURE", `${Math.round(aheadMs / 1_000)} s ahead of this clock`);
  }
  const ageMs = nowMs - issuedAtMs;
  return ageMs > CLOCK_SKEW_MS
    ? refuse("HEAD_STALE", `issued ${Math.round(ageMs / 1_000)} s ago by this clock`)
    : ok(undefined);
}

/** Somebody signs heads with our key: a copy of this disk runs, or a thief has the key. */
function sayClone(state: MeshState, head: Head, nowMs: number): Effect[] {
  if (head.counter <= state.own.headCounter) return [];
  // Our own from before the start: it still travels, and the disk that knew its counter went back.
  if (head.issuedAtMs < state.startedAtMs) return [];
  const message = `another daemon signs heads with this node key: its counter is ${head.counter}, and ${state.own.headCounter} was sent last; it stands on record ${toHex(head.recordId)}`;
  return raise(state, "CLONE", undefined, message, nowMs);
}
