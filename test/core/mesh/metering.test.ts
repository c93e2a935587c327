/** What a forwarder and a node may make us do: parked records, and the budget of a listed node. */
import { describe, expect, test, vi } from "vitest";
import { compareBytes, toHex } from "../../../src/core/std/bytes.ts";
import { PARKED_TRIES_MAX } from "../../../src/core/std/limits.ts";
import { x509Proofs } from "../../../src/x509/proofs.ts";
import {
  NOW_S,
  type TestRecord,
  makeNodeKey,
  makePublisher,
  makeRecord,
  stateAfter,
  untainted,
} from "../../arbitraries/record.ts";
import { TestDaemon, ofKind } from "./daemon.ts";

const alpha = makePublisher("alpha.test");
const bravo = makePublisher("bravo.test");
const { genesis, trustDomain, node, svid, ca } = alpha;
const nextCa = alpha.newCa();
const nextSvid = alpha.mint(nextCa);
const prepared = alpha.next(genesis, { x509Authorities: [untainted(ca), untainted(nextCa)] });
const revoked = alpha.next(prepared, { x509Authorities: [untainted(nextCa)] }, [nextSvid]);
const later = alpha.next(revoked, {}, [nextSvid]);

async function holding(first: TestRecord = genesis): Promise<TestDaemon> {
  const daemon = await TestDaemon.start(bravo);
  expect(daemon.import(first)).toBe("taken");
  return daemon;
}

const heldId = (daemon: TestDaemon): string | undefined =>
  daemon.stored(trustDomain)?.held.recordId;

/** A record of alpha's node that the held authorities do not speak for. */
function unproven(sequence: bigint): TestRecord {
  const stranger = alpha.newCa();
  const state = stateAfter(genesis, {
    version: { epoch: 0, rev: 0, sequence },
    x509Authorities: [untainted(stranger)],
  });
  return makeRecord(state, [{ node, svids: [alpha.mint(stranger)] }]);
}

/** The held record, signed once more. */
function again(signedAtS: number): TestRecord {
  return makeRecord(genesis.state, [{ node, svids: [svid], signedAtS }]);
}

const SOME_SIGNATURE = new Uint8Array(64).fill(1);

/** Counts certificates read meanwhile. */
function readingsOf(work: () => void): number {
  const reading = vi.spyOn(x509Proofs, "readCertificate");
  work();
  const { length } = reading.mock.calls;
  reading.mockRestore();
  return length;
}

describe("a record that came by gossip before the one it stands on", () => {
  test("is taken as soon as that one is, without a finding in between", async () => {
    const daemon = await holding();
    expect(daemon.receive(revoked, "gossip")).toBe("OLD_AUTHORITY_MISSING");
    expect(daemon.findings).toEqual([]);
    expect(heldId(daemon)).toBe(genesis.idHex);
    expect(daemon.receive(prepared, "gossip")).toBe("taken");
    expect(heldId(daemon)).toBe(revoked.idHex);
  });

  test("is taken after a whole row of steps, in their order", async () => {
    const daemon = await holding();
    for (const record of [later, revoked]) daemon.receive(record, "gossip");
    daemon.receive(prepared, "gossip");
    expect(heldId(daemon)).toBe(later.idHex);
  });

  test("answers nobody twice", async () => {
    const daemon = await holding();
    daemon.receive(revoked, "gossip");
    daemon.receive(prepared, "gossip");
    expect(ofKind(daemon.effects, "answer")).toHaveLength(3); // With the import.
  });

  test("is not kept when it came by sync, which brings steps in order: that is a gap", async () => {
    const daemon = await holding();
    const own = toHex(node.publicKey);
    expect(daemon.receive(revoked, "sync", own)).toBe("OLD_AUTHORITY_MISSING");
    expect(daemon.findings).toEqual(["CONTINUITY_GAP"]);
    daemon.receive(prepared, "gossip");
    expect(heldId(daemon)).toBe(prepared.idHex);
  });

  test("waits ten minutes at most", async () => {
    const daemon = await holding();
    daemon.receive(revoked, "gossip");
    daemon.wait(10 * 60 + 1);
    daemon.receive(prepared, "gossip");
    expect(heldId(daemon)).toBe(prepared.idHex);
  });

  test("is gone with its partner when that is forgotten", async () => {
    const daemon = await holding();
    daemon.readRows();
    daemon.endRow();
    daemon.receive(revoked, "gossip");
    daemon.forget(trustDomain);
    daemon.endRow();
    expect(daemon.state.parked.has(trustDomain)).toBe(false);
  });

  test("is never one of the held version: a sibling lacks no step", async () => {
    const daemon = await holding(prepared);
    const sibling = alpha.next(genesis, {}, [svid], { node: makeNodeKey() });
    expect(daemon.receive(sibling, "gossip")).toBe("NODE_NOT_LISTED");
    expect(daemon.state.parked.has(trustDomain)).toBe(false);
  });

  test("that no later record helps stays refused, and shows nowhere", async () => {
    const daemon = await holding();
    const other = makeNodeKey();
    const state = stateAfter(genesis, {
      nodes: [node.publicKey, other.publicKey].sort(compareBytes),
    });
    const byOther = makeRecord(state, [{ node: other, svids: [svid] }]);
    expect(daemon.receive(byOther, "gossip")).toBe("NODE_NOT_LISTED");
    expect(daemon.receive(prepared, "gossip")).toBe("taken");
    expect(heldId(daemon)).toBe(prepared.idHex);
    expect(daemon.state.parked.has(trustDomain), "it is above nothing now").toBe(false);
  });

  test(`is verified again with at most ${PARKED_TRIES_MAX} others for each step`, async () => {
    const daemon = await holding();
    for (let index = 0; index < 10; index += 1) {
      daemon.receive(unproven(BigInt(100 + index)), "gossip");
    }
    daemon.wait(10);
    // Each try reads its own authority and its leaf; the step itself one authority and one leaf.
    const readings = readingsOf(() => expect(daemon.receive(prepared, "gossip")).toBe("taken"));
    expect(readings).toBe(2 + 2 * PARKED_TRIES_MAX);
  });
});

