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
import {
  type SignedRecord,
  type VerifiedRecord,
  judgeSigners,
  verifyRecord,
} from "../record/verify.ts";
import type { Relation, Slot } from "../resolver/slot.ts";
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
  const beside = besideHeld(slot, relation, record);
  if (beside !== undefined) return { ok: false, reason: beside };
  if (relation === "same" && holdsBlocks(slot, record)) return ok("held");
  const held = judgedBy(slot, relation);
  return verifyPaid(record, held, slot.held, relation === "same" ? "block" : "record", judging);
}

/** Steps 6 to 10, within the budgets of the signer and the forwarder. */
export function verifyPaid(
  record: SignedRecord,
  held: VerifiedRecord | undefined,
  last: VerifiedRecord | undefined,
  budget: Budget,
  { carrier, nowMs, effort, meter, relays }: Judging,
): Judged<VerifiedRecord> {
  const signers = judgeSigners(record, held); // No certificate was read until here.
  if (!signers.ok) return signers;
  if (carrier !== "file" && !meter.isPaid(relays, nowMs)) {
    return { ok: false, reason: UNPAID };
  }
  for (const { nodePublicKey } of carrier === "gossip" ? signers.value : []) {
    if (meter.takes(toHex(nodePublicKey), budget, nowMs)) continue;
    return refuse("OVER_BUDGET", "more than its node may make us verify; sync brings it");
  }
  const verified = verifyRecord(record, held, toSeconds(nowMs), effort, last);
  return !verified.ok && effort.isExhausted
    ? refuse("TOO_COSTLY", `more than ${SIGNATURE_CHECKS_MAX} signature checks`)
    : verified;
}

/** Step 5: what needs no verification, as it cannot become the held record. */
function besideHeld(slot: Slot, relation: Relation, record: SignedRecord): Refusal | undefined {
  if (relation === "fork" && slot.sibling !== undefined) {
    return refuse("FORK", "one sibling is kept as evidence already").reason;
  }
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
function holdsBlocks({ held }: Slot, { envelope }: SignedRecord): boolean {
  return envelope.blocks.every(({ nodeSignature }) =>
    held.blocks.some(({ block }) => equalBytes(block.nodeSignature, nodeSignature)),
  );
}

/**
 * A newer record is judged by the held one, a block or sibling of the held one by its base. Without
 * a base its blocks are judged by the record itself (step 4), but never a sibling: that would be
 * anybody's, as the lineage is public.
 */
function judgedBy(slot: Slot, relation: Relation): VerifiedRecord | undefined {
  if (relation === "newer") return slot.held;
  return relation === "fork" ? (slot.base ?? slot.held) : slot.base;
}
