import { describe, expect, test } from "vitest";
import type { StoredContents, StoredDomain } from "../../src/ports/record-store.ts";
import { loadStored, toStoredDomain } from "../../src/runtime/stored-slot.ts";
import { x509Proofs } from "../../src/x509/proofs.ts";
import { makePublisher, untainted } from "../arbitraries/record.ts";
import { addSibling, advance, startSlot } from "../../src/core/resolver/slot.ts";
import { verified } from "../core/record/verdict.ts";

const alpha = makePublisher("alpha.test");
const bravo = makePublisher("bravo.test");
const { genesis, trustDomain } = alpha;
const change = () => ({ x509Authorities: [untainted(alpha.ca), untainted(alpha.newCa())] });
const first = verified(genesis);
const slot = addSibling(
  advance(startSlot(first), verified(alpha.next(genesis, change()), first)),
  verified(alpha.next(genesis, change()), first),
);
const pin = {
  trustDomain,
  approvedRecordId: genesis.idHex,
  approvedAtMs: 1,
  awaitedRecordId: undefined,
  addressHints: [],
};
const stored = toStoredDomain({ trustDomain, slot, pin });

async function load(contents: Partial<StoredContents>, own = bravo.trustDomain) {
  const store = { load: async () => ({ pins: [], domains: [], ...contents }) };
  return await loadStored(store, own, x509Proofs);
}

describe("what the store kept", () => {
  test("comes back as it was: held, base and sibling", async () => {
    expect(await load({ pins: [pin], domains: [stored] })).toEqual({
      own: undefined,
      partners: [{ pin, slot }],
    });
    expect(await load({ domains: [stored] }, trustDomain)).toEqual({ own: slot, partners: [] });
  });

  test.each<readonly [string, Partial<StoredContents>]>([
    ["an approved domain without a record", { pins: [pin] }],
    ["a record of another id", damaged({ recordId: "00".repeat(32) })],
    ["a record that does not read", damaged({ envelope: new Uint8Array(9) })],
    [
      "a base that does not read",
      { pins: [pin], domains: [{ ...stored, frame: new Uint8Array(9) }] },
    ],
  ])("is damaged when there is %s", async (_, contents) => {
    await expect(load(contents)).rejects.toMatchObject({ code: "STORE_DAMAGED" });
  });
});

function damaged(change: Partial<StoredDomain["held"]>): Partial<StoredContents> {
  return { pins: [pin], domains: [{ ...stored, held: { ...stored.held, ...change } }] };
}
