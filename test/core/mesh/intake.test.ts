import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { TestDaemon, TestDisk, ofKind, told } from "./daemon.ts";
import { toHex } from "../../../src/core/std/bytes.ts";
import { makeAuthority } from "../../arbitraries/authority.ts";
import {
  NOW_S,
  type TestRecord,
  bundleOf,
  makeNodeKey,
  makePublisher,
  makeRecord,
  stateAfter,
  untainted,
} from "../../arbitraries/record.ts";

const alpha = makePublisher("alpha.test");
const bravo = makePublisher("bravo.test");
const { genesis, trustDomain, node, svid } = alpha;

/** A rotation in four records: prepared, both, the old one gone, and on. */
const nextCa = alpha.newCa();
const nextSvid = alpha.mint(nextCa);
const both = { x509Authorities: [untainted(alpha.ca), untainted(nextCa)] };
const onlyNext = { x509Authorities: [untainted(nextCa)] };
const prepared = alpha.next(genesis, both);
const activated = alpha.next(prepared, {}, [svid, nextSvid]);
const revoked = alpha.next(activated, onlyNext, [svid, nextSvid]);
const later = alpha.next(revoked, {}, [nextSvid]);
const rotation = [genesis, prepared, activated, revoked, later];

const NOBODY = makeNodeKey().publicKey;

/** Bravo's daemon after it imported a record of alpha, with the row written. */
async function holding(first: TestRecord = genesis, disk = new TestDisk()): Promise<TestDaemon> {
  const daemon = await TestDaemon.start(bravo, { disk });
  expect(daemon.import(first)).toBe("taken");
  daemon.readRows();
  daemon.endRow();
  return daemon;
}

const heldId = (daemon: TestDaemon): string | undefined =>
  daemon.stored(trustDomain)?.held.recordId;

