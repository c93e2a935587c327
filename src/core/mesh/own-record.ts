/**
 * Rule S: this daemon watches over its own trust domain. A verified record of it that came from a
 * peer may be our own later one (this disk is older than the mesh) or somebody else's with our keys;
 * what SPIRE says at its sequence number decides.
 *
 *     record ─┬─ SPIRE says the same, or was never read at that number ──▶ may be adopted
 *             ├─ SPIRE said otherwise for 3 s, or stays behind for 10 s ──▶ FORGED_OWN
 *             └─ not known yet ──▶ suspect: judged by a later tick
 */
import type { Refusal } from "../record/refusal.ts";
import type { Proofs } from "../record/proofs.ts";
import type { VerifiedRecord } from "../record/verify.ts";
import { candidateOf, contentDigest } from "./candidate.ts";
import type { Effect } from "./effect.ts";
import { type MeshState, raise } from "./mesh-state.ts";

/** Two equal reads this far apart prove what SPIRE says at a sequence number. */
const PROVEN_READ_MS = 3_000;
/** How long SPIRE may be behind a record that another own node read. */
const SUSPECT_MS = 10_000;

/** Remembers what SPIRE says at this sequence number, as a record would say it. */
export function rememberRead(state: MeshState, nowMs: number, proofs: Proofs): void {
  const { own } = state;
  if (own.read === undefined) return;
  const { sequenceNumber } = own.read;
  const candidate = candidateOf(state, own.read, undefined, proofs);
  if (!candidate.ok) {
    own.reads.delete(sequenceNumber); // It is not known what SPIRE says at this number.
    return;
  }
  const digest = contentDigest(candidate.value.state);
  const known = own.reads.get(sequenceNumber);
  if (known?.digest === digest) {
    known.lastMs = nowMs;
    return;
  }
  own.reads.set(sequenceNumber, { digest, firstMs: nowMs, lastMs: nowMs });
}

/** Why a verified own record is not adopted, and what else follows; undefined when it may be. */
export function doubtOwnRecord(
  state: MeshState,
  verified: VerifiedRecord,
  nowMs: number,
): { readonly refusal: Refusal; readonly effects: readonly Effect[] } | undefined {
  const { own } = state;
  const said = verified.record.state;
  const { sequence } = said.version;
  // A nested server counts its own way: what it says there proves nothing of the record.
  if (state.self.role === "consumer") return undefined;
  if (state.recovering !== undefined) return undefined; // What we acknowledged may be lost here.
  const digest = contentDigest(said);
  const known = own.reads.get(sequence);
  if (known !== undefined && known.digest !== digest) {
    const isProven = known.lastMs - known.firstMs >= PROVEN_READ_MS;
    if (!isProven) own.suspect = { record: verified, sinceMs: nowMs };
    return {
      refusal: doubt(`SPIRE was read with other authorities at sequence ${sequence}`),
      effects: isProven ? forged(state, verified, nowMs) : [],
    };
  }
  if (own.read === undefined || sequence > own.read.sequenceNumber) {
    own.suspect ??= { record: verified, sinceMs: nowMs };
    return { refusal: doubt(`SPIRE has not reached sequence ${sequence} yet`), effects: [] };
  }
  // A lower sequence that was never read here is superseded, not judged: its version still counts.
  return undefined;
}

/** Judges what could not be judged when it came. */
export function judgeSuspect(state: MeshState, nowMs: number): Effect[] {
  const { own } = state;
  const { suspect } = own;
  if (own.read === undefined || state.spireAway !== undefined) return [];
  const current = own.reads.get(own.read.sequenceNumber);
  if (current !== undefined) current.lastMs = nowMs; // Unchanged until the watcher says otherwise.
  if (suspect === undefined) return [];
  const { sequence } = suspect.record.record.state.version;
  const known = own.reads.get(sequence);
  if (known?.digest === contentDigest(suspect.record.record.state)) {
    own.suspect = undefined; // SPIRE said the same in the end; the next sync brings it again.
    return [];
  }
  const contradicted = known !== undefined && known.lastMs - known.firstMs >= PROVEN_READ_MS;
  const neverReached = sequence > own.read.sequenceNumber && nowMs - suspect.sinceMs >= SUSPECT_MS;
  return contradicted || neverReached ? forged(state, suspect.record, nowMs) : [];
}

function doubt(detail: string): Refusal {
  return { code: "FORGED_OWN", detail };
}

function forged(state: MeshState, verified: VerifiedRecord, nowMs: number): Effect[] {
  const { idHex, state: said } = verified.record;
  const message = `record ${idHex} is signed for ${said.trustDomain} at sequence ${said.version.sequence}, and its SPIRE Server never said so`;
  return raise(state, "FORGED_OWN", undefined, message, nowMs);
}
