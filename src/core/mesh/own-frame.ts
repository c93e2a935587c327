/**
 * What of the next own record is not SPIRE's: lineage, version, nodes, recovery keys. It is copied from
 * what stands, and only an operator's order changes it, or a fork that is to be ended.
 */
import { equalBytes } from "../std/bytes.ts";
import { REMOVED_NODES_MAX } from "../std/limits.ts";
import { type State, noLineage } from "../record/state.ts";
import type { MeshState, Self } from "./mesh-state.ts";
import type { OwnOrder } from "./own-order.ts";

/** What stays of the record before: everything that is not SPIRE's. */
export type Frame = Omit<State, "x509Authorities" | "jwtAuthorities">;

/** Why there is a record though SPIRE may say nothing new. Undefined where only SPIRE's word counts. */
export type OwnStep = OwnOrder | { readonly kind: "heal" };

export function nextFrame(
  { own, self }: MeshState,
  sequence: bigint,
  step: OwnStep | undefined,
): Frame {
  if (own.slot === undefined || step?.kind === "new-lineage") return genesisFrame(self, sequence);
  const { state } = own.slot.effective;
  const { epoch, rev } = state.version;
  if (step === undefined) return { ...state, version: { epoch, rev, sequence } };
  const next = { ...state, version: { epoch, rev: rev + 1, sequence } };
  switch (step.kind) {
    case "add-node":
      return { ...next, nodes: [...state.nodes, step.node] };
    case "remove-node":
      return {
        ...next,
        nodes: state.nodes.filter((node) => !equalBytes(node, step.node)),
        removed: [...state.removed, step.node].slice(-REMOVED_NODES_MAX),
      };
    case "commit-recovery":
      return { ...next, recovery: step.commitment };
    // What all records of a fork have in common is a function of these records alone, so that replicas
    // that see the same fork end it with the same bytes.
    case "heal":
    case "confirm-restore":
    case "recovery-signed":
      return next;
  }
}

function genesisFrame({ trustDomain, nodePublicKey }: Self, sequence: bigint): Frame {
  return {
    trustDomain,
    lineage: noLineage(),
    version: { epoch: 0, rev: 0, sequence },
    nodes: [nodePublicKey],
    removed: [],
    recovery: undefined,
  };
}
