/** Records of the daemon's own trust domain. */
import type { State } from "../../src/core/record/state.ts";
import type { Random } from "./random.ts";
import { type RecordMutant, strangers } from "./record-draft.ts";
import type { World } from "./world.ts";

/** Records of the daemon's own trust domain, rightly signed by its own keys. */
export function ownMutants({ alpha }: World): RecordMutant[] {
  const { publisher, held } = alpha;
  const next = (random: Random, change: Partial<State> = {}): Uint8Array =>
    publisher.next(held, {
      version: {
        ...held.state.version,
        sequence: held.state.version.sequence + BigInt(random.between(1, 9)),
      },
      ...change,
    }).envelope;
  return [
    { name: "the own held record", expected: "DUPLICATE", make: () => held.envelope },
    { name: "an older own record", expected: "STALE", make: () => alpha.first.envelope },
    {
      name: "an own record that SPIRE never said",
      expected: "FORGED_OWN",
      make: (random) => next(random),
    },
    {
      name: "an own record with another node",
      expected: "FORGED_OWN",
      make: (random) => next(random, { nodes: [publisher.node.publicKey, random.bytes(32)] }),
    },
    {
      name: "an own record with another rev",
      expected: "FORGED_OWN",
      make: (random) =>
        next(random, { version: { epoch: 0, rev: random.between(1, 1_024), sequence: 9n } }),
    },
    {
      name: "an own record under an authority of somebody else",
      expected: "OLD_AUTHORITY_MISSING",
      make: (random) => {
        const svid = strangers(publisher);
        return publisher.next(
          held,
          { version: { epoch: 0, rev: 0, sequence: BigInt(random.between(3, 9)) } },
          [svid],
        ).envelope;
      },
    },
  ];
}
