/**
 * What SPIRE's own bundle lacks to be published, as findings. They follow each read, whatever else
 * holds publishing up.
 */
import { type Result, no } from "../std/result.ts";
import { toSeconds } from "../std/unix-time.ts";
import type { Candidate } from "./candidate.ts";
import type { Effect } from "./effect.ts";
import { type MeshState, clear, raise } from "./mesh-state.ts";

/** Our guess at what is read at once. Above: they are counted, and SPIRE's bundle lists them. */
const REASONS_MAX = 8;

/** The candidate, or in words why nothing of the read may be published; and the findings of it. */
export function judgeRead(
  state: MeshState,
  read: Result<Candidate, string>,
  nowMs: number,
): { readonly effects: Effect[]; readonly publishable: Result<Candidate, string> } {
  const tooBig = read.ok ? whyTooBig(read.value, nowMs) : read.reason;
  const noCa =
    read.ok && read.value.noUsableCa
      ? "SPIRE's bundle has no untainted X.509 authority that partners could read"
      : undefined;
  const obstacle = tooBig ?? noCa;
  return {
    publishable: obstacle === undefined ? read : no(obstacle),
    effects: [
      ...sayUnpublishable(state, read.ok ? read.value.unpublishable : [], nowMs),
      ...(tooBig === undefined
        ? clear(state, "STATE_TOO_BIG", undefined)
        : raise(state, "STATE_TOO_BIG", undefined, tooBig, nowMs)),
      ...sayNoCa(state, noCa, nowMs),
    ],
  };
}

function whyTooBig({ tooBigUntilS }: Candidate, nowMs: number): string | undefined {
  return tooBigUntilS >= toSeconds(nowMs)
    ? "SPIRE lists more usable authorities than one record can carry"
    : undefined;
}

/** A mint raises the same finding, and only a signature ends that. */
function sayNoCa(state: MeshState, noCa: string | undefined, nowMs: number): Effect[] {
  const hadNone = state.own.bundleHasNoCa;
  state.own.bundleHasNoCa = noCa !== undefined;
  if (noCa !== undefined) return raise(state, "NO_USABLE_CA", undefined, noCa, nowMs);
  return hadNone ? clear(state, "NO_USABLE_CA", undefined) : [];
}

function sayUnpublishable(state: MeshState, reasons: readonly string[], nowMs: number): Effect[] {
  const code = "AUTHORITY_UNPUBLISHABLE";
  if (reasons.length === 0) return clear(state, code, undefined);
  const more = reasons.length > REASONS_MAX ? ` and ${reasons.length - REASONS_MAX} more` : "";
  const first = reasons.slice(0, REASONS_MAX).join("; ");
  return raise(state, code, undefined, `left out of the record: ${first}${more}`, nowMs);
}
