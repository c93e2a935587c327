/** What the peer network reports, as inputs to the core, and the core's answers as verdicts. */
import { REFUSALS } from "../core/record/refusal.ts";
import type { Answer } from "../core/mesh/effect.ts";
import { toHex } from "../core/std/bytes.ts";
import type { PeerNetworkEvents, Verdict } from "../ports/peer-network.ts";
import type { MeshLoop } from "../runtime/mesh-loop.ts";

/** @param nodeOf The node public key behind a peer id; undefined for one of another key type. */
export function createPeerEvents(
  loop: MeshLoop,
  nodeOf: (peerId: string) => Uint8Array | undefined,
): PeerNetworkEvents {
  const ask = async (
    envelope: Uint8Array,
    carrier: "gossip" | "sync",
    peerId: string,
  ): Promise<Answer | undefined> => {
    const node = nodeOf(peerId);
    if (node === undefined) return undefined;
    const from = toHex(node);
    return await loop.ask((ticket) => ({
      kind: "record-received",
      envelope,
      carrier,
      from,
      ticket,
    }));
  };
  const tellNode = (kind: "peer-connected" | "peer-lost", peerId: string): void => {
    const node = nodeOf(peerId);
    if (node !== undefined) loop.put({ kind, node: toHex(node) });
  };
  return {
    onGossip: async (envelope, peerId) => verdictOf(await ask(envelope, "gossip", peerId)),
    onGossipHead: async (envelope, peerId) => {
      const node = nodeOf(peerId);
      if (node === undefined) return "unjudged";
      const from = toHex(node);
      return verdictOf(
        await loop.ask((ticket) => ({ kind: "head-received", envelope, from, ticket })),
      );
    },
    onDoor: async (envelope) => {
      const answer = await loop.ask((ticket) => ({ kind: "door-knocked", envelope, ticket }));
      return answer?.kind === "taken";
    },
    onSyncRecords: async (envelopes, peerId) => {
      const verdicts: Verdict[] = [];
      // One after the other: each is judged against the one before it.
      for (const envelope of envelopes) {
        verdicts.push(verdictOf(await ask(envelope, "sync", peerId)));
      }
      return verdicts;
    },
    onSynced: (peerId, entries) => {
      const node = nodeOf(peerId);
      if (node !== undefined) loop.put({ kind: "peer-synced", node: toHex(node), entries });
    },
    onPeerConnected: (peerId) => tellNode("peer-connected", peerId),
    onPeerLost: (peerId) => tellNode("peer-lost", peerId),
  };
}

/** A full queue, a failed store and a spent budget say nothing about the record. */
function verdictOf(answer: Answer | undefined): Verdict {
  if (answer === undefined) return "unjudged";
  if (answer.kind === "taken" || answer.kind === "heard") return "accept";
  if (answer.kind !== "refused") return "ignore";
  const { code } = answer.refusal;
  return code === "STORE_FAILED" || code === "OVER_BUDGET" ? "unjudged" : REFUSALS[code];
}
