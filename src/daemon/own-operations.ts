/** What a person decides about the own trust domain, as inputs to the core; and its nodes. */
import { timestamp } from "../admin-contract/scalars.ts";
import type { AdoptReply, AdoptRequest, NodeEntry, OrderReply } from "../admin-contract/own.ts";
import type { OwnOperations } from "../admin/own-operations.ts";
import type { MeshState } from "../core/mesh/mesh-state.ts";
import type { OwnOrder } from "../core/mesh/own-order.ts";
import type { Proofs } from "../core/record/proofs.ts";
import { has } from "../core/record/step.ts";
import { compareBytes, equalBytes, toHex } from "../core/std/bytes.ts";
import { sha256Hex } from "../core/std/sha256.ts";
import { Fault } from "../fault.ts";
import { readPeerAddress } from "../p2p/address.ts";
import { nodeOfPeerId, peerIdOfNode, readPeerId } from "../p2p/node-identity.ts";
import type { PeerNetwork } from "../ports/peer-network.ts";
import type { Logger } from "../telemetry/log.ts";
import { type AskPorts, ask, expectDone, logged, unexpected } from "./asking.ts";
import { createRecoveryOperations } from "./recovery-operations.ts";

export interface OwnPorts extends AskPorts {
  readonly state: MeshState;
  readonly network: Pick<PeerNetwork, "dial">;
  readonly proofs: Proofs;
  readonly log: Pick<Logger, "info" | "warn">;
  readonly nowMs: () => number;
}

const PEER_ADVICE = {
  advice:
    "`spire-mesh status` at the other node shows its addresses, each with /p2p/ and its peer id",
} as const;
const NODE_ADVICE = {
  advice: "Take both from `spire-mesh status` at that node: its peer id and its fingerprint.",
} as const;
/** A node's public key in the core's words. */
const NODE_HEX = /\b[0-9a-f]{64}\b/g;

export function createOwnOperations(ports: OwnPorts): OwnOperations {
  const { state, log } = ports;
  return {
    confirmRestore: async () =>
      await logged(log, "Restored datastore confirmed", {}, () =>
        carryOut(ports, { kind: "confirm-restore" }),
      ),
    newLineage: async (reason) =>
      await logged(log, "New lineage begun", { reason }, () =>
        carryOut(ports, { kind: "new-lineage", reason }),
      ),
    adopt: async (order) =>
      await logged(log, "Record adopted", { peers: order.peers.join(" ") }, () =>
        adopt(ports, order),
      ),
    resume: async () => {
      await logged(log, "Resumed with what the marks say", {}, async () => {
        expectDone(await ask(ports, (ticket) => ({ kind: "resume-asked", ticket })));
        return {};
      });
    },
    nodes: () => nodeList(state, ports.nowMs()),
    addNode: async ({ peer_id, fingerprint }) =>
      await logged(log, "Node added", { peer_id }, async () => {
        const node = nodeOf(peer_id);
        if (sha256Hex(node) !== fingerprint) {
          const message = `the fingerprint is not that of the node ${peer_id}`;
          throw new Fault("DATA_INVALID", message, NODE_ADVICE);
        }
        const { nodes = [] } = state.own.slot?.effective.state ?? {};
        return has(nodes, node)
          ? unchanged(state)
          : await carryOut(ports, { kind: "add-node", node });
      }),
    removeNode: async ({ peer_id, force }) =>
      await logged(log, "Node removed", { peer_id, force }, async () => {
        const node = nodeOf(peer_id);
        const { removed = [] } = state.own.slot?.effective.state ?? {};
        return has(removed, node)
          ? unchanged(state)
          : await carryOut(ports, { kind: "remove-node", node, force });
      }),
    ...createRecoveryOperations(ports, async (order) => await carryOut(ports, order)),
  };
}

/** One record says it, or a fault why none does. */
async function carryOut(ports: OwnPorts, order: OwnOrder): Promise<OrderReply> {
  const answer = await ask(ports, (ticket) => ({ kind: "own-order-asked", ticket, order }));
  if (answer.kind !== "taken") throw withPeerIds(unexpected(answer), ports.state, order);
  return {
    trust_domain: answer.trustDomain,
    record_id: answer.recordId,
    outcome: "published",
  };
}

/** The own record says already what is ordered. */
function unchanged({ self, own }: MeshState): OrderReply {
  const recordId = own.slot?.held.record.idHex;
  if (recordId === undefined) throw new Fault("NOT_READY", "this trust domain has no record yet");
  return { trust_domain: self.trustDomain, record_id: recordId, outcome: "unchanged" };
}

/** The core knows nodes by their keys, and people by their peer ids. */
function withPeerIds(fault: Fault, { own, self }: MeshState, order: OwnOrder): Fault {
  const listed = own.slot?.effective.state.nodes ?? [];
  const named = "node" in order ? [order.node] : [];
  const known = new Map(
    [...listed, self.nodePublicKey, ...named].map((node) => [toHex(node), peerIdOf(node)]),
  );
  const message = fault.message.replaceAll(NODE_HEX, (hex) => known.get(hex) ?? hex);
  return new Fault(fault.code, message, { advice: fault.advice, cause: fault.cause });
}

async function adopt(ports: OwnPorts, { fingerprint, peers }: AdoptRequest): Promise<AdoptReply> {
  const { state, network } = ports;
  const { trustDomain } = state.self;
  const nodes = new Map<string, Uint8Array>();
  for (const peer of peers) {
    const read = readPeerAddress(peer);
    if (!read.ok) throw new Fault("USAGE", `-peer: ${read.reason}`, PEER_ADVICE);
    const node = nodeOfPeerId(read.value.peerId);
    if (node !== undefined) nodes.set(toHex(node), node);
  }
  const isHeld = state.own.slot?.held.record.idHex === fingerprint;
  const answer = await ask(ports, (ticket) => ({
    kind: "adopt-asked",
    ticket,
    fingerprint,
    nodes: [...nodes.values()],
  }));
  expectDone(answer);
  if (!isHeld && peers.length > 0) network.dial(trustDomain, peers);
  return {
    trust_domain: trustDomain,
    record_id: fingerprint,
    outcome: isHeld ? "unchanged" : "pending",
  };
}

/** The nodes of the own record, ascending as changes of them go. */
function nodeList({ self, own, connected, uptimeMs }: MeshState, nowMs: number): NodeEntry[] {
  if (own.slot === undefined) return [];
  const held = own.slot.held.record.idHex;
  return own.slot.effective.state.nodes.toSorted(compareBytes).map((node, index) => {
    const hex = toHex(node);
    const isSelf = equalBytes(node, self.nodePublicKey);
    const head = own.heads.get(hex);
    const recordId = isSelf ? held : (head?.recordId ?? null);
    const heardAtMs = head && nowMs - (uptimeMs - head.heardUptimeMs);
    return {
      peer_id: peerIdOf(node),
      fingerprint: sha256Hex(node),
      is_self: isSelf,
      is_lowest: index === 0,
      connected: isSelf || connected.has(hex),
      record_id: recordId,
      holds_ours: recordId === held,
      last_heard_at: isSelf || heardAtMs === undefined ? null : timestamp(heardAtMs),
    };
  });
}

function nodeOf(peerId: string): Uint8Array {
  const id = readPeerId(peerId);
  const node = id && nodeOfPeerId(id);
  if (node !== undefined) return node;
  throw new Fault("USAGE", `${peerId} is not the peer id of a node`, NODE_ADVICE);
}

function peerIdOf(node: Uint8Array): string {
  return peerIdOfNode(node).toString();
}
