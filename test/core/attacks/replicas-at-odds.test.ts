/** Operators who decide at two replicas at once, or at the wrong one: what they may, and what they wait for. */
import { describe, expect, test } from "vitest";
import type { OwnOrder } from "../../../src/core/mesh/own-order.ts";
import { ofKind, TestDaemon } from "../mesh/daemon.ts";
import { compareBytes, toHex } from "../../../src/core/std/bytes.ts";
import {
  type NodeKey,
  type Publisher,
  type TestRecord,
  bundleOf,
  commitmentTo,
  makeNodeKey,
  makePublisher,
  makeRecord,
  stateAfter,
} from "../../arbitraries/record.ts";
import { headOf, hear } from "./stage.ts";

interface Replica {
  readonly daemon: TestDaemon;
  readonly own: Publisher;
  readonly first: TestRecord;
  /** The other nodes, ascending. */
  readonly others: readonly NodeKey[];
}

/** The daemon of one node of several, which stands on the first record; its place among them by key. */
async function replica(nodes: number, place: number): Promise<Replica> {
  const keys = Array.from({ length: nodes }, () => makeNodeKey()).toSorted((one, other) =>
    compareBytes(one.publicKey, other.publicKey),
  );
  const node = keys[place];
  if (node === undefined) throw new Error("there is one");
  const made = makePublisher("bravo.test");
  const state = { ...made.genesis.state, nodes: keys.map(({ publicKey }) => publicKey) };
  const first = makeRecord(state, [{ node, svids: [made.svid] }]);
  const own = { ...made, node, genesis: first };
  const daemon = await TestDaemon.start(own);
  daemon.sync();
  daemon.readBundle(bundleOf(state));
  daemon.ask((ticket) => ({
    kind: "adopt-asked",
    ticket,
    fingerprint: first.idHex,
    nodes: [],
  }));
  expect(daemon.receive(first)).toBe("taken");
  daemon.wait(3); // SPIRE has said the same for a while.
  return { daemon, own, first, others: keys.filter((each) => each !== node) };
}

/** Another node is connected, and says that it stands on a record. */
function announce({ daemon }: Replica, node: NodeKey, record: TestRecord): void {
  daemon.send({ kind: "peer-connected", node: toHex(node.publicKey) });
  expect(hear({ daemon }, headOf(node, record, daemon.nowMs))).toBe("heard");
}

/** What an order comes to within its time: a record, or why not. */
function order({ daemon }: Replica, asked: OwnOrder): string {
  daemon.ask((ticket) => ({ kind: "own-order-asked", ticket, order: asked }));
  const ticket = daemon.lastTicket;
  for (let second = 0; second < 12 && daemon.signing.length === 0; second += 1) daemon.wait(1);
  while (daemon.signing.length > 0) daemon.sign();
  const answer = daemon.answerOf(ticket);
  return answer?.kind === "failed" ? answer.failure : (answer?.kind ?? "no answer");
}

const remove = ({ publicKey }: NodeKey, force = false): OwnOrder => ({
  kind: "remove-node",
  node: publicKey,
  force,
});

describe("of two nodes", () => {
  test("the higher one does not remove the lower: both could at once, and no node were left", async () => {
    const at = await replica(2, 1);
    const [lower] = at.others;
    if (lower === undefined) throw new Error("there is one");
    announce(at, lower, at.first);
    expect(order(at, remove(lower))).toBe("NOT_READY");
    expect(at.daemon.state.own.slot?.held.record.idHex).toBe(at.first.idHex);
  });

  test("the higher one removes a lower one that is gone for good, by force", async () => {
    const at = await replica(2, 1);
    const [lower] = at.others;
    if (lower === undefined) throw new Error("there is one");
    expect(order(at, remove(lower, true))).toBe("NOT_READY"); // It may only have been slow.
    at.daemon.wait(301);
    expect(order(at, remove(lower, true))).toBe("taken");
    expect(at.daemon.state.own.slot?.effective.state.nodes).toHaveLength(1);
  });

  test("the lower one asks the other before it removes it", async () => {
    const at = await replica(2, 0);
    const [higher] = at.others;
    if (higher === undefined) throw new Error("there is one");
    expect(order(at, remove(higher))).toBe("NOT_READY");
    announce(at, higher, at.first);
    expect(order(at, remove(higher))).toBe("taken");
  });
});

describe("of three nodes", () => {
  test("one is removed when the other that stays announces the own record, and is told of first", async () => {
    const at = await replica(3, 0);
    const [stays, goes] = at.others;
    if (stays === undefined || goes === undefined) throw new Error("there are two");
    expect(order(at, remove(goes))).toBe("NOT_READY");
    announce(at, stays, at.first);
    const before = at.daemon.effects.length;
    expect(order(at, remove(goes))).toBe("taken");
    const published = (): number =>
      ofKind(at.daemon.effects.slice(before), "publish-record").length;
    expect(published()).toBe(0);
    const { own } = at.daemon.state;
    const held = own.slot?.held.record;
    if (held === undefined) throw new Error("it is held");
    at.daemon.wait(1);
    expect(hear(at, headOf(stays, { ...at.first, ...held }, at.daemon.nowMs))).toBe("heard");
    expect(published()).toBe(1);
  });

  test("none is removed before the last change is held by those that stay", async () => {
    const at = await replica(3, 0);
    const [stays, goes] = at.others;
    if (stays === undefined || goes === undefined) throw new Error("there are two");
    announce(at, stays, at.first);
    announce(at, goes, at.first);
    expect(order(at, remove(goes))).toBe("taken");
    expect(order(at, remove(stays))).toBe("NOT_READY");
  });

  test("only the lowest commits recovery keys: of two commitments none would count beside the other", async () => {
    const commit: OwnOrder = {
      kind: "commit-recovery",
      commitment: commitmentTo([makeNodeKey()]),
    };
    const higher = await replica(3, 1);
    for (const each of higher.others) announce(higher, each, higher.first);
    expect(order(higher, commit)).toBe("NOT_READY");
    const lowest = await replica(3, 0);
    expect(order(lowest, commit)).toBe("NOT_READY"); // Nobody announces anything.
    for (const each of lowest.others) announce(lowest, each, lowest.first);
    expect(order(lowest, commit)).toBe("taken");
  });
});

describe("a replica that is to adopt a record", () => {
  test("does not go back in its own lineage, whatever id it was given", async () => {
    const at = await replica(2, 0);
    const state = stateAfter(at.first);
    const next = makeRecord(state, [{ node: at.own.node, svids: [at.own.svid] }]);
    at.daemon.readBundle({ ...bundleOf(at.first.state), sequenceNumber: 2n });
    expect(at.daemon.receive(next)).toBe("taken");
    at.daemon.ask((ticket) => ({
      kind: "adopt-asked",
      ticket,
      fingerprint: at.first.idHex,
      nodes: [],
    }));
    expect(at.daemon.receive(at.first)).toBe("unchanged");
    expect(at.daemon.state.own.slot?.held.record.idHex).toBe(next.idHex);
  });
});
