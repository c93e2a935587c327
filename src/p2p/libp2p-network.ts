/**
 * The peer network over libp2p: connects the admission, the dialer, gossip and sync. After each event of
 * libp2p and each change of the admission it is settled who is present (presence.ts). No event is
 * reported after `stop` was called.
 */
import type { PeerId } from "@libp2p/interface";
import { peerIdFromPrivateKey } from "@libp2p/peer-id";
import type {
  DialFailure,
  PeerConnection,
  PeerNetwork,
  PeerNetworkEvents,
  SyncSource,
} from "../ports/peer-network.ts";
import { ENVELOPE_BYTES_MAX } from "../core/std/limits.ts";
import { Admission } from "./admission.ts";
import { checkConfigured, readPeerAddress } from "./address.ts";
import { Dialer } from "./dialer.ts";
import { DOOR_PROTOCOL, Door } from "./door.ts";
import { createGater } from "./gater.ts";
import { Gossip, type GossipCounts } from "./gossip.ts";
import { InboundGate } from "./inbound.ts";
import {
  type MeshNode,
  createMeshNode,
  connectTo,
  dialFrom,
  hasRoomToDial,
  startMeshNode,
} from "./libp2p-node.ts";
import type { PeerNetworkLog } from "./log.ts";
import { nodePrivateKey } from "./node-identity.ts";
import { Presence } from "./presence.ts";
import { Strangers } from "./strangers.ts";
import { type ConnectedStream, INBOUND_SYNC_STREAMS_MAX, SYNC_PROTOCOL, Sync } from "./sync.ts";
import { Turns } from "./turn.ts";
import { type EdgeCounts, Wires } from "./wires.ts";

export interface PeerNetworkOptions {
  /** Ed25519 seed of the node key, 32 bytes. A function, so that whoever prints this shows no secret. */
  readonly nodeKeySeed: () => Uint8Array;
  /** Multiaddrs such as `/ip4/0.0.0.0/tcp/7843`; port 0 takes a free one. None: dials only. */
  readonly listen: readonly string[];
  /** What others shall dial, when that differs from `listen`. */
  readonly announce: readonly string[];
  /** Multiaddrs that end in `/p2p/…`; dialed while their peer is admitted. */
  readonly peers: readonly string[];
  readonly log: PeerNetworkLog;
  /** How long a connection that is not admitted is kept, in milliseconds. */
  readonly strangerMs?: number;
  /** Between two rounds of sync, each with the trust domain that had none for longest. In milliseconds. */
  readonly syncIntervalMs?: number;
  /** Longest silence within a sync round, in milliseconds. */
  readonly syncFrameDeadlineMs?: number;
  /** For a record to come by the recovery door, and the answer to go, in milliseconds. */
  readonly doorDeadlineMs?: number;
  /** For a whole RPC of gossip, in milliseconds. */
  readonly gossipRpcDeadlineMs?: number;
  /** From 0 up to 1: jitter and the choice of a peer. */
  readonly random?: () => number;
  /** A clock that never goes backwards. */
  readonly nowMs?: () => number;
  /** The time of day, in milliseconds of Unix time. */
  readonly wallClockMs?: () => number;
}

/** Identify and ping are done in a second; a partner that imports us meanwhile stays. */
const STRANGER_MS = 10_000;
const SYNC_INTERVAL_MS = 10_000;
/** How often a gossip stream that broke is opened again, and a first sync that failed is repeated. */
const TEND_INTERVAL_MS = 5_000;
/** A stranger needs one at a time. Above: the stream is reset. */
const INBOUND_DOOR_STREAMS_MAX = 1;
/** A connection that is not closed by then is cut, so that `stop` keeps its 2 s. */
const CLOSE_DEADLINE_MS = 1_000;

/** Creates the network. Throws `CONFIG_INVALID` with one line for each address that is not one. */
export async function createPeerNetwork(
  options: PeerNetworkOptions,
  events: PeerNetworkEvents,
  source: SyncSource,
): Promise<Libp2pNetwork> {
  const { listen, announce, peers, log, nowMs = () => performance.now() } = options;
  checkConfigured([...listen, ...announce], peers);
  const privateKey = await nodePrivateKey(options.nodeKeySeed());
  const admission = new Admission(peerIdFromPrivateKey(privateKey), nowMs);
  const strangers = new Strangers(options.strangerMs ?? STRANGER_MS);
  const gossipOptions = { nowMs, log, rpcDeadlineMs: options.gossipRpcDeadlineMs };
  const turns = new Turns(nowMs);
  const gossip = new Gossip(gossipOptions, admission, turns, events);
  const gate = new InboundGate(nowMs);
  const onHandshake = gate.onHandshake.bind(gate);
  const wires = new Wires(admission, turns, { nowMs, log, onHandshake });
  const node = await createMeshNode({
    privateKey,
    listen,
    announce,
    gater: createGater({
      admission,
      strangers,
      gate,
      wires,
      nowMs,
      knocksAt: (peerId) => door.knocksAt(peerId),
      connectionsWith: (peerId) => node.getConnections(peerId).length,
    }),
    wires,
    gossip: (components) => gossip.create(components),
  });
  const doorOptions = { nowMs, log, deadlineMs: options.doorDeadlineMs };
  const door = new Door(doorOptions, {
    admits: (peerId) => admission.admits(peerId),
    events,
    connect: async (address, signal) => await connectTo(node, address, signal),
  });
  const parts = { node, admission, strangers, gossip, gate, wires, door };
  return new Libp2pNetwork({ ...options, nowMs }, parts, events, source);
}

