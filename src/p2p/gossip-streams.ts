/**
 * The streams that gossipsub has: of admitted peers, one inbound a peer, with RPCs of a length and within
 * a time. What happens without is docs/decisions/0010-around-gossipsub-and-yamux.md.
 */
import type { GossipSubComponents } from "@libp2p/gossipsub";
import type { Connection, PeerId, Stream, Topology } from "@libp2p/interface";
import { RPC_BYTES_MAX } from "../core/std/limits.ts";
import { watchMessages } from "./length-prefixes.ts";

/**
 * The shortest RPC of our topics has 24. Each costs 4 µs and more, so empty ones of a byte would be
 * the cheapest way to keep us busy. Below: the stream ends before they are looked at.
 */
const RPC_BYTES_MIN = 8;
/** For a whole RPC: 1 MiB at 1 Mbit/s. Above: the stream ends, so that nobody keeps half of one with us. */
const RPC_DEADLINE_MS = 10_000;

export interface StreamRules {
  admits(peerId: PeerId): boolean;
  /** An admitted peer sent so many bytes, which nobody has read yet. */
  onBytes(from: PeerId, bytes: number): void;
  /** We have told a peer what we want. */
  onAttached(peerId: PeerId): void;
}

type Registrar = GossipSubComponents["registrar"];

export class GossipStreams {
  readonly #rules: StreamRules;
  readonly #rpcDeadlineMs: number;
  /** What gossipsub wants to be told about peers. The same object for each of its protocols. */
  readonly #topologies = new Set<Topology>();
  /** The inbound stream of each admitted peer that is read, by peer id. */
  readonly #reading = new Map<string, Stream>();

  constructor(rules: StreamRules, rpcDeadlineMs = RPC_DEADLINE_MS) {
    this.#rules = rules;
    this.#rpcDeadlineMs = rpcDeadlineMs;
  }

  /** Opens the outbound stream to a connected, admitted peer, unless there is one. */
  attach(peerId: PeerId, connection: Connection): void {
    const careful = this.#watched(connection);
    for (const topology of this.#topologies) void topology.onConnect?.(peerId, careful);
  }

  detach(peerId: PeerId): void {
    for (const topology of this.#topologies) void topology.onDisconnect?.(peerId);
  }

  /** In place of libp2p's: gossipsub sees streams of admitted peers only, and hears of peers from us. */
  admittedOnly(registrar: Registrar): Registrar {
    return {
      handle: async (protocol, handler, options) => {
        await registrar.handle(
          protocol,
          (stream, connection) => {
            const { remotePeer } = connection;
            if (!this.#rules.admits(remotePeer)) return stream.abort(new Error("not admitted"));
            this.#readAlone(stream, remotePeer);
            this.#watchLengths(stream, remotePeer);
            return handler(stream, this.#watched(connection));
          },
          options,
        );
      },
      register: async (protocol, topology) => {
        this.#topologies.add(topology);
        return protocol;
      },
      unregister: () => this.#topologies.clear(),
      unhandle: async (protocol, options) => await registrar.unhandle(protocol, options),
      getProtocols: () => registrar.getProtocols(),
      getHandler: (protocol) => registrar.getHandler(protocol),
      getTopologies: (protocol) => registrar.getTopologies(protocol),
      use: (protocol, middleware) => registrar.use(protocol, middleware),
      unuse: (protocol) => registrar.unuse(protocol),
      getMiddleware: (protocol) => registrar.getMiddleware(protocol),
    };
  }

  /**
   * gossipsub closes the stream that another one replaces, and goes on reading it: of each of its
   * protocols a peer would have as many read at once as may be open, with half an RPC in each.
   */
  #readAlone(stream: Stream, from: PeerId): void {
    const id = from.toString();
    this.#reading.get(id)?.abort(new Error("another gossip stream came in its place"));
    this.#reading.set(id, stream);
    stream.addEventListener("close", () => {
      if (this.#reading.get(id) === stream) this.#reading.delete(id);
    });
  }

  /**
   * A length that gossipsub does not take ends its reader and not the stream: the peer would send
   * into it for ever. Reset, the peer opens another. And half an RPC gossipsub would keep for ever.
   */
  #watchLengths(stream: Stream, from: PeerId): void {
    let late: NodeJS.Timeout | undefined;
    const onLate = (): void => stream.abort(new Error("half an RPC for too long"));
    watchMessages(stream, ({ bytes, shortest, longest, isWithin }) => {
      this.#rules.onBytes(from, bytes);
      if (shortest < Infinity || !isWithin) {
        clearTimeout(late); // Of the RPC before.
        late = undefined;
      }
      if (isWithin) late ??= setTimeout(onLate, this.#rpcDeadlineMs).unref();
      const isTaken = shortest >= RPC_BYTES_MIN && longest <= RPC_BYTES_MAX;
      if (!isTaken) stream.abort(new Error("an RPC too short to say anything, or too long"));
      return isTaken;
    });
  }

  /**
   * A peer that does not admit us resets the stream while it is being opened. gossipsub listens for
   * that only after `newStream` resolved, would keep the dead stream for good and never open another.
   */
  #watched(connection: Connection): Connection {
    const newStream: Connection["newStream"] = async (protocols, options) => {
      const stream = await connection.newStream(protocols, options);
      if (stream.status !== "open") throw new Error("the peer closed the stream at once");
      // Nobody reads it: what a peer sends back would be kept, 4 MiB of it (measured).
      stream.addEventListener("message", () => stream.abort(new Error("an answer to gossip")));
      // It sends our subscription before anything else happens.
      setImmediate(() => this.#rules.onAttached(connection.remotePeer));
      return stream;
    };
    return Object.create(connection, { newStream: { value: newStream } }) as Connection;
  }
}
