/** What a person decides about the own trust domain, by the daemon's core. */
import { describe, expect, test } from "vitest";
import type { Operations } from "../../src/admin/operations.ts";
import { compareBytes, toHex } from "../../src/core/std/bytes.ts";
import { sha256Hex } from "../../src/core/std/sha256.ts";
import { peerIdOfNode } from "../../src/p2p/node-identity.ts";
import {
  type NodeKey,
  bundleOf,
  makeNodeKey,
  makePublisher,
  stateAfter,
  untainted,
} from "../arbitraries/record.ts";
import { TestDaemon, TestDisk } from "../core/mesh/daemon.ts";
import { type Surroundings, operationsBy } from "./operations-by.ts";

const peerIdOf = ({ publicKey }: NodeKey): string => peerIdOfNode(publicKey).toString();
const fingerprintOf = ({ publicKey }: NodeKey): string => sha256Hex(publicKey);

/** A node that comes after another in the order in which changes of nodes go. */
function nodeAbove({ publicKey }: NodeKey): NodeKey {
  for (;;) {
    const node = makeNodeKey();
    if (compareBytes(node.publicKey, publicKey) > 0) return node;
  }
}

/** After so long a node that is gone for good need not be asked. */
const UNHEARD_S = 5 * 60 + 1;

interface Asked {
  readonly daemon: TestDaemon;
  readonly operations: Operations;
  readonly publisher: ReturnType<typeof makePublisher>;
}

/** Alpha's daemon with its own first record. */
async function published(surroundings: Surroundings = {}): Promise<Asked> {
  const publisher = makePublisher("alpha.test");
  const daemon = await TestDaemon.start(publisher);
  const answer = daemon.exportOwn(bundleOf(publisher.genesis.state));
  expect(answer).toMatchObject({ kind: "exported" });
  return { daemon, publisher, operations: operationsBy(daemon, surroundings) };
}

describe("own confirm-restore", () => {
  test("with nothing to confirm says so", async () => {
    const { operations } = await published();
    await expect(operations.confirmRestore()).rejects.toMatchObject({
      code: "NOT_FOUND",
      exitCode: 1,
    });
  });

  test("publishes what SPIRE shows after it went back", async () => {
    const { daemon, operations, publisher } = await published();
    const { state } = publisher.genesis;
    const restored = {
      ...state,
      x509Authorities: [untainted(publisher.ca), untainted(publisher.newCa())],
    };
    daemon.readBundle(bundleOf(restored));
    daemon.wait(12);
    expect(daemon.findings).toContain("SPIRE_WENT_BACK");
    const { record_id, outcome } = await operations.confirmRestore();
    expect([outcome, record_id]).toEqual(["published", daemon.state.own.slot?.held.record.idHex]);
    expect(operations.status().own).toMatchObject({ rev: 1, x509_authorities: 2 });
  });
});

describe("own new-lineage", () => {
  test("begins another lineage, and the log has the reason before anybody is told", async () => {
    const lines: unknown[] = [];
    const { daemon, operations, publisher } = await published({ lines });
    const before = operations.status().own;
    const x509Authorities = [untainted(publisher.ca), untainted(publisher.newCa())];
    daemon.readBundle(bundleOf(stateAfter(publisher.genesis, { x509Authorities })));
    daemon.sign();
    const { record_id } = await operations.newLineage("every key was lost");
    const { own } = operations.status();
    expect(own).toMatchObject({ record_id, lineage: record_id, epoch: 0, rev: 0 });
    expect(own.lineage).not.toBe(before.lineage);
    expect(lines).toMatchObject([
      ["info", { reason: "every key was lost", record_id }, "New lineage begun"],
    ]);
  });

  test("before there is a record names what makes the first one", async () => {
    const lines: unknown[] = [];
    const daemon = await TestDaemon.start(makePublisher("alpha.test"));
    const operations = operationsBy(daemon, { lines });
    await expect(operations.newLineage("why not")).rejects.toMatchObject({ code: "NOT_READY" });
    expect(lines).toMatchObject([["warn", { reason: "why not", code: "NOT_READY" }, /not done/]]);
  });
});

describe("own adopt", () => {
  test("awaits the record from the nodes that are named, which are dialed", async () => {
    const dialed: unknown[] = [];
    const daemon = await TestDaemon.start(makePublisher("alpha.test"));
    const operations = operationsBy(daemon, { dialed });
    const replica = makeNodeKey();
    const peers = [`/dns4/mesh/tcp/7843/p2p/${peerIdOf(replica)}`];
    const fingerprint = "ab".repeat(32);
    expect(await operations.adopt({ fingerprint, peers })).toEqual({
      trust_domain: "alpha.test",
      record_id: fingerprint,
      outcome: "pending",
    });
    const nodes = [replica.publicKey];
    expect(daemon.effects).toContainEqual({
      kind: "admit-nodes",
      trustDomain: "alpha.test",
      nodes,
    });
    expect(dialed).toEqual([["alpha.test", peers]]);
  });

  test("of the record that is held changes nothing", async () => {
    const { operations } = await published();
    const fingerprint = operations.status().own.record_id ?? "";
    const adopted = await operations.adopt({ fingerprint, peers: [] });
    expect(adopted).toMatchObject({ outcome: "unchanged" });
  });

  test("from an address without a peer id is wrong usage", async () => {
    const { operations } = await published();
    const order = { fingerprint: "ab".repeat(32), peers: ["/dns4/mesh/tcp/7843"] };
    await expect(operations.adopt(order)).rejects.toMatchObject({ code: "USAGE" });
  });
});

