/** Records that were true once, or never: replayed, dated back, of another line, or of no use but room. */
import { describe, expect, test } from "vitest";
import { encodeEnvelope } from "../../../src/core/record/envelope.ts";
import { encodeState } from "../../../src/core/record/state.ts";
import { envelopeBytes } from "../../../src/core/resolver/slot.ts";
import { toHex } from "../../../src/core/std/bytes.ts";
import { BLOCKS_MAX } from "../../../src/core/std/limits.ts";
import {
  type BlockParts,
  NOW_S,
  bundleOf,
  makeNodeKey,
  makePublisher,
  makeRecord,
  signBlock,
  stateAfter,
  tainted,
  untainted,
} from "../../arbitraries/record.ts";
import { TestDaemon } from "../mesh/daemon.ts";
import {
  deliver,
  derOf,
  headOf,
  hear,
  refusedUnharmed,
  rowOf,
  setStage,
  setStageFor,
  whatStands,
} from "./stage.ts";

describe("what was true once", () => {
  test("does not come back: each older record is STALE, by rev as by sequence", async () => {
    const stage = await setStage();
    const { victim, daemon } = stage;
    const { genesis } = victim;
    const second = victim.next(genesis);
    const third = victim.next(second, { version: { epoch: 0, rev: 1, sequence: 1n } });
    expect(deliver(stage, second)).toBe("taken");
    expect(deliver(stage, third)).toBe("taken");
    while (daemon.orders.length > 0) daemon.endRow();
    for (const old of [genesis, second, victim.next(second)]) refusedUnharmed(stage, old, "STALE");
  });

  test("does not come back by a file that an operator imports, nor by a pin of it", async () => {
    const stage = await setStage();
    const { victim, daemon } = stage;
    const second = victim.next(victim.genesis);
    expect(deliver(stage, second)).toBe("taken");
    while (daemon.orders.length > 0) daemon.endRow();
    const before = whatStands(stage);
    expect(daemon.import(victim.genesis)).toBe("STALE");
    expect(whatStands(stage)).toEqual(before);
    expect(daemon.pin(victim.trustDomain, victim.genesis.idHex)).toBe("done");
    expect(daemon.import(victim.genesis)).toBe("unchanged"); // The lineage has passed it.
    expect(daemon.findings).toEqual([]);
    expect(daemon.slot(victim.trustDomain).held.record.idHex).toBe(second.idHex);
  });

  test("changes nothing when it is what is held: unchanged, however often", async () => {
    const stage = await setStage();
    const before = whatStands(stage);
    for (let time = 0; time < 5; time += 1) {
      expect(deliver(stage, stage.victim.genesis)).toBe("unchanged");
    }
    expect(whatStands(stage)).toEqual(before);
  });
});

describe("a step that is dated back", () => {
  test("before its node's own head of a lower version is SIGNED_TOO_EARLY", async () => {
    const stage = await setStage();
    const { victim, daemon } = stage;
    daemon.wait(400);
    const nowS = Math.floor(daemon.nowMs / 1_000);
    expect(hear(stage, headOf(victim.node, victim.genesis, daemon.nowMs))).toBe("heard");
    const early = victim.next(victim.genesis, {}, [victim.svid], { signedAtS: nowS - 301 });
    refusedUnharmed(stage, early, "SIGNED_TOO_EARLY");
    const inTime = victim.next(victim.genesis, {}, [victim.svid], { signedAtS: nowS - 300 });
    expect(deliver(stage, inTime)).toBe("taken");
  });

  test("is no better when its thief says in a head that the node stands higher", async () => {
    const stage = await setStage();
    const { victim, daemon } = stage;
    daemon.wait(400);
    const nowS = Math.floor(daemon.nowMs / 1_000);
    expect(hear(stage, headOf(victim.node, victim.genesis, daemon.nowMs))).toBe("heard");
    const version = { epoch: 0, rev: 0, sequence: 99n };
    const counter = BigInt(daemon.nowMs) + 1n;
    const lie = headOf(victim.node, victim.genesis, daemon.nowMs, { version, counter });
    expect(hear(stage, lie)).toBe("heard");
    const early = victim.next(victim.genesis, {}, [victim.svid], { signedAtS: nowS - 301 });
    expect(deliver(stage, early)).toBe("SIGNED_TOO_EARLY");
  });

  test("more than ten minutes before what is held is SIGNED_TOO_EARLY without any head", async () => {
    const stage = await setStage();
    const { victim } = stage;
    const early = victim.next(victim.genesis, {}, [victim.svid], { signedAtS: NOW_S - 601 });
    refusedUnharmed(stage, early, "SIGNED_TOO_EARLY");
  });

  test("into the life of an authority that has ended is CHAIN_NOT_VALID_THEN or too early", async () => {
    const stage = await setStage();
    const { victim } = stage;
    const { mint, ca, node, genesis } = victim;
    const ended = mint(ca, { notAfterS: NOW_S - 10 });
    const state = stateAfter(genesis);
    const now = makeRecord(state, [{ node, svids: [ended] }]);
    refusedUnharmed(stage, now, "CHAIN_NOT_VALID_THEN");
  });
});

