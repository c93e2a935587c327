/** Section 4: records of one version. */
import { NOW_S, authority, svid } from "../fixed-certificates.ts";
import { casesIn, refused, taken, unchanged } from "../conformance-case.ts";
import {
  after,
  at,
  byOne,
  byTwo,
  ca,
  genesis,
  jwtAuthority,
  makeRecord,
  next,
  one,
  otherCa,
  svidOne,
  svidOther,
  tainted,
  three,
  two,
  untainted,
} from "../fixed-records.ts";
import { p256Key } from "../fixed-keys.ts";

const { cases, add } = casesIn("forks");
export const forkCases = cases;

const thirdCa = authority("ca 3");
const fourthCa = authority("ca 4");
const a = next({ x509Authorities: untainted(ca, otherCa, thirdCa) });
const b = next({ x509Authorities: untainted(ca, otherCa, fourthCa) }, [byTwo]);
const c = next({ x509Authorities: [...untainted(ca), ...tainted(otherCa)] }, [byTwo]);
const svidFourth = svid("svid 4", fourthCa);
const both = [a, b];
/** The second lists what the first is signed under, and not the other way round. */
const trusted = next({ x509Authorities: untainted(ca) });
const trusting = next({ x509Authorities: untainted(ca, thirdCa) }, [
  { node: two, svids: [svidOne, svid("svid 3", thirdCa)] },
]);

