/** What an operator is told of an order, by the daemon's core and a SPIRE Server that answers at once. */
import { describe, expect, test } from "vitest";
import type { Operations } from "../../src/admin/operations.ts";
import { FINDINGS } from "../../src/core/mesh/finding.ts";
import { encodeExportFile } from "../../src/core/record/export-file.ts";
import { FAULTS } from "../../src/fault.ts";
import {
  type BlockParts,
  NOW_S,
  type NodeKey,
  bundleOf,
  makeNodeKey,
  makePublisher,
  makeRecord,
  untainted,
} from "../arbitraries/record.ts";
import { TestDaemon } from "../core/mesh/daemon.ts";
import { operationsBy } from "./operations-by.ts";

const alpha = makePublisher("alpha.test");
const bravo = makePublisher("bravo.test");
const { ca, genesis, newCa, trustDomain } = alpha;
const row = bundleOf(genesis.state);
const foreign = { ...row, x509Authorities: [untainted(newCa())] };
const orderOf = { file: "alpha.record", fingerprint: genesis.idHex, peers: [], replace: false };
const content = encodeExportFile({ envelope: genesis.envelope, addresses: [] });

/** SPIRE holds `foreign` for whoever is new. */
function operationsOf(daemon: TestDaemon, lines: unknown[] = []): Operations {
  return operationsBy(daemon, { lines, row: foreign });
}

describe("forget says what became of the row", () => {
  test("that this daemon wrote: deleted", async () => {
    const daemon = await TestDaemon.start(bravo);
    daemon.import(genesis);
    daemon.endRow();
    expect(await operationsOf(daemon).forget(trustDomain)).toEqual({
      trust_domain: trustDomain,
      row: "deleted",
    });
  });

  test("that SPIRE Server does not hold: missing", async () => {
    const daemon = await TestDaemon.start(bravo);
    daemon.import(genesis);
    daemon.orders.length = 0;
    expect(await operationsOf(daemon).forget(trustDomain)).toMatchObject({ row: "missing" });
  });

  test.each([[[row]], [[]]])("that it leaves alone: unmanaged", async (rows) => {
    const daemon = await TestDaemon.start(bravo, { unmanaged: [trustDomain] });
    daemon.import(genesis);
    daemon.readRows(...rows);
    expect(await operationsOf(daemon).forget(trustDomain)).toMatchObject({ row: "unmanaged" });
  });
});

describe("import of a trust domain whose row SPIRE Server has from somebody else", () => {
  test("is refused, as the row would be taken over", async () => {
    const operations = operationsOf(await TestDaemon.start(bravo));
    await expect(operations.import({ ...orderOf, content })).rejects.toMatchObject({
      code: "ROW_NOT_OURS",
    });
  });

  test("is taken where the row is unmanaged, and the row stays as it is", async () => {
    const daemon = await TestDaemon.start(bravo, { unmanaged: [trustDomain] });
    const outcome = await operationsOf(daemon).import({ ...orderOf, content });
    expect(outcome).toMatchObject({ outcome: "accepted" });
    expect(daemon.effects.some(({ kind }) => kind === "order-row")).toBe(false);
  });
});

const damaged = (signature: Uint8Array): Uint8Array =>
  signature.map((byte, index) => (index === 5 ? byte ^ 1 : byte));