describe("another line of the same name", () => {
  test("is WRONG_LINEAGE, a genesis of its own as well as what follows it", async () => {
    const stage = await setStage();
    const other = makePublisher("victim.test");
    refusedUnharmed(stage, other.genesis, "WRONG_LINEAGE");
    refusedUnharmed(stage, other.next(other.genesis), "WRONG_LINEAGE");
    // Signed by the listed node under the listed authority.
    const { node, svid, genesis } = stage.victim;
    const state = { ...stateAfter(genesis), lineage: other.genesis.lineage };
    refusedUnharmed(stage, makeRecord(state, [{ node, svids: [svid] }]), "WRONG_LINEAGE");
  });

  test("is not what the first record says again with its lineage named: STALE", async () => {
    const stage = await setStage();
    const { node, svid, genesis } = stage.victim;
    const state = { ...genesis.state, lineage: genesis.lineage };
    refusedUnharmed(stage, makeRecord(state, [{ node, svids: [svid] }]), "STALE");
  });

  test("of a stranger is not looked at: TRUST_DOMAIN_UNKNOWN", async () => {
    const stage = await setStage();
    refusedUnharmed(stage, makePublisher("stranger.test").genesis, "TRUST_DOMAIN_UNKNOWN");
  });

  test("does not take an approval that waits for exactly one record: FIRST_RECORD_UNNAMED", async () => {
    const daemon = await TestDaemon.start(makePublisher("bravo.test"));
    daemon.sync();
    const victim = makePublisher("victim.test");
    expect(daemon.import(victim.genesis, { fingerprint: "00".repeat(32) })).toBe(
      "FINGERPRINT_MISMATCH",
    );
    expect(daemon.receive(victim.genesis)).toBe("TRUST_DOMAIN_UNKNOWN");
    expect(daemon.disk.domains.size).toBe(0);
  });
});

function junk(): BlockParts {
  return { node: makeNodeKey(), svids: [makePublisher("stranger.test").svid] };
}

describe("junk blocks", () => {
  test("around a good one are left out: what is held keeps its room", async () => {
    const stage = await setStage();
    const { victim, daemon } = stage;
    const good = { node: victim.node, svids: [victim.svid] };
    const state = stateAfter(victim.genesis);
    const crowd = Array.from({ length: BLOCKS_MAX - 1 }, () => junk());
    expect(deliver(stage, makeRecord(state, [...crowd, good]))).toBe("taken");
    const { held } = daemon.slot(victim.trustDomain);
    expect(held.blocks.map(({ block }) => toHex(block.nodePublicKey))).toEqual([
      toHex(victim.node.publicKey),
    ]);
    const again = whatStands(stage);
    expect(deliver(stage, makeRecord(state, crowd))).toBe("NODE_NOT_LISTED");
    expect(whatStands(stage)).toEqual(again);
  });

  test("of a listed node whose key was stolen do not push out the good one", async () => {
    const stage = await setStage();
    const { victim, daemon } = stage;
    const before = envelopeBytes(daemon.slot(victim.trustDomain).held);
    for (let time = 0; time < 3; time += 1) {
      const svids = [victim.mint(victim.newCa())];
      const more = makeRecord(victim.genesis.state, [{ node: victim.node, svids }]);
      expect(deliver(stage, more)).not.toBe("taken");
    }
    expect(envelopeBytes(daemon.slot(victim.trustDomain).held)).toEqual(before);
  });

  test("are never more than eight, nor one of them twice: ENVELOPE_MALFORMED", async () => {
    const stage = await setStage();
    const { victim } = stage;
    const state = stateAfter(victim.genesis);
    const nine = Array.from({ length: BLOCKS_MAX + 1 }, () => junk());
    refusedUnharmed(stage, makeRecord(state, nine), "ENVELOPE_MALFORMED");
    const payload = encodeState(state);
    const block = signBlock(makeRecord(state, []).id, { node: victim.node, svids: [victim.svid] });
    const twice = encodeEnvelope({ kind: 1, payload, blocks: [block, block], recovery: [] });
    refusedUnharmed(stage, { envelope: twice }, "ENVELOPE_MALFORMED");
  });

  test("come by gossip one at a time: BLOCK_COUNT", async () => {
    const { victim, daemon } = await setStage();
    const second = { node: victim.node, svids: [victim.mint(victim.ca)] };
    const good = { node: victim.node, svids: [victim.svid] };
    const two = makeRecord(stateAfter(victim.genesis), [good, second]);
    expect(daemon.receive(two, "gossip")).toBe("BLOCK_COUNT");
  });
});

