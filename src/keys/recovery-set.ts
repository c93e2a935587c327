/** A set of recovery keys as it is made: a form for each holder, and the commitment of them all. */
import assert from "node:assert/strict";
import type { TrustDomain } from "../core/spiffe/trust-domain.ts";
import { compareBytes } from "../core/std/bytes.ts";
import { encodeCommitment } from "./recovery-commitment.ts";
import { encodeKeyForm } from "./recovery-form.ts";
import { RecoveryKey, STRETCHING } from "./recovery-key.ts";

export interface KeySetOrder {
  readonly trustDomain: TrustDomain;
  /** Of the record that they are made for. 32 bytes. */
  readonly lineage: Uint8Array;
  /** From 1 to the number of passphrases. */
  readonly threshold: number;
  /** One for each key, by its number: 1 to 5 of them. */
  readonly passphrases: readonly string[];
  /** The day in UTC: 2026-01-31. */
  readonly madeOn: string;
}

export interface MadeKey {
  /** From 1, in the order of the hashes, as in the commitment. */
  readonly number: number;
  readonly keyHash: Uint8Array;
  /** The text of its file. */
  readonly form: string;
  /** The same with the key in clear: made only when it is asked for. */
  formInClear(): string;
}

export interface KeySet {
  readonly keys: readonly MadeKey[];
  /** The text of the commitment's file. */
  readonly commitment: string;
}

/** @param stretching Cheaper for tests alone. */
export async function makeKeySet(order: KeySetOrder, stretching = STRETCHING): Promise<KeySet> {
  const { trustDomain, lineage, threshold, passphrases, madeOn } = order;
  const count = passphrases.length;
  assert(1 <= threshold && threshold <= count, "a threshold that can be reached");
  const keys = passphrases
    .map(() => RecoveryKey.generate())
    .sort((left, right) => compareBytes(left.keyHash, right.keyHash));
  const made = keys.map(async (key, index): Promise<MadeKey> => {
    const { keyHash } = key;
    const number = index + 1;
    const label = { trustDomain, lineage, number, count, threshold, keyHash, madeOn };
    const block = await key.encrypted(passphrases[index] ?? "", stretching);
    return {
      number,
      keyHash,
      form: encodeKeyForm({ label, block }),
      formInClear: () => encodeKeyForm({ label, block: key.inClear() }),
    };
  });
  const keyHashes = keys.map(({ keyHash }) => keyHash);
  const commitment = encodeCommitment({
    trustDomain,
    lineage,
    commitment: { threshold, keyHashes },
  });
  return { keys: await Promise.all(made), commitment };
}