interface Parts {
  readonly node: MeshNode;
  readonly admission: Admission;
  readonly strangers: Strangers;
  readonly gossip: Gossip;
  readonly gate: InboundGate;
  readonly wires: Wires;
  readonly door: Door;
}

export class Libp2pNetwork implements PeerNetwork {
  readonly peerId: string;
  readonly #listen: readonly string[];
  readonly #log: PeerNetworkLog;
  readonly #parts: Parts;
  readonly #presence: Presence;
  readonly #dialer: Dialer;
  readonly #sync: Sync;
  #tendTimer: NodeJS.Timeout | undefined;
  #running = false;

  constructor(
    options: PeerNetworkOptions & { readonly nowMs: () => number },
    parts: Parts,
    events: PeerNetworkEvents,
    source: SyncSource,
  ) {
    const { log, nowMs, random = Math.random, wallClockMs = Date.now } = options;
    const { syncIntervalMs: intervalMs = SYNC_INTERVAL_MS } = options;
    const { node, admission } = parts;
    this.peerId = node.peerId.toString();
    this.#listen = options.listen;
    this.#log = log;
    this.#parts = parts;
    this.#presence = new Presence({ ...parts, events });
    this.#dialer = new Dialer(
      { self: node.peerId, random, wallClockMs, log },
      {
        wants: (peerId) => this.#running && admission.admits(peerId) && !this.#presence.has(peerId),
        listedBy: (peerId) => [...(admission.member(peerId)?.accounts.keys() ?? [])],
        hasRoom: (peerId) =>
          hasRoomToDial(node.getConnections(), this.#presence.wouldBeFirst(peerId)),
        mayHurry: (trustDomains) => admission.take("dial", trustDomains),
        dial: async (addresses, options) => await dialFrom(node, addresses, options),
      },
    );
    this.#dialer.configure(options.peers);
    this.#sync = new Sync(
      { intervalMs, frameDeadlineMs: options.syncFrameDeadlineMs, random, nowMs, log },
      {
        source,
        events,
        admission,
        peers: () => this.#presence.peers(),
        openStream: async (peerId, signal) => await this.#openSyncStream(peerId, signal),
        onAsked: (peerId) => this.#onAsked(peerId),
        onAnswered: (peerId) => this.#onAnswered(peerId),
      },
    );
  }

  /** How many gossip messages were not looked at, and why. */
  get gossipCounts(): Readonly<GossipCounts> {
    return this.#parts.gossip.counts;
  }

  /** How many connections were not let in or were ended, for what they did. */
  get edgeCounts(): EdgeCounts {
    const { gate, wires } = this.#parts;
    return { refused: gate.refused, cutOff: wires.cutOff };
  }

  addresses(): readonly string[] {
    return this.#parts.node.getMultiaddrs().map(String);
  }

  /** Throws `CANNOT_CREATE` when an address cannot be listened on. */
  async start(): Promise<void> {
    const { node, admission, gossip, strangers, door } = this.#parts;
    node.addEventListener("connection:open", ({ detail }) => {
      if (admission.admits(detail.remotePeer)) return;
      strangers.watch(detail);
      this.#log("debug", "peers: not admitted", { peer_id: detail.remotePeer.toString() });
    });
    node.addEventListener("connection:close", ({ detail }) => {
      strangers.forget(detail);
      // gossipsub keeps one stream a peer and takes the end of any for the end of the peer, so the
      // connections of a peer end together, and it is dialed anew.
      this.#cut(detail.remotePeer, "another connection of the peer was closed");
    });
    node.addEventListener("peer:connect", ({ detail }) => this.#settle(detail));
    node.addEventListener("peer:disconnect", ({ detail }) => this.#onDisconnect(detail));
    await node.handle(SYNC_PROTOCOL, this.#sync.onStream.bind(this.#sync), {
      maxInboundStreams: INBOUND_SYNC_STREAMS_MAX,
    });
    await node.handle(DOOR_PROTOCOL, door.onStream.bind(door), {
      maxInboundStreams: INBOUND_DOOR_STREAMS_MAX,
    });
    await startMeshNode(node, this.#listen);
    this.#running = true;
    gossip.start({
      onAttached: (peerId) => void this.#sync.afresh(peerId),
      onLeft: (peerId) => this.#sync.repair(peerId),
    });
    this.#sync.start();
    this.#tendTimer = setInterval(() => {
      for (const peerId of this.#presence.peers()) this.#presence.attach(peerId);
      for (const peerId of this.#presence.unsynced()) void this.#sync.now(peerId);
    }, TEND_INTERVAL_MS);
    for (const { peerId } of admission.members()) {
      this.#settle(peerId); // It may have come while the node began to listen.
      this.#dialer.admitted(peerId);
    }
  }

  async stop(): Promise<void> {
    const { node, strangers, door } = this.#parts;
    this.#running = false;
    door.stop();
    this.#dialer.stop();
    this.#sync.stop();
    strangers.stop();
    clearInterval(this.#tendTimer);
    const cut = setTimeout(() => {
      for (const connection of node.getConnections()) connection.abort(new Error("stopping"));
    }, CLOSE_DEADLINE_MS);
    await node.stop();
    clearTimeout(cut);
    this.#presence.clear();
  }

  async publish(envelope: Uint8Array): Promise<void> {
    if (this.#running) await this.#parts.gossip.publish(envelope);
  }

  async publishHead(envelope: Uint8Array): Promise<void> {
    if (this.#running) await this.#parts.gossip.publishHead(envelope);
  }

  admit(trustDomain: string, nodes: readonly Uint8Array[]): void {
    const { admission, strangers } = this.#parts;
    const { added, removed } = admission.admit(trustDomain, nodes);
    if (nodes.length === 0) this.#dialer.forget(trustDomain);
    for (const { peerId } of removed) {
      this.#dialer.removed(peerId);
      this.#settle(peerId);
      this.#cut(peerId, "no longer admitted");
    }
    for (const { peerId } of added) {
      strangers.release(peerId);
      this.#settle(peerId);
      this.#dialer.admitted(peerId);
    }
  }

  dial(trustDomain: string, addresses: readonly string[]): void {
    this.#dialer.hint(trustDomain, addresses);
  }

  /** Replaces the addresses of the configuration. What is not an address is left out. */
  configurePeers(addresses: readonly string[]): void {
    this.#dialer.configure(addresses);
  }

  connections(): readonly PeerConnection[] {
    return this.#presence.connections();
  }

  dialFailures(): readonly DialFailure[] {
    return this.#dialer.failures();
  }

  async knock(address: string, envelope: Uint8Array): Promise<boolean> {
    const read = readPeerAddress(address);
    if (!read.ok) this.#log("info", "door: no address", { reason: read.reason });
    if (!read.ok || !this.#running || envelope.length > ENVELOPE_BYTES_MAX) return false;
    return await this.#parts.door.knock(read.value, envelope);
  }

  /** Resolves at once when the peer is not connected or not admitted. */
  async syncNow(peerId: string): Promise<void> {
    const present = this.#presence.find(peerId);
    if (present !== undefined) await this.#sync.now(present);
  }

  #settle(peerId: PeerId): void {
    if (this.#running) this.#presence.settle(peerId);
  }

  #onDisconnect(peerId: PeerId): void {
    this.#settle(peerId);
    this.#dialer.lost(peerId);
    // Nobody else forgets strangers, and every one of them has an id that we never see again.
    if (!this.#parts.admission.admits(peerId)) void this.#parts.node.peerStore.delete(peerId);
  }

  #cut(peerId: PeerId, reason: string): void {
    for (const connection of this.#parts.node.getConnections(peerId)) {
      connection.abort(new Error(reason));
    }
  }

  /**
   * Who asks for the first time admits us, and wants what we publish. It may have refused us until a
   * moment ago, and published before it could reach us: whatever that was is fetched now.
   */
  #onAsked(peerId: PeerId): void {
    this.#dialer.proven(peerId);
    if (this.#presence.onAsked(peerId)) void this.#sync.afresh(peerId);
  }

  #onAnswered(peerId: PeerId): void {
    this.#dialer.proven(peerId);
    this.#presence.onAnswered(peerId);
  }

  async #openSyncStream(peerId: PeerId, signal: AbortSignal): Promise<ConnectedStream> {
    const connection = this.#parts.node.getConnections(peerId).at(-1);
    if (connection === undefined) throw new Error("not connected");
    return { connection, stream: await connection.newStream(SYNC_PROTOCOL, { signal }) };
  }
}
