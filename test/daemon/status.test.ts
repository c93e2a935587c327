/** What status and health say of rows that SPIRE does not list, and of nodes: ours, and a peer's. */
import { describe, expect, test } from "vitest";
import type { Status, TrustDomainStatus } from "../../src/admin-contract/status.ts";
import { FINDINGS, type FindingCode } from "../../src/core/mesh/finding.ts";
import { raise } from "../../src/core/mesh/mesh-state.ts";
import { subsystems } from "../../src/daemon/monitoring.ts";
import { healthOf, peerList, statusOf } from "../../src/daemon/status.ts";
import { compareBytes } from "../../src/core/std/bytes.ts";
import {
  bundleOf,
  makeNodeKey,
  makePublisher,
  makeRecord,
  untainted,
} from "../arbitraries/record.ts";
import type { DialFailure } from "../../src/ports/peer-network.ts";
import { TestDaemon, TestDisk } from "../core/mesh/daemon.ts";

const alpha = makePublisher("alpha.test");
const bravo = makePublisher("bravo.test");
const network = {
  peerId: "12D3KooWBravo",
  addresses: () => [],
  connections: () => [],
  dialFailures: (): readonly DialFailure[] => [],
};

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

async function diskWithAlpha(): Promise<TestDisk> {
  const disk = new TestDisk();
  (await TestDaemon.start(bravo, { disk })).import(alpha.genesis);
  return disk;
}

describe("rows that cannot be listed", () => {
  test("are not shown as equal, and the daemon is not healthy until they are read", async () => {
    const daemon = await ready();
    daemon.send({ kind: "rows-unread", reason: "permission denied" });
    expect(rowOf(daemon)).toBe("unknown");
    expect(statusNow(daemon)).toMatchObject({
      state: "degraded",
      findings: [{ code: "ROWS_UNREAD", severity: "warning", trust_domain: null }],
    });
    const { ready: isReady, problems } = healthOf(daemon.state, false);
    expect([isReady, problems.length]).toEqual([false, 1]);
    daemon.readRows(bundleOf(alpha.genesis.state));
    expect([statusNow(daemon).state, rowOf(daemon)]).toEqual(["ready", "equal"]);
  });

  test("are not shown as equal while SPIRE is away, nor after it, until they are read", async () => {
    const daemon = await ready();
    daemon.send({ kind: "spire-away", reason: "connection refused" });
    expect(rowOf(daemon)).toBe("unknown");
    daemon.send({ kind: "spire-back" });
    expect(rowOf(daemon)).toBe("unknown");
    daemon.readRows(bundleOf(alpha.genesis.state));
    expect(rowOf(daemon)).toBe("equal");
  });

  test("are unknown until they were read, and missing only when SPIRE lists none", async () => {
    const daemon = await TestDaemon.start(bravo, { disk: await diskWithAlpha() });
    expect(rowOf(daemon)).toBe("unknown");
    daemon.readRows();
    expect(rowOf(daemon)).toBe("missing");
  });

  test("are not shown as equal while one is written", async () => {
    const daemon = await ready();
    const { x509Authorities } = alpha.genesis.state;
    const two = alpha.next(alpha.genesis, {
      x509Authorities: [...x509Authorities, untainted(alpha.newCa())],
    });
    daemon.receive(two);
    daemon.receive(alpha.next(two, { x509Authorities })); // As seen last, but not as it is by now.
    expect(rowOf(daemon)).toBe("different");
  });

  test("stay unmanaged when somebody else keeps them", async () => {
    const daemon = await TestDaemon.start(bravo, { unmanaged: [alpha.trustDomain] });
    daemon.import(alpha.genesis);
    daemon.send({ kind: "rows-unread", reason: "permission denied" });
    expect(rowOf(daemon)).toBe("unmanaged");
  });
});

/** Each as the state that it makes of a daemon that was ready. */
const STATES: Readonly<Record<FindingCode, Status["state"]>> = {
  SPIRE_UNREACHABLE: "degraded",
  ROWS_UNREAD: "degraded",
  NODE_NOT_LISTED: "degraded",
  NODE_LISTED_TWICE: "ready",
  NO_USABLE_CA: "starting",
  STATE_TOO_BIG: "degraded",
  AUTHORITY_UNPUBLISHABLE: "ready",
  SPIRE_WENT_BACK: "degraded",
  CONTINUITY_GAP: "degraded",
  PIN_AWAITED: "ready",
  FORK: "degraded",
  FORK_EMPTY: "degraded",
  RECOVERY_FORK: "degraded",
  FROZEN: "degraded",
  ECLIPSED: "degraded",
  CLONE: "degraded",
  CLOCK: "degraded",
  AUTHORITY_RETURNED: "degraded",
  RECOVERING: "degraded",
  FORGED_OWN: "degraded",
  CONTESTED: "degraded",
  ROW_REFUSED: "degraded",
  AUTHORITIES_EXPIRED: "degraded",
  STORE_FAILED: "degraded",
};

