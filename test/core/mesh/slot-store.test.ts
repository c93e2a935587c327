/** What follows once a record stands in the store. */
import { describe, expect, test } from "vitest";
import { compareBytes, toHex } from "../../../src/core/std/bytes.ts";
import { bundleOf, makeNodeKey, makePublisher } from "../../arbitraries/record.ts";
import { TestDaemon, ofKind } from "./daemon.ts";

test("an own record that lists other nodes admits them, once it is stored", async () => {
  const alpha = makePublisher("alpha.test");
  const { genesis, node, trustDomain } = alpha;
  const daemon = await TestDaemon.start(alpha);
  daemon.exportOwn(bundleOf(genesis.state));
  expect(ofKind(daemon.effects, "admit-nodes")).toEqual([
    { kind: "admit-nodes", trustDomain, nodes: [node.publicKey] },
  ]);
  const replica = makeNodeKey();
  const nodes = [node.publicKey, replica.publicKey].sort(compareBytes);
  const version = { epoch: 0, rev: 1, sequence: 1n };
  const before = daemon.effects.length;
  expect(daemon.receive(alpha.next(genesis, { version, nodes }))).toBe("taken");
  const effects = daemon.effects.slice(before).map(({ kind }) => kind);
  expect(effects.indexOf("admit-nodes")).toBeGreaterThan(effects.indexOf("store-domain"));
  expect(ofKind(daemon.effects.slice(before), "admit-nodes")).toEqual([
    { kind: "admit-nodes", trustDomain, nodes },
  ]);
  expect(daemon.state.nodes.ownerOf(toHex(replica.publicKey))).toBe(trustDomain);
});

/** It forgot a partner while its disk was full. */
async function forgotten(): Promise<TestDaemon> {
  const bravo = makePublisher("bravo.test");
  const daemon = await TestDaemon.start(makePublisher("alpha.test"));
  daemon.import(bravo.genesis);
  daemon.endRow();
  daemon.disk.fails = true;
  daemon.forget(bravo.trustDomain);
  daemon.endRow();
  expect(daemon.findings).toContain("STORE_FAILED");
  return daemon;
}

describe("a disk that was full", () => {
  test("is noticed once it has room again, though nothing new came to be stored", async () => {
    const daemon = await forgotten();
    daemon.disk.fails = false;
    expect(ofKind(daemon.wait(9), "store-domain")).toEqual([]);
    daemon.wait(1);
    expect(daemon.findings).not.toContain("STORE_FAILED");
    expect(ofKind(daemon.wait(60), "store-domain")).toEqual([]);
  });

  test("is tried once in ten seconds while it stays full", async () => {
    const daemon = await forgotten();
    expect(ofKind(daemon.wait(60), "store-domain")).toHaveLength(6);
    expect(daemon.findings).toContain("STORE_FAILED");
  });
});
