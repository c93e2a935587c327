/** Two records of one version, signed by whoever has both factors; and what ends that. */
import { describe, expect, test } from "vitest";
import { missingRecords, syncEntries } from "../../../src/core/mesh/anti-entropy.ts";
import { isForkEmpty } from "../../../src/core/resolver/slot.ts";
import { toHex } from "../../../src/core/std/bytes.ts";
import type { State } from "../../../src/core/record/state.ts";
import {
  type NodeKey,
  type TestRecord,
  bundleOf,
  commitmentTo,
  makeNodeKey,
  makePublisher,
  makeRecord,
  makeRecoveredRecord,
  stateAfter,
  untainted,
} from "../../arbitraries/record.ts";
import { TestDaemon } from "../mesh/daemon.ts";
import {
  type Stage,
  deliver,
  derOf,
  refusedUnharmed,
  rowOf,
  setStage,
  setStageFor,
} from "./stage.ts";

const recoveryKeys = [makeNodeKey(), makeNodeKey()];

/** A victim with two nodes and recovery keys. */
async function twoNodes(): Promise<
  Stage & { readonly first: TestRecord; readonly other: NodeKey }
> {
  const victim = makePublisher("victim.test");
  const other = makeNodeKey();
  const nodes = [victim.node.publicKey, other.publicKey];
  const state = { ...victim.genesis.state, nodes, recovery: commitmentTo(recoveryKeys) };
  const first = makeRecord(state, [{ node: victim.node, svids: [victim.svid] }]);
  return { ...(await setStageFor(victim, first)), first, other };
}

describe("a fork in which no node is left", () => {
  test("is FORK_EMPTY: what both say stays in the row, and only recovery keys end it", async () => {
    const stage = await twoNodes();
    const { victim, first, other, daemon } = stage;
    const { node, svid, ca } = victim;
    const one = makeRecord(stateAfter(first, { nodes: [node.publicKey] }), [
      { node, svids: [svid] },
    ]);
    const two = makeRecord(stateAfter(first, { nodes: [other.publicKey] }), [
      { node: other, svids: [svid] },
    ]);
    expect(deliver(stage, one)).toBe("taken");
    expect(deliver(stage, two)).toBe("taken");
    expect(isForkEmpty(daemon.slot(victim.trustDomain))).toBe(true);
    expect(daemon.findings).toEqual(["FORK_EMPTY"]);
    expect(rowOf(stage)).toEqual(derOf(ca));
    while (daemon.orders.length > 0) daemon.endRow();
    refusedUnharmed(stage, victim.next(one), "NODE_NOT_LISTED", ["FORK_EMPTY"]);
    // It stands so after a restart.
    const { disk } = daemon;
    const again = await TestDaemon.start(makePublisher("bravo.test"), { disk });
    expect(isForkEmpty(again.slot(victim.trustDomain))).toBe(true);

    const fresh = makeNodeKey();
    const freshCa = victim.newCa();
    const epoch = stateAfter(first, {
      version: { epoch: 1, rev: 0, sequence: 1n },
      nodes: [fresh.publicKey],
      recovery: undefined,
      x509Authorities: [untainted(freshCa)],
    });
    const blocks = [{ node: fresh, svids: [victim.mint(freshCa)] }];
    expect(deliver(stage, makeRecoveredRecord(epoch, blocks, recoveryKeys))).toBe("taken");
    expect(daemon.findings).toEqual([]);
    expect(rowOf(stage)).toEqual(derOf(freshCa));
  });
});

