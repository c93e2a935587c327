/** What status and health say of rows that SPIRE does not list any more, and of another node key. */
import { describe, expect, test } from "vitest";
import type { Status, TrustDomainStatus } from "../../src/admin-contract/status.ts";
import { healthOf, statusOf } from "../../src/daemon/status.ts";
import { bundleOf, makeNodeKey, makePublisher } from "../arbitraries/record.ts";
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
