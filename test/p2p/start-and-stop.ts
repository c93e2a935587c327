/** Two networks that meet, talk and stop; the process must then end by itself. */
import { randomBytes } from "node:crypto";
import process from "node:process";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import { createPeerNetwork } from "../../src/p2p/libp2p-network.ts";
import { nodePrivateKey } from "../../src/p2p/node-identity.ts";

const met = Promise.withResolvers<void>();
const source = {
  revision: () => 0,
  wanted: () => ["alpha.test" as TrustDomain],
  entries: () => [],
  missing: () => [],
  records: async () => [],
};
const events = {
  onGossip: async () => "ignore" as const,
  onGossipHead: async () => "ignore" as const,
  onDoor: async () => false,
  onSyncRecords: async () => [],
  onSynced: () => met.resolve(),
  onPeerConnected: () => {},
  onPeerLost: () => {},
};
const seeds = [randomBytes(32), randomBytes(32)] as const;
const options = {
  listen: ["/ip4/127.0.0.1/tcp/0"],
  announce: [],
  peers: [],
  log: () => {},
};
const networks = await Promise.all(
  seeds.map(
    async (seed) =>
      await createPeerNetwork({ ...options, nodeKeySeed: () => seed }, events, source),
  ),
);
const nodes = await Promise.all(
  seeds.map(async (seed) => (await nodePrivateKey(seed)).publicKey.raw),
);
for (const network of networks) {
  await network.start();
  network.admit("peers.test", nodes);
}
networks[0]?.dial("peers.test", [
  ...(networks[1]?.addresses() ?? []),
  `/ip4/127.0.0.1/tcp/1/p2p/12D3KooWJD9nVPk7UnoUWWmdWUYAoKwWe2WLqbuRrZG9aw8CFHnW`,
]);
await met.promise;
await Promise.all(networks.map(async (network) => await network.stop()));
process.stdout.write("stopped\n");
