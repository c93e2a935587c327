import { describe, expect, test } from "vitest";
import { missingRecords, syncEntries, wantedDomains } from "../../../src/core/mesh/anti-entropy.ts";
import type { SyncEntry } from "../../../src/core/mesh/sync-entry.ts";
import type { TrustDomain } from "../../../src/core/spiffe/trust-domain.ts";
import { fromHex, toHex } from "../../../src/core/std/bytes.ts";
import { type TestRecord, bundleOf, makePublisher, untainted } from "../../arbitraries/record.ts";
import { TestDaemon } from "./daemon.ts";

const alpha = makePublisher("alpha.test");
const bravo = makePublisher("bravo.test");
const { genesis, trustDomain } = alpha;
const change = () => ({ x509Authorities: [untainted(alpha.ca), untainted(alpha.newCa())] });
const second = alpha.next(genesis, change());
const sibling = alpha.next(genesis, change());
const third = alpha.next(second);
/** Of one version. */
const [least = second, middle = second, greatest = second] = [
  second,
  sibling,
  alpha.next(genesis, change()),
].sort((one, other) => (one.idHex < other.idHex ? -1 : 1));

async function holding(...records: readonly TestRecord[]): Promise<TestDaemon> {
  const daemon = await TestDaemon.start(bravo);
  const [first = genesis, ...later] = records;
  daemon.import(first);
  for (const record of later) daemon.receive(record);
  return daemon;
}

function entryOf(...records: readonly TestRecord[]): SyncEntry {
  const [{ state } = genesis] = records;
  const ids = records.map(({ idHex }) => idHex).sort();
  const recordIds = ids.map(fromHex);
  return { trustDomain: state.trustDomain, version: state.version, recordIds };
}

describe("a daemon says", () => {
  test("that it wants every partner and its own trust domain", async () => {
    const daemon = await holding();
    expect([...wantedDomains(daemon.state)].sort()).toEqual(["alpha.test", "bravo.test"]);
  });

  test("what it holds of the domains that a peer wants, and nothing of others", async () => {
    const daemon = await holding(genesis, second);
    daemon.exportOwn(bundleOf(bravo.genesis.state));
    const wanted = ["bravo.test", "alpha.test", "charlie.test", "__proto__", "alpha.test"];
    const entries = syncEntries(daemon.state, wanted);
    expect(entries).toEqual([entryOf(bravo.genesis), entryOf(second)]);
    expect(syncEntries(daemon.state, [])).toEqual([]);
  });

  test("both ids of a fork, ascending, whichever it holds", async () => {
    const [one, other] = [
      await holding(genesis, second, sibling),
      await holding(genesis, sibling, second),
    ];
    const both = [entryOf(second, sibling)];
    expect(syncEntries(one.state, [trustDomain])).toEqual(both);
    expect(syncEntries(other.state, [trustDomain])).toEqual(both);
  });
});

describe("a daemon misses of what a peer holds", () => {
  const above = genesis.state.version;

  test.each<readonly [string, readonly TestRecord[], SyncEntry, object[]]>([
    ["newer versions", [genesis], entryOf(third), [{ above, recordId: undefined }]],
    ["nothing that it has", [genesis, second], entryOf(second), []],
    ["nothing that is older", [genesis, second], entryOf(genesis), []],
    ["the sibling of a fork", [genesis, second], entryOf(sibling), [{ recordId: sibling.id }]],
    [
      "the one of two siblings that it has not",
      [genesis, second],
      entryOf(second, sibling),
      [{ above: undefined, recordId: sibling.id }],
    ],
    [
      "a third sibling below one of the two that it has",
      [genesis, middle, greatest],
      entryOf(least, middle),
      [{ above: undefined, recordId: least.id }],
    ],
    ["no third sibling above both", [genesis, least, middle], entryOf(greatest), []],
    ["nothing of a stranger", [genesis], entryOf(makePublisher("charlie.test").genesis), []],
  ])("%s", async (_, held, entry, wants) => {
    const daemon = await holding(...held);
    expect(missingRecords(daemon.state, [entry])).toMatchObject(wants);
    expect(missingRecords(daemon.state, [entry])).toHaveLength(wants.length);
  });

  test("the record that an operator named, besides what is newer", async () => {
    const anew = makePublisher("alpha.test").genesis;
    const daemon = await holding();
    daemon.pin(trustDomain, anew.idHex);
    const wants = missingRecords(daemon.state, [entryOf(second)]);
    expect(wants.map(({ recordId }) => recordId && toHex(recordId))).toEqual([
      anew.idHex,
      undefined,
    ]);
    daemon.receive(anew);
    expect(missingRecords(daemon.state, [entryOf(anew)])).toEqual([]);
  });

  test("a higher record of its own trust domain, once it has one", async () => {
    const daemon = await TestDaemon.start(alpha);
    expect(missingRecords(daemon.state, [entryOf(second)])).toEqual([]);
    daemon.exportOwn(bundleOf(genesis.state));
    expect(missingRecords(daemon.state, [entryOf(second)])).toMatchObject([{ above }]);
  });
});

describe("a peer that synced", () => {
  test("is heard, and names the record of ours that it holds", async () => {
    const daemon = await holding();
    daemon.exportOwn(bundleOf(bravo.genesis.state));
    const node = toHex(alpha.node.publicKey);
    const entries = [entryOf(bravo.genesis)];
    daemon.nowMs += 5_000;
    daemon.send({ kind: "peer-synced", node, entries });
    expect(daemon.partner(trustDomain)).toMatchObject({
      lastHeardAtMs: daemon.nowMs,
      holdsOurs: { recordId: bravo.genesis.idHex, atMs: daemon.nowMs },
    });
    daemon.nowMs += 5_000;
    daemon.send({ kind: "peer-synced", node, entries: [] });
    expect(daemon.partner(trustDomain).holdsOurs?.atMs).toBe(daemon.nowMs - 5_000);
    expect(daemon.partner(trustDomain).lastHeardAtMs).toBe(daemon.nowMs);
  });

  test("but is nobody's node speaks for nobody", async () => {
    const daemon = await holding();
    daemon.send({ kind: "peer-synced", node: "ab".repeat(32), entries: [entryOf(second)] });
    expect(daemon.partner("alpha.test" as TrustDomain)).toMatchObject({
      lastHeardAtMs: undefined,
      holdsOurs: undefined,
    });
  });
});
