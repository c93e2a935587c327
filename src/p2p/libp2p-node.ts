/**
 * The libp2p node with all its limits. Strangers get identify and ping from it; gossip and sync
 * look at the admission themselves. We ask nobody to identify itself: the key is known from the
 * handshake, addresses are hints of ours, and an answer costs up to 80 KiB of parsing.
 */
import type { GossipSub, GossipSubComponents } from "@libp2p/gossipsub";
import { type Identify, identify } from "@libp2p/identify";
import type { Connection, ConnectionGater, Libp2p, PrivateKey } from "@libp2p/interface";
import { noise } from "@libp2p/noise";
import { type Ping, ping } from "@libp2p/ping";
import { tcp } from "@libp2p/tcp";
import { yamux } from "@libp2p/yamux";
import type { Multiaddr } from "@multiformats/multiaddr";
import { createLibp2p } from "libp2p";
import {
  CONNECTIONS_MAX,
  INBOUND_PENDING_MAX,
  STREAMS_A_CONNECTION_MAX,
  UPGRADE_TIMEOUT_MS,
} from "../core/std/limits.ts";
import { Fault } from "../fault.ts";
import type { PeerAddress } from "./address.ts";
import type { DialOptions } from "./dialer.ts";
import { STREAM_WINDOW_BYTES_MAX } from "./wire.ts";
import type { Wires } from "./wires.ts";

/**
 * Half of all connections: who dials us, hostile or not, leaves it to those whom we dial. Above: the
 * next attempt waits.
 */
const PEERS_DIALED_MAX = 256;
/**
 * Of these, as long as they are nodes of trust domains that have one connected already: the other half
 * is for whom nobody else may speak. Above: the next attempt waits.
 */
const MORE_NODES_DIALED_MAX = 128;
/** Inbound connections of one address in a second: a cluster may be behind one. Above: refused. */
const INBOUND_A_SECOND_MAX = 100;
/** One round trip, beside other work. After that the stream ends. */
const NEGOTIATION_TIMEOUT_MS = 5_000;
/** TCP and the handshake, one lost SYN included. Then: the next address is tried. */
const ADDRESS_DIAL_TIMEOUT_MS = 3_000;
/**
 * A handshake is 6 ms of CPU (measured), so more at once would only be slower. Above: the next one
 * waits.
 */
const DIALS_AT_ONCE = 16;
/** Latency of each connection is measured so often; one that does not answer is closed. */
const PING_INTERVAL_MS = 10_000;
/**
 * A ping waits behind all that a slow link still carries. With libp2p's 5 s a site at 2 Mbit/s lost twelve
 * connections while it caught up (measured). A peer answers two at once, so no more may be under way.
 */
const PING_TIMEOUT_MS = 2 * PING_INTERVAL_MS;

export type MeshNode = Libp2p<{ identify: Identify; ping: Ping; gossip: GossipSub }>;

export interface MeshNodeOptions {
  readonly privateKey: PrivateKey;
  readonly listen: readonly string[];
  /** Replaces the listen addresses in what others are told, when not empty. */
  readonly announce: readonly string[];
  readonly gater: ConnectionGater;
  readonly wires: Wires;
  readonly gossip: (components: GossipSubComponents) => GossipSub;
}

/** Creates the node; it opens no socket before its `start`. */
export async function createMeshNode(options: MeshNodeOptions): Promise<MeshNode> {
  const { privateKey, listen, announce, gater, wires, gossip } = options;
  const multiplexer = yamux({
    maxInboundStreams: STREAMS_A_CONNECTION_MAX,
    maxOutboundStreams: STREAMS_A_CONNECTION_MAX,
    streamOptions: { maxStreamWindowSize: STREAM_WINDOW_BYTES_MAX },
  });
  return await createLibp2p({
    start: false,
    privateKey,
    nodeInfo: { name: "spire-mesh", userAgent: "spire-mesh" }, // Strangers learn no version.
    addresses: { listen: [...listen], announce: [...announce] },
    transports: [tcp()],
    connectionEncrypters: [(components) => wires.encrypter(noise()(components))],
    streamMuxers: [() => wires.muxer(multiplexer())],
    connectionGater: gater,
    connectionManager: {
      maxConnections: CONNECTIONS_MAX,
      inboundConnectionThreshold: INBOUND_A_SECOND_MAX,
      maxIncomingPendingConnections: INBOUND_PENDING_MAX,
      inboundUpgradeTimeout: UPGRADE_TIMEOUT_MS,
      inboundStreamProtocolNegotiationTimeout: NEGOTIATION_TIMEOUT_MS,
      outboundStreamProtocolNegotiationTimeout: NEGOTIATION_TIMEOUT_MS,
      addressDialTimeout: ADDRESS_DIAL_TIMEOUT_MS,
      maxParallelDials: DIALS_AT_ONCE,
      resolvers: {}, // A dnsaddr of a hint would make us look names up for whoever wrote it.
    },
    connectionMonitor: {
      pingInterval: PING_INTERVAL_MS,
      pingTimeout: { minTimeout: PING_TIMEOUT_MS },
    },
    services: { identify: identify({ runOnConnectionOpen: false }), ping: ping(), gossip },
  });
}

/**
 * Whether one more connection of our own making is within bounds; those on their way do not count.
 *
 * @param isFirst It is with a trust domain of which no node is connected.
 */
export function hasRoomToDial(
  connections: readonly Pick<Connection, "direction">[],
  isFirst: boolean,
): boolean {
  const dialed = connections.filter(({ direction }) => direction === "outbound");
  const dialedMax = isFirst ? PEERS_DIALED_MAX : MORE_NODES_DIALED_MAX;
  return connections.length < CONNECTIONS_MAX && dialed.length < dialedMax;
}

/** Starts the node. Throws `CANNOT_CREATE` when an address cannot be listened on. */
export async function startMeshNode(node: MeshNode, listen: readonly string[]): Promise<void> {
  try {
    await node.start();
  } catch (cause) {
    // Which addresses failed, and why, libp2p says in its message only.
    const message = cause instanceof Error ? cause.message : String(cause);
    const named = listen.filter((address) => message.includes(`${address}:`));
    const failed = (named.length > 0 ? named : listen).join(", ");
    const reason = /\bE[A-Z]{4,}\b/.exec(message)?.[0] ?? message;
    const advice = "Set `listen` to free ports and addresses of this host.";
    throw new Fault("CANNOT_CREATE", `cannot listen on ${failed}: ${reason}`, { cause, advice });
  }
}

/** Connects to a node at one of its addresses. */
export async function dialFrom(
  node: MeshNode,
  addresses: readonly Multiaddr[],
  { signal, onReached }: DialOptions,
): Promise<void> {
  try {
    await node.dial([...addresses], {
      signal,
      onProgress: ({ type }) => {
        if (type === "upgrader:encrypt-outbound-connection") onReached();
      },
    });
  } catch (error) {
    if (isReset(error)) onReached();
    throw error;
  }
}

/** The newest connection with a node, or a new one at this address. */
export async function connectTo(
  node: MeshNode,
  { peerId, address }: PeerAddress,
  signal: AbortSignal,
): Promise<Connection> {
  return node.getConnections(peerId).at(-1) ?? (await node.dial(address, { signal }));
}

/** Somebody took the connection and reset it: sooner than we saw it open, most times (measured). */
function isReset(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.some(isReset);
  return error instanceof Error && "code" in error && error.code === "ECONNRESET";
}
