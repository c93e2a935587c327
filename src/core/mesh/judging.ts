/**
 * Whether a record may become the held one: steps 5 to 10 of docs/protocol.md 3, the cheap ones first,
 * and who pays for them (meter.ts).
 */
import { equalBytes, toHex } from "../std/bytes.ts";
import { SIGNATURE_CHECKS_MAX } from "../std/limits.ts";
import { ok } from "../std/result.ts";
import { toSeconds } from "../std/unix-time.ts";
import type { TrustDomain } from "../spiffe/trust-domain.ts";
import type { Effort } from "../record/effort.ts";
import type { Proofs } from "../record/proofs.ts";
import { type Judged, type Refusal, refuse } from "../record/refusal.ts";
import type { Standing } from "../record/standing.ts";
import { judgeStep } from "../record/step.ts";
import {
  type SignedRecord,
  type SigningTimes,
  type VerifiedRecord,
  hasExpired,
  verifyRecord,
} from "../record/verify.ts";
import { type Relation, type Slot, judgedAgainst, signedAtLeastS } from "../resolver/slot.ts";
import { type HeardHeads, notBeforeS } from "./heard.ts";
import type { Ticket } from "./input.ts";
import type { MeshState } from "./mesh-state.ts";
import type { Budget, Meter } from "./meter.ts";

/** How a record came, and who waits for what becomes of it. */
export interface Arrival {
  /** What came by gossip was pushed at us, and is metered; what was parked is paid for. */
  readonly carrier: "gossip" | "sync" | "file" | "parked";
  /** The forwarder's node in hex; undefined for a file. */
  readonly from: string | undefined;
  /** Size of the envelope. */
  readonly bytes: number;
  /** Undefined when whoever waited was answered before. */
  readonly ticket: Ticket | undefined;
  /** Where an operator says the partner is; remembered unless the record is refused. */
  readonly addressHints: readonly string[];
  /** When it came first. */
  readonly sinceMs: number;
  readonly nowMs: number;
  readonly proofs: Proofs;
}

/** An arrival of a trust domain that is ours or approved, and who pays for it. */
export interface Judging extends Arrival {
  readonly effort: Effort;
  readonly meter: Meter;
  /** What the nodes of the trust domain said they stand on, and when. */
  readonly heads: HeardHeads;
  /** Pay when nothing changes; none: the trust domain itself does. */
  readonly relays: readonly string[];
}

/** One share for all forwarders that no held record lists any more. */
const UNLISTED = "";
export const UNPAID: Refusal = {
  code: "OVER_BUDGET",
  detail: "more work than its trust domain or its relay may make us do",
};

/** Whether the budgets of this trust domain and of who forwards its records are not in debt. */
export function isPaid(
  state: MeshState,
  trustDomain: TrustDomain,
  from: string | undefined,
  nowMs: number,
): boolean {
  const isOwn = trustDomain === state.self.trustDomain;
  const meter = isOwn ? state.own.meter : state.partners.get(trustDomain)?.meter;
  return meter === undefined || meter.isPaid(relaysOf(state, trustDomain, from), nowMs);
}

/** The trust domains that list the node which brought it; none when its own trust domain does. */
export function relaysOf(
  { nodes }: MeshState,
  trustDomain: TrustDomain,
  from: string | undefined,
): readonly string[] {
  const listers = from === undefined ? [] : nodes.listersOf(from);
  if (listers.includes(trustDomain)) return [];
  return listers.length > 0 ? listers : [UNLISTED];
}

/**
 * Steps 5 to 10 against what is held of the trust domain, the cheap ones first. "held" when the
 * record brings nothing that was not verified before.
 */
export function judgeRecord(
  slot: Slot,
  relation: Relation,
  record: SignedRecord,
  judging: Judging,
): Judged<VerifiedRecord | "held"> {
  const beside = besideHeld(relation, record);
  if (beside !== undefined) return { ok: false, reason: beside };
  if (relation === "same" && holdsBlocks(slot, record)) return ok("held");
  const before = judgedAgainst(slot, relation);
  const budget = relation === "same" ? "block" : "record";
  const verified = verifyPaid(record, before, slot, budget, judging);
  if (!verified.ok || relation !== "newer" || isNewEpoch(slot, record)) return verified;
  return hasExpired(slot.effective, toSeconds(judging.nowMs))
    ? refuse("HELD_EXPIRED", "every untainted authority that is held has expired")
    : verified;
}

/** Recovery keys speak for themselves, whatever has expired. */
function isNewEpoch({ held }: Slot, { state }: SignedRecord): boolean {
  return state.version.epoch !== held.record.state.version.epoch;
}

/** Steps 6 to 10 on top of what is held, and no more: who pays and what has expired are others' questions. */
export function judgeOnTop(
  slot: Slot,
  record: SignedRecord,
  judging: Judging,
): Judged<VerifiedRecord> {
  return verifyPaid(record, slot.effective, slot, "record", judging);
}

/** Steps 6 to 10, within the budgets of the signer and the forwarder. */
export function verifyPaid(
  record: SignedRecord,
  before: Standing | undefined,
  slot: Slot | undefined,
  budget: Budget,
  judging: Judging,
): Judged<VerifiedRecord> {
  const { carrier, nowMs, effort, meter, relays } = judging;
  const signers = judgeStep(record, before, effort); // No certificate was read until here.
  if (!signers.ok) return signers;
  if (carrier !== "file" && !meter.isPaid(relays, nowMs)) {
    return { ok: false, reason: UNPAID };
  }
  for (const { nodePublicKey } of carrier === "gossip" ? signers.value.blocks : []) {
    if (meter.takes(toHex(nodePublicKey), budget, nowMs)) continue;
    return refuse("OVER_BUDGET", "more than its node may make us verify; sync brings it");
  }
  const verified = verifyRecord(record, before, timesOf(slot, record, judging), effort);
  return !verified.ok && effort.isExhausted
    ? refuse("TOO_COSTLY", `more than ${SIGNATURE_CHECKS_MAX} signature checks`)
    : verified;
}

/** What is not older than what is held, nor than the node's own word on a lower version. */
function timesOf(
  slot: Slot | undefined,
  { state: { version } }: SignedRecord,
  { nowMs, heads }: Judging,
): SigningTimes {
  const nowS = toSeconds(nowMs);
  const leastS = slot === undefined ? 0 : signedAtLeastS(slot, nowS);
  return { nowS, leastS: (node) => Math.max(leastS, notBeforeS(heads, node, version)) };
}

/** Step 5: what needs no verification, as it cannot become the held record. */
function besideHeld(relation: Relation, record: SignedRecord): Refusal | undefined {
  if (relation === "other-lineage") {
    return refuse("WRONG_LINEAGE", `another lineage of ${record.state.trustDomain}`).reason;
  }
  if (relation === "older") {
    return refuse("STALE", `sequence ${record.state.version.sequence} is below the held one`)
      .reason;
  }
  return undefined;
}

/** Whether every block of a record with the held id is held as it is. */
function holdsBlocks({ held, sibling }: Slot, { envelope }: SignedRecord): boolean {
  const blocks = [...held.blocks, ...(sibling?.blocks ?? [])];
  return envelope.blocks.every(({ nodeSignature }) =>
    blocks.some(({ block }) => equalBytes(block.nodeSignature, nodeSignature)),
  );
}
