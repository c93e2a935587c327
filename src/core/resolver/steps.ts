/**
 * Which step records stay when there is no room for all. A partner that was away is led from what it
 * holds to what stands by steps of which each is taken on top of the one before: one may go only when
 * its neighbours still follow (docs/protocol.md 5).
 */
import { anchorsOf } from "../record/authority.ts";
import { findAnchor, readChain } from "../record/chain.ts";
import type { Proofs } from "../record/proofs.ts";
import { type Standing, standingOf } from "../record/standing.ts";
import { judgeStep } from "../record/step.ts";
import type { VerifiedRecord } from "../record/verify.ts";

/**
 * The steps that stay, of those that are there, ascending by version: at most `max`, but those that
 * begin an epoch, the newest and those without which a neighbour would not follow. Where the history
 * cannot be thinned enough, its oldest end goes: who was away that long is told of a gap.
 *
 * Of what may go, the step goes whose neighbours are the nearest in time, so that a partner that was
 * away long finds some, and one that was away for a moment finds most.
 */
export function thinSteps(
  steps: readonly VerifiedRecord[],
  max: number,
  proofs: Proofs,
): readonly VerifiedRecord[] {
  const kept = [...steps];
  while (kept.length > max) {
    const candidates = kept
      .map((_, index) => index)
      .filter((index) => mayGo(kept, index, proofs))
      .sort((one, other) => gapS(kept, one) - gapS(kept, other));
    const [place = oldest(kept)] = candidates;
    if (place === undefined) break;
    kept.splice(place, 1);
  }
  return kept;
}

/** Whether the step after this one follows from the one before it. */
function mayGo(steps: readonly VerifiedRecord[], index: number, proofs: Proofs): boolean {
  const [before, step, after] = [steps[index - 1], steps[index], steps[index + 1]];
  if (before === undefined || step === undefined || after === undefined) return false;
  return !beginsEpoch(before, step) && follows(after, standingOf(before), proofs);
}

function beginsEpoch(before: VerifiedRecord, step: VerifiedRecord): boolean {
  return before.record.state.version.epoch !== step.record.state.version.epoch;
}

/** Old and new by what was verified when the record was taken: its first chain must end in the older state. */
function follows(after: VerifiedRecord, before: Standing, proofs: Proofs): boolean {
  const signers = judgeStep(after.record, before, proofs);
  if (!signers.ok || signers.value.isRotation) return false;
  if (after.record.state.version.epoch !== before.state.version.epoch) return true;
  const anchors = anchorsOf(before.authorities);
  const { trustDomain } = before.state;
  return signers.value.blocks.some(({ chains, signedAtS }) => {
    const [old] = chains;
    const read = old && readChain(old, proofs);
    if (!read?.ok) return false;
    const missing = "OLD_AUTHORITY_MISSING";
    return findAnchor(read.value, anchors, trustDomain, signedAtS, missing, proofs).ok;
  });
}

/** How far apart the neighbours of a step are signed. */
function gapS(steps: readonly VerifiedRecord[], index: number): number {
  const [before, after] = [steps[index - 1], steps[index + 1]];
  if (before === undefined || after === undefined) return Number.POSITIVE_INFINITY;
  return signedS(after) - signedS(before);
}

function signedS({ blocks }: VerifiedRecord): number {
  return Math.max(...blocks.map(({ block }) => block.signedAtS));
}

/** The oldest that begins no epoch and is not the newest. */
function oldest(steps: readonly VerifiedRecord[]): number | undefined {
  const place = steps.findIndex((step, index) => {
    const before = steps[index - 1];
    const isFirst = before === undefined;
    return (
      index < steps.length - 1 &&
      (isFirst ? step.record.state.version.epoch === 0 : !beginsEpoch(before, step))
    );
  });
  return place < 0 ? undefined : place;
}
