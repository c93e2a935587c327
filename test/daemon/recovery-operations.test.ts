/** Recovery keys at a daemon's core: committed once, asked to sign, and used once. */
import { describe, expect, test } from "vitest";
import type { Commitment, RecoverRequest } from "../../src/admin-contract/recovery.ts";
import type { Operations } from "../../src/admin/operations.ts";
import { encodeExportFile } from "../../src/core/record/export-file.ts";
import { recordId } from "../../src/core/record/preimages.ts";
import { toHex } from "../../src/core/std/bytes.ts";
import {
  type NodeKey,
  bundleOf,
  commitmentTo,
  makeNodeKey,
  makePublisher,
  makeRecord,
  signRecovery,
} from "../arbitraries/record.ts";
import { TestDaemon } from "../core/mesh/daemon.ts";
import { operationsBy } from "./operations-by.ts";

const KEYS = [makeNodeKey(), makeNodeKey(), makeNodeKey()];
const [ONE, TWO, THREE] = KEYS as [NodeKey, NodeKey, NodeKey];
const SPARE = makeNodeKey();

function asJson(keys: readonly NodeKey[], threshold: number): Commitment {
  const { keyHashes } = commitmentTo(keys, threshold);
  return { threshold, key_hashes: keyHashes.map(toHex) };
}

async function published(lines: unknown[] = []) {
  const publisher = makePublisher("alpha.test");
  const daemon = await TestDaemon.start(publisher);
  daemon.exportOwn(bundleOf(publisher.genesis.state));
  const operations = operationsBy(daemon, { lines });
  const { lineage } = operations.recoveryStatus();
  const order = { trust_domain: "alpha.test", lineage, ...asJson(KEYS, 2) };
  return { publisher, daemon, operations, order };
}

async function committed(lines: unknown[] = []) {
  const asked = await published(lines);
  await asked.operations.commitRecovery(asked.order);
  return asked;
}

/** What the daemon asks for, signed by these keys. */
async function signed(
  operations: Operations,
  keys: readonly NodeKey[],
  as: "recover" | "exchange" = "recover",
): Promise<RecoverRequest> {
  const prepared = await operations.prepareRecovery({ as, next: asJson([SPARE], 1) });
  return signedBy(prepared, keys);
}

function signedBy(
  { payload, held }: Pick<RecoverRequest, "payload" | "held">,
  keys: readonly NodeKey[],
): RecoverRequest {
  const id = recordId(1, Uint8Array.from(Buffer.from(payload, "base64")));
  const signatures = signRecovery(id, keys).map(([publicKey, signature]) => ({
    public_key: toHex(publicKey),
    signature: toHex(signature),
  }));
  return { payload, held, signatures };
}

describe("recovery commit", () => {
  test("publishes the first keys; again changes nothing; others only recovery keys commit", async () => {
    const lines: unknown[] = [];
    const { operations, order } = await published(lines);
    expect(operations.recoveryStatus()).toMatchObject({ threshold: null, key_hashes: [], rev: 0 });
    const { record_id, outcome } = await operations.commitRecovery(order);
    expect(outcome).toBe("published");
    const status = { record_id, rev: 1, threshold: 2, key_hashes: order.key_hashes };
    expect(operations.recoveryStatus()).toMatchObject(status);
    expect(operations.status().own.recovery).toEqual({ threshold: 2, keys: 3 });
    expect(await operations.commitRecovery(order)).toMatchObject({
      record_id,
      outcome: "unchanged",
    });
    await expect(
      operations.commitRecovery({ ...order, ...asJson([SPARE], 1) }),
    ).rejects.toMatchObject({ code: "NOT_READY" });
    expect(lines).toMatchObject([
      ["info", { record_id, key_hashes: order.key_hashes.join(",") }, "Recovery keys committed"],
      ["info", { outcome: "unchanged" }, "Recovery keys committed"],
      ["warn", { code: "NOT_READY" }, /not done/],
    ]);
  });

  test.each([
    ["another trust domain", { trust_domain: "bravo.test" }, "RECOVERY_OTHER_TRUST_DOMAIN"],
    ["another lineage", { lineage: "ab".repeat(32) }, "DATA_INVALID"],
    ["more signatures than keys", { threshold: 4 }, "USAGE"],
  ])("of keys for %s changes nothing", async (_, change, code) => {
    const { operations, order } = await published();
    await expect(operations.commitRecovery({ ...order, ...change })).rejects.toMatchObject({
      code,
    });
    expect(operations.recoveryStatus().threshold).toBeNull();
  });

  test("of one key twice changes nothing", async () => {
    const { operations, order } = await published();
    const [hash = ""] = order.key_hashes;
    const twice = { ...order, key_hashes: [hash, hash] };
    await expect(operations.commitRecovery(twice)).rejects.toMatchObject({ code: "USAGE" });
  });
});

