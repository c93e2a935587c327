/**
 * The record that recovery keys are asked to sign: a new epoch from whatever SPIRE says now, with this
 * node alone, or other recovery keys in the same epoch. Nothing changes here until it comes back signed
 * (`recovery-signed`, own-order.ts); SPIRE may go on meanwhile, and the record after it says so.
 */
import { type State, encodeState } from "../record/state.ts";
import type { Proofs } from "../record/proofs.ts";
import { candidateOf } from "./candidate.ts";
import type { Answer, Effect } from "./effect.ts";
import type { Input } from "./input.ts";
import type { MeshState } from "./mesh-state.ts";

type PrepareAsked = Extract<Input, { kind: "recovery-prepare-asked" }>;

export function onPrepareAsked(state: MeshState, asked: PrepareAsked, proofs: Proofs): Effect[] {
  const { ticket } = asked;
  const answer = prepare(state, asked, proofs);
  return [{ kind: "answer", ticket, answer }];
}

function prepare(state: MeshState, asked: PrepareAsked, proofs: Proofs): Answer {
  const { own, self } = state;
  const { read, slot } = own;
  if (read === undefined) {
    return notReady(state.spireAway ?? "SPIRE's own bundle was not read yet");
  }
  const held = slot?.effective.state ?? asked.held;
  if (held === undefined) {
    const next = "name an export of the lost record with -record FILE";
    return notReady("this daemon has no record of its trust domain", next);
  }
  if (held.recovery === undefined) {
    return notReady(
      "no recovery keys are committed: only a new lineage, or a pin at partners, helps",
    );
  }
  if (held.trustDomain !== self.trustDomain) {
    return notReady(`the record is one of ${held.trustDomain}, and this is ${self.trustDomain}`);
  }
  const candidate = candidateOf(state, read, undefined, proofs);
  if (!candidate.ok) return notReady(candidate.reason);
  if (candidate.value.noUsableCa) return notReady("SPIRE has no untainted X.509 authority");
  const { x509Authorities, jwtAuthorities } = candidate.value.state;
  const { epoch, rev } = held.version;
  const sequence = read.sequenceNumber;
  const isEpoch = asked.as === "epoch";
  const next: State = {
    trustDomain: self.trustDomain,
    lineage: held.lineage,
    version: isEpoch ? { epoch: epoch + 1, rev: 0, sequence } : { epoch, rev: rev + 1, sequence },
    nodes: isEpoch ? [self.nodePublicKey] : held.nodes,
    removed: isEpoch ? [] : held.removed,
    recovery: asked.next,
    x509Authorities,
    jwtAuthorities,
  };
  return {
    kind: "prepared",
    payload: encodeState(next),
    held: { ...held.version, recovery: held.recovery },
  };
}

function notReady(message: string, next?: string): Answer {
  return { kind: "failed", failure: "NOT_READY", message, next };
}
