/** Steps 3 to 5: whose record it is, the first one, lineage and version. */
import { NOW_S, authority, svid } from "../fixed-certificates.ts";
import { casesIn, refused, taken, unchanged } from "../conformance-case.ts";
import {
  FIRST_STATE,
  type FixedRecord,
  ca,
  positionsOf,
  after,
  at,
  byOne,
  byTwo,
  genesis,
  makeRecord,
  next,
  svidOne,
  svidOther,
  one,
  two,
  otherCa,
  untainted,
} from "../fixed-records.ts";
import type { TrustDomain } from "../../../src/core/spiffe/trust-domain.ts";

const { cases, add } = casesIn("first");
export const firstCases = cases;

const second = next();
const third = makeRecord(after(second));

add("the genesis by its id", "a first record is taken by exactly the id that came out of band", [
  taken(genesis),
]);
add("a first record that is no genesis", "any record may be the first, by its id", [taken(third)]);
add(
  "a later record first",
  "before the named record nothing is taken, not even one that follows it",
  [refused("FIRST_RECORD_UNNAMED", second), taken(genesis), taken(second)],
  { pinned: genesis.idHex },
);
add("another trust domain", "a record of a trust domain that nobody approved is dropped", [
  taken(genesis),
  refused(
    "TRUST_DOMAIN_UNKNOWN",
    makeRecord({ ...FIRST_STATE, trustDomain: "bravo.test" as TrustDomain }),
  ),
]);
add(
  "a first record under a foreign authority",
  "its last chain ends in an authority of its own",
  [
    refused(
      "NEW_AUTHORITY_MISSING",
      makeRecord(FIRST_STATE, [
        { ...byOne, svids: [svid("svid of nobody", authority("ca of nobody"))] },
      ]),
    ),
  ],
  { pinned: makeRecord(FIRST_STATE).idHex },
);
add("a first record with two chains", "the first chain of a first record need not end anywhere", [
  taken(
    makeRecord(FIRST_STATE, [
      { ...byOne, svids: [svid("svid of nobody", authority("ca of nobody")), svidOne] },
    ]),
  ),
]);
add(
  "a first record by a node that it does not list",
  "its node is listed in itself",
  [refused("NODE_NOT_LISTED", makeRecord({ ...FIRST_STATE, nodes: [two.publicKey] }, [byOne]))],
  { pinned: makeRecord({ ...FIRST_STATE, nodes: [two.publicKey] }).idHex },
);
add(
  "a first record by a node that it has removed",
  "its node is not removed",
  [refused("NODE_REMOVED", makeRecord({ ...second.state, removed: [one.publicKey] }, [byOne]))],
  { pinned: makeRecord({ ...second.state, removed: [one.publicKey] }).idHex },
);
add(
  "a first record signed long ago",
  "a first record may be as old as it is, if its chain was valid then",
  [
    taken(
      makeRecord(FIRST_STATE, [
        {
          node: one,
          svids: [
            svid("svid of before", otherCa, {
              notBeforeS: NOW_S - 20 * 86_400,
              notAfterS: NOW_S - 19 * 86_400,
            }),
          ],
          signedAtS: NOW_S - 19 * 86_400,
        },
      ]),
    ),
  ],
);
add("another lineage", "another genesis of the same trust domain is refused", [
  taken(genesis),
  refused("WRONG_LINEAGE", makeRecord({ ...FIRST_STATE, ...at(0, 0, 9n) })),
]);
add("a record of no lineage of ours", "the lineage is the id of the genesis that is held", [
  taken(genesis),
  refused("WRONG_LINEAGE", next({ lineage: second.id })),
]);
add("the genesis that names itself", "a genesis with its own lineage in it says nothing new", [
  taken(genesis),
  refused("STALE", makeRecord({ ...FIRST_STATE, lineage: genesis.id })),
  taken(second),
]);
add("an older version", "an older version is stale", [
  taken(genesis),
  taken(second),
  refused("STALE", genesis),
]);
add("the same record again", "the same blocks again change nothing", [
  taken(genesis),
  taken(second),
  unchanged(second),
]);
add("versions skipped", "the next record need not be the next number", [
  taken(genesis),
  taken(next(at(0, 3, 1n))),
  refused("STALE", second),
  taken(makeRecord({ ...second.state, ...at(0, 4, 0n) })),
]);
add("the highest sequence", "a sequence is a u64 in full", [
  taken(genesis),
  taken(next(at(0, 0, 2n ** 64n - 1n))),
  refused("STALE", third),
  taken(makeRecord({ ...third.state, ...at(0, 1, 3n) })),
]);
add("one more block by another node", "blocks of one record add up, sorted by node", [
  taken(genesis),
  taken(next({}, [byTwo])),
  taken(next({}, [byOne])),
  unchanged(next({}, [byTwo])),
]);
add(
  "one more block under another authority",
  "blocks of one node under two authorities are both kept",
  [taken(genesis), taken(next({}, [byOne])), taken(next({}, [{ ...byOne, svids: [svidOther] }]))],
);
add("a block signed later", "of one node and new anchor the block that was signed last is kept", [
  taken(genesis),
  taken(next({}, [byOne])),
  taken(next({}, [{ ...byOne, signedAtS: NOW_S + 9 }])),
]);
add(
  "two blocks of one second",
  "of two blocks that were signed at once the one with the smaller signature stays",
  [taken(genesis), taken(second), ...tie()],
);
add(
  "a block signed earlier", "an earlier block of the same node and new anchor changes nothing", [
  taken(genesis),
  taken(next({}, [byOne])),
  unchanged(next({}, [{ ...byOne, signedAtS: NOW_S - 9 }])),
]);
add(
  "a block of the held record by a stranger",
  "blocks of a held record are verified against what stood before it",
  [
    taken(genesis),
    taken(next()),
    refused(
      "OLD_AUTHORITY_MISSING",
      next({}, [{ ...byTwo, svids: [svid("svid of nobody", authority("ca of nobody"))] }]),
    ),
  ],
);
add(
  "ten blocks in two envelopes",
  "of the blocks that add up the smallest eight stay, by node and new anchor",
  [taken(genesis), ...manyBlocks()],
);

/** The node signature of the first block, in hex. */
function signature({ envelope }: FixedRecord): string {
  const [, , blocks] = positionsOf(envelope) as readonly [unknown, unknown, unknown[][]];
  return Buffer.from(blocks[0]?.[4] as Uint8Array).toString("hex");
}

/** The block of another SVID at the same time, and the first one again. */
function tie() {
  const others = Array.from({ length: 8 }, (_, index) =>
    next({}, [{ ...byOne, svids: [svid(`svid of one second ${index}`, ca)] }]),
  );
  const smaller = others.find((each) => signature(each) < signature(second));
  const larger = others.find((each) => signature(each) > signature(second));
  if (smaller === undefined || larger === undefined) throw new Error("no signature of either kind");
  return [unchanged(larger), taken(smaller), unchanged(second)];
}

function manyBlocks() {
  const many = Array.from({ length: 5 }, (_, index) => authority(`ca of many ${index}`));
  const svids = many.map((each, index) => svid(`svid of many ${index}`, each));
  const state = after(genesis, { x509Authorities: untainted(...many) });
  const held = makeRecord(state, [{ ...byOne, svids: [svidOne, svids[0] ?? svidOne] }]);
  const blocks = (node: typeof one) => svids.map((each) => ({ node, svids: [svidOne, each] }));
  return [
    taken(held),
    taken(makeRecord(state, [...blocks(two)])),
    taken(makeRecord(state, [...blocks(one)])),
  ];
}