test("own resume of a daemon that is not recovering says so", async () => {
  const { operations } = await published();
  await expect(operations.resume()).rejects.toMatchObject({ code: "NOT_FOUND" });
});

describe("node add", () => {
  test("lists another node, once; status shows what it is told", async () => {
    const lines: unknown[] = [];
    const { operations, daemon } = await published({ lines });
    daemon.wait(3);
    const other = makeNodeKey();
    const order = { peer_id: peerIdOf(other), fingerprint: fingerprintOf(other) };
    const { record_id, outcome } = await operations.addNode(order);
    expect(outcome).toBe("published");
    expect(await operations.addNode(order)).toMatchObject({ record_id, outcome: "unchanged" });
    const nodes = operations.nodes();
    expect(nodes.map(({ peer_id }) => peer_id)).toContain(order.peer_id);
    expect(nodes.find(({ is_self }) => is_self)?.fingerprint).toBe(
      operations.status().node.fingerprint,
    );
    expect(lines).toMatchObject([
      ["info", { peer_id: order.peer_id, record_id }, "Node added"],
      {},
    ]);
  });

  test("of a fingerprint that is another node's, or of no node, changes nothing", async () => {
    const { operations } = await published();
    const [one, other] = [makeNodeKey(), makeNodeKey()];
    const fingerprint = fingerprintOf(other);
    await expect(operations.addNode({ peer_id: peerIdOf(one), fingerprint })).rejects.toMatchObject(
      { code: "DATA_INVALID" },
    );
    const rsa = "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N";
    await expect(operations.addNode({ peer_id: rsa, fingerprint })).rejects.toMatchObject({
      code: "USAGE",
    });
    expect(operations.nodes()).toHaveLength(1);
  });

  test("that waits for another node names it by its peer id", async () => {
    const { operations, daemon, publisher } = await published();
    daemon.wait(3);
    const [silent, third] = [nodeAbove(publisher.node), makeNodeKey()];
    await operations.addNode({ peer_id: peerIdOf(silent), fingerprint: fingerprintOf(silent) });
    daemon.wait(12);
    const order = { peer_id: peerIdOf(third), fingerprint: fingerprintOf(third) };
    const refusal: unknown = await operations.addNode(order).catch((error: unknown) => error);
    expect(refusal).toMatchObject({ code: "NOT_READY" });
    expect(String(refusal)).toContain(peerIdOf(silent));
    expect(String(refusal)).not.toContain(toHex(silent.publicKey));
  });
});

describe("node remove", () => {
  test("of the last node, of itself and of a stranger is refused, and why", async () => {
    const { operations, daemon, publisher } = await published();
    daemon.wait(3);
    const self = { peer_id: peerIdOf(publisher.node), force: false };
    await expect(operations.removeNode(self)).rejects.toMatchObject({
      code: "NOT_FOUND",
      message: expect.stringContaining("last node"),
    });
    const other = makeNodeKey();
    await operations.addNode({ peer_id: peerIdOf(other), fingerprint: fingerprintOf(other) });
    await expect(operations.removeNode(self)).rejects.toMatchObject({
      message: expect.stringContaining("does not remove itself"),
    });
    const stranger = { peer_id: peerIdOf(makeNodeKey()), force: true };
    await expect(operations.removeNode(stranger)).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  test("removes a node for good: it comes back under no order, and again changes nothing", async () => {
    const { operations, daemon, publisher } = await published();
    daemon.wait(3);
    const other = nodeAbove(publisher.node);
    const order = { peer_id: peerIdOf(other), fingerprint: fingerprintOf(other) };
    await operations.addNode(order);
    daemon.wait(UNHEARD_S);
    const remove = { peer_id: order.peer_id, force: true };
    const { record_id } = await operations.removeNode(remove);
    expect(await operations.removeNode(remove)).toMatchObject({ record_id, outcome: "unchanged" });
    await expect(operations.addNode(order)).rejects.toMatchObject({ code: "NOT_FOUND" });
  });
});

describe("node list", () => {
  test("is empty before there is a record", async () => {
    const daemon = await TestDaemon.start(makePublisher("alpha.test"));
    expect(operationsBy(daemon).nodes()).toEqual([]);
  });

  test("says of each node whether it is connected, and on what it stands", async () => {
    const publisher = makePublisher("alpha.test");
    const other = makeNodeKey();
    const disk = new TestDisk();
    const first = await TestDaemon.start(publisher, { disk });
    first.exportOwn(bundleOf(publisher.genesis.state));
    first.wait(3);
    await operationsBy(first).addNode({
      peer_id: peerIdOf(other),
      fingerprint: fingerprintOf(other),
    });
    const daemon = await TestDaemon.start(publisher, { disk });
    daemon.send({ kind: "peer-connected", node: toHex(other.publicKey) });
    const nodes = operationsBy(daemon).nodes();
    const ascending = [publisher.node, other].sort((left, right) =>
      compareBytes(left.publicKey, right.publicKey),
    );
    expect(nodes.map(({ peer_id }) => peer_id)).toEqual(ascending.map(peerIdOf));
    expect(nodes.map(({ is_lowest }) => is_lowest)).toEqual([true, false]);
    expect(nodes.find(({ is_self }) => !is_self)).toMatchObject({
      connected: true,
      record_id: null,
      holds_ours: false,
      last_heard_at: null,
    });
    expect(nodes.find(({ is_self }) => is_self)).toMatchObject({
      connected: true,
      record_id: daemon.state.own.slot?.held.record.idHex,
      holds_ours: true,
    });
  });
});