describe("a sibling", () => {
  test("that does not trust what the held one is signed under is evidence only: FORK", async () => {
    const stage = await setStage();
    const { victim, daemon } = stage;
    const { ca, svid, mint, newCa, node, genesis } = victim;
    const nextCa = newCa();
    const both = [untainted(ca), untainted(nextCa)];
    const held = victim.next(genesis, { x509Authorities: both }, [svid, mint(nextCa)]);
    expect(deliver(stage, held)).toBe("taken");
    while (daemon.orders.length > 0) daemon.endRow();
    const sibling = makeRecord(stateAfter(genesis, { x509Authorities: [untainted(ca)] }), [
      { node, svids: [svid] },
    ]);
    refusedUnharmed(stage, sibling, "FORK", ["FORK"]);
  });

  test("of a first record is judged by what stands, never by itself", async () => {
    const stage = await setStage();
    const { genesis } = stage.victim;
    const thief = makeNodeKey();
    const other = makePublisher("victim.test");
    const state: State = {
      ...genesis.state,
      lineage: genesis.lineage,
      nodes: [thief.publicKey],
      x509Authorities: [untainted(other.ca)],
    };
    const parts = { node: thief, svids: [other.svid] };
    refusedUnharmed(stage, makeRecord(state, [parts]), "NODE_NOT_LISTED");
  });

  test("that recovery keys signed as well is evidence only: RECOVERY_FORK", async () => {
    const stage = await twoNodes();
    const { victim, first, daemon } = stage;
    const { node, svid } = victim;
    const version = { epoch: 1, rev: 0, sequence: 2n };
    const blocks = [{ node, svids: [svid] }];
    const recovered = (change: Partial<State>): TestRecord =>
      makeRecoveredRecord(
        stateAfter(first, { version, nodes: [node.publicKey], recovery: undefined, ...change }),
        blocks,
        recoveryKeys,
      );
    const one = recovered({});
    const two = recovered({ removed: [makeNodeKey().publicKey] });
    expect(deliver(stage, one)).toBe("taken");
    while (daemon.orders.length > 0) daemon.endRow();
    refusedUnharmed(stage, two, "RECOVERY_FORK", ["RECOVERY_FORK"]);
    // Without them nothing forks the record that begins an epoch.
    const three = makeRecord(
      stateAfter(first, { version, recovery: undefined, removed: [makeNodeKey().publicKey] }),
      blocks,
    );
    refusedUnharmed(stage, three, "RECOVERY_COUNT", ["RECOVERY_FORK"]);
  });

  test("that recovery keys signed at another sequence of the epoch is told of: RECOVERY_FORK", async () => {
    // Two sites recover at once, or a thief has the keys: each names the sequence of its own SPIRE. The
    // held one stays, as it should, but nobody is told: the other is STALE or RECOVERY_UNASKED.
    const stage = await twoNodes();
    const { victim, first, daemon } = stage;
    const { node, svid } = victim;
    const at = (sequence: bigint): TestRecord => {
      const version = { epoch: 1, rev: 0, sequence };
      const state = stateAfter(first, { version, nodes: [node.publicKey], recovery: undefined });
      return makeRecoveredRecord(state, [{ node, svids: [svid] }], recoveryKeys);
    };
    expect(deliver(stage, at(5n))).toBe("taken");
    expect(deliver(stage, at(6n))).not.toBe("taken");
    expect(deliver(stage, at(4n))).not.toBe("taken");
    expect(daemon.findings).toEqual(["RECOVERY_FORK"]);
  });

  test("of another first commitment of recovery keys is evidence only, and the held one stays", async () => {
    const stage = await setStage();
    const { victim, daemon } = stage;
    const { node, svid, genesis } = victim;
    const version = { epoch: 0, rev: 1, sequence: 1n };
    const commits = (): TestRecord =>
      makeRecord(stateAfter(genesis, { version, recovery: commitmentTo([makeNodeKey()]) }), [
        { node, svids: [svid] },
      ]);
    expect(deliver(stage, commits())).toBe("taken");
    while (daemon.orders.length > 0) daemon.endRow();
    refusedUnharmed(stage, commits(), "FORK", ["FORK"]);
  });
});

describe("a fork that an operator decides", () => {
  test("is over when one of the two is pinned", async () => {
    const { stage, held, sibling } = await forked();
    const { daemon, victim } = stage;
    expect(daemon.pin(victim.trustDomain, sibling.idHex)).toBe("taken");
    const { held: now, sibling: other } = daemon.slot(victim.trustDomain);
    expect(now.record.idHex).toBe(sibling.idHex);
    expect(other).toBeUndefined();
    expect(held.idHex).not.toBe(sibling.idHex);
  });

  test("stays decided when a peer gives us the other one again", async () => {
    // What was pinned has no base, so the other counts beside it again: the next sync undoes the pin.
    const { stage, held, sibling } = await forked();
    const { daemon, victim } = stage;
    expect(daemon.pin(victim.trustDomain, sibling.idHex)).toBe("taken");
    deliver(stage, held);
    expect(daemon.slot(victim.trustDomain).sibling).toBeUndefined();
  });

  test("comes back from the disk with both records and what they have in common", async () => {
    const { stage } = await forked();
    const { disk } = stage.daemon;
    const daemon = await TestDaemon.start(makePublisher("bravo.test"), { disk });
    const { trustDomain } = stage.victim;
    expect(daemon.slot(trustDomain)).toEqual(stage.daemon.slot(trustDomain));
    expect(rowOf({ ...stage, daemon })).toEqual(rowOf(stage));
  });
});

/** Two records after the first, of which each lists an authority of its own. */
async function forked(): Promise<{
  readonly stage: Stage;
  readonly held: TestRecord;
  readonly sibling: TestRecord;
}> {
  const stage = await setStage();
  const { ca, svid, node, genesis, newCa } = stage.victim;
  const [held, sibling] = [newCa(), newCa()].map((each) =>
    makeRecord(stateAfter(genesis, { x509Authorities: [untainted(ca), untainted(each)] }), [
      { node, svids: [svid] },
    ]),
  );
  if (held === undefined || sibling === undefined) throw new Error("there are two");
  expect(deliver(stage, held)).toBe("taken");
  expect(deliver(stage, sibling)).toBe("taken");
  expect(rowOf(stage)).toEqual(derOf(ca));
  return { stage, held, sibling };
}

