/**
 * Which peers are *present*: admitted and connected. Whoever changes one or the other has it settled,
 * which only asks whether it is still so, hence each peer is reported once, in order.
 */
import type { PeerId } from "@libp2p/interface";
import type { PeerConnection, PeerNetworkEvents } from "../ports/peer-network.ts";
import type { Admission } from "./admission.ts";
import type { Gossip } from "./gossip.ts";
import type { MeshNode } from "./libp2p-node.ts";

export interface PresencePorts {
  readonly node: Pick<MeshNode, "getConnections">;
  readonly admission: Admission;
  readonly gossip: Gossip;
  readonly events: Pick<PeerNetworkEvents, "onPeerConnected" | "onPeerLost">;
}

interface Present {
  readonly peerId: PeerId;
  /** It asked us for a round of sync since it connected. */
  asked: boolean;
  /** It answered a round of sync since it connected. */
  synced: boolean;
}

export class Presence {
  readonly #ports: PresencePorts;
  /** By peer id text. */
  readonly #present = new Map<string, Present>();

  constructor(ports: PresencePorts) {
    this.#ports = ports;
  }

  has(peerId: PeerId): boolean {
    return this.#present.has(peerId.toString());
  }

  /** The peer of that id, if it is present. */
  find(id: string): PeerId | undefined {
    return this.#present.get(id)?.peerId;
  }

  /**
   * Whether a trust domain that lists the peer has no node present. Nobody else need want that trust
   * domain, so nobody else may have what it publishes.
   */
  wouldBeFirst(peerId: PeerId): boolean {
    const accounts = [...(this.#ports.admission.member(peerId)?.accounts.values() ?? [])];
    return accounts.some(({ nodes }) => ![...nodes.values()].some((node) => this.has(node)));
  }

  peers(): readonly PeerId[] {
    return [...this.#present.values()].map(({ peerId }) => peerId);
  }

  /** Those that answered no round of sync since they connected. */
  unsynced(): readonly PeerId[] {
    return [...this.#present.values()].flatMap(({ peerId, synced }) => (synced ? [] : peerId));
  }

  /** Compares what is with what was reported, and reports the difference. */
  settle(peerId: PeerId): void {
    const { node, admission, gossip, events } = this.#ports;
    const id = peerId.toString();
    const present = admission.admits(peerId) && node.getConnections(peerId).length > 0;
    if (present && !this.#present.has(id)) {
      this.#present.set(id, { peerId, asked: false, synced: false });
      events.onPeerConnected(id);
      this.attach(peerId);
    } else if (!present && this.#present.delete(id)) {
      gossip.detach(peerId);
      events.onPeerLost(id);
    }
  }

  /** Sees to an outbound gossip stream. */
  attach(peerId: PeerId): void {
    const [connection] = this.#ports.node.getConnections(peerId);
    if (connection === undefined || !this.has(peerId)) return;
    this.#ports.gossip.attach(peerId, connection);
  }

  /** The peer asked us for a round of sync. Returns whether it is the first since it connected. */
  onAsked(peerId: PeerId): boolean {
    const present = this.#present.get(peerId.toString());
    if (present === undefined || present.asked) return false;
    present.asked = true;
    return true;
  }

  /** The peer answered a round of sync. */
  onAnswered(peerId: PeerId): void {
    const present = this.#present.get(peerId.toString());
    if (present !== undefined) present.synced = true;
  }

  connections(): readonly PeerConnection[] {
    const { node, admission, gossip } = this.#ports;
    return this.peers().flatMap((peerId) => {
      const connections = node.getConnections(peerId);
      const [first] = connections;
      if (first === undefined) return [];
      return {
        peerId: peerId.toString(),
        addresses: connections.map(({ remoteAddr }) => remoteAddr.toString()),
        connectedSinceMs: first.timeline.open,
        direction: first.direction,
        latencyMs: first.rtt,
        rejected: admission.member(peerId)?.rejected ?? 0,
        overBudget: admission.member(peerId)?.overBudget ?? 0,
        graylisted: gossip.graylists(peerId),
      };
    });
  }

  /** Forgets all, and reports nothing. */
  clear(): void {
    this.#present.clear();
  }
}