add("two records of one version", "what stands is what both say, and the smaller id is held", [
  taken(genesis),
  ...both.map(taken),
]);
add("the same two the other way round", "order does not matter", [
  taken(genesis),
  ...both.toReversed().map(taken),
]);
add("three records of one version", "all that count take away, and the two smallest ids are kept", [
  taken(genesis),
  ...[a, b, c].map(taken),
]);
add(
  "the same three the other way round",
  "order does not matter: the last one takes nothing away and is not of the two smallest ids",
  [taken(genesis), taken(c), taken(b), unchanged(a)],
);
add("a record of a fork again", "what is kept is not taken twice", [
  taken(genesis),
  ...both.map(taken),
  unchanged(a),
  unchanged(b),
]);
add("one more block of a sibling", "blocks of both records add up", [
  taken(genesis),
  ...both.map(taken),
  taken(makeRecord(a.state, [byTwo])),
  taken(makeRecord(b.state, [byOne])),
]);
add("taint in one of two", "taint is OR", [taken(genesis), taken(a), taken(c)]);
add(
  "a fork of the first record",
  "what an operator named stands alone, whatever else is signed at its version",
  [taken(a), refused("FORK", b)],
  { pinned: a.idHex },
);
add(
  "a fork of the first record by a stranger",
  "a sibling of a first record is signed under what that one lists",
  [
    taken(a),
    refused("OLD_AUTHORITY_MISSING", makeRecord(b.state, [{ node: two, svids: [svidFourth] }])),
  ],
  { pinned: a.idHex },
);
add(
  "JWT authorities of a fork",
  "one key id with two keys is dropped; taint is OR and the sooner end counts",
  [
    taken(genesis),
    taken(next({ jwtAuthorities: jwts("one", NOW_S + 500) })),
    taken(next({ jwtAuthorities: jwts("two", 0) }, [byTwo])),
  ],
);
add("nodes of a fork", "what stands lists the nodes that both list", [
  taken(genesis),
  taken(next({ ...at(0, 1, 1n), nodes: [one.publicKey, two.publicKey, three.publicKey] })),
  taken(next({ ...at(0, 1, 1n), nodes: [one.publicKey], removed: [two.publicKey] })),
]);
add(
  "no node in common",
  "a fork that leaves no node is ended by nobody; what was removed is what the smallest id says",
  [
    taken(genesis),
    taken(next({ ...at(0, 1, 1n), nodes: [one.publicKey], removed: [two.publicKey] })),
    taken(next({ ...at(0, 1, 1n), nodes: [two.publicKey], removed: [one.publicKey] }, [byTwo])),
    refused(
      "NODE_REMOVED",
      makeRecord(
        after(next({ ...at(0, 1, 1n), nodes: [one.publicKey], removed: [two.publicKey] })),
      ),
    ),
  ],
);
add("a sibling by a node that was removed meanwhile", "a node of before may sign a sibling too", [
  taken(genesis),
  taken(next({ ...at(0, 1, 1n), nodes: [one.publicKey], removed: [two.publicKey] })),
  taken(next({ ...at(0, 1, 1n), x509Authorities: untainted(ca) }, [byTwo])),
]);
add(
  "a sibling under an authority that the held one taints",
  "its old authority is untainted before and in what stands",
  [
    taken(genesis),
    taken(c),
    refused(
      "OLD_AUTHORITY_MISSING",
      next({ x509Authorities: untainted(ca, otherCa, thirdCa) }, [
        { node: two, svids: [svidOther] },
      ]),
    ),
  ],
);
add(
  "a sibling under an authority that is new in the held one",
  "its old authority is one of before",
  underNew(),
);
add(
  "a sibling that does not trust the held one",
  "it lists what the held one is signed under, or it is evidence and no more",
  [
    taken(genesis),
    taken(a),
    refused(
      "FORK",
      next({ x509Authorities: untainted(otherCa) }, [{ node: two, svids: [svidOther] }]),
    ),
  ],
);
add(
  "a sibling by a node that was added meanwhile",
  "a node of what stands may sign a sibling too",
  [
    taken(genesis),
    taken(next({ ...at(0, 1, 1n), nodes: [one.publicKey, two.publicKey, three.publicKey] })),
    taken(
      next(
        {
          ...at(0, 1, 1n),
          nodes: [two.publicKey, three.publicKey],
          x509Authorities: untainted(ca),
        },
        [{ ...byTwo, node: three }],
      ),
    ),
  ],
);
add(
  "a sibling after one more block of the held one",
  "what the held record is signed under is that of its smallest block, whichever came first",
  [
    taken(genesis),
    taken(makeRecord(a.state, [{ node: two, svids: [svidOther] }])),
    taken(makeRecord(a.state, [byOne])),
    taken(next({ x509Authorities: untainted(ca, thirdCa) }, [byTwo])),
  ],
);
add(
  "a third record that does not trust the second",
  "it trusts what every record that counts is signed under",
  [
    taken(genesis),
    taken(a),
    taken(makeRecord(b.state, [{ node: two, svids: [svidOther] }])),
    refused("FORK", next({ x509Authorities: untainted(ca) }, [byTwo])),
  ],
);
add(
  "a record that trusts the other one comes second",
  "it counts: it lists what the first one is signed under",
  [taken(genesis), taken(trusted), taken(trusting)],
);
add(
  "a record that trusts the other one comes first",
  "here order matters until a higher version: the second one does not list what the first one is signed under",
  [taken(genesis), taken(trusting), refused("FORK", trusted)],
);
add("a fork ended", "any higher version that follows what both say ends it", [
  taken(genesis),
  ...both.map(taken),
  taken(
    makeRecord({
      ...after(a),
      ...at(0, 1, 2n),
      x509Authorities: untainted(ca, otherCa, thirdCa, fourthCa),
    }),
  ),
]);
add(
  "a fork followed under what one of two says",
  "what only one of them lists speaks for nothing",
  [
    taken(genesis),
    ...both.map(taken),
    refused(
      "OLD_AUTHORITY_MISSING",
      makeRecord(after(a), [{ node: one, svids: [svid("svid 3", thirdCa)] }]),
    ),
  ],
);
add("a record of before the fork", "what is older stays older", [
  taken(genesis),
  ...both.map(taken),
  refused("STALE", genesis),
]);

function jwts(key: string, expiresAtS: number) {
  return [
    jwtAuthority("key-1", { expiresAtS, tainted: key === "two" }),
    jwtAuthority("key-2", { spki: p256Key(`jwt of ${key}`).spki }),
    jwtAuthority("key-3", { expiresAtS: NOW_S + (key === "two" ? 100 : 200) }),
    jwtAuthority("key-4", { expiresAtS: NOW_S + (key === "two" ? 200 : 100) }),
    jwtAuthority(`key-${key}`),
  ];
}

function underNew() {
  const held = next({ x509Authorities: untainted(ca, thirdCa) });
  const sibling = next({ x509Authorities: untainted(ca, thirdCa, fourthCa) }, [
    { node: two, svids: [svid("svid 3", thirdCa)] },
  ]);
  return [taken(genesis), taken(held), refused("OLD_AUTHORITY_MISSING", sibling)];
}
