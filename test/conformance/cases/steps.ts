/** Steps 6, 9, 10 and 11: who may sign the next record, under what, and when. */
import { NOW_S, authority, svid } from "../fixed-certificates.ts";
import { casesIn, head, refused, taken } from "../conformance-case.ts";
import type { NodeKey } from "../../arbitraries/record.ts";
import {
  type BlockDraft,
  FIRST_STATE,
  after,
  at,
  byOne,
  byTwo,
  ca,
  flipped,
  four,
  genesis,
  makeHead,
  makeRecord,
  next,
  one,
  otherCa,
  stranger,
  svidOne,
  svidOther,
  tainted,
  three,
  two,
  untainted,
} from "../fixed-records.ts";

const { cases, add } = casesIn("steps");
export const stepCases = cases;

const newCa = authority("ca 3");
const svidNew = svid("svid 3", newCa);
const byNew = { node: one, svids: [svidOne, svidNew] };

// Who signs.
add("a stranger", "the node is listed in what is held", [
  taken(genesis),
  refused("NODE_NOT_LISTED", next({}, [{ ...byOne, node: stranger }])),
]);
add("a node that lists itself", "a node that comes cannot sign its own coming", [
  taken(genesis),
  refused(
    "NODE_NOT_LISTED",
    next({ ...at(0, 1, 1n), nodes: [one.publicKey, two.publicKey, three.publicKey] }, [
      { ...byOne, node: three },
    ]),
  ),
]);
add("a node added", "a listed node adds another, which signs from then on", added());
add("a node removed", "a node that was removed signs nothing any more", removed());
add("a node that leaves without being removed", "the node is listed in the record too", [
  taken(genesis),
  refused("NODE_NOT_LISTED", next({ ...at(0, 1, 1n), nodes: [two.publicKey] }, [byOne])),
]);
add("a node that removes itself", "a removed node signs nothing, its own removal neither", [
  taken(genesis),
  refused(
    "NODE_REMOVED",
    next({ ...at(0, 1, 1n), nodes: [two.publicKey], removed: [one.publicKey] }, [byOne]),
  ),
]);
add(
  "a removed node that is listed again",
  "what is held has removed it, whatever the record says",
  [
    taken(genesis),
    taken(next({ ...at(0, 1, 1n), nodes: [two.publicKey], removed: [one.publicKey] }, [byTwo])),
    refused("NODE_REMOVED", makeRecord({ ...after(genesis), ...at(0, 2, 1n) }, [byOne])),
  ],
);
add("one good block of two", "each block stands or falls alone", [
  taken(genesis),
  taken(next({}, [{ ...byOne, node: stranger }, byTwo])),
]);
add("two bad blocks", "the refusal is that of the first block whose node may sign", [
  taken(genesis),
  refused(
    "SVID_SIGNATURE_INVALID",
    next({}, [
      { ...byOne, node: stranger },
      { ...byTwo, svidSignature: flipped },
      { ...byOne, signedAtS: NOW_S + 400 },
    ]),
  ),
]);

// A node's key is rotated: one in, one out, signed by both.
const rotated = {
  ...at(0, 1, 1n),
  nodes: [two.publicKey, three.publicKey],
  removed: [one.publicKey],
};
const byThree = { ...byOne, node: three };
add("a node rotated", "a node in another's place is signed by both", [
  taken(genesis),
  taken(next(rotated, [byOne, byThree])),
  taken(makeRecord(after(next(rotated)), [byThree])),
  refused("NODE_REMOVED", makeRecord(after(makeRecord(after(next(rotated)))), [byOne])),
]);
add("a node rotated by the one that comes", "the one that goes signs too", [
  taken(genesis),
  refused("NODE_NOT_LISTED", next(rotated, [byThree])),
]);
add("a node rotated by the one that goes", "the one that comes signs too", [
  taken(genesis),
  refused("NODE_REMOVED", next(rotated, [byOne])),
]);
add("a node rotated with one block that fails", "both blocks of a rotation verify", [
  taken(genesis),
  refused("SVID_SIGNATURE_INVALID", next(rotated, [byOne, { ...byThree, svidSignature: flipped }])),
]);
add(
  "a node rotated by gossip",
  "two blocks do not travel by gossip, so a rotation comes by sync or file",
  [taken(genesis), refused("BLOCK_COUNT", next(rotated, [byOne, byThree]))],
  { carrier: "gossip" },
);
add("a node rotated that is not removed", "the key that goes is the last removed one", [
  taken(genesis),
  refused("NODE_NOT_LISTED", next({ ...rotated, removed: [] }, [byOne, byThree])),
]);
add("two nodes rotated at once", "exactly one key comes and one goes", [
  taken(genesis),
  refused(
    "NODE_NOT_LISTED",
    next(
      {
        ...at(0, 1, 1n),
        nodes: [three.publicKey, four.publicKey],
        removed: [two.publicKey, one.publicKey],
      },
      [byOne, byThree],
    ),
  ),
]);
add(
  "a node replaced by one that stays",
  "without both signatures it is a step like another, by a node that stays",
  [taken(genesis), taken(next(rotated, [byTwo]))],
);

