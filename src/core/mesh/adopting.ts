/**
 * A replica that stands on nothing, or on a lineage that its trust domain has left, takes exactly one
 * record of its own domain as the start, by the id that came out of band.
 */
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
    // Until there is an own record, nothing says which nodes there are.
    ...(own.slot === undefined && nodes.length > 0
      ? [{ kind: "admit-nodes", trustDomain, nodes } as const]
      : []),
    { kind: "sync-soon" },
  ];
}