describe("recovery status", () => {
  test("before there is a record names what makes one, and makes none", async () => {
    const daemon = await TestDaemon.start(makePublisher("alpha.test"));
    const operations = operationsBy(daemon);
    expect(() => operations.recoveryStatus()).toThrow(
      expect.objectContaining({ code: "NOT_FOUND" }),
    );
    expect(daemon.signing).toEqual([]);
  });
});

describe("recover", () => {
  test("begins the next epoch with this node alone; again changes nothing; the keys are spent", async () => {
    const lines: unknown[] = [];
    const { operations, publisher } = await committed(lines);
    const order = await signed(operations, [ONE, THREE]);
    const { record_id, outcome } = await operations.recover(order);
    expect(outcome).toBe("published");
    expect(operations.recoveryStatus()).toMatchObject({
      record_id,
      epoch: 1,
      rev: 0,
      threshold: 1,
      key_hashes: asJson([SPARE], 1).key_hashes,
    });
    expect(operations.nodes()).toMatchObject([{ is_self: true }]);
    expect(await operations.recover(order)).toMatchObject({ record_id, outcome: "unchanged" });
    expect(lines.slice(1)).toMatchObject([
      ["info", { record_id, epoch: 1 }, "Recovery published"],
      ["info", { outcome: "unchanged" }, "Recovery published"],
    ]);
    expect(publisher.trustDomain).toBe("alpha.test");
  });

  test("exchanges the keys alone when that was asked for", async () => {
    const { operations } = await committed();
    const order = await signed(operations, [ONE, TWO], "exchange");
    await operations.recover(order);
    expect(operations.recoveryStatus()).toMatchObject({ epoch: 0, rev: 2, threshold: 1 });
  });

  test.each<[string, readonly NodeKey[]]>([
    ["too few keys", [ONE]],
    ["more keys than asked for", [ONE, TWO, THREE]],
    ["a key that is not committed", [ONE, SPARE]],
  ])("signed by %s changes nothing", async (_, keys) => {
    const { operations } = await committed();
    const order = await signed(operations, keys);
    await expect(operations.recover(order)).rejects.toMatchObject({ code: "DATA_INVALID" });
    expect(operations.recoveryStatus().epoch).toBe(0);
  });

  test("of another payload than was signed changes nothing", async () => {
    const { operations } = await committed();
    const { signatures } = await signed(operations, [ONE, TWO]);
    const other = await operations.prepareRecovery({ as: "recover", next: null });
    const order = { ...other, signatures };
    await expect(operations.recover(order)).rejects.toMatchObject({ code: "DATA_INVALID" });
    const garbage = { ...order, payload: Buffer.from("no state").toString("base64") };
    await expect(operations.recover(garbage)).rejects.toMatchObject({ code: "DATA_INVALID" });
  });

  test("of a commitment made up with the thief's own keys changes nothing", async () => {
    const { operations } = await committed();
    const { payload, held } = await operations.prepareRecovery({ as: "recover", next: null });
    const thief = makeNodeKey();
    const order = signedBy({ payload, held: { ...held, ...asJson([thief], 1) } }, [thief]);
    await expect(operations.recover(order)).rejects.toMatchObject({ exitCode: expect.any(Number) });
    expect(operations.recoveryStatus()).toMatchObject({ epoch: 0, threshold: 2 });
  });

  test("at another daemon than the one that asked names both", async () => {
    const { operations, publisher } = await committed();
    const order = await signed(operations, [ONE, TWO]);
    const other = await TestDaemon.start({ ...publisher, node: makeNodeKey() });
    other.readBundle(bundleOf(publisher.genesis.state));
    await expect(operationsBy(other).recover(order)).rejects.toMatchObject({
      code: "RECOVERY_OTHER_RECORD",
      message: expect.stringMatching(/12D3KooW\w+, and this is 12D3KooW/),
    });
  });

  test("of a request from before the last recovery is refused", async () => {
    const { operations } = await committed();
    const early = await signed(operations, [ONE, TWO]);
    const { payload, held } = await operations.prepareRecovery({
      as: "recover",
      next: asJson([makeNodeKey()], 1),
    });
    await operations.recover(signedBy({ payload, held }, [ONE, TWO]));
    await expect(operations.recover(early)).rejects.toMatchObject({
      code: "RECOVERY_OTHER_EPOCH",
    });
    expect(operations.recoveryStatus().epoch).toBe(1);
  });
});

