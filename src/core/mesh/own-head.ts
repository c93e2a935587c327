/**
 * This daemon's own heads: every minute, give or take a fifth, and whenever its record changed. The
 * counter never falls, as it is stored before it is sent; a clock that was set back does not lower it.
 */
import { concatBytes, toHex, u64be } from "../std/bytes.ts";
import { sha256 } from "../std/sha256.ts";
import { encodeHeadPayload } from "../record/head.ts";
import { has } from "../record/step.ts";
import type { Effect } from "./effect.ts";
import { type MeshState, clear, isRaised, raise } from "./mesh-state.ts";

/** A partner is stale when five did not come (freshness.ts). */
const HEAD_EVERY_MS = 60_000;
/** Our guess at what gossip takes to know who listens. Above: the next head is heard. */
const AFTER_CONNECT_MS = 3_000;
/** So that heads do not come in step. The core throws no dice: the counter's hash does. */
const JITTER = 0.2;

export function announceWhenDue(state: MeshState, nowMs: number): Effect[] {
  return state.uptimeMs < state.own.headDueUptimeMs ? [] : announceHead(state, nowMs);
}

/** A node of ours is back, and hears gossip in a moment: it shall not wait a minute for our head. */
export function announceSoon({ own, uptimeMs }: MeshState, node: string): void {
  const isOurs = own.slot?.effective.state.nodes.some((each) => toHex(each) === node) ?? false;
  if (!isOurs) return;
  own.headDueUptimeMs = Math.min(own.headDueUptimeMs, uptimeMs + AFTER_CONNECT_MS);
}

/** Nothing is said of a record that is not held, by a node that is not listed, or by a clone. */
export function announceHead(state: MeshState, nowMs: number): Effect[] {
  const { own, self, uptimeMs } = state;
  if (own.slot === undefined || !state.synced) return [];
  const { record } = own.slot.held;
  if (!has(own.slot.effective.state.nodes, self.nodePublicKey)) return [];
  if (isRaised(state, "CLONE", undefined)) return [];
  const after = own.headCounter + 1n;
  const counter = after > BigInt(nowMs) ? after : BigInt(nowMs);
  own.headCounter = counter;
  own.headDueUptimeMs =
    uptimeMs + HEAD_EVERY_MS * (1 - JITTER + 2 * JITTER * chance(self.nodePublicKey, counter));
  const payload = encodeHeadPayload({
    trustDomain: self.trustDomain,
    lineage: record.lineage,
    version: record.state.version,
    recordId: record.id,
    counter,
    issuedAtMs: nowMs,
  });
  return [{ kind: "announce-head", payload, counter }];
}

/** From 0 to 1, another for each node and counter. */
function chance(node: Uint8Array, counter: bigint): number {
  return (sha256(concatBytes(node, u64be(counter)))[0] ?? 0) / 255;
}

/** Another key than the own record lists, or no more: partners refuse all that it signs. */
export function sayNotListed(state: MeshState, nowMs: number): Effect[] {
  const { own, self } = state;
  const nodes = own.slot?.effective.state.nodes;
  if (nodes === undefined || self.role === "consumer" || has(nodes, self.nodePublicKey)) {
    return clear(state, "NODE_NOT_LISTED", undefined);
  }
  const listed = nodes.map(toHex).join(", ") || "none";
  const message = `the own record lists the node key ${listed}, and node.key holds ${toHex(self.nodePublicKey)}`;
  return raise(state, "NODE_NOT_LISTED", undefined, message, nowMs);
}
