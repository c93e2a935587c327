/** What a trust domain stood on before, from the store, and what changed. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { BundleDiff } from "../../src/admin-contract/history.ts";
import type { Operations } from "../../src/admin/operations.ts";
import type { State } from "../../src/core/record/state.ts";
import { sha256Hex } from "../../src/core/std/sha256.ts";
import { peerIdOfNode } from "../../src/p2p/node-identity.ts";
import type { RecordStore } from "../../src/ports/record-store.ts";
import { openRecordStore } from "../../src/store/level-record-store.ts";
import {
  type TestRecord,
  bundleOf,
  commitmentTo,
  makeNodeKey,
  makePublisher,
  tainted,
  untainted,
} from "../arbitraries/record.ts";
import { TestDaemon } from "../core/mesh/daemon.ts";
import { makeTemporaryDirectory } from "../store/temporary-directory.ts";
import { operationsBy } from "./operations-by.ts";

const alpha = makePublisher("alpha.test");
const bravo = makePublisher("bravo.test");
const { trustDomain } = alpha;

let directory: Awaited<ReturnType<typeof makeTemporaryDirectory>>;
let store: RecordStore;
let daemon: TestDaemon;
let operations: Operations;

beforeEach(async () => {
  directory = await makeTemporaryDirectory();
  store = await openRecordStore(directory.path);
  daemon = await TestDaemon.start(bravo);
  operations = operationsBy(daemon, { store });
});
afterEach(async () => {
  await store.close();
  await directory.remove();
});

/** Bravo's daemon takes a record of alpha in, and its store with it. */
async function take(record: TestRecord, isFirst = false): Promise<void> {
  expect(isFirst ? daemon.import(record) : daemon.receive(record)).toBe("taken");
  const stored = daemon.stored(trustDomain);
  if (stored !== undefined) await store.accept(stored, daemon.partner(trustDomain).pin, isFirst);
}

const lastDiff = async (to?: string): Promise<BundleDiff> =>
  await operations.diff(trustDomain, undefined, to);

const second = (change: Partial<State>): TestRecord => alpha.next(alpha.genesis, change);

describe("bundle history", () => {
  test("tells each version once, lowest first, with who signed it and when", async () => {
    const next = second({ x509Authorities: [untainted(alpha.ca), untainted(alpha.newCa())] });
    await take(alpha.genesis, true);
    await take(next);
    daemon.orders.length = 0;
    const history = await operations.history(trustDomain);
    expect(history.map(({ record_id }) => record_id)).toEqual([alpha.genesis.idHex, next.idHex]);
    const peer_id = peerIdOfNode(alpha.node.publicKey).toString();
    for (const { signed_by, stored_at } of history) {
      expect(signed_by).toEqual([{ peer_id, signed_at: "2026-09-21T14:13:20.000Z" }]);
      expect(stored_at).toMatch(/^20/);
    }
    expect(history.map(({ applied_at }) => applied_at)).toEqual([null, null]);
  });

  test("tells when the row was last found to say what stands", async () => {
    await take(alpha.genesis, true);
    daemon.endRow();
    daemon.readRows(bundleOf(alpha.genesis.state));
    const [only] = await operations.history(trustDomain);
    expect(only?.applied_at).toBe(new Date(daemon.nowMs).toISOString());
  });

  test("of what is not held is empty", async () => {
    expect(await operations.history(trustDomain)).toEqual([]);
  });
});