describe("recovery request", () => {
  test("without committed keys says so", async () => {
    const { operations } = await published();
    const order = { as: "recover", next: null } as const;
    await expect(operations.prepareRecovery(order)).rejects.toMatchObject({ code: "NOT_READY" });
  });

  test("of a daemon that has lost its disk goes on from the record in a file", async () => {
    const recovery = commitmentTo(KEYS, 2);
    const old = makePublisher("alpha.test", { recovery });
    const publisher = { ...old, node: makeNodeKey() };
    const daemon = await TestDaemon.start(publisher);
    daemon.readBundle(bundleOf(old.genesis.state));
    const operations = operationsBy(daemon);
    const content = encodeExportFile({ envelope: old.genesis.envelope, addresses: [] });
    const record = Buffer.from(content).toString("base64");
    const prepared = await operations.prepareRecovery({ as: "recover", record, next: null });
    expect(prepared.held).toEqual({ epoch: 0, rev: 0, ...asJson(KEYS, 2) });
    await operations.recover(signedBy(prepared, [TWO, THREE]));
    const { own } = operations.status();
    expect(own).toMatchObject({ lineage: old.genesis.idHex, epoch: 1, rev: 0 });
  });

  test.each([
    ["no export", Buffer.from("nothing").toString("base64"), "DATA_INVALID"],
    ["another trust domain's", fileOf("bravo.test"), "RECOVERY_OTHER_TRUST_DOMAIN"],
    ["one that no node signed", unsignedFile(), "DATA_INVALID"],
    ["of another lineage than the one held", fileOf("alpha.test"), "RECOVERY_OTHER_RECORD"],
  ])("from a record that is %s is refused", async (_, record, code) => {
    const { operations } = await published();
    const order = { as: "recover", record, next: null } as const;
    await expect(operations.prepareRecovery(order)).rejects.toMatchObject({ code });
  });
});

function fileOf(name: string): string {
  const { envelope } = makePublisher(name).genesis;
  return Buffer.from(encodeExportFile({ envelope, addresses: [] })).toString("base64");
}

function unsignedFile(): string {
  const { genesis, node, svid } = makePublisher("alpha.test");
  const { envelope } = makeRecord(genesis.state, [
    { node, svids: [svid], nodeSignature: (signature) => signature.toReversed() },
  ]);
  return Buffer.from(encodeExportFile({ envelope, addresses: [] })).toString("base64");
}
