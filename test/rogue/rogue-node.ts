/**
 * A libp2p node that keeps to no rule: it has a key of its choosing, so it may be a member or a
 * stranger, and gives out streams and the bytes below them, with nothing that would hold it back.
 */
import type {
  Connection,
  ConnectionEncrypter,
  Libp2p,
  MessageStream,
  Stream,
  StreamMuxerFactory,
} from "@libp2p/interface";
import { type Identify, identify } from "@libp2p/identify";
import { noise } from "@libp2p/noise";
import { type Ping, ping } from "@libp2p/ping";
import { tcp } from "@libp2p/tcp";
import { yamux } from "@libp2p/yamux";
import { multiaddr } from "@multiformats/multiaddr";
import { createLibp2p } from "libp2p";
import { nodePrivateKey } from "../../src/p2p/node-identity.ts";
import { SYNC_PROTOCOL } from "../../src/p2p/sync.ts";

export const GOSSIP_PROTOCOL = "/meshsub/1.2.0";
const STREAMS_MAX = 100_000;
const INBOUND_A_SECOND_MAX = 10_000;

export interface RogueOptions {
  /** Ed25519 seed of its node key. 32 bytes. */
  readonly seed: Uint8Array;
  /** The address it connects from: all of 127.0.0.0/8 is there on Linux. */
  readonly from?: string | undefined;
  /** Its multiplexer hears nothing, so that it does not mind answers to frames it never sent. */
  readonly deaf?: boolean;
}

export interface Rogue {
  readonly libp2p: Libp2p<{ identify: Identify; ping: Ping }>;
  readonly id: string;
  /** Ed25519 public key. 32 bytes. */
  readonly node: Uint8Array;
  /** A new connection, also when there is one. */
  dial(address: string): Promise<Connection>;
  /** What yamux speaks over, of the newest connection: takes frames of any content. */
  decrypted(): MessageStream;
  /** What Noise speaks over, of the newest connection: takes bytes of any kind. */
  encrypted(): MessageStream;
  /** Answers gossip and sync streams of the other side. Without: it reads neither. */
  onStream(protocol: string, handler: (stream: Stream) => void): Promise<void>;
  stop(): Promise<void>;
}

export async function startRogue({ seed, from, deaf = false }: RogueOptions): Promise<Rogue> {
  const privateKey = await nodePrivateKey(seed);
  let newest: MessageStream | undefined;
  let below: MessageStream | undefined;
  const encrypter = noise();
  const seen = (inner: ReturnType<typeof encrypter>): ConnectionEncrypter => ({
    protocol: inner.protocol,
    secureInbound: async (raw, options) => await inner.secureInbound((below = raw), options),
    secureOutbound: async (raw, options) => await inner.secureOutbound((below = raw), options),
  });
  const watched = (inner: StreamMuxerFactory): StreamMuxerFactory => ({
    protocol: inner.protocol,
    createStreamMuxer: (decrypted) => {
      newest = decrypted;
      if (!deaf) return inner.createStreamMuxer(decrypted);
      decrypted.addEventListener("message", () => {});
      const unheard = { addEventListener: { value: hearNothing } };
      return inner.createStreamMuxer(Object.create(decrypted, unheard) as MessageStream);
    },
  });
  const dialOpts: object = from === undefined ? {} : { localAddress: from };
  const multiplexer = yamux({ maxInboundStreams: STREAMS_MAX, maxOutboundStreams: STREAMS_MAX });
  const libp2p = await createLibp2p({
    privateKey,
    addresses: { listen: ["/ip4/127.0.0.1/tcp/0"] },
    transports: [tcp({ dialOpts })],
    connectionEncrypters: [(components) => seen(encrypter(components))],
    streamMuxers: [() => watched(multiplexer())],
    connectionManager: { inboundConnectionThreshold: INBOUND_A_SECOND_MAX },
    connectionMonitor: { enabled: false },
    services: { identify: identify({ runOnConnectionOpen: false }), ping: ping() },
  });
  const onStream: Rogue["onStream"] = async (protocol, handler) => {
    await libp2p.handle(protocol, handler, { force: true, maxInboundStreams: STREAMS_MAX });
  };
  // Taken, so that the other side keeps its stream, and never read.
  for (const protocol of [GOSSIP_PROTOCOL, SYNC_PROTOCOL]) await onStream(protocol, () => {});
  return {
    libp2p,
    id: libp2p.peerId.toString(),
    node: privateKey.publicKey.raw,
    dial: async (address) => await libp2p.dial(multiaddr(address), { force: true }),
    decrypted: () => {
      if (newest === undefined) throw new Error("not connected");
      return newest;
    },
    encrypted: () => {
      if (below === undefined) throw new Error("not connected");
      return below;
    },
    onStream,
    stop: async () => {
      for (const connection of libp2p.getConnections()) connection.abort(new Error("stopping"));
      await libp2p.stop();
    },
  };
}

function hearNothing(): void {}

/** Opens a stream that may be used without bound. */
export async function openStream(connection: Connection, protocol: string): Promise<Stream> {
  const signal = AbortSignal.timeout(5_000);
  return await connection.newStream(protocol, { signal, maxOutboundStreams: STREAMS_MAX });
}
