import { describe, expect, test } from "vitest";
import type { RowOutcome } from "../../../src/core/mesh/row-order.ts";
import type { TrustBundle } from "../../../src/core/spiffe/trust-bundle.ts";
import type { TrustDomain } from "../../../src/core/spiffe/trust-domain.ts";
import { PINNED_DOMAINS_MAX } from "../../../src/core/std/limits.ts";
import { type TestRecord, bundleOf, makePublisher, untainted } from "../../arbitraries/record.ts";
import { TestDaemon, type TestDaemonOptions, TestDisk, listed, ofKind, told } from "./daemon.ts";

const alpha = makePublisher("alpha.test");
const bravo = makePublisher("bravo.test");
const { ca, genesis, newCa, trustDomain } = alpha;
const second = alpha.next(genesis, { x509Authorities: [untainted(ca), untainted(newCa())] });
const row = bundleOf(genesis.state);
const foreign: TrustBundle = { ...row, x509Authorities: [untainted(newCa())] };
const HINT = "/dns4/mesh.alpha.test/tcp/7843/p2p/12D3KooWExample";

async function fresh(options: TestDaemonOptions = {}): Promise<TestDaemon> {
  return await TestDaemon.start(bravo, options);
}

/** Bravo's daemon with alpha imported and its row written. */
async function holding(options: TestDaemonOptions = {}): Promise<TestDaemon> {
  const daemon = await fresh(options);
  expect(daemon.import(genesis)).toBe("taken");
  if (daemon.orders.length > 0) daemon.endRow();
  return daemon;
}

/** What the last order's failure advises. */
function nextOf(daemon: TestDaemon): string | undefined {
  const answer = daemon.answerOf(daemon.lastTicket);
  return answer?.kind === "failed" ? answer.next : undefined;
}

