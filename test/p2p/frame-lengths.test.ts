import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import type { Libp2pNetwork } from "../../src/p2p/libp2p-network.ts";
import { nodePrivateKey } from "../../src/p2p/node-identity.ts";
import { PEERS, eventually, startsPeers } from "../compliance/peer-network.ts";
import { beginsAttacks } from "../rogue/attacks.ts";
import { making } from "./libp2p-peers.ts";

const start = startsPeers(making());
const begin = beginsAttacks();

test("a member that announces a frame of 4 GiB is cut off before it has sent it", async () => {
  const { network } = await start();
  const seed = randomBytes(32);
  network.admit(PEERS, [(await nodePrivateKey(seed)).publicKey.raw]);
  const [address = ""] = network.addresses();
  const { attack } = begin("endless-frame", { address, seed, count: 1 });
  await eventually(() => (network as Libp2pNetwork).edgeCounts.cutOff === 1);
  expect(attack.outcome.bytes).toBeLessThan(1024);
});
