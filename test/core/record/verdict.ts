/** What a daemon says of a record, by the real proofs. */
import type { Proofs } from "../../../src/core/record/proofs.ts";
import { type Judged, type RefusalCode, refuse } from "../../../src/core/record/refusal.ts";
import { standingOf } from "../../../src/core/record/standing.ts";
import {
  type SignedRecord,
  type VerifiedRecord,
  hasExpired,
  readRecord,
  verifyRecord,
} from "../../../src/core/record/verify.ts";
import { signedAtLeastS, startSlot } from "../../../src/core/resolver/slot.ts";
import { x509Proofs } from "../../../src/x509/proofs.ts";
import { NOW_S, type TestRecord } from "../../arbitraries/record.ts";

export type Verdict = RefusalCode | "taken";

/** Steps 6 to 11 when one record is held and nothing else, or none is. */
export function judgeAfter(
  record: SignedRecord,
  held: VerifiedRecord | undefined,
  nowS = NOW_S,
  proofs: Proofs = x509Proofs,
): Judged<VerifiedRecord> {
  const before = held && standingOf(held);
  const leastS = held === undefined ? 0 : signedAtLeastS(startSlot(held), nowS);
  const judged = verifyRecord(record, before, { nowS, leastS: () => leastS }, proofs);
  if (!judged.ok || before === undefined || !hasExpired(before, nowS)) return judged;
  const isNewEpoch = record.state.version.epoch !== before.state.version.epoch;
  return isNewEpoch ? judged : refuse("HELD_EXPIRED", "every authority that is held has expired");
}

/** What is said of a record that comes by gossip, or by sync, when `held` is held. */
export function verdict(
  record: Pick<TestRecord, "envelope">,
  held: VerifiedRecord | undefined,
  nowS = NOW_S,
  carrier: "gossip" | "sync" = "gossip",
): Verdict {
  const read = readRecord(record.envelope, carrier, x509Proofs);
  if (!read.ok) return read.reason.code;
  const judged = judgeAfter(read.value, held, nowS);
  return judged.ok ? "taken" : judged.reason.code;
}

/** A record that must be good. */
export function verified(
  record: Pick<TestRecord, "envelope">,
  held?: VerifiedRecord,
  nowS = NOW_S,
): VerifiedRecord {
  const read = readRecord(record.envelope, "sync", x509Proofs);
  const judged = read.ok ? judgeAfter(read.value, held, nowS) : read;
  if (judged.ok) return judged.value;
  throw new Error(`a good record is refused: ${judged.reason.code}, ${judged.reason.detail}`);
}
