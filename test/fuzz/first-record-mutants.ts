/** First records of a trust domain, imported under their own right fingerprint: they stand alone. */
import type { State } from "../../src/core/record/state.ts";
import { type BlockParts, NOW_S, makeNodeKey, makeRecord, tainted } from "../arbitraries/record.ts";
import type { Random } from "./random.ts";
import type { RecordMutant } from "./record-draft.ts";
import type { Site } from "./world.ts";

export function firstMutants({ publisher, held }: Site): RecordMutant[] {
  const { node, svid, ca, mint } = publisher;
  const other = mint(publisher.newCa());
  const workload = mint(ca, { spiffeId: "spiffe://stranger.test/workload" });
  const of = (
    random: Random,
    change: Partial<State> = {},
    block: Partial<BlockParts> = {},
  ): Uint8Array => {
    const version = {
      epoch: random.below(3),
      rev: random.below(9),
      sequence: BigInt(random.below(99)),
    };
    const state = { ...held.state, version, lineage: random.bytes(32), ...change };
    return makeRecord(state, [{ node, svids: [svid], ...block }]).envelope;
  };
  return [
    { name: "a first record", expected: "taken", make: (random) => of(random) },
    {
      name: "a first record with tainted authorities alone",
      expected: "NEW_AUTHORITY_MISSING",
      make: (random) => of(random, { x509Authorities: [tainted(ca)] }),
    },
    {
      name: "a first record under an authority that it does not list",
      expected: "NEW_AUTHORITY_MISSING",
      make: (random) => of(random, {}, { svids: [other] }),
    },
    {
      name: "a first record of a node that it does not list",
      expected: "NODE_NOT_LISTED",
      make: (random) => of(random, {}, { node: makeNodeKey() }),
    },
    {
      name: "a first record of a node that it removed",
      expected: "NODE_REMOVED",
      make: (random) => of(random, { removed: [node.publicKey] }),
    },
    {
      name: "a first record from the future",
      expected: "SIGNED_IN_FUTURE",
      make: (random) => of(random, {}, { signedAtS: NOW_S + random.between(301, 90_000) }),
    },
    {
      name: "a first record under a workload's SVID",
      expected: "LEAF_NOT_PUBLISHER",
      make: (random) => of(random, {}, { svids: [workload] }),
    },
    {
      name: "a first record with bytes for an authority",
      expected: "AUTHORITY_MALFORMED",
      make: (random) =>
        of(random, {
          x509Authorities: [
            ...held.state.x509Authorities,
            { der: random.bytes(50), tainted: true },
          ],
        }),
    },
  ];
}