describe("an import", () => {
  test("approves a domain with exactly the record that the fingerprint names", async () => {
    const daemon = await fresh();
    expect(daemon.import(genesis, { addressHints: [HINT] })).toBe("taken");
    expect(daemon.partner(trustDomain).pin).toEqual({
      trustDomain,
      approvedRecordId: genesis.idHex,
      approvedAtMs: daemon.nowMs,
      awaitedRecordId: undefined,
      addressHints: [HINT],
    });
    expect(daemon.disk.pins.get(trustDomain)).toEqual(daemon.partner(trustDomain).pin);
    expect(ofKind(daemon.effects, "dial").at(-1)?.addresses).toEqual([HINT]);
    expect(daemon.orders).toHaveLength(1);
  });

  test("repeated with a new address remembers it, before those that it knew", async () => {
    const other = "/ip4/127.0.0.1/tcp/7843/p2p/12D3KooWExample";
    const daemon = await fresh();
    daemon.import(genesis, { addressHints: [HINT] });
    expect(daemon.import(genesis, { addressHints: [other] })).toBe("taken");
    expect(daemon.disk.pins.get(trustDomain)?.addressHints).toEqual([other, HINT]);
    expect(daemon.import(genesis, { addressHints: [HINT] })).toBe("unchanged");
  });

  test("repeated with ever new addresses remembers the newest 64, as the disk does", async () => {
    const disk = new TestDisk();
    const daemon = await holding({ disk });
    for (let index = 0; index < 70; index += 1) {
      daemon.import(genesis, { addressHints: [`/ip4/127.0.0.1/tcp/${1_000 + index}`] });
    }
    const hints = daemon.partner(trustDomain).pin.addressHints;
    expect(hints).toHaveLength(64);
    expect(hints[0]).toBe("/ip4/127.0.0.1/tcp/1069");
    expect(disk.pins.get(trustDomain)?.addressHints).toEqual(hints);
  });

  test("that is refused does not stand a contested row up again", async () => {
    const daemon = await holding();
    daemon.readRows(foreign);
    while (daemon.orders.length > 0) daemon.endRow({ kind: "different", found: foreign });
    expect(daemon.import(genesis, { replace: true, fingerprint: second.idHex })).toBe(
      "FINGERPRINT_MISMATCH",
    );
    expect(daemon.import(makePublisher("alpha.test").genesis, { replace: true })).toBe(
      "WRONG_LINEAGE",
    );
    expect(daemon.findings).toEqual(["CONTESTED"]);
    expect(daemon.import(genesis, { replace: true })).toBe("unchanged");
    expect(daemon.findings).toEqual([]);
  });

  test("that overtook the end of a forget is asked for again", async () => {
    const daemon = await fresh();
    expect(daemon.import(genesis, { spireAsked: false })).toBe("NOT_READY");
    expect(nextOf(daemon)).toMatch(/again/);
    expect(daemon.state.partners.size).toBe(0);
  });

  test("may begin with any record of a lineage", async () => {
    const daemon = await fresh();
    expect(daemon.import(second)).toBe("taken");
    expect(daemon.import(genesis)).toBe("STALE");
  });

  test.each<readonly [string, string, (daemon: TestDaemon) => string]>([
    [
      "with another fingerprint",
      "FINGERPRINT_MISMATCH",
      (daemon) => daemon.import(genesis, { fingerprint: "00".repeat(32) }),
    ],
    [
      "without a fingerprint",
      "TRUST_DOMAIN_UNKNOWN",
      (daemon) => daemon.import(genesis, { fingerprint: undefined }),
    ],
    ["of the own trust domain", "OWN_TRUST_DOMAIN", (daemon) => daemon.import(bravo.genesis)],
    [
      "of something else",
      "ENVELOPE_MALFORMED",
      (daemon) => daemon.import({ ...genesis, envelope: Uint8Array.of(0x80) }),
    ],
    [
      "of a record that does not prove itself",
      "LEAF_NOT_PUBLISHER",
      (daemon) => {
        const svid = alpha.mint(ca, { spiffeId: "spiffe://alpha.test/workload" });
        return daemon.import(alpha.next(genesis, {}, [svid]));
      },
    ],
    [
      "where SPIRE holds another row",
      "ROW_NOT_OURS",
      (daemon) => daemon.import(genesis, { row: foreign }),
    ],
    [
      "where SPIRE refreshes the row itself",
      "ROW_NOT_OURS",
      (daemon) => daemon.import(genesis, { row, hasRelationship: true }),
    ],
    [
      "while the disk is full",
      "STORE_FAILED",
      (daemon) => {
        daemon.disk.fails = true;
        return daemon.import(genesis);
      },
    ],
    [
      "above the most partners there may be",
      "NOT_READY",
      (daemon) => {
        daemon.import(makePublisher("charlie.test").genesis);
        const charlie = daemon.partner("charlie.test" as TrustDomain);
        for (let count = 1; count < PINNED_DOMAINS_MAX; count += 1) {
          daemon.state.partners.set(`n${count}.test` as TrustDomain, charlie);
        }
        return daemon.import(genesis);
      },
    ],
  ])("%s approves nobody: %s", async (_, code, act) => {
    const daemon = await fresh();
    expect(act(daemon)).toBe(code);
    expect(daemon.state.partners.has(trustDomain)).toBe(false);
    expect(daemon.disk.domains.has(trustDomain)).toBe(false);
    expect(daemon.orders.filter((order) => order.trustDomain === trustDomain)).toEqual([]);
  });

  test("above the most partners there may be says which to forget, and not to wait", async () => {
    const daemon = await holding();
    const one = daemon.partner(trustDomain);
    for (let count = 1; count < PINNED_DOMAINS_MAX; count += 1) {
      daemon.state.partners.set(`n${count}.test` as TrustDomain, one);
    }
    expect(daemon.import(makePublisher("charlie.test").genesis)).toBe("NOT_READY");
    expect(nextOf(daemon)).toContain("`spire-mesh forget TD`");
  });

  test("takes a row or a relationship over when told to", async () => {
    const daemon = await fresh();
    const relationship = { row: foreign, hasRelationship: true };
    expect(daemon.import(genesis, { ...relationship, replace: true })).toBe("taken");
    expect(daemon.orders).toMatchObject([{ kind: "set", bundle: row }]);
  });

  test("of an unmanaged domain leaves its row and relationship to whoever keeps them", async () => {
    const daemon = await fresh({ unmanaged: [trustDomain] });
    expect(daemon.import(genesis, { row: foreign, hasRelationship: true })).toBe("taken");
    expect(daemon.orders).toEqual([]);
  });

  test("of an approved domain does what the network does", async () => {
    const daemon = await holding();
    const unsigned = { fingerprint: undefined };
    expect(daemon.import(genesis, unsigned)).toBe("unchanged");
    expect(daemon.import(second, unsigned)).toBe("taken");
    expect(daemon.import(genesis, unsigned)).toBe("STALE");
    expect(daemon.import(makePublisher("alpha.test").genesis)).toBe("WRONG_LINEAGE");
    expect(daemon.import(second, { fingerprint: genesis.idHex })).toBe("FINGERPRINT_MISMATCH");
  });
});

