/** What a daemon starts with: who it is, and what its store gave back. */
import type { Self, Stored } from "../../src/core/mesh/mesh-state.ts";
import type { Publisher } from "./record.ts";

/** A publisher that writes every row. */
export function selfOf(
  { trustDomain, node }: Pick<Publisher, "trustDomain" | "node">,
  change: Partial<Self> = {},
): Self {
  const nodePublicKey = node.publicKey;
  return { trustDomain, nodePublicKey, role: "publisher", unmanaged: new Set(), ...change };
}

export const NOTHING_STORED: Stored = {
  own: undefined,
  partners: [],
  headCounter: 0n,
  lost: undefined,
};
