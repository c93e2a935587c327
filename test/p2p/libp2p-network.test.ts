import { describePeerNetwork, type MakeNetwork } from "../compliance/peer-network.ts";
import { createPeerNetwork } from "../../src/p2p/libp2p-network.ts";
import { nodePrivateKey } from "../../src/p2p/node-identity.ts";

const LOOPBACK = "/ip4/127.0.0.1/tcp/0";

const make: MakeNetwork = async ({ seed, strangerMs, syncIntervalMs }, events, source) => {
  const network = await createPeerNetwork(
    {
      nodeKeySeed: seed,
      listen: [LOOPBACK],
      announce: [],
      peers: [],
      log: () => {},
      strangerMs,
      syncIntervalMs,
    },
    events,
    source,
  );
  return { network, node: (await nodePrivateKey(seed)).publicKey.raw };
};

describePeerNetwork("libp2p", make);