describe("import says when the file's record was signed", () => {
  const { node, svid } = alpha;
  const signed = (signer: NodeKey, agoS: number): BlockParts => ({
    node: signer,
    svids: [svid],
    signedAtS: NOW_S - agoS,
  });
  const importOf = async (fingerprint: string, ...blocks: readonly BlockParts[]) => {
    const { envelope } = makeRecord(genesis.state, blocks);
    const file = encodeExportFile({ envelope, addresses: [] });
    const operations = operationsOf(await TestDaemon.start(bravo));
    return await operations.import({ ...orderOf, fingerprint, content: file, replace: true });
  };

  test.each([
    ["accepted", genesis.idHex],
    ["refused", "0".repeat(64)],
  ])("last, when it is %s", async (outcome, fingerprint) => {
    const imported = await importOf(fingerprint, signed(node, 600), signed(node, 60));
    const signedAt = new Date((NOW_S - 60) * 1_000).toISOString();
    expect(imported).toMatchObject({ outcome, signed_at: signedAt });
  });

  test("by a node that it lists: whoever hands it on makes it no younger", async () => {
    const imported = await importOf(genesis.idHex, signed(node, 600), signed(makeNodeKey(), 0));
    const signedAt = new Date((NOW_S - 600) * 1_000).toISOString();
    expect(imported).toMatchObject({ outcome: "accepted", signed_at: signedAt });
  });

  test.each(["accepted", "unchanged"])(
    "by both factors, when it is %s: a node key alone makes it no younger",
    async (outcome) => {
      const stolen = { ...signed(node, 0), svidSignature: damaged };
      const { envelope } = makeRecord(genesis.state, [signed(node, 600), stolen]);
      const file = encodeExportFile({ envelope, addresses: [] });
      const daemon = await TestDaemon.start(bravo);
      if (outcome === "unchanged") daemon.import({ ...genesis, envelope });
      const operations = operationsOf(daemon);
      const imported = await operations.import({ ...orderOf, content: file, replace: true });
      const signedAt = new Date((NOW_S - 600) * 1_000).toISOString();
      expect(imported).toMatchObject({ outcome, signed_at: signedAt });
    },
  );

  test("not at all when no such node signed", async () => {
    const imported = await importOf(genesis.idHex, signed(makeNodeKey(), 0));
    expect(imported).toMatchObject({ outcome: "refused", signed_at: null });
  });
});

describe("the log says of an import", () => {
  test("whose record was taken, and whether its row was taken over", async () => {
    const lines: unknown[] = [];
    const operations = operationsOf(await TestDaemon.start(bravo), lines);
    await operations.import({ ...orderOf, content, replace: true });
    const fields = { trust_domain_id: trustDomain, record_id: genesis.idHex, replace: true };
    expect(lines).toEqual([["info", fields, "Import accepted"]]);
  });

  test("why it was refused, be it the record or the row", async () => {
    const lines: unknown[] = [];
    const operations = operationsOf(await TestDaemon.start(bravo), lines);
    await operations.import({ ...orderOf, content, fingerprint: "0".repeat(64) });
    await operations.import({ ...orderOf, content }).catch(() => {});
    expect(lines).toMatchObject([
      ["warn", { record_id: genesis.idHex, code: "FINGERPRINT_MISMATCH" }, "Import refused"],
      ["warn", { file: "alpha.record", code: "ROW_NOT_OURS" }, "Import refused"],
    ]);
  });
});

describe("export before SPIRE's own bundle was ever read", () => {
  test("waits for it while SPIRE answers", async () => {
    const operations = operationsOf(await TestDaemon.start(bravo));
    await expect(operations.export()).rejects.toMatchObject({ code: "NOT_READY" });
  });

  test("names SPIRE while it is away, and why", async () => {
    const daemon = await TestDaemon.start(bravo);
    daemon.send({ kind: "spire-away", reason: "connect ENOENT" });
    await expect(operationsOf(daemon).export()).rejects.toMatchObject({
      code: "SPIRE_UNREACHABLE",
      message: "connect ENOENT",
    });
  });
});

describe("bundle pin of the sibling of a fork on a disk that takes nothing", () => {
  test("says so, as the record is as good as before", async () => {
    const second = alpha.next(genesis, { x509Authorities: [untainted(ca), untainted(newCa())] });
    const sibling = alpha.next(genesis, { x509Authorities: [untainted(ca), untainted(newCa())] });
    const daemon = await TestDaemon.start(bravo);
    daemon.import(genesis);
    expect([daemon.receive(second), daemon.receive(sibling)]).toEqual(["taken", "taken"]);
    daemon.disk.fails = true;
    await expect(operationsOf(daemon).pin(trustDomain, sibling.idHex)).rejects.toMatchObject({
      code: "STORE_FULL",
      advice: FINDINGS.STORE_FAILED.next,
    });
  });
});

describe("a failure of the core", () => {
  test("is told with its own advice where it has one", async () => {
    const daemon = await TestDaemon.start(bravo);
    daemon.import(genesis);
    Object.assign(daemon.disk, { fails: true, failure: "CANNOT_CREATE", next: "mount it anew" });
    await expect(operationsOf(daemon).pin(trustDomain, "ab".repeat(32))).rejects.toMatchObject({
      code: "CANNOT_CREATE",
      advice: "mount it anew",
    });
  });

  test("else with that of its code", async () => {
    const operations = operationsOf(await TestDaemon.start(bravo));
    await expect(operations.forget(trustDomain)).rejects.toMatchObject({
      code: "NOT_FOUND",
      advice: FAULTS.NOT_FOUND.advice,
    });
  });
});