// Under what: old and new.
add(
  "SPIRE rotates",
  "prepare, activate, taint and revoke, each signed under old and new",
  rotation(),
);
add("under the new authority alone", "the first chain ends in an authority that is held", [
  taken(genesis),
  refused(
    "OLD_AUTHORITY_MISSING",
    next({ x509Authorities: untainted(ca, otherCa, newCa) }, [{ node: one, svids: [svidNew] }]),
  ),
]);
add("under the old authority alone", "the last chain ends in an authority of the record", [
  taken(genesis),
  refused("NEW_AUTHORITY_MISSING", next({ x509Authorities: untainted(newCa) }, [byOne])),
]);
add("old and new", "two chains link a record whose authorities are all new", [
  taken(genesis),
  taken(next({ x509Authorities: untainted(newCa) }, [byNew])),
]);
add("new and old", "the chains stand in this order: old, new", [
  taken(genesis),
  refused(
    "OLD_AUTHORITY_MISSING",
    next({ x509Authorities: untainted(newCa) }, [{ node: one, svids: [svidNew, svidOne] }]),
  ),
]);
add(
  "under an authority that is tainted there",
  "a tainted authority that is held speaks for nothing",
  [
    taken(genesis),
    taken(
      next({ x509Authorities: [...tainted(ca), ...untainted(otherCa)] }, [
        { node: one, svids: [svidOther] },
      ]),
    ),
    refused("OLD_AUTHORITY_MISSING", makeRecord(after(next()), [byOne])),
  ],
);
add(
  "under an authority that is tainted by the record",
  "a tainted authority of the record speaks for nothing",
  [
    taken(genesis),
    refused(
      "NEW_AUTHORITY_MISSING",
      next({ x509Authorities: [...tainted(ca), ...untainted(otherCa)] }, [byOne]),
    ),
  ],
);
add(
  "the smallest anchor",
  "of two authorities with one key the one with the smaller hash is the anchor",
  [taken(genesis), taken(next({ x509Authorities: untainted(ca, twin()) }, [byOne]))],
);
add(
  "an authority that was taken back returns",
  "the record is taken, and the authority stays out of SPIRE's row",
  [
    taken(genesis),
    taken(next({ x509Authorities: untainted(ca) })),
    taken(makeRecord(after(next(), { x509Authorities: untainted(ca, otherCa) }))),
  ],
);

// When.
add("300 s ahead", "clocks may differ by 300 s", [
  taken(genesis),
  taken(next({}, [{ ...byOne, signedAtS: NOW_S + 300 }])),
]);
add("301 s ahead", "what is signed later than that is refused", [
  taken(genesis),
  refused("SIGNED_IN_FUTURE", next({}, [{ ...byOne, signedAtS: NOW_S + 301 }])),
]);
add("600 s before what is held", "a record may be signed 600 s before the earliest held block", [
  taken(genesis),
  taken(next({}, [{ ...byOne, signedAtS: NOW_S - 660 }])),
]);
add("601 s before what is held", "who has keys that ended dates what they sign back", [
  taken(genesis),
  refused("SIGNED_TOO_EARLY", next({}, [{ ...byOne, signedAtS: NOW_S - 661 }])),
]);
add("before what is held that is ahead", "the least of the held blocks and now counts", [
  taken(makeRecord(FIRST_STATE, [{ ...byOne, signedAtS: NOW_S + 200 }])),
  taken(next({ lineage: makeRecord(FIRST_STATE).id }, [{ ...byOne, signedAtS: NOW_S - 600 }])),
]);
add(
  "before the node's own head",
  "a node that announced a lower version did not sign a higher one before",
  [
    taken(genesis),
    head("heard", makeHead(genesis)),
    refused("SIGNED_TOO_EARLY", next({}, [{ ...byOne, signedAtS: NOW_S - 301 }])),
    taken(next({}, [{ ...byTwo, signedAtS: NOW_S - 301 }])),
  ],
);
add("300 s before the node's own head", "clocks may differ by 300 s here too", [
  taken(genesis),
  head("heard", makeHead(genesis)),
  taken(next({}, [{ ...byOne, signedAtS: NOW_S - 300 }])),
]);
add(
  "every held authority has ended",
  "keys of authorities that have ended prove nothing by themselves",
  expired(),
);

// How far.
add("a rev jump of 1024", "rev may rise by 1,024", [taken(genesis), taken(next(at(0, 1_024, 0n)))]);
add("a rev jump of 1025", "a rev may not be driven to its end", [
  taken(genesis),
  refused("REV_JUMP", next(at(0, 1_025, 0n))),
]);

