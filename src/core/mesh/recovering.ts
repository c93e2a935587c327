/**
 * The disk is behind what was acknowledged: its store was lost, or an older copy is back. The marks
 * still say what stood, so nothing is written below that, and nothing published, until others have said
 * what they hold (docs/protocol.md 7).
 *
 *     store lost ─▶ recovering ── min(2, partners) answered a whole sync, or an operator says so ──▶ ready
 */
import type { Proofs } from "../record/proofs.ts";
import type { Answer, Effect } from "./effect.ts";
import type { Ticket } from "./input.ts";
import { type MeshState, clear, raise } from "./mesh-state.ts";
import { publishIfChanged } from "./publishing.ts";

/** Partners who must have been heard: one may be as old as this disk. */
const HEARD_MIN = 2;

export function sayRecovering(state: MeshState): Effect[] {
  if (state.recovering === undefined) return [];
  return raise(state, "RECOVERING", undefined, state.recovering.reason, state.startedAtMs);
}

/** Enough partners said what they hold, and what they held was taken in before that was heard. */
export function endRecovering(state: MeshState, nowMs: number, proofs: Proofs): Effect[] {
  const { recovering, partners } = state;
  if (recovering === undefined) return [];
  return recovering.heard.size < Math.min(HEARD_MIN, partners.size)
    ? []
    : end(state, nowMs, proofs);
}

/** Go on with what the marks say. */
export function onResumeAsked(
  state: MeshState,
  ticket: Ticket,
  nowMs: number,
  proofs: Proofs,
): Effect[] {
  const isRecovering = state.recovering !== undefined;
  const answer: Answer = isRecovering
    ? { kind: "done" }
    : {
        kind: "failed",
        failure: "NOT_FOUND",
        message: "there is nothing to resume: the daemon is not recovering",
        next: undefined,
      };
  return [{ kind: "answer", ticket, answer }, ...(isRecovering ? end(state, nowMs, proofs) : [])];
}

function end(state: MeshState, nowMs: number, proofs: Proofs): Effect[] {
  state.recovering = undefined;
  return [...clear(state, "RECOVERING", undefined), ...publishIfChanged(state, nowMs, proofs)];
}
