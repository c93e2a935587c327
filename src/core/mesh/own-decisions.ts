/**
 * What only a person decides about the own trust domain. An order becomes one record, at the next rev
 * or in a new lineage or epoch; or it is told why not, and is over.
 */
import { toHex } from "../std/bytes.ts";
import type { Proofs } from "../record/proofs.ts";
import type { Answer, Effect, Failure } from "./effect.ts";
import { FINDINGS } from "./finding.ts";
import type { Input, Ticket } from "./input.ts";
import { type MeshState, clear, isRaised } from "./mesh-state.ts";
import { isRuled, nodeOrderWaitsFor, refusesNodeOrder } from "./node-change.ts";
import type { OwnStep } from "./own-frame.ts";
import type { OwnOrder, Ordered } from "./own-order.ts";
import { publishIfChanged } from "./publishing.ts";

/** An order waits so long for its conditions; whoever asked is waiting. Above: it is told what was missing. */
const ORDER_WAITS_MS = 10_000;
/** A fork is ended by its lowest node at once; by the others when that one does not. */
const HEAL_BY_OTHERS_MS = 60_000;

export function onOwnOrder(
  state: MeshState,
  { ticket, order }: Extract<Input, { kind: "own-order-asked" }>,
  nowMs: number,
  proofs: Proofs,
): Effect[] {
  const { own } = state;
  if (own.ordered !== undefined) {
    return failed(ticket, "NOT_READY", `another order is under way: ${own.ordered.order.kind}`);
  }
  const refusal = refusesOrder(state, order);
  if (refusal !== undefined) return failed(ticket, ...refusal);
  own.ordered = { order, ticket, sinceUptimeMs: state.uptimeMs };
  own.retryAtMs = 0;
  return [...publishIfChanged(state, nowMs, proofs)];
}

/** Why an order is none here. */
function refusesOrder(
  state: MeshState,
  order: OwnOrder,
): readonly [failure: Failure, message: string, next?: string] | undefined {
  const { own } = state;
  const { slot } = own;
  if (state.self.role === "consumer") {
    return [
      "NOT_READY",
      "a consumer decides nothing for its trust domain",
      "run it at a publisher",
    ];
  }
  if (own.read === undefined) return ["NOT_READY", "SPIRE's own bundle was not read yet"];
  if (isRaised(state, "CLONE", undefined)) {
    return ["NOT_READY", "another daemon signs with this node key", FINDINGS.CLONE.next];
  }
  if (order.kind === "recovery-signed") return undefined;
  if (slot === undefined) {
    const next =
      "run `spire-mesh export -o FILE`, or `spire-mesh own adopt -fingerprint F` at a replica";
    return ["NOT_READY", "this trust domain has no record yet", next];
  }
  switch (order.kind) {
    case "confirm-restore":
      return isRaised(state, "SPIRE_WENT_BACK", undefined)
        ? undefined
        : ["NOT_FOUND", "there is nothing to confirm: SPIRE Server did not go back"];
    case "add-node":
    case "remove-node": {
      const why = refusesNodeOrder(state, slot, order);
      return why === undefined ? undefined : ["NOT_FOUND", why, "see `spire-mesh node list`"];
    }
    case "commit-recovery":
      return slot.effective.state.recovery === undefined
        ? undefined
        : ["NOT_READY", "recovery keys are committed already: only they can commit others"];
    case "new-lineage":
      return undefined;
  }
}

/** What the next own record is for, besides what SPIRE says; undefined for nothing else. */
export function nextOwnStep(state: MeshState): OwnStep | undefined {
  const { own } = state;
  const { slot, ordered } = own;
  const order = ordered?.order;
  if (order?.kind === "new-lineage" || order?.kind === "recovery-signed") return order;
  if (slot === undefined) return undefined;
  // What an operator confirms ends a fork too; a heal would wait for SPIRE to count up for good.
  if (order?.kind === "confirm-restore") return order;
  if (slot.sibling !== undefined) return mayHeal(state) ? { kind: "heal" } : undefined;
  if (isRuled(order)) {
    return nodeOrderWaitsFor(state, slot, order) === undefined ? order : undefined;
  }
  return order;
}

function mayHeal({ own, self, uptimeMs }: MeshState): boolean {
  const { slot, forkedUptimeMs = uptimeMs } = own;
  const [lowest] = (slot?.effective.state.nodes ?? []).map(toHex).toSorted();
  return lowest === toHex(self.nodePublicKey) || uptimeMs - forkedUptimeMs >= HEAL_BY_OTHERS_MS;
}

/** Once a second: an order that waited too long is told what it waited for. */
export function giveUpOrder(state: MeshState): Effect[] {
  const { own, uptimeMs } = state;
  const { ordered, slot, signing } = own;
  if (ordered === undefined || uptimeMs - ordered.sinceUptimeMs < ORDER_WAITS_MS) return [];
  if (signing?.ordered === ordered || state.pending !== undefined) return [];
  const { order } = ordered;
  const waited =
    isRuled(order) && slot !== undefined ? nodeOrderWaitsFor(state, slot, order) : undefined;
  const why = waited ?? state.spireAway ?? "no record could be signed; see `spire-mesh status`";
  return failOrder(state, ordered, "NOT_READY", why, undefined);
}

/** The record that carries the order out is stored. */
export function endOrder(
  state: MeshState,
  ordered: Ordered | undefined,
  recordId: string,
): Effect[] {
  if (ordered === undefined) return [];
  if (state.own.ordered === ordered) state.own.ordered = undefined;
  const { trustDomain } = state.self;
  const effects: Effect[] = [
    { kind: "answer", ticket: ordered.ticket, answer: { kind: "taken", trustDomain, recordId } },
  ];
  const { kind } = ordered.order;
  if (kind === "confirm-restore" || kind === "new-lineage" || kind === "recovery-signed") {
    effects.push(...clear(state, "SPIRE_WENT_BACK", undefined));
  }
  return effects;
}

export function failOrder(
  state: MeshState,
  ordered: Ordered | undefined,
  failure: Failure,
  message: string,
  next: string | undefined,
): Effect[] {
  if (ordered === undefined) return [];
  if (state.own.ordered === ordered) state.own.ordered = undefined;
  return failed(ordered.ticket, failure, message, next);
}

function failed(ticket: Ticket, failure: Failure, message: string, next?: string): Effect[] {
  const answer: Answer = { kind: "failed", failure, message, next };
  return [{ kind: "answer", ticket, answer }];
}
