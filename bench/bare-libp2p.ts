/**
 * A bare libp2p process, the anchor of an idle daemon: the same modules, their defaults, one
 * connection. `bare-libp2p.ts listen PORT` or `bare-libp2p.ts dial PORT`; runs until SIGTERM.
 */
import { gossipsub } from "@libp2p/gossipsub";
import { identify } from "@libp2p/identify";
import { noise } from "@libp2p/noise";
import { ping } from "@libp2p/ping";
import { tcp } from "@libp2p/tcp";
import { yamux } from "@libp2p/yamux";
import { multiaddr } from "@multiformats/multiaddr";
import { createLibp2p } from "libp2p";

const [role, port] = process.argv.slice(2);
const address = `/ip4/127.0.0.1/tcp/${port}`;
const node = await createLibp2p({
  addresses: { listen: role === "listen" ? [address] : [] },
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  services: { identify: identify(), ping: ping(), gossip: gossipsub() },
});
node.services.gossip.subscribe("bench");
if (role === "dial") await node.dial(multiaddr(address));
process.once("SIGTERM", () => process.exit(0));
process.once("disconnect", () => process.exit(0)); // Whoever started it is gone.