describe("three records of one version", () => {
  test("are asked for until both hold the two of the smallest ids", async () => {
    const stage = await setStage();
    const { victim, bystander } = stage;
    const { ca, svid, node, genesis, newCa } = victim;
    const [one, two, three] = [1, 2, 3]
      .map(() =>
        makeRecord(stateAfter(genesis, { x509Authorities: [untainted(ca), untainted(newCa())] }), [
          { node, svids: [svid] },
        ]),
      )
      .toSorted((left, right) => (left.idHex < right.idHex ? -1 : 1));
    if (one === undefined || two === undefined || three === undefined) throw new Error("three");
    const daemon = await TestDaemon.start(bystander);
    daemon.sync();
    expect(daemon.import(genesis)).toBe("taken");
    const other: Stage = { ...stage, daemon };
    for (const each of [one, two]) expect(deliver(stage, each)).toBe("taken");
    for (const each of [three, one]) expect(deliver(other, each)).toBe("taken");
    const byId = new Map([one, two, three].map((each) => [each.idHex, each]));
    for (const [asks, answers] of [
      [stage, other],
      [other, stage],
    ] as const) {
      const entries = syncEntries(answers.daemon.state, [victim.trustDomain]);
      for (const { recordId } of missingRecords(asks.daemon.state, entries)) {
        const named = byId.get(toHex(recordId ?? new Uint8Array()));
        if (named !== undefined) deliver(asks, named);
      }
    }
    const ids = ({ daemon: each }: Stage): unknown => {
      const { held, sibling } = each.slot(victim.trustDomain);
      return [held.record.idHex, sibling?.record.idHex];
    };
    expect(ids(other)).toEqual(ids(stage));
    expect(ids(stage)).toEqual([one.idHex, two.idHex]);
  });
});

describe("the own trust domain in a fork", () => {
  test("ends it by itself at the next rev, with what both say of its nodes", async () => {
    const own = makePublisher("bravo.test");
    const daemon = await TestDaemon.start(own);
    daemon.sync();
    daemon.exportOwn(bundleOf(own.genesis.state));
    const held = daemon.state.own.slot?.held.record;
    if (held === undefined) throw new Error("it has published");
    const before = whatIsPublished(daemon);
    const added = makeNodeKey();
    const published = { ...own.genesis, state: held.state, lineage: held.lineage };
    const version = { ...held.state.version, rev: 1 };
    const [one, two] = [[own.node.publicKey, added.publicKey], [own.node.publicKey]].map(
      (nodes, at) =>
        own.next(published, { version, nodes, removed: at === 0 ? [] : [added.publicKey] }),
    );
    if (one === undefined || two === undefined) throw new Error("there are two");
    expect(daemon.receive(one)).toBe("taken");
    expect(daemon.receive(two)).toBe("taken");
    daemon.wait(2);
    while (daemon.signing.length > 0) daemon.sign();
    const healed = daemon.state.own.slot;
    expect(healed?.sibling).toBeUndefined();
    expect(healed?.held.record.state.version).toEqual({ ...version, rev: 2 });
    expect(healed?.effective.state.nodes.map(toHex)).toEqual([toHex(own.node.publicKey)]);
    expect(whatIsPublished(daemon)).not.toEqual(before);
  });

  test("ends it by what an operator confirms, when its SPIRE Server went back meanwhile", async () => {
    const own = makePublisher("bravo.test");
    const daemon = await TestDaemon.start(own);
    daemon.sync();
    daemon.exportOwn({ ...bundleOf(own.genesis.state), sequenceNumber: 7n });
    const held = daemon.state.own.slot?.held.record;
    if (held === undefined) throw new Error("it has published");
    const published = { ...own.genesis, state: held.state, lineage: held.lineage };
    const version = { ...held.state.version, rev: 1 };
    for (const removed of [[], [makeNodeKey().publicKey]]) {
      expect(daemon.receive(own.next(published, { version, removed }))).toBe("taken");
    }
    daemon.signing.length = 0; // The heal is never signed: SPIRE goes back first.
    daemon.state.own.signing = undefined;
    const back = { ...bundleOf(own.genesis.state), sequenceNumber: 3n };
    const x509Authorities = [...back.x509Authorities, untainted(own.newCa())];
    daemon.readBundle({ ...back, x509Authorities });
    daemon.wait(12);
    expect(daemon.findings).toContain("SPIRE_WENT_BACK");
    const order = { kind: "confirm-restore" } as const;
    daemon.ask((ticket) => ({ kind: "own-order-asked", ticket, order }));
    while (daemon.signing.length > 0) daemon.sign();
    expect(daemon.state.own.slot?.sibling).toBeUndefined();
    expect(daemon.state.own.slot?.held.record.state.version).toMatchObject({
      rev: 2,
      sequence: 3n,
    });
    expect(daemon.findings).not.toContain("SPIRE_WENT_BACK");
  });
});

function whatIsPublished(daemon: TestDaemon): unknown {
  return daemon.state.own.slot?.held.record.idHex;
}
