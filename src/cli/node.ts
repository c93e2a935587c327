/** `node`: which daemons may publish for the own trust domain. */
import { callAdmin } from "../admin-contract/client.ts";
import type { NodeEntry, OrderReply } from "../admin-contract/own.ts";
import { groupFingerprint } from "./fingerprint.ts";
import { paint, printResult, withProgress } from "./output.ts";
import type { Session } from "./session.ts";
import { table } from "./table.ts";

const DONE = 0;

export async function listNodes({ socketPath, format }: Session): Promise<number> {
  printResult(format, await callAdmin(socketPath, "nodes", {}), renderList);
  return DONE;
}

export async function addNode(
  { socketPath, format }: Session,
  peerId: string,
  fingerprint: string,
): Promise<number> {
  const work = callAdmin(socketPath, "addNode", { peer_id: peerId, fingerprint });
  printResult(format, await withProgress(`adding ${peerId}`, work), (reply) =>
    renderOrder(reply, {
      published: `${peerId} publishes for ${reply.trust_domain} from this record on. Next: spire-mesh own adopt -fingerprint F at that node, with this record:`,
      unchanged: `${peerId} is listed already; nothing changed.`,
    }),
  );
  return DONE;
}

export async function removeNode(
  { socketPath, format }: Session,
  peerId: string,
  force: boolean,
): Promise<number> {
  const work = callAdmin(socketPath, "removeNode", { peer_id: peerId, force });
  printResult(format, await withProgress(`removing ${peerId}`, work), (reply) =>
    renderOrder(reply, {
      published: `${peerId} publishes for ${reply.trust_domain} no more, from this record on:`,
      unchanged: `${peerId} was removed already; nothing changed.`,
    }),
  );
  return DONE;
}

function renderOrder(
  { record_id, outcome }: OrderReply,
  sentences: Readonly<Record<OrderReply["outcome"], string>>,
): string {
  return `${sentences[outcome]}\n  ${groupFingerprint(record_id)}`;
}

function renderList(nodes: readonly NodeEntry[]): string {
  if (nodes.length === 0) {
    return "No own record yet, so no nodes. Next: spire-mesh export -o FILE makes the first one.";
  }
  const rows = nodes.map((node) => [
    node.peer_id,
    [node.is_self ? "this one" : "", node.is_lowest ? "lowest" : ""].filter(Boolean).join(", "),
    node.connected ? "yes" : paint("warning", "no"),
    node.record_id === null
      ? "not known"
      : node.holds_ours
        ? "the same"
        : paint("warning", node.record_id),
    node.is_self ? "" : (node.last_heard_at ?? "never"),
  ]);
  return table(["peer id", "", "connected", "stands on", "last heard"], rows);
}
