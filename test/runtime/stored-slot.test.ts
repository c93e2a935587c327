import { describe, expect, test } from "vitest";
import type { Mark, StoredContents, StoredDomain } from "../../src/ports/record-store.ts";
import { loadStored, toStoredDomain } from "../../src/runtime/stored-slot.ts";
import { x509Proofs } from "../../src/x509/proofs.ts";
import { NOW_S, makePublisher, untainted } from "../arbitraries/record.ts";
import { addSibling, advance, startSlot } from "../../src/core/resolver/slot.ts";
import { verified } from "../core/record/verdict.ts";

const alpha = makePublisher("alpha.test");
const bravo = makePublisher("bravo.test");
const { genesis, trustDomain } = alpha;
const change = () => ({ x509Authorities: [untainted(alpha.ca), untainted(alpha.newCa())] });
const first = verified(genesis);
const slot = addSibling(
  advance(startSlot(first), verified(alpha.next(genesis, change()), first), NOW_S),
  verified(alpha.next(genesis, change()), first),
);
const pin = {
  trustDomain,
  approvedRecordId: genesis.idHex,
  approvedAtMs: 1,
  awaitedRecordId: undefined,
  addressHints: [],
};
const garbage = Uint8Array.of(0x80);
const stored = toStoredDomain({ trustDomain, slot, pin });

async function load(contents: Partial<StoredContents>, own = bravo.trustDomain) {
  const nothing: StoredContents = {
    pins: [],
    domains: [],
    headCounter: 0n,
    missing: [],
    quarantined: undefined,
    marksLost: false,
  };
  const store = { load: async () => ({ ...nothing, ...contents }) };
  return await loadStored(store, own, x509Proofs);
}

describe("what the store kept", () => {
  test("comes back as it was: held, sibling, and what is known beside them", async () => {
    const rest = { headCounter: 0n, lost: undefined };
    expect(await load({ pins: [pin], domains: [stored] })).toEqual({
      own: undefined,
      partners: [{ pin, slot }],
      ...rest,
    });
    expect(await load({ domains: [stored] }, trustDomain)).toEqual({
      own: slot,
      partners: [],
      ...rest,
    });
  });

  test("of an earlier version has no frame, and starts anew with what is held", async () => {
    const frame = new Uint8Array();
    const { partners } = await load({ pins: [pin], domains: [{ ...stored, frame }] });
    expect(partners).toEqual([{ pin, slot: startSlot(slot.held) }]);
  });

  test("and the marks name no more: a lost partner starts with exactly the record that stood last", async () => {
    const recordId = "ab".repeat(32);
    const mark: Mark = {
      epoch: 0,
      rev: 0,
      sequence: 2n,
      recordId,
      trustDomain,
      pin,
      lineage: genesis.idHex,
      baseId: undefined,
      nodes: genesis.state.nodes,
    };
    const { partners, lost } = await load({ missing: [mark], quarantined: "it lies elsewhere" });
    expect(partners).toEqual([
      { pin: { ...pin, awaitedRecordId: recordId }, slot: undefined, nodes: genesis.state.nodes },
    ]);
    expect(lost).toMatch(/^it lies elsewhere; .* 1 trust domains/);
  });

  test.each<readonly [string, Partial<StoredContents>]>([
    ["an approved domain without a record", { pins: [pin] }],
    ["a record of another id", damaged({ recordId: "00".repeat(32) })],
    ["a record that does not read", damaged({ envelope: new Uint8Array(9) })],
    ["a frame that does not read", { pins: [pin], domains: [{ ...stored, frame: garbage }] }],
    ["a frame without its sibling", { pins: [pin], domains: [{ ...stored, sibling: undefined }] }],
  ])("is damaged when there is %s", async (_, contents) => {
    await expect(load(contents)).rejects.toMatchObject({ code: "STORE_DAMAGED" });
  });
});

function damaged(change: Partial<StoredDomain["held"]>): Partial<StoredContents> {
  return { pins: [pin], domains: [{ ...stored, held: { ...stored.held, ...change } }] };
}
