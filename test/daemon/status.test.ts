/** What status and health say of rows that SPIRE does not list, and of nodes: ours, and a peer's. */
import { describe, expect, test } from "vitest";
import type { Status, TrustDomainStatus } from "../../src/admin-contract/status.ts";
import { healthOf, peerList, statusOf } from "../../src/daemon/status.ts";
import { compareBytes } from "../../src/core/std/bytes.ts";
import { bundleOf, makeNodeKey, makePublisher, makeRecord } from "../arbitraries/record.ts";
import { TestDaemon, TestDisk } from "../core/mesh/daemon.ts";

const alpha = makePublisher("alpha.test");
const bravo = makePublisher("bravo.test");
const network = { peerId: "12D3KooWBravo", addresses: () => [], connections: () => [] };

const statusNow = ({ state, nowMs }: TestDaemon): Status => statusOf(state, network, false, nowMs);
const rowOf = (daemon: TestDaemon): TrustDomainStatus["spire_row"] | undefined =>
  statusNow(daemon).trust_domains[0]?.spire_row;

/** Bravo's daemon, ready, with alpha's row as it shall be. */
async function ready(): Promise<TestDaemon> {
  const daemon = await TestDaemon.start(bravo);
  daemon.readBundle(bundleOf(bravo.genesis.state));
  daemon.import(alpha.genesis);
  daemon.endRow();
  daemon.readRows(bundleOf(alpha.genesis.state));
  expect([statusNow(daemon).state, rowOf(daemon)]).toEqual(["ready", "equal"]);
  return daemon;
}

describe("rows that cannot be listed", () => {
  test("are not shown as equal, and the daemon is not healthy until they are read", async () => {
    const daemon = await ready();
    daemon.send({ kind: "rows-unread", reason: "permission denied" });
    expect(rowOf(daemon)).toBe("missing");
    expect(statusNow(daemon)).toMatchObject({
      state: "degraded",
      findings: [{ code: "ROWS_UNREAD", severity: "warning", trust_domain: null }],
    });
    const { ready: isReady, problems } = healthOf(daemon.state, false);
    expect([isReady, problems.length]).toEqual([false, 1]);
    daemon.readRows(bundleOf(alpha.genesis.state));
    expect([statusNow(daemon).state, rowOf(daemon)]).toEqual(["ready", "equal"]);
  });

  test("stay unmanaged when somebody else keeps them", async () => {
    const daemon = await TestDaemon.start(bravo, { unmanaged: [alpha.trustDomain] });
    daemon.import(alpha.genesis);
    daemon.send({ kind: "rows-unread", reason: "permission denied" });
    expect(rowOf(daemon)).toBe("unmanaged");
  });
});

test("a daemon whose own record lists another node key is not healthy", async () => {
  const disk = new TestDisk();
  const own = bundleOf(bravo.genesis.state);
  await TestDaemon.start(bravo, { disk }).then((daemon) => daemon.exportOwn(own));
  const daemon = await TestDaemon.start({ ...bravo, node: makeNodeKey() }, { disk });
  daemon.readBundle(own);
  daemon.readRows();
  expect(statusNow(daemon)).toMatchObject({
    state: "degraded",
    findings: [{ code: "NODE_NOT_LISTED", severity: "critical" }],
  });
  expect(healthOf(daemon.state, false).ready).toBe(false);
});

test("a peer is shown for the trust domain that it signs for, not for one that lists its key too", async () => {
  const eve = makePublisher("aaa-eve.test");
  const nodes = [eve.node.publicKey, alpha.node.publicKey].sort(compareBytes);
  const greedy = makeRecord({ ...eve.genesis.state, nodes }, [
    { node: eve.node, svids: [eve.svid] },
  ]);
  const daemon = await TestDaemon.start(bravo);
  for (const first of [greedy, alpha.genesis]) daemon.import(first);
  const connection = {
    addresses: [],
    connectedSinceMs: 0,
    direction: "inbound",
    latencyMs: undefined,
    rejected: 0,
    overBudget: 0,
    graylisted: false,
  } as const;
  const peers = [alpha.node, eve.node, makeNodeKey()];
  const connections = peers.map((_, index) => ({ ...connection, peerId: `${index}` }));
  const shown = peerList(
    daemon.state,
    { connections: () => connections },
    (peerId) => peers[Number(peerId)]?.publicKey,
  );
  expect(shown.map((peer) => peer.trust_domain)).toEqual(["alpha.test", "aaa-eve.test", null]);
});