describe("bundle diff", () => {
  test("says which authorities and nodes came, went and were tainted", async () => {
    const [came, node] = [alpha.newCa(), makeNodeKey()];
    const next = alpha.next(alpha.genesis, {
      version: { epoch: 0, rev: 1, sequence: 2n },
      nodes: [alpha.node.publicKey, node.publicKey],
      recovery: commitmentTo([makeNodeKey()]),
      x509Authorities: [untainted(alpha.ca), untainted(came)],
    });
    await take(alpha.genesis, true);
    await take(next);
    expect(await operations.diff(trustDomain, undefined, undefined)).toEqual({
      trust_domain: trustDomain,
      from: { epoch: 0, rev: 0, sequence_number: "1", record_id: alpha.genesis.idHex },
      to: { epoch: 0, rev: 1, sequence_number: "2", record_id: next.idHex },
      x509_authorities: { added: [sha256Hex(came.der)], removed: [], tainted: [], untainted: [] },
      jwt_authorities: { added: [], removed: [], tainted: [], untainted: [] },
      nodes: { added: [peerIdOfNode(node.publicKey).toString()], removed: [] },
      recovery_keys_changed: true,
    });
    const back = await operations.diff(trustDomain, next.idHex, alpha.genesis.idHex);
    expect(back.x509_authorities.removed).toEqual([sha256Hex(came.der)]);
    expect(back.nodes.removed).toHaveLength(1);
  });

  test("tells taint apart from what came and went", async () => {
    const other = alpha.newCa();
    const both = second({ x509Authorities: [untainted(alpha.ca), untainted(other)] });
    const last = alpha.next(both, { x509Authorities: [untainted(alpha.ca), tainted(other)] });
    await take(alpha.genesis, true);
    await take(both);
    await take(last);
    const { from, x509_authorities } = await operations.diff(trustDomain, undefined, undefined);
    expect(from.record_id).toBe(both.idHex);
    const tainted_ = [sha256Hex(other.der)];
    expect(x509_authorities).toEqual({ added: [], removed: [], tainted: tainted_, untainted: [] });
  });

  test("of one version, of nothing, and of a record that is not kept says so", async () => {
    await expect(lastDiff()).rejects.toMatchObject({ code: "NOT_FOUND" });
    await take(alpha.genesis, true);
    await expect(lastDiff()).rejects.toMatchObject({ code: "NOT_FOUND", exitCode: 1 });
    await expect(lastDiff("ab".repeat(32))).rejects.toMatchObject({
      message: expect.stringContaining("is not kept here"),
    });
  });
});

describe("export of all", () => {
  test("has the own record and each partner's, by name, with both records of a fork", async () => {
    daemon.exportOwn(bundleOf(bravo.genesis.state));
    daemon.import(alpha.genesis);
    const siblings = [1, 2].map(() =>
      second({ x509Authorities: [untainted(alpha.ca), untainted(alpha.newCa())] }),
    );
    for (const sibling of siblings) daemon.receive(sibling);
    const { records, next } = operations.exportPage(undefined);
    expect(next).toBeNull();
    expect(records.map(({ trust_domain }) => trust_domain)).toEqual([
      "alpha.test",
      "alpha.test",
      "bravo.test",
    ]);
    const ids = records.slice(0, 2).map(({ record_id }) => record_id);
    expect(ids.toSorted()).toEqual(siblings.map(({ idHex }) => idHex).toSorted());
    expect(operations.exportPage(trustDomain).records).toMatchObject([
      { trust_domain: "bravo.test" },
    ]);
  });

  test("goes on page by page, and leaves none out", async () => {
    const others = Array.from({ length: 3 }, (_, index) => makePublisher(`p${index}.test`));
    for (const { genesis } of others) daemon.import(genesis);
    const names: string[] = [];
    for (let after: typeof trustDomain | null | undefined; after !== null;) {
      const page = operations.exportPage(after);
      names.push(...page.records.map(({ trust_domain }) => trust_domain));
      after = page.next as typeof trustDomain | null;
    }
    expect(names).toEqual(["p0.test", "p1.test", "p2.test"]);
  });
});

describe("release", () => {
  test("of what is not held back says so", async () => {
    daemon.import(alpha.genesis);
    const released = operations.release(trustDomain, alpha.genesis.idHex, "their restore");
    await expect(released).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  test("lets an authority that came back into the row, with its reason in the log", async () => {
    const lines: unknown[] = [];
    const asked = operationsBy(daemon, { lines });
    const other = alpha.newCa();
    const both = { x509Authorities: [untainted(alpha.ca), untainted(other)] };
    const withBoth = second(both);
    const without = alpha.next(withBoth, { x509Authorities: [untainted(alpha.ca)] });
    const again = alpha.next(without, both);
    daemon.import(alpha.genesis);
    for (const record of [withBoth, without, again]) daemon.receive(record);
    expect(daemon.findings).toContain("AUTHORITY_RETURNED");
    const released = await asked.release(trustDomain, again.idHex, "their restore");
    expect(released).toEqual({ trust_domain: trustDomain, record_id: again.idHex });
    expect(daemon.findings).not.toContain("AUTHORITY_RETURNED");
    expect(lines).toMatchObject([["info", { reason: "their restore" }, "Authority released"]]);
  });
});
