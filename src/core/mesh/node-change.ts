/**
 * Who may change the nodes of the own trust domain, and when. Replicas that change them at once make
 * forks, and one that was removed meanwhile may make more; this rule leaves none (model: 3,000
 * histories with free changes diverge in 94 to 98 of a hundred, with this rule in none).
 *
 *     the lowest of the nodes that stay ─ all that stay are connected and announce the own head ─ SPIRE
 *     has said the same for a while ─▶ one node comes or goes ─▶ all that stay hold it ─▶ gossip
 */
import { compareBytes, equalBytes, toHex } from "../std/bytes.ts";
import { NODES_MAX } from "../std/limits.ts";
import { has } from "../record/step.ts";
import type { Slot } from "../resolver/slot.ts";
import type { Effect } from "./effect.ts";
import type { MeshState } from "./mesh-state.ts";
import type { OwnOrder } from "./own-order.ts";

/**
 * A replica's server shows a change after its cache of 1 s (measured), and reads are timed by ticks of
 * a second.
 */
const STEADY_READ_MS = 2_100;
/** Who was not heard for so long need not be asked when an operator says so. */
const UNHEARD_MS = 5 * 60_000;
/** How long those that stay have to announce it; a partner that pulls has it sooner anyway. */
const UNSPOKEN_MS = 10_000;

type NodeOrder = Extract<OwnOrder, { kind: "add-node" | "remove-node" }>;
/** What replicas must not decide at once: of two first commitments none would count beside the other. */
export type RuledOrder = NodeOrder | Extract<OwnOrder, { kind: "commit-recovery" }>;

export function isRuled(order: OwnOrder | undefined): order is RuledOrder {
  const { kind } = order ?? {};
  return kind === "add-node" || kind === "remove-node" || kind === "commit-recovery";
}

/** Why this order can never be carried out here, in words; undefined when it may be. */
export function refusesNodeOrder(
  { self }: MeshState,
  slot: Slot,
  order: NodeOrder,
): string | undefined {
  const { nodes, removed } = slot.effective.state;
  if (order.kind === "add-node") {
    if (has(nodes, order.node)) return "that node is listed already";
    if (has(removed, order.node)) return "that node was removed: a new key is a new node";
    return nodes.length >= NODES_MAX ? `${NODES_MAX} nodes are listed already` : undefined;
  }
  if (!has(nodes, order.node)) return "no such node is listed";
  if (nodes.length === 1) return "it is the last node: nobody could publish any more";
  return equalBytes(order.node, self.nodePublicKey)
    ? "a node does not remove itself: run it at a node that stays"
    : undefined;
}

/** What the order waits for, in words; undefined when its time has come. */
export function nodeOrderWaitsFor(
  state: MeshState,
  slot: Slot,
  order: RuledOrder,
): string | undefined {
  const { self, own, connected, uptimeMs } = state;
  const staying = stayingNodes(slot, order);
  const [lowest] = staying;
  if (lowest === undefined || !equalBytes(lowest, self.nodePublicKey)) {
    return `the lowest node that stays does it: run it at ${lowest === undefined ? "none" : toHex(lowest)}`;
  }
  if (order.kind === "remove-node" && !order.force && isMutual(slot, order)) {
    return `of two nodes the lower one removes the other: run it at ${toHex(order.node)}, or with -force when that one is gone for good`;
  }
  if (uptimeMs - own.readSinceUptimeMs < STEADY_READ_MS) return "SPIRE's bundle has just changed";
  if (own.unspoken !== undefined) return "the nodes that stay do not all hold the last change yet";
  const held = slot.held.record.idHex;
  // Who would be left alone asks the one that goes: nobody else could tell of another change.
  const asked =
    staying.length === 1 && order.kind === "remove-node" ? [order.node] : staying.slice(1);
  for (const node of asked.map(toHex)) {
    const head = own.heads.get(node);
    const unheardMs = uptimeMs - (head?.heardUptimeMs ?? 0);
    if (order.kind === "remove-node" && order.force && unheardMs >= UNHEARD_MS) continue;
    if (!connected.has(node)) return `node ${node} is not connected`;
    if (head?.recordId !== held) return `node ${node} does not announce the own record yet`;
  }
  return undefined;
}

/** Of two nodes each could remove the other at once, and no node would be left that both list. */
function isMutual(slot: Slot, order: Extract<OwnOrder, { kind: "remove-node" }>): boolean {
  const [lower, ...others] = slot.effective.state.nodes.toSorted(compareBytes);
  return others.length === 1 && lower !== undefined && equalBytes(lower, order.node);
}

/** Nodes that are listed before and after, ascending. */
function stayingNodes(slot: Slot, order: RuledOrder): readonly Uint8Array[] {
  return slot.effective.state.nodes
    .filter((node) => order.kind !== "remove-node" || !equalBytes(node, order.node))
    .toSorted(compareBytes);
}

/** A stored change of nodes is told the nodes that stay first. */
export function holdBack(
  state: MeshState,
  slot: Slot,
  order: RuledOrder,
  envelope: Uint8Array,
): Effect[] {
  const { own, self, uptimeMs } = state;
  const others = stayingNodes(slot, order).filter((node) => !equalBytes(node, self.nodePublicKey));
  const waitsFor = new Set(others.map(toHex));
  if (waitsFor.size === 0) return [{ kind: "publish-record", envelope }];
  const { idHex: recordId } = slot.held.record;
  own.unspoken = { envelope, recordId, waitsFor, sinceUptimeMs: uptimeMs };
  return [];
}

/** A node announced a record, or time has passed. */
export function speakWhenHeld(state: MeshState): Effect[] {
  const { own, uptimeMs } = state;
  const { unspoken } = own;
  if (unspoken === undefined) return [];
  for (const node of unspoken.waitsFor) {
    if (own.heads.get(node)?.recordId === unspoken.recordId) unspoken.waitsFor.delete(node);
  }
  if (unspoken.waitsFor.size > 0 && uptimeMs - unspoken.sinceUptimeMs < UNSPOKEN_MS) return [];
  own.unspoken = undefined;
  const isStill = own.slot?.held.record.idHex === unspoken.recordId;
  return isStill ? [{ kind: "publish-record", envelope: unspoken.envelope }] : [];
}
