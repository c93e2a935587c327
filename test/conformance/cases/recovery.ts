/** Recovery keys: commitments, what they sign, and new epochs. */
import { NOW_S, authority, svid } from "../fixed-certificates.ts";
import { casesIn, refused, taken } from "../conformance-case.ts";
import { nodeKey } from "../fixed-keys.ts";
import {
  FIRST_STATE,
  after,
  at,
  byOne,
  byTwo,
  commitmentTo,
  genesis,
  makeRecord,
  next,
  one,
  recoveredRecord,
  signRecovery,
  three,
  two,
  untainted,
} from "../fixed-records.ts";
import type { State } from "../../../src/core/record/state.ts";

const { cases, add } = casesIn("recovery");
export const recoveryCases = cases;

const [r1, r2, r3] = [nodeKey("recovery 1"), nodeKey("recovery 2"), nodeKey("recovery 3")];
const others = [nodeKey("recovery 4"), nodeKey("recovery 5")];
const twoOfThree = commitmentTo(2, [r1, r2, r3]);
const oneOfTwo = commitmentTo(1, others);

/** A genesis that commits to two of three keys. */
const safe = makeRecord({ ...FIRST_STATE, recovery: twoOfThree }, [
  { ...byOne, signedAtS: NOW_S - 60 },
]);
const safeNext = (change: Partial<State>): State => after(safe, change);

// The first commitment.
add(
  "the first commitment",
  "a domain without recovery keys commits to some at the next rev, signed like any record",
  [taken(genesis), taken(next({ ...at(0, 1, 1n), recovery: twoOfThree }))],
);
add("a first commitment without a step of rev", "the commitment changes at rev + 1 alone", [
  taken(genesis),
  refused("RECOVERY_CHANGED", next({ recovery: twoOfThree })),
]);
add("a first commitment two revs on", "the commitment changes at rev + 1 alone", [
  taken(genesis),
  refused("RECOVERY_CHANGED", next({ ...at(0, 2, 1n), recovery: twoOfThree })),
]);
add("a first commitment signed by its keys", "nobody asks recovery keys for a first commitment", [
  taken(genesis),
  refused(
    "RECOVERY_UNASKED",
    recoveredRecord(after(genesis, { ...at(0, 1, 1n), recovery: twoOfThree }), [r1, r2]),
  ),
]);
add(
  "an ordinary step signed by recovery keys",
  "recovery keys sign what needs them and nothing else",
  [taken(safe), refused("RECOVERY_UNASKED", recoveredRecord(safeNext({}), [r1, r2]))],
);
add("an ordinary step of a committed domain", "who has committed publishes as before", [
  taken(safe),
  taken(makeRecord(safeNext({}))),
]);

// Another commitment in the same epoch.
const exchange = safeNext({ ...at(0, 1, 2n), recovery: oneOfTwo });
add("other keys signed by m of n", "committed keys are changed by themselves", [
  taken(safe),
  taken(recoveredRecord(exchange, [r1, r3])),
]);
add(
  "other keys without recovery signatures",
  "who has both live factors changes no committed keys",
  [taken(safe), refused("RECOVERY_COUNT", makeRecord(exchange))],
);
add("other keys that are revealed", "a key that signs is public, and is not committed again", [
  taken(safe),
  refused(
    "RECOVERY_REVEALED",
    recoveredRecord({ ...exchange, recovery: commitmentTo(1, [r3, ...others]) }, [r1, r3]),
  ),
]);
add("a key kept that did not sign", "a key that was not revealed may be committed again", [
  taken(safe),
  taken(recoveredRecord({ ...exchange, recovery: commitmentTo(1, [r2, ...others]) }, [r1, r3])),
]);
add("no keys any more", "m of n may commit to none", [
  taken(safe),
  taken(recoveredRecord({ ...exchange, recovery: undefined }, [r1, r2])),
]);
add("another threshold", "the threshold belongs to the commitment", [
  taken(safe),
  refused("RECOVERY_COUNT", makeRecord({ ...exchange, recovery: { ...twoOfThree, threshold: 1 } })),
]);