/** What alpha.test can bring about alone leaves bravo.test's daemon as it was. */
const MADE_BY_PARTNERS: ReadonlySet<FindingCode> = new Set([
  "CONTINUITY_GAP",
  "FORK",
  "FORK_EMPTY",
  "RECOVERY_FORK",
  "FROZEN",
  "ECLIPSED",
  "AUTHORITY_RETURNED",
  "ROW_REFUSED",
  "AUTHORITIES_EXPIRED",
]);

describe("a finding", () => {
  for (const about of [undefined, bravo.trustDomain, alpha.trustDomain]) {
    test.each(Object.entries(STATES))(
      `%s about ${about ?? "the daemon"} makes it %s, unless a partner can make it`,
      async (...row) => {
        const [code, expected] = row as [FindingCode, Status["state"]];
        const daemon = await ready();
        raise(daemon.state, code, about, "it is so", daemon.nowMs);
        const isPartners = about === alpha.trustDomain && MADE_BY_PARTNERS.has(code);
        const isAbout = code === "NO_USABLE_CA" && about !== undefined;
        const is = isPartners ? "ready" : isAbout ? "degraded" : expected;
        expect(statusNow(daemon).state).toBe(is);
        const health = healthOf(daemon.state, false);
        expect([health.state, health.ready]).toEqual([is, is === "ready"]);
        expect(health.problems).toEqual([`it is so. Next: ${FINDINGS[code].next}.`]);
        const pages = [...subsystems(daemon.state, false).values()];
        expect(pages.every(({ isLive }) => isLive)).toBe(true);
        expect(pages.every(({ isReady }) => isReady)).toBe(is !== "starting");
      },
    );
  }

  test("that degrades is the first problem, and a warning is one also while the daemon is ready", async () => {
    const daemon = await ready();
    raise(daemon.state, "PIN_AWAITED", alpha.trustDomain, "a record is awaited", daemon.nowMs);
    expect(healthOf(daemon.state, false)).toMatchObject({ ready: true, problems: { length: 1 } });
    raise(daemon.state, "CONTESTED", alpha.trustDomain, "the row is contested", daemon.nowMs);
    const { ready: isReady, problems } = healthOf(daemon.state, false);
    expect([isReady, problems.length]).toEqual([false, 2]);
    expect(problems[0]).toContain("contested");
  });
});

test("a daemon that has read nothing yet says so, whatever warns besides", async () => {
  const daemon = await TestDaemon.start(bravo);
  raise(daemon.state, "PIN_AWAITED", alpha.trustDomain, "a record is awaited", daemon.nowMs);
  const { state, problems } = healthOf(daemon.state, false);
  expect([state, problems[0]]).toEqual(["starting", "SPIRE Server was not read yet."]);
  expect([...subsystems(daemon.state, false).values()].some(({ isReady }) => isReady)).toBe(false);
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

const failure = (atMs: number, trustDomains: readonly string[], reason: string): DialFailure => ({
  peerId: "12D3KooWAlpha",
  trustDomains,
  addresses: ["/ip4/10.0.0.1/tcp/7843/p2p/12D3KooWAlpha"],
  atMs,
  reason,
});

describe("a partner's node that is not reached", () => {
  test("is shown with its partner: the newest attempt, when, where and why", async () => {
    const daemon = await ready();
    const failures = [
      failure(2_000, ["alpha.test"], "connect ECONNREFUSED"),
      failure(1_000, ["alpha.test"], "connect EHOSTUNREACH"),
      failure(3_000, ["charlie.test"], "getaddrinfo ENOTFOUND"),
    ];
    const { state, nowMs } = daemon;
    const from = { ...network, dialFailures: () => failures };
    const [alphas] = statusOf(state, from, false, nowMs).trust_domains;
    expect(alphas?.last_dial_error).toEqual({
      at: "1970-01-01T00:00:02.000Z",
      peer_id: "12D3KooWAlpha",
      addresses: ["/ip4/10.0.0.1/tcp/7843/p2p/12D3KooWAlpha"],
      message: "connect ECONNREFUSED",
    });
  });

  test("is not shown where none failed", async () => {
    expect(statusNow(await ready()).trust_domains).toMatchObject([{ last_dial_error: null }]);
  });
});