describe("forget", () => {
  test("takes the row back first, then leaves nothing", async () => {
    const disk = new TestDisk();
    const daemon = await holding({ disk });
    daemon.readRows(foreign);
    daemon.endRow({ kind: "refused", status: 3, message: "malformed" });
    expect(daemon.findings).toEqual(["ROW_REFUSED"]);
    expect(daemon.forget(trustDomain)).toBe("no answer yet");
    expect(daemon.orders).toEqual([{ kind: "delete", trustDomain }]);
    expect(disk.domains.has(trustDomain)).toBe(true);
    const effects = daemon.endRow();
    expect(daemon.answerOf(daemon.lastTicket)).toEqual({ kind: "done" });
    expect(told(effects)).toContain("domain-forgotten");
    expect(ofKind(effects, "admit-nodes")).toEqual([
      { kind: "admit-nodes", trustDomain, nodes: [] },
    ]);
    expect(daemon.state.partners.size + disk.domains.size + disk.pins.size).toBe(0);
    expect(daemon.findings).toEqual([]);
    expect(daemon.receive(second)).toBe("TRUST_DOMAIN_UNKNOWN");
    expect((await fresh({ disk })).state.partners.size).toBe(0);
  });

  test("takes nothing in and writes nothing meanwhile", async () => {
    const daemon = await holding();
    daemon.forget(trustDomain);
    expect(daemon.receive(second)).toBe("TRUST_DOMAIN_UNKNOWN");
    daemon.readRows();
    expect(daemon.forget(trustDomain)).toBe("NOT_READY");
    expect(nextOf(daemon)).toMatch(/under way/);
    expect(daemon.orders).toEqual([{ kind: "delete", trustDomain }]);
  });

  test.each<readonly [string, string, RowOutcome]>([
    ["entries name the domain", "ROW_IN_USE", { kind: "refused", status: 9, message: "in use" }],
    ["SPIRE says no", "SPIRE_REFUSED", { kind: "refused", status: 7, message: "denied" }],
    ["SPIRE is away", "SPIRE_UNREACHABLE", { kind: "away", message: "no answer in time" }],
    ["the row is there again", "ROW_NOT_OURS", { kind: "different", found: foreign }],
  ])("changes nothing when %s: %s", async (_, code, outcome) => {
    const daemon = await holding();
    daemon.forget(trustDomain);
    daemon.endRow(outcome);
    expect(daemon.answerOf(daemon.lastTicket)).toMatchObject({ kind: "failed", failure: code });
    expect(daemon.partner(trustDomain).forgetting).toBeUndefined();
    expect(daemon.receive(second)).toBe("taken");
    expect(daemon.orders.at(-1)).toMatchObject({ bundle: { sequenceNumber: 2n } });
  });

  test.each([
    ["another program", []],
    ["SPIRE Server itself, by its FederationRelationship", [trustDomain]],
  ])("says who put the row back: %s", async (who, relationships) => {
    const daemon = await holding();
    daemon.send({ kind: "rows-read", rows: listed([row]), relationships });
    daemon.forget(trustDomain);
    daemon.endRow({ kind: "different", found: foreign });
    expect(daemon.answerOf(daemon.lastTicket)).toMatchObject({
      message: expect.stringContaining(`put back at once by ${who}`),
      next: expect.stringContaining("`spire-mesh forget TD` again"),
    });
  });

  test("says in SPIRE's words why it was away", async () => {
    const daemon = await holding();
    daemon.forget(trustDomain);
    daemon.endRow({ kind: "away", message: "no answer in time" });
    expect(daemon.answerOf(daemon.lastTicket)).toMatchObject({ message: "no answer in time" });
  });

  test("that fails brings back the write whose place it took", async () => {
    const daemon = await holding();
    daemon.receive(second);
    daemon.forget(trustDomain);
    daemon.endRow({ kind: "superseded" });
    daemon.endRow({ kind: "refused", status: 9, message: "in use" });
    expect(daemon.orders).toMatchObject([{ kind: "set", bundle: { sequenceNumber: 2n } }]);
    daemon.endRow();
    daemon.readRows(bundleOf(second.state));
    expect(daemon.orders).toEqual([]);
    expect(daemon.partner(trustDomain).row.rewritesMs).toEqual([]);
  });

  test("is given up when SPIRE goes away, and refused while it is", async () => {
    const daemon = await holding();
    daemon.forget(trustDomain);
    const ticket = daemon.lastTicket;
    daemon.send({ kind: "spire-away", reason: "connection refused" });
    const unreachable = { kind: "failed", failure: "SPIRE_UNREACHABLE" };
    expect(daemon.answerOf(ticket)).toMatchObject(unreachable);
    expect(daemon.forget(trustDomain)).toBe("SPIRE_UNREACHABLE");
    daemon.send({ kind: "spire-back" });
    daemon.endRow(); // It was deleted after all: nobody waits any more, so it is written again.
    expect(daemon.orders).toMatchObject([{ kind: "set", bundle: { sequenceNumber: 1n } }]);
    expect(daemon.findings).toEqual([]);
  });

  test("keeps the domain when the disk is full", async () => {
    const daemon = await holding();
    daemon.forget(trustDomain);
    daemon.disk.next = "free space";
    daemon.disk.fails = true;
    daemon.endRow();
    expect(daemon.answerOf(daemon.lastTicket)).toMatchObject({
      failure: "STORE_FULL",
      next: "free space",
    });
    daemon.readRows();
    expect(daemon.orders).toHaveLength(1);
  });

  test("tried again and again with a full disk leaves the row there, and accuses nobody", async () => {
    const daemon = await holding();
    daemon.disk.fails = true;
    for (let tries = 0; tries < 6; tries += 1) {
      daemon.forget(trustDomain);
      daemon.endRow();
      expect(daemon.orders).toMatchObject([{ kind: "set" }]);
      daemon.endRow();
    }
    expect(daemon.findings).not.toContain("CONTESTED");
  });

  test("that deleted the row and then found the disk full writes the row again", async () => {
    const daemon = await holding();
    daemon.receive(second);
    daemon.forget(trustDomain);
    daemon.endRow({ kind: "superseded" });
    daemon.disk.fails = true;
    daemon.endRow();
    expect(daemon.answerOf(daemon.lastTicket)).toMatchObject({ failure: "STORE_FULL" });
    expect(daemon.orders).toMatchObject([{ kind: "set", bundle: { sequenceNumber: 2n } }]);
    daemon.disk.fails = false;
    daemon.endRow();
    expect(daemon.forget(trustDomain)).toBe("no answer yet");
    daemon.endRow();
    expect(daemon.answerOf(daemon.lastTicket)).toEqual({ kind: "done" });
  });

  test("leaves the row of a domain that somebody else keeps", async () => {
    const daemon = await holding({ unmanaged: [trustDomain] });
    expect(daemon.forget(trustDomain)).toBe("done");
    expect(daemon.orders).toEqual([]);
    expect(daemon.state.partners.size).toBe(0);
  });

  test("knows only what was imported", async () => {
    expect((await fresh()).forget(trustDomain)).toBe("NOT_FOUND");
  });
});

