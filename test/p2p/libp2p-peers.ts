/** Peers of our own over libp2p on loopback, with a book in place of the core. */
import { type PeerNetworkOptions, createPeerNetwork } from "../../src/p2p/libp2p-network.ts";
import { nodePrivateKey } from "../../src/p2p/node-identity.ts";
import type { MakeNetwork } from "../compliance/peer-network.ts";

export const OPTIONS: Omit<PeerNetworkOptions, "nodeKeySeed"> = {
  listen: ["/ip4/127.0.0.1/tcp/0"],
  announce: [],
  peers: [],
  log: () => {},
};

export const making =
  (more: Partial<PeerNetworkOptions> = {}): MakeNetwork =>
  async ({ seed, ...timing }, events, source) => {
    const options = { ...OPTIONS, ...timing, ...more, nodeKeySeed: () => seed };
    const network = await createPeerNetwork(options, events, source);
    return { network, node: (await nodePrivateKey(seed)).publicKey.raw };
  };