// A new epoch.
const newCa = authority("ca after the loss");
const byNew = { node: three, svids: [svid("svid after the loss", newCa)] };
const epoch = safeNext({
  ...at(1, 0, 1n),
  nodes: [three.publicKey],
  recovery: oneOfTwo,
  x509Authorities: untainted(newCa),
  jwtAuthorities: [],
});
const recovered = recoveredRecord(epoch, [r1, r2], [byNew]);
add("a new epoch", "m of n re-root the domain: other nodes, other authorities, a lower sequence", [
  taken(safe),
  taken(recovered),
  taken(makeRecord(after(recovered), [byNew])),
  refused("STALE", makeRecord(safeNext(at(0, 900, 9n)))),
]);
add(
  "a new epoch after every authority has ended",
  "recovery keys speak for themselves, whatever has ended",
  ofEnded(),
);
add("a new epoch with fewer signatures", "exactly m keys sign", [
  taken(safe),
  refused("RECOVERY_COUNT", recoveredRecord(epoch, [r1], [byNew])),
]);
add(
  "a new epoch with more signatures",
  "exactly m keys sign, so that none is revealed without need",
  [taken(safe), refused("RECOVERY_COUNT", recoveredRecord(epoch, [r1, r2, r3], [byNew]))],
);
add("a new epoch signed by a strange key", "each key's hash is committed", [
  taken(safe),
  refused("RECOVERY_KEY_UNKNOWN", recoveredRecord(epoch, [r1, ...others.slice(0, 1)], [byNew])),
]);
add("a new epoch with signatures of another record", "recovery keys sign exactly this record", [
  taken(safe),
  refused(
    "RECOVERY_SIGNATURE_INVALID",
    makeRecord(epoch, [byNew], signRecovery(exchange, [r1, r2])),
  ),
]);
add("a new epoch without a commitment", "who committed to none has no new epoch", [
  taken(genesis),
  refused("RECOVERY_NOT_COMMITTED", recoveredRecord(next(at(1, 0, 2n)).state, [r1, r2])),
]);
add(
  "a new epoch that commits to revealed keys",
  "a key that signs is public, and is not committed again",
  [
    taken(safe),
    refused(
      "RECOVERY_REVEALED",
      recoveredRecord({ ...epoch, recovery: twoOfThree }, [r1, r2], [byNew]),
    ),
  ],
);
add("two epochs at once", "an epoch follows the one before it", [
  taken(safe),
  refused("EPOCH_JUMP", recoveredRecord({ ...epoch, ...at(2, 0, 1n) }, [r1, r2], [byNew])),
]);
add("a new epoch at a high rev", "the rev of a new epoch is at most 1,024", [
  taken(safe),
  refused("REV_JUMP", recoveredRecord({ ...epoch, ...at(1, 1_025, 1n) }, [r1, r2], [byNew])),
]);
add("a new epoch by a node that it does not list", "a node of the new record signs it", [
  taken(safe),
  refused("NODE_NOT_LISTED", recoveredRecord(epoch, [r1, r2], [{ ...byNew, node: one }])),
]);
add("a new epoch under an authority that it does not list", "the new chain is asked for here too", [
  taken(safe),
  refused("NEW_AUTHORITY_MISSING", recoveredRecord(epoch, [r1, r2], [{ ...byOne, node: three }])),
]);
add("a new epoch dated back", "times are judged as in any step", [
  taken(safe),
  refused(
    "SIGNED_TOO_EARLY",
    recoveredRecord(epoch, [r1, r2], [{ ...byNew, signedAtS: NOW_S - 661 }]),
  ),
]);
add("a removed node back in a new epoch", "a new epoch begins its nodes anew", removedBack());
add("two records of one new epoch", "the first one stays, and a person decides", [
  taken(safe),
  taken(recovered),
  refused(
    "RECOVERY_FORK",
    recoveredRecord({ ...epoch, nodes: [two.publicKey, three.publicKey] }, [r1, r2], [byNew]),
  ),
]);
add(
  "a higher record of one new epoch",
  "another record of the epoch that recovery keys signed is told of, whatever its version",
  [
    taken(safe),
    taken(recovered),
    refused("RECOVERY_UNASKED", recoveredRecord({ ...epoch, ...at(1, 0, 7n) }, [r1, r3], [byNew])),
  ],
);
add(
  "a lower record of one new epoch",
  "another record of the epoch that recovery keys signed is told of, whatever its version",
  [
    taken(safe),
    taken(recovered),
    refused("STALE", recoveredRecord({ ...epoch, ...at(1, 0, 0n) }, [r1, r3], [byNew])),
  ],
);
add("two records of one exchange", "the first one stays, and a person decides", [
  taken(safe),
  taken(recoveredRecord(exchange, [r1, r3])),
  refused(
    "RECOVERY_FORK",
    recoveredRecord({ ...exchange, recovery: commitmentTo(1, [r2]) }, [r1, r3]),
  ),
]);
add("two first commitments", "the first one stays", [
  taken(genesis),
  taken(next({ ...at(0, 1, 1n), recovery: twoOfThree })),
  refused("FORK", next({ ...at(0, 1, 1n), recovery: oneOfTwo }, [byTwo])),
]);

function ofEnded() {
  const brief = authority("ca that ends", { notAfterS: NOW_S - 60 });
  const before = svid("svid that ends", brief, {
    notBeforeS: NOW_S - 7_200,
    notAfterS: NOW_S - 90,
  });
  const by = { node: one, svids: [before], signedAtS: NOW_S - 100 };
  const first = makeRecord({ ...safe.state, x509Authorities: untainted(brief) }, [by]);
  return [taken(first), taken(recoveredRecord({ ...epoch, lineage: first.id }, [r1, r2], [byNew]))];
}

function removedBack() {
  const narrower = makeRecord(
    safeNext({ ...at(0, 1, 1n), nodes: [one.publicKey], removed: [two.publicKey] }),
  );
  const back = { ...epoch, nodes: [two.publicKey] };
  return [
    taken(safe),
    taken(narrower),
    taken(recoveredRecord(back, [r1, r2], [{ ...byNew, node: two }])),
  ];
}
