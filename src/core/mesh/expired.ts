/**
 * A partner whose held authorities have all expired (step 11): its newer records are followed beside
 * what is held, until others name where they lead (ladder.ts).
 */
import assert from "node:assert/strict";
import { toSeconds } from "../std/unix-time.ts";
import type { SignedRecord } from "../record/verify.ts";
import { advance, relate } from "../resolver/slot.ts";
import type { Effect } from "./effect.ts";
import { type Judging, judgeOnTop } from "./judging.ts";
import { Ladder } from "./ladder.ts";
import type { MeshState } from "./mesh-state.ts";
import type { Partner } from "./partner.ts";
import { storeSlot } from "./slot-store.ts";

/**
 * A step on top of what has expired. Each who brings steps has a ladder of its own: who brings forged
 * ones, under keys that have ended, leads only itself astray. A step that does not follow its last one
 * begins again at what is held.
 */
export function climb(
  state: MeshState,
  partner: Partner,
  record: SignedRecord,
  judging: Judging,
): Effect[] {
  const { slot } = partner;
  assert(slot !== undefined, "only what is held can have expired");
  partner.ladder ??= new Ladder();
  const top = partner.ladder.topOf(judging.from) ?? slot;
  for (const below of new Set([top, slot])) {
    if (relate(below, record) !== "newer") continue;
    const verified = judgeOnTop(below, record, judging);
    if (!verified.ok) continue;
    partner.ladder.put(judging.from, advance(below, verified.value, toSeconds(judging.nowMs)));
    break;
  }
  return takeNamed(state, partner);
}

/** What the steps of an expired partner lead to, once two others stand on it too. */
export function takeNamed(state: MeshState, { pin, ladder }: Partner): Effect[] {
  const top = ladder?.named;
  if (top === undefined || state.pending !== undefined) return []; // The next round names it again.
  return storeSlot(state, pin, top, "newer", top.held.record, undefined);
}