describe("a listed node", () => {
  test("may have ten records verified at once, then one a second", async () => {
    const daemon = await holding();
    for (let index = 0; index < 10; index += 1) {
      const said = daemon.receive(unproven(BigInt(10 + index)), "gossip");
      expect(said).toBe("OLD_AUTHORITY_MISSING");
    }
    expect(daemon.receive(prepared, "gossip")).toBe("OVER_BUDGET");
    daemon.nowMs += 1_000;
    expect(daemon.receive(prepared, "gossip")).toBe("taken");
  });

  test("over its budget costs no certificate and no verification", async () => {
    const daemon = await holding();
    for (let index = 0; index < 10; index += 1)
      daemon.receive(unproven(BigInt(10 + index)), "gossip");
    const before = daemon.snapshot();
    const readings = readingsOf(() => daemon.receive(unproven(30n), "gossip"));
    expect(readings).toBe(0);
    expect(daemon.snapshot()).toEqual(before);
  });

  test("that is over its budget is still synced from, and imported by an operator", async () => {
    const daemon = await holding();
    for (let index = 0; index < 11; index += 1)
      daemon.receive(unproven(BigInt(10 + index)), "gossip");
    expect(daemon.receive(prepared, "sync")).toBe("taken");
    expect(daemon.import(revoked)).toBe("taken");
  });

  test("pays with its own budget: one of another trust domain is not touched", async () => {
    const charlie = makePublisher("charlie.test");
    const daemon = await holding();
    daemon.import(charlie.genesis);
    for (let index = 0; index < 11; index += 1)
      daemon.receive(unproven(BigInt(10 + index)), "gossip");
    expect(daemon.receive(charlie.next(charlie.genesis), "gossip")).toBe("taken");
  });

  test("is not charged for records that a relay repeats", async () => {
    const daemon = await holding(prepared);
    for (let index = 0; index < 50; index += 1) {
      expect(daemon.receive(genesis, "gossip")).toBe("STALE");
      expect(daemon.receive(prepared, "gossip")).toBe("unchanged");
    }
    expect(daemon.receive(revoked, "gossip")).toBe("taken");
  });

  test("pays for new blocks of the held record from another budget", async () => {
    const daemon = await holding();
    for (let index = 1; index <= 10; index += 1) {
      expect(daemon.receive(again(NOW_S + index), "gossip")).toBe("taken");
    }
    expect(daemon.receive(again(NOW_S + 11), "gossip")).toBe("OVER_BUDGET");
    expect(daemon.receive(prepared, "gossip")).toBe("taken");
  });

  test("pays for the blocks of a record that is awaited as well", async () => {
    const daemon = await holding();
    const anew = makePublisher("alpha.test");
    const variant = (signedAtS: number): TestRecord =>
      makeRecord(anew.genesis.state, [
        { node: anew.node, svids: [anew.svid], signedAtS, svidSignature: () => SOME_SIGNATURE },
      ]);
    expect(daemon.pin(trustDomain, anew.genesis.idHex)).toBe("done");
    const said = Array.from({ length: 11 }, (_, index) =>
      daemon.receive(variant(NOW_S - index), "gossip"),
    );
    expect(said.slice(0, 10).every((each) => each === "SVID_SIGNATURE_INVALID")).toBe(true);
    expect(said[10]).toBe("OVER_BUDGET");
    expect(daemon.receive(anew.genesis, "sync")).toBe("taken");
  });

  test("costs no certificate when it repeats the held record", async () => {
    const daemon = await holding();
    const before = daemon.snapshot();
    expect(readingsOf(() => expect(daemon.receive(genesis, "gossip")).toBe("unchanged"))).toBe(0);
    expect(daemon.snapshot()).toEqual(before);
  });
});