describe("an authority that comes back", () => {
  test("is left out of the row and told: AUTHORITY_RETURNED; the rest is written", async () => {
    const victim = makePublisher("victim.test");
    const revoked = victim.newCa();
    const x509Authorities = [untainted(victim.ca), untainted(revoked)];
    const first = makeRecord({ ...victim.genesis.state, x509Authorities }, [
      { node: victim.node, svids: [victim.svid] },
    ]);
    const stage = await setStageFor(victim, first);
    const { daemon } = stage;
    const second = victim.next(first, { x509Authorities: [untainted(victim.ca)] });
    expect(deliver(stage, second)).toBe("taken");
    expect(rowOf(stage)).toEqual(derOf(victim.ca));
    const fresh = victim.newCa();
    // A backup of before, confirmed: the next rev at the sequence of then.
    const restored = victim.next(second, {
      version: { epoch: 0, rev: 1, sequence: 1n },
      x509Authorities: [...x509Authorities, untainted(fresh)],
    });
    expect(deliver(stage, restored)).toBe("taken");
    expect(daemon.findings).toEqual(["AUTHORITY_RETURNED"]);
    expect(rowOf(stage)).toEqual(derOf(victim.ca, fresh));
    // Taken back again, it is over.
    const third = victim.next(restored, {
      x509Authorities: [untainted(victim.ca), tainted(revoked), untainted(fresh)],
    });
    expect(deliver(stage, third)).toBe("taken");
    expect(daemon.findings).toEqual([]);
  });

  test("stays out after a restart", async () => {
    const victim = makePublisher("victim.test");
    const revoked = victim.newCa();
    const x509Authorities = [untainted(victim.ca), untainted(revoked)];
    const first = makeRecord({ ...victim.genesis.state, x509Authorities }, [
      { node: victim.node, svids: [victim.svid] },
    ]);
    const stage = await setStageFor(victim, first);
    const second = victim.next(first, { x509Authorities: [untainted(victim.ca)] });
    expect(deliver(stage, second)).toBe("taken");
    const { disk } = stage.daemon;
    const daemon = await TestDaemon.start(makePublisher("bravo.test"), { disk });
    daemon.sync();
    const back = victim.next(second, {
      version: { epoch: 0, rev: 1, sequence: 1n },
      x509Authorities,
    });
    expect(deliver({ ...stage, daemon }, back)).toBe("taken");
    expect(daemon.findings).toContain("AUTHORITY_RETURNED");
    expect(rowOf({ ...stage, daemon })).toEqual(derOf(victim.ca));
  });
});

describe("a record of the own trust domain that its SPIRE Server never said", () => {
  test("is FORGED_OWN, with the proof, and changes nothing of what is published", async () => {
    const own = makePublisher("bravo.test");
    const daemon = await TestDaemon.start(own);
    daemon.sync();
    daemon.exportOwn(bundleOf(own.genesis.state));
    daemon.wait(5);
    const before = daemon.stored(own.trustDomain);
    const held = daemon.state.own.slot?.held.record;
    if (held === undefined) throw new Error("it has published");
    const thiefs = untainted(own.newCa());
    const x509Authorities = [untainted(own.ca), thiefs];
    const published = { ...own.genesis, state: held.state, lineage: held.lineage };
    const ahead = own.next(published, { x509Authorities });
    expect(daemon.receive(ahead)).toBe("FORGED_OWN");
    expect(daemon.findings).toEqual([]); // Another own node may have read it: not yet.
    daemon.wait(11);
    expect(daemon.findings).toEqual(["FORGED_OWN"]);
    expect(daemon.stored(own.trustDomain)).toEqual(before);
    // At a number that was read here nobody needs to wait.
    const version = { ...held.state.version, rev: 1 };
    const beside = own.next(published, { version, x509Authorities });
    expect(daemon.receive(beside)).toBe("FORGED_OWN");
    expect(daemon.stored(own.trustDomain)).toEqual(before);
  });
});
