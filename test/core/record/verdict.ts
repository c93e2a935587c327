/** What a daemon says of a record, by the real proofs. */
import type { RefusalCode } from "../../../src/core/record/refusal.ts";
import { type VerifiedRecord, readRecord, verifyRecord } from "../../../src/core/record/verify.ts";
import { x509Proofs } from "../../../src/x509/proofs.ts";
import { NOW_S, type TestRecord } from "../../arbitraries/record.ts";

export type Verdict = RefusalCode | "taken";

/** What is said of a record that comes by gossip, or by sync, when `held` is held. */
export function verdict(
  record: Pick<TestRecord, "envelope">,
  held: VerifiedRecord | undefined,
  nowS = NOW_S,
  carrier: "gossip" | "sync" = "gossip",
): Verdict {
  const read = readRecord(record.envelope, carrier, x509Proofs);
  if (!read.ok) return read.reason.code;
  const judged = verifyRecord(read.value, held, nowS, x509Proofs);
  return judged.ok ? "taken" : judged.reason.code;
}

/** A record that must be good. */
export function verified(
  record: Pick<TestRecord, "envelope">,
  held?: VerifiedRecord,
  nowS = NOW_S,
): VerifiedRecord {
  const read = readRecord(record.envelope, "sync", x509Proofs);
  const judged = read.ok ? verifyRecord(read.value, held, nowS, x509Proofs) : read;
  if (judged.ok) return judged.value;
  throw new Error(`a good record is refused: ${judged.reason.code}, ${judged.reason.detail}`);
}
