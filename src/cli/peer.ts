/** `peer list`. */
import { callAdmin } from "../admin-contract/client.ts";
import type { Peer } from "../admin-contract/peer.ts";
import { printResult } from "./output.ts";
import { table } from "./table.ts";
import type { Session } from "./session.ts";

const HEAD = [
  "peer id",
  "trust domain",
  "direction",
  "latency",
  "rejected",
  "over budget",
  "since",
  "address",
];

export async function listPeers({ socketPath, format }: Session): Promise<number> {
  printResult(format, await callAdmin(socketPath, "peers", {}), renderPeers);
  return 0;
}

function renderPeers(peers: readonly Peer[]): string {
  if (peers.length === 0) {
    return "No peers are connected. Next: spire-mesh status shows who is expected.";
  }
  const rows = peers.map((each) => [
    each.peer_id,
    each.trust_domain ?? "not known",
    each.direction,
    each.latency_ms === null ? "" : `${each.latency_ms.toFixed(1)} ms`,
    each.graylisted ? `${each.rejected}, graylisted` : each.rejected,
    each.over_budget,
    each.connected_since,
    each.addresses[0] ?? "",
  ]);
  return table(HEAD, rows);
}