/** Higher records that nothing held speaks for, until the domain is over its budget. */
function workedOut(daemon: TestDaemon): number {
  let records = 0;
  const bring = (): string =>
    daemon.receive(unproven(BigInt(1_000 + records)), "sync", toHex(node.publicKey));
  while (bring() !== "OVER_BUDGET") records += 1;
  return records;
}

describe("a trust domain", () => {
  test("pays for the work of what its nodes bring, also when it comes by sync", async () => {
    const daemon = await holding();
    expect(workedOut(daemon)).toBe(513); // Two readings and no check each.
    expect(daemon.receive(prepared)).toBe("OVER_BUDGET");
    daemon.nowMs += 1_000;
    expect(daemon.receive(prepared)).toBe("taken");
  });

  test("over its budget has no signature of its records checked that sync brings", async () => {
    const daemon = await holding();
    workedOut(daemon);
    const checking = vi.spyOn(x509Proofs, "verifiesNode");
    expect(daemon.receive(prepared, "sync", toHex(node.publicKey))).toBe("OVER_BUDGET");
    expect(checking).not.toHaveBeenCalled();
    checking.mockRestore();
  });

  test("over its budget costs nobody else, and an operator may import its file", async () => {
    const charlie = makePublisher("charlie.test");
    const daemon = await holding();
    daemon.import(charlie.genesis);
    workedOut(daemon);
    expect(daemon.receive(charlie.next(charlie.genesis))).toBe("taken");
    expect(daemon.import(prepared)).toBe("taken");
  });

  test("that was away for 64 steps is led forward at once", async () => {
    const daemon = await holding();
    let last = genesis;
    for (let step = 0; step < 64; step += 1) {
      last = alpha.next(last, { x509Authorities: [untainted(ca), untainted(alpha.newCa())] });
      expect(daemon.receive(last)).toBe("taken");
    }
  });

  test("may gossip twenty records at once with all its nodes, then two a second", async () => {
    const nodes = Array.from({ length: 16 }, () => makeNodeKey());
    const keys = nodes.map(({ publicKey }) => publicKey).sort(compareBytes);
    const wide = makePublisher("alpha.test", { nodes: keys });
    const first = makeRecord(wide.genesis.state, [{ node: nodes[0] ?? node, svids: [wide.svid] }]);
    const daemon = await holding(first);
    let last = first;
    const taken = nodes.concat(nodes).map((each) => {
      const next = makeRecord(stateAfter(last), [{ node: each, svids: [wide.svid] }]);
      const said = daemon.receive(next, "gossip");
      if (said === "taken") last = next;
      return said;
    });
    expect(taken.filter((said) => said === "taken")).toHaveLength(20);
    expect(taken.at(-1)).toBe("OVER_BUDGET");
    daemon.nowMs += 1_000;
    const more = nodes.map((each) => {
      const next = makeRecord(stateAfter(last), [{ node: each, svids: [wide.svid] }]);
      const said = daemon.receive(next, "gossip");
      if (said === "taken") last = next;
      return said;
    });
    expect(more.filter((said) => said === "taken")).toHaveLength(2);
  });
});
