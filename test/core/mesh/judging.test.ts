/**
 * What is judged and who pays for it: which blocks are new, what a block of the held record has to
 * link, and whose work stops at whose budget. Laws first; the budgets by themselves are
 * metering.test.ts's and relays.test.ts's.
 */
import * as fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { encodeEnvelope } from "../../../src/core/record/envelope.ts";
import { encodeState } from "../../../src/core/record/state.ts";
import { compareBytes, toHex } from "../../../src/core/std/bytes.ts";
import { DOMAIN_WORK_AT_ONCE_MAX, NODE_RECORDS_AT_ONCE_MAX } from "../../../src/core/std/limits.ts";
import { x509Proofs } from "../../../src/x509/proofs.ts";
import {
  NOW_S,
  type Publisher,
  type TestRecord,
  bundleOf,
  makeNodeKey,
  makePublisher,
  makeRecord,
  signBlock,
  stateAfter,
  untainted,
} from "../../arbitraries/record.ts";
import { TestDaemon } from "./daemon.ts";

const alpha = makePublisher("alpha.test");
const bravo = makePublisher("bravo.test");
const charlie = makePublisher("charlie.test");
const { trustDomain, node, ca, svid } = alpha;
/** Two daemons of alpha, and two authorities: the second record lists both, the third only the new one. */
const replica = makeNodeKey();
const nodes = [node.publicKey, replica.publicKey].sort(compareBytes);
const genesis = makeRecord({ ...alpha.genesis.state, nodes }, [{ node, svids: [svid] }]);
const nextCa = alpha.newCa();
const nextSvid = alpha.mint(nextCa);
const prepared = alpha.next(genesis, { x509Authorities: [untainted(ca), untainted(nextCa)] });
const onlyNext = { x509Authorities: [untainted(nextCa)] };
const revoked = alpha.next(prepared, onlyNext, [svid, nextSvid]);
/** The same, but nothing before the second record speaks for it. */
const early = alpha.next(prepared, onlyNext, [nextSvid]);

const own = toHex(node.publicKey);
const relay = toHex(charlie.node.publicKey);
/** Nodes that no held record lists. */
const UNLISTED = ["f0".repeat(32), "e0".repeat(32)] as const;

/** Bravo's daemon, which holds charlie's first record and these of alpha. */
async function holding(...records: readonly TestRecord[]): Promise<TestDaemon> {
  const daemon = await TestDaemon.start(bravo);
  for (const record of [charlie.genesis, ...records]) expect(daemon.import(record)).toBe("taken");
  return daemon;
}

const heldId = (daemon: TestDaemon): string | undefined =>
  daemon.stored(trustDomain)?.held.recordId;

/** How often a proof was asked for meanwhile. */
function countOf(proof: "readCertificate" | "verifiesNode", work: () => void): number {
  const asking = vi.spyOn(x509Proofs, proof);
  work();
  const { length } = asking.mock.calls;
  asking.mockRestore();
  return length;
}

describe("blocks of the held record", () => {
  const state = { ...genesis.state, x509Authorities: [untainted(ca), untainted(nextCa)] };
  const whole = makeRecord(state, [{ node, svids: [svid] }]);
  const blocks = [node, replica].flatMap((each) =>
    [svid, nextSvid].map((one) => signBlock(whole.id, { node: each, svids: [one] })),
  );
  const withBlocks = (indexes: readonly number[]): TestRecord => {
    const some = blocks.filter((_, index) => indexes.includes(index));
    const payload = encodeState(state);
    return { ...whole, envelope: encodeEnvelope({ kind: 1, payload, blocks: some, recovery: [] }) };
  };
  const some = fc.subarray([...blocks.keys()], { minLength: 1 });

  test("are read when one of them is new, and cost no certificate when none is", async () => {
    await fc.assert(
      fc.asyncProperty(some, some, async (held, brought) => {
        const daemon = await holding(withBlocks(held));
        const isKnown = brought.every((each) => held.includes(each));
        let said = "";
        const readings = countOf("readCertificate", () => {
          said = daemon.receive(withBlocks(brought));
        });
        expect(said).toBe(isKnown ? "unchanged" : "taken");
        expect(readings > 0).toBe(!isKnown);
        const all = new Set([...held, ...brought]);
        expect(daemon.slot(trustDomain).held.blocks).toHaveLength(all.size);
      }),
      {
        numRuns: 25,
        examples: [
          [[0], [0, 3]],
          [[0, 3], [3]],
        ],
      },
    );
  });
});

