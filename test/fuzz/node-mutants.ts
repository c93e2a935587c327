/** Nodes, versions and recovery keys that the step from the held record does not allow. */
import type { State } from "../../src/core/record/state.ts";
import { type NodeKey, makeNodeKey } from "../arbitraries/record.ts";
import { type Row, both, signed, stated, strangers, version } from "./record-draft.ts";
import type { Bravo } from "./world.ts";

export const oneKey = (byte: number): State["recovery"] => ({
  threshold: 1,
  keyHashes: [new Uint8Array(32).fill(byte)],
});

const keysOf = (some: readonly NodeKey[]): Uint8Array[] => some.map(({ publicKey }) => publicKey);

export function nodeRows({ nodes, removedNode, publisher }: Bravo): Row[] {
  const stranger = makeNodeKey();
  const [first, ...rest] = nodes;
  return [
    [
      "another node's key beside the old ones",
      "taken",
      stated(({ nodes: all }) => ({ nodes: [...all, stranger.publicKey] })),
    ],
    [
      "the signing node alone left",
      "taken",
      both(
        stated(() => ({ nodes: keysOf([first]) })),
        signed(() => ({ node: first })),
      ),
    ],
    ["a stranger's node", "NODE_NOT_LISTED", signed(() => ({ node: stranger }))],
    [
      "a node that only it lists itself",
      "NODE_NOT_LISTED",
      both(
        stated(({ nodes: all }) => ({ nodes: [...all, stranger.publicKey] })),
        signed(() => ({ node: stranger })),
      ),
    ],
    [
      "a node that it does not list any more",
      "NODE_NOT_LISTED",
      both(
        stated(() => ({ nodes: keysOf(rest) })),
        signed(() => ({ node: first })),
      ),
    ],
    [
      "a node that it removes",
      "NODE_REMOVED",
      both(
        stated(({ removed }) => ({ removed: [...removed, first.publicKey] })),
        signed(() => ({ node: first })),
      ),
    ],
    [
      "a node that was removed before",
      "NODE_REMOVED",
      both(
        stated(({ nodes: all }, random) => ({
          nodes: [...all, removedNode.publicKey],
          removed: random.oneIn(2) ? [] : [removedNode.publicKey],
        })),
        signed(() => ({ node: removedNode })),
      ),
    ],
    [
      "an epoch left out",
      "EPOCH_JUMP",
      stated(({ version: { sequence } }, random) => ({
        version: { epoch: random.pick([2, 3, 2 ** 32 - 1]), rev: random.below(3), sequence },
      })),
    ],
    [
      "the next epoch where no recovery keys are committed",
      "RECOVERY_NOT_COMMITTED",
      stated(({ version: { sequence } }, random) => ({
        version: { epoch: 1, rev: random.below(3), sequence },
      })),
    ],
    ["the farthest rev", "taken", version({ rev: 3 + 1_024 })],
    [
      "a rev too far",
      "REV_JUMP",
      stated((state, random) => ({
        version: { ...state.version, rev: random.pick([3 + 1_025, 3 + 1_026, 2 ** 32 - 1]) },
      })),
    ],
    ["the highest sequence number", "taken", version({ sequence: 2n ** 64n - 1n })],
    [
      "a first recovery key at rev + 1",
      "taken",
      both(
        version({ rev: 4 }),
        stated(() => ({ recovery: oneKey(1) })),
      ),
    ],
    [
      "a first recovery key at the same rev",
      "RECOVERY_CHANGED",
      stated(() => ({ recovery: oneKey(1) })),
    ],
    [
      "a first recovery key after rev + 1",
      "RECOVERY_CHANGED",
      both(
        stated((state, random) => ({
          version: { ...state.version, rev: 3 + random.between(2, 1_024) },
        })),
        stated(() => ({ recovery: oneKey(1) })),
      ),
    ],
    [
      "recovery signatures that nothing asks for",
      "RECOVERY_UNASKED",
      (draft, random) => ({
        ...draft,
        recovery: Array.from(
          { length: random.between(1, 5) },
          (_, index) => [new Uint8Array(32).fill(index), random.bytes(64)] as const,
        ),
      }),
    ],
    [
      "an SVID of a stranger's authority",
      "OLD_AUTHORITY_MISSING",
      signed(() => ({ svids: [strangers(publisher)] })),
    ],
  ];
}
