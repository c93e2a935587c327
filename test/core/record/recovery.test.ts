/** Which sets of signatures are those of m of the n committed recovery keys: exactly one kind. */
import { sign } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type RecoverySignature,
  recordId,
  recoveryPreimage,
} from "../../../src/core/record/preimages.ts";
import { isCommitted, judgeRecovery } from "../../../src/core/record/recovery.ts";
import type { RecoveryCommitment } from "../../../src/core/record/state.ts";
import { compareBytes, concatBytes, toUtf8 } from "../../../src/core/std/bytes.ts";
import { sha256 } from "../../../src/core/std/sha256.ts";
import { x509Proofs } from "../../../src/x509/proofs.ts";
import { type NodeKey, nodeKeyFromSeed } from "../../arbitraries/record.ts";

const ID = recordId(1, toUtf8("a state"));
const OTHER_ID = recordId(1, toUtf8("another state"));

/** Seven keys, ascending; of the first five some are committed. */
const KEYS = Array.from({ length: 7 }, (_, index) => keyOf(index)).sort((left, right) =>
  compareBytes(left.publicKey, right.publicKey),
);

function keyOf(index: number): NodeKey {
  return nodeKeyFromSeed(new Uint8Array(32).fill(index + 1));
}

function signed({ publicKey, privateKey }: NodeKey, id = ID): RecoverySignature {
  return [publicKey, Uint8Array.from(sign(null, recoveryPreimage(id), privateKey))];
}

function commitmentOf(threshold: number, keys: readonly NodeKey[]): RecoveryCommitment {
  const keyHashes = keys.map(({ publicKey }) => sha256(publicKey)).sort(compareBytes);
  return { threshold, keyHashes };
}

function verdict(
  signatures: readonly RecoverySignature[],
  commitment: RecoveryCommitment | undefined,
  id = ID,
): string {
  const judged = judgeRecovery(id, signatures, commitment, x509Proofs);
  return judged.ok ? "good" : judged.reason.code;
}

/** Every 1 ≤ m ≤ n ≤ 5, and some of seven keys. */
const scheme = fc.integer({ min: 1, max: 5 }).chain((n) =>
  fc.record({
    n: fc.constant(n),
    m: fc.integer({ min: 1, max: n }),
    signers: fc.subarray([0, 1, 2, 3, 4, 5, 6]),
  }),
);

describe("recovery signatures", () => {
  test("are those of the domain exactly when m of its n keys signed, and no other key", () => {
    fc.assert(
      fc.property(scheme, ({ m, n, signers }) => {
        const commitment = commitmentOf(m, KEYS.slice(0, n));
        const signatures = signers.map((at) => signed(KEYS[at] ?? keyOf(at)));
        const areCommitted = signers.every((at) => at < n);
        const expected =
          signers.length !== m ? "RECOVERY_COUNT" : areCommitted ? "good" : "RECOVERY_KEY_UNKNOWN";
        expect(verdict(signatures, commitment)).toBe(expected);
      }),
    );
  });

  test("come in one order, and each key once", () => {
    const shuffled = scheme
      .filter(({ m }) => m > 1)
      .chain(({ m, n }) =>
        fc.record({
          commitment: fc.constant(commitmentOf(m, KEYS.slice(0, n))),
          picked: fc.array(fc.integer({ min: 0, max: n - 1 }), { minLength: m, maxLength: m }),
        }),
      );
    fc.assert(
      fc.property(shuffled, ({ commitment, picked }) => {
        const signatures = picked.map((at) => signed(KEYS[at] ?? keyOf(at)));
        const ascends = picked.every((at, place) => place === 0 || (picked[place - 1] ?? at) < at);
        expect(verdict(signatures, commitment)).toBe(ascends ? "good" : "RECOVERY_COUNT");
      }),
    );
  });

  test("do not stand for another record", () => {
    fc.assert(
      fc.property(scheme, fc.nat(), ({ m, n }, place) => {
        const commitment = commitmentOf(m, KEYS.slice(0, n));
        const signatures = KEYS.slice(0, m).map((key, at) =>
          signed(key, at === place % m ? OTHER_ID : ID),
        );
        expect(verdict(signatures, commitment)).toBe("RECOVERY_SIGNATURE_INVALID");
      }),
    );
  });

  test("are broken by any flipped bit", () => {
    const commitment = commitmentOf(2, KEYS.slice(0, 3));
    const good = KEYS.slice(0, 2).map((key) => signed(key));
    fc.assert(
      fc.property(fc.nat({ max: 1 }), fc.nat({ max: 96 * 8 - 1 }), (which, bit) => {
        const signatures = good.map((each, at) => (at === which ? flip(each, bit) : each));
        expect(verdict(signatures, commitment)).not.toBe("good");
      }),
    );
  });

  const two = KEYS.slice(0, 2).map((key) => signed(key));
  test.each<[string, readonly RecoverySignature[], RecoveryCommitment | undefined, string]>([
    ["nothing is committed", two, undefined, "RECOVERY_NOT_COMMITTED"],
    ["nothing is committed, nobody signed", [], undefined, "RECOVERY_NOT_COMMITTED"],
    ["the threshold is 0, nobody signed", [], commitmentOf(0, KEYS), "RECOVERY_NOT_COMMITTED"],
    ["the threshold is 0", two, commitmentOf(0, KEYS), "RECOVERY_NOT_COMMITTED"],
    ["nobody signed", [], commitmentOf(1, KEYS), "RECOVERY_COUNT"],
    ["one is missing", two, commitmentOf(3, KEYS), "RECOVERY_COUNT"],
    ["one is too many", two, commitmentOf(1, KEYS), "RECOVERY_COUNT"],
    [
      "a hash is committed twice",
      two,
      commitmentOf(2, [KEYS[0], KEYS[0]].map(known)),
      "RECOVERY_KEY_UNKNOWN",
    ],
  ])("are refused when %s", (_, signatures, commitment, code) => {
    expect(verdict(signatures, commitment)).toBe(code);
  });

  test("are not looked at while a key among them is not committed", () => {
    const asked: Uint8Array[] = [];
    const proofs = {
      verifiesNode: (key: Uint8Array) => {
        asked.push(key);
        return true;
      },
    };
    const commitment = commitmentOf(3, KEYS.slice(0, 5));
    const withStranger = [0, 1, 6].map((at) => signed(KEYS[at] ?? keyOf(at)));
    expect(judgeRecovery(ID, withStranger, commitment, proofs).ok).toBe(false);
    expect(asked).toEqual([]);
  });
});

test("a key is committed by the SHA-256 of its 32 bytes", () => {
  const { keyHashes } = commitmentOf(1, KEYS.slice(0, 5));
  expect(KEYS.map(({ publicKey }) => isCommitted(publicKey, keyHashes))).toEqual([
    ...Array.from({ length: 5 }, () => true),
    false,
    false,
  ]);
  expect(isCommitted(KEYS[0]?.publicKey ?? ID, [])).toBe(false);
});

test("what a recovery key signs begins with a name of its own", () => {
  expect(recoveryPreimage(ID)).toEqual(concatBytes(toUtf8("spire-mesh recovery 1\0"), ID));
});

function known(key: NodeKey | undefined): NodeKey {
  return key ?? keyOf(0);
}

/** Bits 0 to 255 are the key's, the rest the signature's. */
function flip([publicKey, signature]: RecoverySignature, bit: number): RecoverySignature {
  const bytes = concatBytes(publicKey, signature);
  bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return [bytes.subarray(0, 32), bytes.subarray(32)];
}