describe("judged by the record before the held one", () => {
  const byReplica = (of: TestRecord, signedAtS = NOW_S, svids = [svid]): TestRecord =>
    makeRecord(of.state, [{ node: replica, svids, signedAtS }]);
  const sibling = (of: TestRecord, svids = [svid]): TestRecord =>
    makeRecord({ ...of.state, nodes: [node.publicKey] }, [{ node, svids }]);
  const anHourBefore = NOW_S - 3_600;
  const cases: readonly (readonly [string, string, readonly TestRecord[], TestRecord])[] = [
    [
      "a block under an authority that the held one removes",
      "taken",
      [genesis, prepared, revoked],
      byReplica(revoked, NOW_S, [svid, nextSvid]),
    ],
    [
      "a block under an authority that only the held one brings",
      "OLD_AUTHORITY_MISSING",
      [genesis, prepared],
      byReplica(prepared, NOW_S, [nextSvid]),
    ],
    [
      "a block of a first record, from an hour before it",
      "SIGNED_TOO_EARLY",
      [genesis],
      byReplica(genesis, anHourBefore),
    ],
    [
      "a block from an hour ago",
      "SIGNED_TOO_EARLY",
      [genesis, prepared],
      byReplica(prepared, anHourBefore),
    ],
    [
      "a sibling under an authority that both remove",
      "OLD_AUTHORITY_MISSING",
      [genesis, prepared, revoked],
      sibling(revoked, [svid, nextSvid]),
    ],
    [
      "a sibling under an authority that both keep",
      "taken",
      [genesis, prepared, revoked],
      sibling(revoked, [nextSvid]),
    ],
    [
      "a sibling under an authority that both bring",
      "OLD_AUTHORITY_MISSING",
      [genesis, prepared],
      sibling(prepared, [nextSvid]),
    ],
  ];
  test.each(cases)("%s is %s", async (_, said, records, record) => {
    const daemon = await holding(...records);
    const before = heldId(daemon);
    expect(daemon.receive(record)).toBe(said);
    expect(daemon.disk.idsOf(trustDomain)).toContain(before);
  });
});

/** A higher record that nothing held speaks for, with as many blocks as fit. */
function dearOf({ genesis: of, node: by, newCa, mint }: Publisher, first = of): TestRecord {
  const stranger = newCa();
  const svids = [mint(stranger)];
  const state = stateAfter(first, {
    version: { epoch: 0, rev: 0, sequence: 1_000n },
    x509Authorities: [untainted(stranger)],
  });
  const signed = Array.from({ length: 8 }, (_, index) => ({
    node: by,
    svids,
    signedAtS: NOW_S - index,
  }));
  return makeRecord(state, signed);
}

const dear = dearOf(alpha, genesis);

/** A node brings what is refused, each time at a price, until that is not looked at any more. */
function spend(daemon: TestDaemon, from: string, record = dear): void {
  let said = "";
  for (let work = 0; work <= DOMAIN_WORK_AT_ONCE_MAX && said !== "OVER_BUDGET"; work += 1) {
    said = daemon.receive(record, "sync", from);
  }
  expect(said).toBe("OVER_BUDGET");
}

describe("a gossiped record", () => {
  test("is not verified for a trust domain that is over its budget, whoever forwards it", async () => {
    const daemon = await holding(genesis);
    spend(daemon, own);
    for (const from of [own, relay, ...UNLISTED]) {
      const readings = countOf("readCertificate", () =>
        expect(daemon.receive(prepared, "gossip", from)).toBe("OVER_BUDGET"),
      );
      expect(readings).toBe(0);
    }
    daemon.nowMs += 1_000;
    expect(daemon.receive(prepared, "gossip", own)).toBe("taken");
  });

  test("is not verified for a relay whose share is spent, and costs its node nothing", async () => {
    const daemon = await holding(genesis);
    spend(daemon, relay);
    for (let time = 0; time <= NODE_RECORDS_AT_ONCE_MAX; time += 1) {
      expect(daemon.receive(prepared, "gossip", relay)).toBe("OVER_BUDGET");
    }
    expect(daemon.receive(prepared, "gossip", own)).toBe("taken");
  });
});

