/** A set of keys fits together: each form its passphrase, its number and the commitment. */
import { expect, test } from "vitest";
import { decodeCommitment } from "../../src/keys/recovery-commitment.ts";
import { decodeKeyForm, openKeyForm } from "../../src/keys/recovery-form.ts";
import { makeKeySet } from "../../src/keys/recovery-set.ts";
import { ALPHA, CHEAP, LINEAGE, codeOf } from "./recovery-material.ts";

const passphrases = [1, 2, 3, 4, 5].map((number) => `the passphrase of key ${number}`);

test("every key opens with the passphrase of its number alone, and stands in the commitment", async () => {
  const order = { trustDomain: ALPHA, lineage: LINEAGE, threshold: 3, madeOn: "2026-01-31" };
  const set = await makeKeySet({ ...order, passphrases }, CHEAP);
  const { commitment, ...whose } = decodeCommitment(set.commitment, "it");
  expect(whose).toEqual({ trustDomain: ALPHA, lineage: LINEAGE });
  expect(commitment).toEqual({ threshold: 3, keyHashes: set.keys.map(({ keyHash }) => keyHash) });
  for (const [index, key] of set.keys.entries()) {
    const { number, keyHash, form } = key;
    expect(number).toBe(index + 1);
    const read = decodeKeyForm(form, "it");
    expect(read.label).toEqual({ ...order, number, count: 5, keyHash });
    for (const [other, passphrase] of passphrases.entries()) {
      const code = codeOf(() => openKeyForm(read, passphrase, "it"));
      expect(code).toBe(other === index ? "none" : "PASSPHRASE_WRONG");
    }
    const clear = decodeKeyForm(key.formInClear(), "it");
    expect(clear.label).toEqual(read.label);
    expect(openKeyForm(clear, "", "it").keyHash).toEqual(keyHash);
  }
});

test("a threshold that cannot be reached is a defect of the caller", async () => {
  const order = { trustDomain: ALPHA, lineage: LINEAGE, madeOn: "2026-01-31", passphrases };
  for (const threshold of [0, 6]) {
    await expect(makeKeySet({ ...order, threshold }, CHEAP)).rejects.toThrow(/can be reached/);
  }
});
