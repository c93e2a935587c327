/** Before a protocol is agreed on: each line that is proposed gets an answer, of whoever. */
import { randomBytes } from "node:crypto";
import { connect } from "node:net";
import type { Stream } from "@libp2p/interface";
import { noise } from "@libp2p/noise";
import { tcp } from "@libp2p/tcp";
import { yamux } from "@libp2p/yamux";
import { multiaddr } from "@multiformats/multiaddr";
import { createLibp2p } from "libp2p";
import { expect, onTestFinished, test } from "vitest";
import type { Libp2pNetwork } from "../../src/p2p/libp2p-network.ts";
import { nodePrivateKey } from "../../src/p2p/node-identity.ts";
import { PEERS, eventually, startsPeers } from "../compliance/peer-network.ts";
import { beginsAttacks, startsRogues } from "../rogue/attacks.ts";
import { framed } from "../rogue/gossip-rpcs.ts";
import { GOSSIP_PROTOCOL, openStream } from "../rogue/rogue-node.ts";
import { YAMUX, yamuxHeader } from "../rogue/yamux-header.ts";
import { making } from "./libp2p-peers.ts";

/** Of a dialer, odd, and far from those that it opens itself. */
const STREAM_ID = 1_001;
const start = startsPeers(making());
const begin = beginsAttacks();
const rogueNode = startsRogues();

/** Ours, and a key that it admits. */
async function besideMember() {
  const { network } = await start();
  const seed = randomBytes(32);
  network.admit(PEERS, [(await nodePrivateKey(seed)).publicKey.raw]);
  const [address = ""] = network.addresses();
  return { network, seed, address };
}

test("a member that proposes protocols without end on a stream is cut off within 128 bytes", async () => {
  const { network, seed, address } = await besideMember();
  begin("endless-negotiation", { address, seed, count: 1 });
  await eventually(() => (network as Libp2pNetwork).edgeCounts.cutOff === 1);
});

test.each([
  ["five protocols in few bytes goes on", 5],
  ["six is cut off", 6],
])("a member that proposes %s", async (_, proposals) => {
  const { network, seed, address } = await besideMember();
  const rogue = await rogueNode({ seed });
  const connection = await rogue.dial(address);
  const lines = Array.from({ length: proposals }, () => framed(Buffer.from("x\n")));
  const body = Buffer.concat([framed(Buffer.from("/multistream/1.0.0\n")), ...lines]);
  const header = yamuxHeader(YAMUX.data, YAMUX.syn, STREAM_ID, body.length);
  rogue.decrypted().send(Buffer.concat([header, body]));
  const next = openStream(connection, "/ipfs/ping/1.0.0");
  if (proposals > 5) await expect(next).rejects.toThrow();
  else await next;
  expect((network as Libp2pNetwork).edgeCounts.cutOff).toBe(proposals > 5 ? 1 : 0);
});

test("a member that has more echoed by ping than a ping is cut off", async () => {
  const { network, seed, address } = await besideMember();
  const rogue = await rogueNode({ seed });
  const stream = await openStream(await rogue.dial(address), "/ipfs/ping/1.0.0");
  stream.send(Buffer.alloc(1024));
  await eventually(() => (network as Libp2pNetwork).edgeCounts.cutOff === 1);
});

test("what a member sends on a stream that we opened for gossip ends the stream", async () => {
  const { network, seed, address } = await besideMember();
  const rogue = await rogueNode({ seed });
  const opened = Promise.withResolvers<Stream>();
  await rogue.onStream(GOSSIP_PROTOCOL, opened.resolve);
  await rogue.dial(address);
  const stream = await opened.promise;
  stream.send(Uint8Array.of(0));
  await eventually(() => stream.status !== "open");
  expect(network.connections()).toHaveLength(1);
});

test("whoever proposes them without end instead of Noise is cut off within 128 bytes", async () => {
  const { network, address } = await besideMember();
  const socket = connect({ host: "127.0.0.1", port: Number(/tcp\/(\d+)/.exec(address)?.[1]) });
  onTestFinished(() => void socket.destroy());
  socket.on("error", () => {}); // It is reset.
  const closed = new Promise((resolve) => socket.once("close", resolve));
  const lines = Array.from({ length: 512 }, () => framed(Buffer.from("x\n")));
  socket.write(Buffer.concat([framed(Buffer.from("/multistream/1.0.0\n")), ...lines]));
  await closed;
  expect((network as Libp2pNetwork).edgeCounts.cutOff).toBe(1);
});

test("a member that leaves the multiplexer open in the handshake is not let in", async () => {
  const { network, seed, address } = await besideMember();
  const bare = { getStreamMuxers: () => new Map() };
  const rogue = await createLibp2p({
    privateKey: await nodePrivateKey(seed),
    transports: [tcp()],
    connectionEncrypters: [
      (components) => noise()(Object.create(components, { upgrader: { value: bare } })),
    ],
    streamMuxers: [yamux()],
  });
  onTestFinished(async () => await rogue.stop());
  await expect(rogue.dial(multiaddr(address))).rejects.toThrow();
  expect(network.connections()).toEqual([]);
});
