/** The public half of a set of keys, on its way from the laptop to a daemon. */
import { describe, expect, test } from "vitest";
import { encodeCbor } from "../../src/core/std/cbor.ts";
import { decodeCommitment, encodeCommitment } from "../../src/keys/recovery-commitment.ts";
import { writeRecoveryText } from "../../src/keys/recovery-text.ts";
import {
  ALPHA,
  KEYS,
  LINEAGE,
  codeOf,
  commitmentOf,
  expectEachByteToMatter,
  expectWholeFilesAlone,
  faultOf,
  requestText,
} from "./recovery-material.ts";

const decode = (text: string) => decodeCommitment(text, "commitment.txt");
const text = encodeCommitment({
  trustDomain: ALPHA,
  lineage: LINEAGE,
  commitment: commitmentOf(3, KEYS.slice(0, 5)),
});

describe("a recovery commitment", () => {
  test("of every m of n is read as it was written", () => {
    for (const n of [1, 2, 3, 4, 5]) {
      for (let m = 1; m <= n; m += 1) {
        const commitment = commitmentOf(m, KEYS.slice(0, n));
        const file = { trustDomain: ALPHA, lineage: LINEAGE, commitment };
        expect(decode(encodeCommitment(file))).toEqual(file);
        expect(encodeCommitment(file)).toContain(`${m} of these ${n} keys`);
      }
    }
  });

  test("of which any byte changed on the way is refused", () => {
    expectEachByteToMatter(text, decode);
  });

  test("is taken whole or not at all, and with another system's line ends", () => {
    expectWholeFilesAlone(text, decode);
  });

  test.each([
    ["a threshold of 0", 0, 5],
    ["no keys", 1, 0],
    ["six keys", 1, 6],
    ["a threshold above the number of keys", 3, 2],
  ])("with %s is refused", (_, m, n) => {
    const { threshold, keyHashes } = commitmentOf(m, KEYS.slice(0, n));
    const content = encodeCbor([1, ALPHA, LINEAGE, [threshold, keyHashes]]);
    const forged = writeRecoveryText("commitment", "words", content);
    expect(codeOf(() => decode(forged))).toBe("RECOVERY_FILE_DAMAGED");
  });

  test.each([
    ["a recovery request", requestText()],
    [
      "an encrypted private key",
      "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    ],
    ["something else", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"],
    ["something else", "a shopping list"],
  ])("is not %s", (what, other) => {
    const fault = faultOf(() => decode(other));
    expect(fault).toMatchObject({ code: "RECOVERY_FILE_KIND", exitCode: 65 });
    expect(fault?.message).toBe(`commitment.txt is ${what}, not a recovery commitment`);
  });
});
