/** What may follow a record that is not the first, by whom, and what judging it costs. */
import { describe, expect, test } from "vitest";
import type { Proofs } from "../../../src/core/record/proofs.ts";
import type { State } from "../../../src/core/record/state.ts";
import { standingOf } from "../../../src/core/record/standing.ts";
import { judgeStep } from "../../../src/core/record/step.ts";
import { readRecord } from "../../../src/core/record/verify.ts";
import { x509Proofs } from "../../../src/x509/proofs.ts";
import {
  NOW_S,
  type TestRecord,
  makeNodeKey,
  makePublisher,
  makeRecord,
  stateAfter,
  twinOf,
  untainted,
} from "../../arbitraries/record.ts";
import { judgeAfter, verdict, verified } from "./verdict.ts";

const { ca, node, svid, genesis, newCa, mint, next } = makePublisher("alpha.test");
const held = verified(genesis);

const at = (rev: number, sequence: bigint): Partial<State> => ({
  version: { epoch: 0, rev, sequence },
});

describe("a step after rev 1000", () => {
  const thousandth = next(genesis, at(1_000, 2n));

  test.each([
    ["taken", 1_000],
    ["taken", 2_024],
    ["REV_JUMP", 2_025],
  ])("is %s to rev %i", (code, rev) => {
    expect(verdict(next(thousandth, at(rev, 3n)), verified(thousandth, held))).toBe(code);
  });
});

test("the number of recovery keys that must sign does not change by itself", () => {
  const keyHashes = [1, 2].map((byte) => new Uint8Array(32).fill(byte));
  const first = makePublisher("alpha.test", { recovery: { threshold: 1, keyHashes } });
  const lower = first.next(first.genesis, { recovery: { threshold: 2, keyHashes } });
  expect(verdict(lower, verified(first.genesis))).toBe("RECOVERY_CHANGED");
  expect(verdict(first.next(first.genesis), verified(first.genesis))).toBe("taken");
});

test("no chain's signature may be a twin, the last one neither", () => {
  const other = newCa();
  const x509Authorities = [untainted(ca), untainted(other)];
  for (const place of [0, 1]) {
    let index = -1;
    const record = next(genesis, { x509Authorities }, [svid, mint(other)], {
      svidSignature: (signature) => {
        index += 1;
        return index === place ? twinOf(signature) : signature;
      },
    });
    expect(verdict(record, held)).toBe("SIGNATURE_ENCODING");
  }
});

test("nobody who is not listed is a signer, before anything is asked of certificates", () => {
  const stranger = makeNodeKey();
  const record = makeRecord(stateAfter(genesis), [
    { node: stranger, svids: [svid] },
    { node, svids: [svid] },
  ]);
  expect(signers(record)).toEqual([node.publicKey]);
  const only = makeRecord(stateAfter(genesis), [{ node: stranger, svids: [svid] }]);
  expect(signers(only)).toBe("NODE_NOT_LISTED");
});

function signers({ envelope }: TestRecord): unknown {
  const read = readRecord(envelope, "sync", x509Proofs);
  if (!read.ok) return read.reason.code;
  const judged = judgeStep(read.value, standingOf(held), x509Proofs);
  if (!judged.ok) return judged.reason.code;
  return judged.value.blocks.map(({ nodePublicKey }) => nodePublicKey);
}

test("an authority that stays is not read again, and an issuer is asked once for old and new", () => {
  let certificatesRead = 0;
  let issuersAsked = 0;
  const counting: Proofs = {
    ...x509Proofs,
    readCertificate: (der) => {
      certificatesRead += 1;
      return x509Proofs.readCertificate(der);
    },
    issuedBy: (child, parent) => {
      issuersAsked += 1;
      return x509Proofs.issuedBy(child, parent);
    },
  };
  const added = newCa();
  const record = next(genesis, { x509Authorities: [untainted(ca), untainted(added)] });
  const read = readRecord(record.envelope, "gossip", counting);
  if (!read.ok) throw new Error(read.reason.detail);
  expect(certificatesRead).toBe(0);
  expect(judgeAfter(read.value, held, NOW_S, counting).ok).toBe(true);
  // The authority that is new and the leaf.
  expect([certificatesRead, issuersAsked]).toEqual([2, 1]);
});