describe("a parked record", () => {
  test("is not verified for a trust domain that went over its budget meanwhile", async () => {
    const daemon = await holding(genesis);
    expect(daemon.receive(early, "gossip", own)).toBe("OLD_AUTHORITY_MISSING");
    spend(daemon, own);
    expect(daemon.import(prepared)).toBe("taken");
    expect(heldId(daemon)).toBe(prepared.idHex);
    daemon.nowMs += 1_000;
    expect(daemon.receive(revoked, "sync", own)).toBe("taken");
  });

  test("is not verified for a relay that spent its share meanwhile", async () => {
    const daemon = await holding(genesis);
    expect(daemon.receive(early, "gossip", relay)).toBe("OLD_AUTHORITY_MISSING");
    spend(daemon, relay);
    expect(daemon.receive(prepared, "sync", own)).toBe("taken");
    expect(heldId(daemon)).toBe(prepared.idHex);
    expect(daemon.receive(revoked, "sync", own)).toBe("taken");
  });
});

describe("nodes that nobody lists", () => {
  test("have one share together, and spend nothing of the trust domain's nor of a relay's", async () => {
    const daemon = await holding(genesis);
    spend(daemon, UNLISTED[0]);
    expect(daemon.receive(prepared, "sync", UNLISTED[1])).toBe("OVER_BUDGET");
    expect(daemon.receive(prepared, "sync", relay)).toBe("taken");
    expect(daemon.receive(revoked, "sync", own)).toBe("taken");
  });
});

describe("a record that sync brings", () => {
  test("is not read for a trust domain that is over its budget but for its name", async () => {
    const daemon = await holding(genesis);
    const payload = encodeState(prepared.state).subarray(0, -1);
    const block = signBlock(prepared.id, { node, svids: [svid] });
    const cut = { envelope: encodeEnvelope({ kind: 1, payload, blocks: [block], recovery: [] }) };
    const ofCharlie = { envelope: charlie.genesis.envelope.subarray(0, -1) };
    expect(daemon.receive(cut, "sync", own)).toBe("PAYLOAD_MALFORMED");
    spend(daemon, own);
    expect(daemon.receive(cut, "sync", own)).toBe("OVER_BUDGET");
    expect(daemon.receive(cut, "gossip", own)).toBe("PAYLOAD_MALFORMED");
    expect(daemon.receive(ofCharlie, "sync", own)).toBe("ENVELOPE_MALFORMED");
  });
});

describe("the own trust domain", () => {
  test("over its budget has no signature of its records checked that sync brings", async () => {
    const daemon = await TestDaemon.start(bravo);
    daemon.exportOwn(bundleOf(bravo.genesis.state));
    const from = toHex(bravo.node.publicKey);
    spend(daemon, from, dearOf(bravo));
    const next = bravo.next(bravo.genesis);
    const checks = countOf("verifiesNode", () =>
      expect(daemon.receive(next, "sync", from)).toBe("OVER_BUDGET"),
    );
    expect(checks).toBe(0);
  });
});

const SOME_SIGNATURE = new Uint8Array(64).fill(1);

/** A node gossips blocks of a record that its SVID did not sign, as many as it may. */
function spendRecords(daemon: TestDaemon, of: TestRecord, by: Publisher): void {
  for (let index = 0; index < NODE_RECORDS_AT_ONCE_MAX; index += 1) {
    const block = {
      node: by.node,
      svids: [by.svid],
      signedAtS: NOW_S - index,
      svidSignature: () => SOME_SIGNATURE,
    };
    const said = daemon.receive(makeRecord(of.state, [block]), "gossip");
    expect(said).toBe("SVID_SIGNATURE_INVALID");
  }
}

describe("a node that gossiped as many records as it may", () => {
  const anew = makePublisher("alpha.test");

  test("paid with them for an awaited record, and still has blocks of the held one heard", async () => {
    const daemon = await holding(genesis);
    daemon.pin(trustDomain, anew.genesis.idHex);
    spendRecords(daemon, anew.genesis, anew);
    expect(daemon.receive(anew.genesis)).toBe("taken");
    const again = makeRecord(anew.genesis.state, [
      { node: anew.node, svids: [anew.svid], signedAtS: NOW_S + 1 },
    ]);
    expect(daemon.receive(again, "gossip")).toBe("taken");
    expect(daemon.receive(anew.next(anew.genesis), "gossip")).toBe("OVER_BUDGET");
  });

  test("has no sibling of the held one judged", async () => {
    const daemon = await holding(genesis, prepared);
    spendRecords(daemon, alpha.next(prepared), alpha);
    expect(daemon.receive(alpha.next(genesis), "gossip")).toBe("OVER_BUDGET");
  });
});