const awaited = (daemon: TestDaemon): string | undefined =>
  daemon.partner(trustDomain).pin.awaitedRecordId;
const heldId = (daemon: TestDaemon): string => daemon.slot(trustDomain).held.record.idHex;

describe("a pin", () => {
  const anew = makePublisher("alpha.test");
  test("waits for its record, over a restart too, and then takes it for the held one", async () => {
    const disk = new TestDisk();
    const before = await holding({ disk });
    expect(before.pin(trustDomain, anew.genesis.idHex)).toBe("done");
    expect(before.effects.at(-1)?.kind).toBe("sync-soon");
    const daemon = await fresh({ disk });
    expect(awaited(daemon)).toBe(anew.genesis.idHex);
    daemon.sync();
    daemon.readRows(row);
    expect(daemon.receive(second)).toBe("taken"); // The held lineage goes on meanwhile.
    daemon.endRow();
    expect(daemon.receive(anew.next(anew.genesis))).toBe("WRONG_LINEAGE");
    expect(daemon.receive(anew.genesis)).toBe("taken");
    expect(daemon.partner(trustDomain).pin).toMatchObject({
      approvedRecordId: anew.genesis.idHex,
      awaitedRecordId: undefined,
    });
    expect(daemon.stored(trustDomain)).toMatchObject({ sibling: undefined });
    expect(daemon.slot(trustDomain).base).toBeUndefined();
    expect(daemon.orders).toMatchObject([{ bundle: bundleOf(anew.genesis.state) }]);
    expect(daemon.receive(alpha.next(second))).toBe("WRONG_LINEAGE");
    expect(daemon.receive(anew.next(anew.genesis))).toBe("taken");
  });

  test("cannot lead a lineage back, however long it waited", async () => {
    const daemon = await holding();
    const third = alpha.next(second);
    daemon.pin(trustDomain, second.idHex);
    expect(daemon.receive(third)).toBe("taken");
    daemon.endRow();
    expect(daemon.receive(second)).toBe("unchanged");
    expect(heldId(daemon)).toBe(third.idHex);
  });

  test("that waits is a finding, over a restart too", async () => {
    const disk = new TestDisk();
    const daemon = await holding({ disk });
    daemon.pin(trustDomain, anew.genesis.idHex);
    expect(daemon.findings).toEqual(["PIN_AWAITED"]);
    const restarted = await fresh({ disk });
    expect(restarted.findings).toEqual(["PIN_AWAITED"]);
    restarted.pin(trustDomain, genesis.idHex);
    expect(restarted.findings).toEqual([]);
  });

  test("is met by a file as well", async () => {
    const daemon = await holding();
    daemon.pin(trustDomain, anew.genesis.idHex);
    expect(daemon.import(anew.genesis, { fingerprint: undefined })).toBe("taken");
    expect(heldId(daemon)).toBe(anew.genesis.idHex);
  });

  test("of the sibling of a fork takes it at once", async () => {
    const sibling = alpha.next(genesis, { x509Authorities: [untainted(ca), untainted(newCa())] });
    const daemon = await holding();
    daemon.receive(second);
    daemon.endRow();
    daemon.receive(sibling);
    daemon.wait(65);
    expect(daemon.findings).toEqual(["FORK"]);
    daemon.endRow();
    expect(daemon.pin(trustDomain, sibling.idHex)).toBe("taken");
    expect(heldId(daemon)).toBe(sibling.idHex);
    expect(daemon.findings).toEqual([]);
    expect(daemon.orders).toMatchObject([{ bundle: bundleOf(sibling.state) }]);
  });

  test("of the held record takes an earlier pin back", async () => {
    const daemon = await holding();
    expect(daemon.pin(trustDomain, genesis.idHex)).toBe("done");
    daemon.pin(trustDomain, anew.genesis.idHex);
    expect(daemon.pin(trustDomain, genesis.idHex)).toBe("done");
    expect(awaited(daemon)).toBeUndefined();
    expect(daemon.disk.pins.get(trustDomain)?.awaitedRecordId).toBeUndefined();
    expect(daemon.receive(anew.genesis)).toBe("WRONG_LINEAGE");
  });

  test("stands until its record proves itself", async () => {
    const broken: TestRecord = anew.next(anew.genesis, {}, [anew.mint(newCa())]);
    const daemon = await holding();
    daemon.pin(trustDomain, broken.idHex);
    expect(daemon.receive(broken)).toBe("NEW_AUTHORITY_MISSING");
    expect(heldId(daemon)).toBe(genesis.idHex);
    expect(awaited(daemon)).toBe(broken.idHex);
  });

  test("that waits is still a finding when the domain goes on meanwhile", async () => {
    const daemon = await holding();
    daemon.pin(trustDomain, "ab".repeat(32));
    expect(daemon.receive(second)).toBe("taken");
    expect(daemon.partner(trustDomain).pin.awaitedRecordId).toBe("ab".repeat(32));
    expect(daemon.findings).toEqual(["PIN_AWAITED"]);
  });

  test("ends with its record when the domain has passed that meanwhile", async () => {
    const daemon = await holding();
    const third = alpha.next(second, { x509Authorities: [untainted(ca), untainted(newCa())] });
    daemon.pin(trustDomain, second.idHex);
    expect(daemon.receive(third)).toBe("taken");
    expect(daemon.receive(second)).toBe("unchanged");
    expect(heldId(daemon)).toBe(third.idHex);
    expect(awaited(daemon)).toBeUndefined();
    expect(daemon.disk.pins.get(trustDomain)?.awaitedRecordId).toBeUndefined();
    expect(daemon.findings).toEqual([]);
  });

  test("is met by its record when that is parked already", async () => {
    const daemon = await holding();
    const other = newCa();
    const both = alpha.next(genesis, { x509Authorities: [untainted(ca), untainted(other)] });
    const last = alpha.next(both, { x509Authorities: [untainted(other)] }, [alpha.mint(other)]);
    expect(daemon.receive(last, "gossip")).toBe("OLD_AUTHORITY_MISSING");
    daemon.pin(trustDomain, last.idHex);
    expect(daemon.receive(both, "gossip")).toBe("taken");
    expect(daemon.stored(trustDomain)?.held.recordId).toBe(last.idHex);
    expect(daemon.partner(trustDomain).pin).toMatchObject({
      approvedRecordId: last.idHex,
      awaitedRecordId: undefined,
    });
    expect(daemon.findings).toEqual([]);
  });

  test("that cannot be stored is none", async () => {
    const daemon = await holding();
    Object.assign(daemon.disk, { fails: true, failure: "CANNOT_CREATE", next: "mount it anew" });
    expect(daemon.pin(trustDomain, anew.genesis.idHex)).toBe("CANNOT_CREATE");
    expect(nextOf(daemon)).toBe("mount it anew");
    expect(awaited(daemon)).toBeUndefined();
  });

  test("knows only what was imported", async () => {
    expect((await fresh()).pin(trustDomain, genesis.idHex)).toBe("NOT_FOUND");
  });
});
