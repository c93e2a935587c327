import { describe, expect, test } from "vitest";
import { Effort } from "../../../src/core/record/effort.ts";
import { verifyRecord, readRecord } from "../../../src/core/record/verify.ts";
import { SIGNATURE_CHECKS_MAX } from "../../../src/core/std/limits.ts";
import { x509Proofs } from "../../../src/x509/proofs.ts";
import { NOW_S, type TestRecord, makePublisher, makeRecord } from "../../arbitraries/record.ts";

const { genesis, node, svid } = makePublisher("alpha.test");

/** Verifies a first record. Returns how many blocks stood. */
function blocksOf({ envelope }: TestRecord, effort: Effort): number | string {
  const read = readRecord(envelope, "sync", x509Proofs);
  const verified = read.ok ? verifyRecord(read.value, undefined, NOW_S, effort) : read;
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
    const key = x509Proofs.readCertificate(svid.chain[0] ?? new Uint8Array());
    if ("malformed" in key) throw new Error(key.malformed);
    for (let check = 0; check < SIGNATURE_CHECKS_MAX - 3; check += 1) {
      effort.verifiesSvid(key.key, new Uint8Array(), new Uint8Array(64));
    }
    expect(effort.isExhausted).toBe(false);
    expect(blocksOf(signedTimes(2), effort), "what was verified before stands").toBe(1);
    expect(effort.isExhausted).toBe(true);
    expect(blocksOf(genesis, effort)).not.toBe(1);
  });
});
