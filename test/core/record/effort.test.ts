import { describe, expect, test } from "vitest";
import { Effort } from "../../../src/core/record/effort.ts";
import type { Proofs } from "../../../src/core/record/proofs.ts";
import { readRecord } from "../../../src/core/record/verify.ts";
import { SIGNATURE_CHECKS_MAX } from "../../../src/core/std/limits.ts";
import { x509Proofs } from "../../../src/x509/proofs.ts";
import { NOW_S, type TestRecord, makePublisher, makeRecord } from "../../arbitraries/record.ts";
import { judgeAfter } from "./verdict.ts";

const { genesis, node, svid } = makePublisher("alpha.test");
const leaf = x509Proofs.readCertificate(svid.chain[0] ?? new Uint8Array());
if ("malformed" in leaf) throw new Error(leaf.malformed);
const none = new Uint8Array();

/** Verifies a first record. Returns how many blocks stood. */
function blocksOf({ envelope }: TestRecord, effort: Effort): number | string {
  const read = readRecord(envelope, "sync", x509Proofs);
  const verified = read.ok ? judgeAfter(read.value, undefined, NOW_S, effort) : read;
  return verified.ok ? verified.value.blocks.length : verified.reason.code;
}

/** The same record, signed so many times by its node. */
function signedTimes(times: number): TestRecord {
  const blocks = Array.from({ length: times }, (_, index) => ({
    node,
    svids: [svid],
    signedAtS: NOW_S - index,
  }));
  return makeRecord(genesis.state, blocks);
}

describe("the effort of a verification", () => {
  test("is what was checked and read: one block is an SVID signature and its issuer's", () => {
    const effort = new Effort(x509Proofs);
    expect(blocksOf(genesis, effort)).toBe(1);
    expect(effort.work).toBe(4); // Two checks, an authority and a leaf.
    expect(effort.isExhausted).toBe(false);
  });

  test("grows with each block", () => {
    const effort = new Effort(x509Proofs);
    expect(blocksOf(signedTimes(8), effort)).toBe(8);
    expect(effort.work).toBe(1 + 8 * 3);
  });

  test(`ends with the check after ${SIGNATURE_CHECKS_MAX}, which is answered with no`, () => {
    const effort = new Effort(x509Proofs);
    for (let check = 0; check < SIGNATURE_CHECKS_MAX - 3; check += 1) {
      effort.verifiesSvid(leaf.key, new Uint8Array(), new Uint8Array(64));
    }
    expect(effort.isExhausted).toBe(false);
    expect(blocksOf(signedTimes(2), effort), "what was verified before stands").toBe(1);
    expect(effort.isExhausted).toBe(true);
    expect(blocksOf(genesis, effort)).not.toBe(1);
  });

  test.each<readonly [keyof Proofs, (proofs: Proofs) => boolean]>([
    ["issuedBy", (proofs) => proofs.issuedBy(leaf, leaf)],
    ["verifiesSvid", (proofs) => proofs.verifiesSvid(leaf.key, none, none)],
    ["verifiesNode", (proofs) => proofs.verifiesNode(none, none, none)],
  ])("of %s alone is the answer it gets, as often as a record may ask", (kind, ask) => {
    for (const answer of [true, false]) {
      const effort = new Effort({ ...x509Proofs, [kind]: () => answer });
      for (let check = 1; check <= SIGNATURE_CHECKS_MAX; check += 1) {
        expect([ask(effort), effort.isExhausted, effort.work]).toEqual([answer, false, check]);
      }
      expect([ask(effort), effort.isExhausted]).toEqual([false, true]);
      expect(effort.work).toBe(SIGNATURE_CHECKS_MAX);
    }
  });

  test("counts what is read, be it malformed", () => {
    const effort = new Effort(x509Proofs);
    expect(effort.readKey(leaf.key.spki)).toEqual(leaf.key);
    expect(effort.readCertificate(none)).toHaveProperty("malformed");
    expect(effort.work).toBe(2);
  });
});