describe("partners", () => {
  test("that saw every record of a rotation hold the same one, whatever came first", async () => {
    const arrivals = fc.array(fc.nat(rotation.length - 1), { maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(arrivals, async (gossiped) => {
        const daemon = await holding();
        for (const index of gossiped) daemon.receive(rotation[index] ?? genesis, "gossip");
        for (const record of rotation) daemon.receive(record, "sync");
        expect(daemon.stored(trustDomain)?.held).toEqual({
          epoch: 0,
          rev: 0,
          sequence: 5n,
          recordId: later.idHex,
          envelope: later.envelope,
        });
        expect(daemon.findings).toEqual([]);
      }),
      { numRuns: 25 },
    );
  });

  test("hold after a restart what they held before", async () => {
    const sibling = alpha.next(prepared, both);
    const second = makeRecord(prepared.state, [{ node, svids: [svid, nextSvid] }]);
    const all = [...rotation, sibling, second];
    const arrivals = fc.array(fc.nat(all.length - 1), { maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(arrivals, async (arrived) => {
        const disk = new TestDisk();
        const daemon = await holding(genesis, disk);
        for (const index of arrived) daemon.receive(all[index] ?? genesis);
        const again = await TestDaemon.start(bravo, { disk });
        expect(again.stored(trustDomain)).toEqual(daemon.stored(trustDomain));
        expect(again.partner(trustDomain).pin).toEqual(daemon.partner(trustDomain).pin);
        for (const record of all) expect(again.receive(record)).toBe(daemon.receive(record));
      }),
      { numRuns: 25 },
    );
  });
});

describe("a record of a partner", () => {
  test("is stored, then answered, then told, then ordered into SPIRE", async () => {
    const daemon = await holding();
    const envelope = prepared.envelope;
    const effects = daemon.send({
      kind: "record-received",
      envelope,
      carrier: "gossip",
      from: "f0",
      ticket: 99,
    });
    expect(effects.map(({ kind }) => kind)).toEqual([
      "store-domain",
      "answer",
      "tell",
      "order-row",
    ]);
    expect(told(effects)).toEqual(["record-accepted"]);
    expect(daemon.orders).toMatchObject([{ kind: "set", bundle: bundleOf(prepared.state) }]);
  });

  test("is unchanged when it comes again, and ordered no second time", async () => {
    const daemon = await holding();
    const before = daemon.snapshot();
    expect(daemon.receive(genesis)).toBe("unchanged");
    expect(daemon.snapshot()).toEqual(before);
    expect(daemon.orders).toEqual([]);
  });

  test("gains a block of another anchor without a word to SPIRE", async () => {
    const daemon = await holding();
    daemon.receive(prepared);
    daemon.endRow();
    const other = makeRecord(prepared.state, [{ node, svids: [svid, nextSvid] }]);
    expect(daemon.receive(other)).toBe("taken");
    expect(daemon.slot(trustDomain).held.blocks).toHaveLength(2);
    expect(daemon.slot(trustDomain).base?.state.version).toEqual(genesis.state.version);
    expect(daemon.orders).toEqual([]);
    expect(daemon.receive(other)).toBe("unchanged");
  });

  test("names the nodes that may connect from then on", async () => {
    const daemon = await holding();
    const joined = makeNodeKey().publicKey;
    const version = { epoch: 0, rev: 1, sequence: 1n };
    const nodes = [node.publicKey, joined];
    daemon.receive(alpha.next(genesis, { version, nodes }));
    const admitted = ofKind(daemon.effects, "admit-nodes").map(
      (each) => new Set(each.nodes.map(toHex)),
    );
    expect(admitted).toEqual([[node.publicKey], nodes].map((each) => new Set(each.map(toHex))));
  });
});

const garbage = { der: Uint8Array.of(0x30, 0), tainted: false };
const zeros = (): Uint8Array => new Uint8Array(64);
const workload = () => alpha.mint(alpha.ca, { spiffeId: "spiffe://alpha.test/workload" });
const after = (change: object): TestRecord => alpha.next(prepared, change);
const forged = (block: object): TestRecord => alpha.next(prepared, {}, [svid], block);

describe("a record that is refused", () => {
  const stranger = makePublisher("alpha.test");
  const cases: readonly (readonly [string, string, () => Pick<TestRecord, "envelope">])[] = [
    ["is no record", "ENVELOPE_MALFORMED", () => ({ envelope: Uint8Array.of(0x80) })],
    ["is of a stranger", "TRUST_DOMAIN_UNKNOWN", () => makePublisher("charlie.test").genesis],
    ["is of another lineage", "WRONG_LINEAGE", () => stranger.genesis],
    ["is older", "STALE", () => genesis],
    ["is another first record", "WRONG_LINEAGE", () => makePublisher("alpha.test").genesis],
    ["is signed by a stranger's node", "NODE_NOT_LISTED", () => forged({ node: makeNodeKey() })],
    ["has a workload's SVID", "LEAF_NOT_PUBLISHER", () => forged({ svids: [workload()] })],
    ["has a bad signature", "NODE_SIGNATURE_INVALID", () => forged({ nodeSignature: zeros })],
    ["jumps ahead", "REV_JUMP", () => after({ version: { epoch: 0, rev: 1_025, sequence: 3n } })],
    ["comes from the future", "SIGNED_IN_FUTURE", () => forged({ signedAtS: NOW_S + 301 })],
    ["lists no certificate", "AUTHORITY_MALFORMED", () => after({ x509Authorities: [garbage] })],
    ["is its own domain's, unasked", "FIRST_RECORD_UNNAMED", () => bravo.genesis],
  ];
  test.each(cases)("because it %s changes nothing: %s", async (_, code, make) => {
    const daemon = await holding();
    daemon.receive(prepared);
    const before = daemon.snapshot();
    const effects = daemon.effects.length;
    expect(daemon.receive(make())).toBe(code);
    expect(daemon.snapshot()).toEqual(before);
    expect(daemon.findings).toEqual([]);
    expect(daemon.effects.slice(effects).map(({ kind }) => kind)).toEqual(["answer", "tell"]);
  });

  test("for two blocks on gossip is taken from sync", async () => {
    const daemon = await holding();
    const two = makeRecord(stateAfter(genesis, both), [
      { node, svids: [svid] },
      { node, svids: [svid, nextSvid] },
    ]);
    expect(daemon.receive(two, "gossip")).toBe("BLOCK_COUNT");
    expect(daemon.receive(two, "sync")).toBe("taken");
  });

  test("for a gap says so until a record links again, when the domain's own node gave it", async () => {
    const daemon = await holding();
    const own = toHex(node.publicKey);
    expect(daemon.receive(later, "sync", own)).toBe("OLD_AUTHORITY_MISSING");
    expect(daemon.findings).toEqual(["CONTINUITY_GAP"]);
    expect(heldId(daemon)).toBe(genesis.idHex);
    daemon.receive(later, "sync", own);
    const raised = told(daemon.effects).filter((kind) => kind === "finding-raised");
    expect(raised).toHaveLength(1);
    for (const record of rotation) daemon.receive(record);
    expect(daemon.findings).toEqual([]);
  });

  test("for a gap is no finding when a relay gave it, who may not have what came before", async () => {
    const daemon = await holding();
    expect(daemon.receive(later)).toBe("OLD_AUTHORITY_MISSING");
    expect(daemon.findings).toEqual([]);
  });

  test("for a disk that is full leaves all as it was, and is taken when there is room", async () => {
    const daemon = await holding();
    const before = daemon.snapshot();
    daemon.disk.fails = true;
    expect(daemon.receive(prepared)).toBe("STORE_FAILED");
    expect(daemon.snapshot()).toEqual(before);
    expect(daemon.findings).toEqual(["STORE_FAILED"]);
    expect(daemon.orders).toEqual([]);
    daemon.disk.fails = false;
    expect(daemon.receive(prepared)).toBe("taken");
    expect(daemon.findings).toEqual([]);
  });
});

describe("a fork", () => {
  const sibling = alpha.next(genesis, {
    x509Authorities: [untainted(alpha.ca), untainted(alpha.newCa())],
  });

  test("applies what both say, keeps the two as evidence, and ends with a higher version", async () => {
    const daemon = await holding();
    daemon.receive(prepared);
    daemon.endRow();
    expect(daemon.receive(sibling)).toBe("taken");
    expect(daemon.disk.idsOf(trustDomain)).toEqual([prepared.idHex, sibling.idHex].sort());
    const common = { sequenceNumber: 2n, x509Authorities: genesis.state.x509Authorities };
    expect(daemon.orders).toMatchObject([{ kind: "set", bundle: common }]);
    daemon.endRow();
    expect(daemon.receive(sibling)).toBe("unchanged");
    expect(daemon.receive(activated)).toBe("taken");
    expect(daemon.findings).toEqual([]);
    expect(daemon.disk.idsOf(trustDomain)).toEqual([activated.idHex, undefined]);
    expect(daemon.orders).toMatchObject([{ bundle: bundleOf(activated.state) }]);
  });

  test("of three records keeps the two smallest ids, and takes away what the third lacks", async () => {
    const daemon = await holding();
    const third = alpha.next(genesis, { removed: [makeNodeKey().publicKey] });
    const all = [prepared, alpha.next(genesis, { ...both, removed: [NOBODY] }), third];
    for (const record of all) expect(daemon.receive(record)).toBe("taken");
    const ids = all.map(({ idHex }) => idHex).sort();
    expect(daemon.disk.idsOf(trustDomain)).toEqual(ids.slice(0, 2));
    expect(daemon.orders.at(-1)).toMatchObject({
      bundle: { x509Authorities: genesis.state.x509Authorities },
    });
  });

  test("is a finding when it has stood for a minute", async () => {
    const daemon = await holding();
    daemon.receive(prepared);
    daemon.receive(sibling);
    daemon.wait(59);
    expect(daemon.findings).toEqual([]);
    daemon.wait(6);
    expect(daemon.findings).toEqual(["FORK"]);
    expect(daemon.receive(activated)).toBe("taken");
    expect(daemon.findings).toEqual([]);
  });

  test("is still one after a restart", async () => {
    const disk = new TestDisk();
    const daemon = await TestDaemon.start(bravo, { disk });
    daemon.import(genesis);
    daemon.endRow();
    daemon.receive(prepared);
    daemon.endRow();
    expect(daemon.receive(sibling)).toBe("taken");
    const restarted = await TestDaemon.start(bravo, { disk });
    expect(restarted.findings).toEqual(["FORK"]);
  });

  /** Everything but the keys: the lineage is public, and everything else the stranger makes. */
  function strangersFork(of: TestRecord): TestRecord {
    const ca = makeAuthority({ trustDomain });
    const state = { ...of.state, lineage: of.lineage, x509Authorities: [untainted(ca)] };
    const key = makeNodeKey();
    return makeRecord({ ...state, nodes: [key.publicKey] }, [
      { node: key, svids: [alpha.mint(ca)] },
    ]);
  }

  test.each([
    ["the first record", [genesis]],
    ["a later record", [genesis, prepared]],
  ])("of %s cannot be made by a stranger", async (_, records) => {
    const daemon = await holding();
    for (const record of records) daemon.receive(record);
    const before = daemon.snapshot();
    const last = records.at(-1) ?? genesis;
    expect(daemon.receive(strangersFork(last))).toBe("NODE_NOT_LISTED");
    expect(daemon.snapshot()).toEqual(before);
    expect(daemon.findings).toEqual([]);
  });
});