add(
  "a node rotated that is not the last removed",
  "the key that goes is the last removed one",
  [
    taken(genesis),
    refused(
      "NODE_NOT_LISTED",
      next({ ...rotated, removed: [one.publicKey, four.publicKey] }, [byOne, byThree]),
    ),
  ],
);
add(
  "a node rotated to one that is removed by it",
  "the key that comes is not removed",
  [
    taken(genesis),
    refused(
      "NODE_REMOVED",
      next({ ...rotated, removed: [three.publicKey, one.publicKey] }, [byOne, byThree]),
    ),
  ],
);
add("a node rotated to one that was removed", "the key that comes was not removed", [
  taken(withRemoved(three)),
  refused("NODE_REMOVED", afterRemoved(three, [byOne, byThree])),
]);
add("a node rotated that had been removed", "the key that goes was not removed", [
  taken(withRemoved(one)),
  refused("NODE_NOT_LISTED", afterRemoved(one, [byOne, byThree])),
]);
add(
  "after a head of the same version and one before",
  "that a node says it stands higher takes back nothing that it said before",
  [
    taken(genesis),
    head("heard", makeHead(genesis)),
    head("heard", makeHead(next(), { counter: BigInt(NOW_S * 1_000 + 1) })),
    refused("SIGNED_TOO_EARLY", next({}, [{ ...byOne, signedAtS: NOW_S - 301 }])),
  ],
);
add(
  "after heads of two versions that are not held",
  "of what names more than is held the last one counts, and the last one that does not",
  [
    taken(genesis),
    head("heard", makeHead(genesis, { issuedAtMs: NOW_S * 1_000 - 9_000 })),
    head("heard", makeHead(next(), { counter: BigInt(NOW_S * 1_000 + 1) })),
    head(
      "heard",
      makeHead(next(), {
        version: { epoch: 0, rev: 0, sequence: 9n },
        counter: BigInt(NOW_S * 1_000 + 2),
      }),
    ),
    taken(next(at(0, 0, 5n), [{ ...byOne, signedAtS: NOW_S - 309 }])),
    refused(
      "SIGNED_TOO_EARLY",
      makeRecord({ ...after(next()), ...at(0, 0, 6n) }, [{ ...byOne, signedAtS: NOW_S - 310 }]),
    ),
    refused(
      "SIGNED_TOO_EARLY",
      makeRecord({ ...after(next()), ...at(0, 0, 10n) }, [{ ...byOne, signedAtS: NOW_S - 301 }]),
    ),
  ],
);
add("after a head of the same version", "a head counts against higher versions alone", [
  taken(genesis),
  head("heard", makeHead(next())),
  taken(next({}, [{ ...byOne, signedAtS: NOW_S - 301 }])),
]);
add("a held authority that ends now", "validity includes its end", endsNow());

/** A first record whose node is among its removed ones, signed by another. */
function withRemoved(node: NodeKey) {
  return makeRecord(after(genesis, { removed: [node.publicKey] }), [byTwo]);
}

function afterRemoved(node: NodeKey, blocks: readonly BlockDraft[]) {
  return makeRecord(after(withRemoved(node), { ...rotated, ...at(0, 1, 1n) }), blocks);
}

function endsNow() {
  const brief = authority("ca that ends now", { notAfterS: NOW_S });
  const by = { node: one, svids: [svid("svid of its last hour", brief)] };
  const first = makeRecord({ ...FIRST_STATE, x509Authorities: untainted(brief) }, [by]);
  return [taken(first), taken(makeRecord(after(first), [by]))];
}

function added() {
  const wider = next({ ...at(0, 1, 1n), nodes: [one.publicKey, two.publicKey, three.publicKey] });
  return [
    taken(genesis),
    taken(wider),
    taken(makeRecord(after(wider), [{ ...byOne, node: three }])),
  ];
}

function removed() {
  const narrower = next({ ...at(0, 1, 1n), nodes: [one.publicKey], removed: [two.publicKey] });
  return [
    taken(genesis),
    taken(narrower),
    refused("NODE_REMOVED", makeRecord(after(narrower), [byTwo])),
    taken(makeRecord(after(narrower))),
  ];
}

function rotation() {
  const prepared = next({ x509Authorities: untainted(ca, otherCa, newCa) });
  const activated = makeRecord(after(prepared), [{ node: one, svids: [svidNew] }]);
  const poisoned = makeRecord(
    after(activated, { x509Authorities: [...tainted(ca), ...untainted(otherCa, newCa)] }),
    [{ node: one, svids: [svidNew] }],
  );
  const revoked = makeRecord(after(poisoned, { x509Authorities: untainted(otherCa, newCa) }), [
    { node: one, svids: [svidNew] },
  ]);
  return [genesis, prepared, activated, poisoned, revoked].map(taken);
}

/** Another certificate of the first authority's name and key. */
function twin() {
  return authority("ca 1 again", { key: ca.key, subject: ca.subject });
}

function expired() {
  const brief = authority("ca that ends", { notAfterS: NOW_S - 60 });
  const before = svid("svid that ends", brief, {
    notBeforeS: NOW_S - 7_200,
    notAfterS: NOW_S - 90,
  });
  const by = { node: one, svids: [before], signedAtS: NOW_S - 100 };
  const first = makeRecord({ ...FIRST_STATE, x509Authorities: untainted(brief) }, [by]);
  return [
    taken(first),
    refused(
      "HELD_EXPIRED",
      makeRecord(after(first, { x509Authorities: untainted(brief, ca) }), [by]),
    ),
  ];
}
