/** A record from the own store is read as strictly as one from a peer: a disk may be anybody's. */
import { describe, expect, test } from "vitest";
import { restoreRecord } from "../../../src/core/record/verify.ts";
import { fromHex } from "../../../src/core/std/bytes.ts";
import { sha256 } from "../../../src/core/std/sha256.ts";
import { x509Proofs } from "../../../src/x509/proofs.ts";
import type { Authority } from "../../arbitraries/authority.ts";
import {
  type BlockParts,
  type TestRecord,
  makePublisher,
  makeRecord,
  stateAfter,
  tainted,
  untainted,
} from "../../arbitraries/record.ts";

const { ca, node, svid, genesis, newCa, mint } = makePublisher("alpha.test");
const nextCa = newCa();
const nextSvid = mint(nextCa);
const good: BlockParts = { node, svids: [svid, nextSvid] };

function record(x509Authorities: readonly Authority[], ...blocks: BlockParts[]): TestRecord {
  const authorities = x509Authorities.map((each) => untainted(each));
  return makeRecord(stateAfter(genesis, { x509Authorities: authorities }), blocks);
}

function restored({ envelope }: TestRecord): unknown {
  const read = restoreRecord(envelope, x509Proofs);
  return read.ok ? read.value.blocks.map(({ newAnchor }) => newAnchor) : read.reason.code;
}

describe("a record from the own store", () => {
  test("names the anchor of each block's last chain", () => {
    const two = record([nextCa], good, { node, svids: [nextSvid] });
    expect(restored(two)).toEqual([sha256(nextCa.der), sha256(nextCa.der)]);
    expect(restored(genesis)).toEqual([sha256(ca.der)]);
  });

  test("is not judged against what was held: its old chain may end in nothing that it lists", () => {
    expect(restored(record([nextCa], { node, svids: [mint(newCa()), nextSvid] }))).toEqual([
      sha256(nextCa.der),
    ]);
  });

  test.each<readonly [string, string, () => TestRecord]>([
    ["no envelope", "ENVELOPE_MALFORMED", () => ({ ...genesis, envelope: fromHex("80") })],
    [
      "a node signature of other bytes",
      "NODE_SIGNATURE_INVALID",
      () => record([nextCa], { ...good, nodeSignature: () => new Uint8Array(64) }),
    ],
    [
      "an authority that does not read",
      "AUTHORITY_MALFORMED",
      () => {
        const bad = { der: fromHex("3000"), tainted: false };
        return makeRecord(stateAfter(genesis, { x509Authorities: [untainted(ca), bad] }), [good]);
      },
    ],
    [
      "a chain that does not read",
      "CHAIN_MALFORMED",
      () => record([nextCa], { node, svids: [svid, { ...nextSvid, chain: [fromHex("3000")] }] }),
    ],
    [
      "a chain that ends in nothing it lists",
      "NEW_AUTHORITY_MISSING",
      () => record([newCa()], good),
    ],
    [
      "a second block whose chain ends in nothing it lists",
      "NEW_AUTHORITY_MISSING",
      () => record([nextCa], good, { node, svids: [svid] }),
    ],
    [
      "a chain that ends in a tainted authority",
      "NEW_AUTHORITY_MISSING",
      () =>
        makeRecord(stateAfter(genesis, { x509Authorities: [tainted(ca)] }), [
          { ...good, svids: [svid] },
        ]),
    ],
  ])("with %s is refused: %s", (_, code, make) => {
    expect(restored(make())).toBe(code);
  });
});
