/** TCP connections to a running network that never say a word, and how long they are kept. */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { type Socket, connect } from "node:net";
import { performance } from "node:perf_hooks";
import { onTestFinished } from "vitest";
import { createPeerNetwork } from "../../src/p2p/libp2p-network.ts";

/** A network on a port of 127.0.0.1 that admits nobody. Stopped when the test is over. */
export async function startListener(): Promise<number> {
  const network = await createPeerNetwork(
    {
      nodeKeySeed: () => Uint8Array.from(randomBytes(32)),
      listen: ["/ip4/127.0.0.1/tcp/0"],
      announce: [],
      peers: [],
      log: () => {},
    },
    {
      onGossip: async () => "ignore",
      onGossipHead: async () => "ignore",
      onDoor: async () => false,
      onSyncRecords: async () => [],
      onSynced: () => {},
      onPeerConnected: () => {},
      onPeerLost: () => {},
    },
    {
      revision: () => 0,
      wanted: () => [],
      entries: () => [],
      missing: () => [],
      records: async () => [],
    },
  );
  await network.start();
  onTestFinished(async () => await network.stop());
  const [address = ""] = network.addresses();
  return Number(/\/tcp\/(\d+)/.exec(address)?.[1]);
}

/** Opens silent connections one after another, and says how long each was kept, in ms. */
export async function openFor(port: number, count: number): Promise<readonly number[]> {
  const kept: Promise<number>[] = [];
  for (let index = 0; index < count; index += 1) {
    const socket = connect({ host: "127.0.0.1", port });
    kept.push(keptFor(socket, performance.now()));
    await Promise.race([once(socket, "connect"), once(socket, "close")]).catch(() => {});
  }
  return await Promise.all(kept);
}

async function keptFor(socket: Socket, openedMs: number): Promise<number> {
  socket.on("error", () => {}); // A reset is an end as well.
  socket.resume();
  await new Promise((resolve) => socket.once("close", resolve));
  return performance.now() - openedMs;
}
