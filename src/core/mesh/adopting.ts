/**
 * A replica that stands on nothing, or on a lineage that its trust domain has left, takes exactly one
 * record of its own domain as the start, by the id that came out of band.
 */
import { NODES_MAX } from "../std/limits.ts";
import { has } from "../record/step.ts";
import type { Slot } from "../resolver/slot.ts";
import type { TrustDomain } from "../spiffe/trust-domain.ts";
import type { Effect } from "./effect.ts";
import type { Input } from "./input.ts";
import { type MeshState, raise } from "./mesh-state.ts";

export function onAdoptAsked(
  state: MeshState,
  { ticket, fingerprint, nodes }: Extract<Input, { kind: "adopt-asked" }>,
  nowMs: number,
): Effect[] {
  const { own, self } = state;
  const { trustDomain } = self;
  const done: Effect = { kind: "answer", ticket, answer: { kind: "done" } };
  if (own.slot?.held.record.idHex === fingerprint) return [done];
  own.awaitedRecordId = fingerprint;
  const message = `${trustDomain} goes on from record ${fingerprint} when it arrives; what is held stays until then`;
  return [
    done,
    ...raise(state, "PIN_AWAITED", trustDomain, message, nowMs),
    ...(nodes.length > 0 ? [admitBoth(trustDomain, own.slot, nodes)] : []),
    { kind: "sync-soon" },
  ];
}

/** Those who have the record may be such as the own one does not list: this disk is older, or empty. */
function admitBoth(
  trustDomain: TrustDomain,
  slot: Slot | undefined,
  named: readonly Uint8Array[],
): Effect {
  const listed = slot?.effective.state.nodes.filter((node) => !has(named, node)) ?? [];
  return { kind: "admit-nodes", trustDomain, nodes: [...named, ...listed].slice(0, NODES_MAX) };
}
