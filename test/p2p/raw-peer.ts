/**
 * A libp2p node that is not ours: it says what it likes, to see what our side makes of it.
 */
import { randomBytes } from "node:crypto";
import { type GossipSub, gossipsub } from "@libp2p/gossipsub";
import { type Identify, identify } from "@libp2p/identify";
import type { Connection, Libp2p, Stream } from "@libp2p/interface";
import { noise } from "@libp2p/noise";
import { type Ping, ping } from "@libp2p/ping";
import { tcp } from "@libp2p/tcp";
import { yamux } from "@libp2p/yamux";
import { multiaddr } from "@multiformats/multiaddr";
import { createLibp2p } from "libp2p";
import { afterEach } from "vitest";
import { sha256 } from "../../src/core/std/sha256.ts";
import { STATE_TOPIC } from "../../src/p2p/gossip-options.ts";
import { nodePrivateKey } from "../../src/p2p/node-identity.ts";

export interface RawPeer {
  readonly libp2p: Libp2p<{ identify: Identify; ping: Ping; gossip: GossipSub }>;
  readonly id: string;
  /** Ed25519 public key. 32 bytes. */
  readonly node: Uint8Array;
  /** What gossip brought, as text. */
  readonly heard: string[];
  /** A new connection, also when there is one. */
  dial(addresses: readonly string[]): Promise<Connection>;
}

/** Starts raw peers and stops them when the test is over. */
export function startsRawPeers(): (streamWindowBytes?: number) => Promise<RawPeer> {
  const running: RawPeer[] = [];
  afterEach(async () => {
    await Promise.all(running.splice(0).map(async ({ libp2p }) => await libp2p.stop()));
  });
  return async (streamWindowBytes) => {
    const window =
      streamWindowBytes === undefined ? {} : { maxStreamWindowSize: streamWindowBytes };
    const privateKey = await nodePrivateKey(randomBytes(32));
    const libp2p = await createLibp2p({
      privateKey,
      addresses: { listen: ["/ip4/127.0.0.1/tcp/0"] },
      transports: [tcp()],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux({ streamOptions: window })],
      connectionManager: { inboundConnectionThreshold: 1_000 },
      services: {
        identify: identify(),
        ping: ping(),
        gossip: gossipsub({
          globalSignaturePolicy: "StrictNoSign",
          msgIdFn: ({ data }) => sha256(data),
          allowPublishToZeroTopicPeers: true,
        }),
      },
    });
    const heard: string[] = [];
    libp2p.services.gossip.subscribe(STATE_TOPIC);
    libp2p.services.gossip.addEventListener("message", ({ detail }) => {
      heard.push(Buffer.from(detail.data).toString());
    });
    const peer: RawPeer = {
      libp2p,
      id: libp2p.peerId.toString(),
      node: privateKey.publicKey.raw,
      heard,
      dial: async (addresses) =>
        await libp2p.dial(
          addresses.map((address) => multiaddr(address)),
          { force: true },
        ),
    };
    running.push(peer);
    return peer;
  };
}

/** How a stream ended: `reset` by the other side, or `closed` in good order. */
export async function endOf(stream: Stream): Promise<string> {
  if (stream.status !== "open") return stream.status;
  return await new Promise((resolve) => {
    stream.addEventListener("close", () => resolve(stream.status), { once: true });
  });
}

/** Takes so many bytes of a stream, then no more. */
export function readsOnly(stream: Stream, bytes: number): { isOver: () => boolean } {
  let left = bytes;
  stream.addEventListener("message", ({ data }) => {
    left -= data.byteLength;
    if (left <= 0) stream.pause();
  });
  return { isOver: () => left <= 0 };
}
