import { randomBytes } from "node:crypto";
import { expect, test, vi } from "vitest";
import type { Libp2pNetwork } from "../../src/p2p/libp2p-network.ts";
import { nodePrivateKey } from "../../src/p2p/node-identity.ts";
import { PEERS, eventually, startsPeers } from "../compliance/peer-network.ts";
import { beginsAttacks } from "../rogue/attacks.ts";
import type { StrategyName } from "../rogue/strategies.ts";
import { making } from "./libp2p-peers.ts";

const start = startsPeers(making());
const begin = beginsAttacks();
/** Against hanging, not a figure. */
const LIMIT_MS = 60_000;
vi.setConfig({ testTimeout: 2 * LIMIT_MS });

type Bounds = Record<"count" | "rate", number> & { persistent: boolean };

async function attacked(strategy: StrategyName, bounds: Partial<Bounds> = {}) {
  const { network } = await start();
  const seed = randomBytes(32);
  network.admit(PEERS, [(await nodePrivateKey(seed)).publicKey.raw]);
  const [address = ""] = network.addresses();
  const { attack } = begin(strategy, { address, seed, ...bounds });
  await eventually(() => (network as Libp2pNetwork).edgeCounts.cutOff > 0, LIMIT_MS);
  return attack.outcome;
}

test("a member that announces a frame of 4 GiB is cut off before it has sent it", async () => {
  expect((await attacked("endless-frame", { count: 1 })).bytes).toBeLessThan(1024);
});

test("a member whose Noise messages have no length is cut off with the first", async () => {
  // At full speed they come before the member has proved its key, and are more than a stranger needs.
  await attacked("noise-zeros", { rate: 50 });
});

test("a member that sends a frame byte by byte, each a Noise message, is cut off after 30,000", async () => {
  await attacked("noise-pieces", { persistent: true }); // It may take longer than a ping waits.
});
