/** Heads: who says what it stands on, and what is not believed. */
import { encodeCbor } from "../../../src/core/std/cbor.ts";
import { concatBytes } from "../../../src/core/std/bytes.ts";
import type { TrustDomain } from "../../../src/core/spiffe/trust-domain.ts";
import { NOW_S } from "../fixed-certificates.ts";
import { casesIn, head, taken } from "../conformance-case.ts";
import {
  flipped,
  genesis,
  makeHead,
  next,
  one,
  positionsOf,
  replaced,
  signedHead,
  stranger,
  two,
} from "../fixed-records.ts";
import { encodeHeadPayload } from "../../../src/core/record/head.ts";

const { cases, add } = casesIn("heads");
export const headCases = cases;

const NOW_MS = NOW_S * 1_000;
const good = makeHead(genesis);
const goodPayload = positionsOf(good)[1] as Uint8Array;
const counted = (counter: number): Uint8Array => makeHead(genesis, { counter: BigInt(counter) });

add("a head", "a listed node says which record it stands on", [
  taken(genesis),
  head("heard", good),
]);
add(
  "a head of a version that is not held",
  "a head claims a version, and changes nothing that is held",
  [taken(genesis), head("heard", makeHead(next()))],
);
add("the same head again", "the counter of a node rises", [
  taken(genesis),
  head("heard", good),
  head("HEAD_STALE", good),
]);
add("a lower counter", "the counter of a node rises", [
  taken(genesis),
  head("heard", counted(NOW_MS)),
  head("HEAD_STALE", counted(NOW_MS - 1)),
  head("heard", counted(NOW_MS + 1)),
]);
add("counters of two nodes", "each node has a counter of its own", [
  taken(genesis),
  head("heard", counted(NOW_MS)),
  head("heard", makeHead(genesis, { counter: BigInt(NOW_MS - 1) }, two)),
]);
add("a head of a node that is not listed", "nodes of what stands are heard", [
  taken(genesis),
  head("NODE_NOT_LISTED", makeHead(genesis, {}, stranger)),
]);
add(
  "a head before the first record",
  "nothing is heard of a trust domain that is not held",
  [head("TRUST_DOMAIN_UNKNOWN", good), taken(genesis)],
  { pinned: genesis.idHex },
);
add("a head of another trust domain", "nothing is heard of a trust domain that nobody approved", [
  taken(genesis),
  head("TRUST_DOMAIN_UNKNOWN", makeHead(genesis, { trustDomain: "bravo.test" as TrustDomain })),
]);
add("a head of another lineage", "a head names the lineage that is held", [
  taken(genesis),
  head("WRONG_LINEAGE", makeHead(genesis, { lineage: next().id })),
]);
add("a head 300 s ahead", "clocks may differ by 300 s", [
  taken(genesis),
  head(
    "heard",
    makeHead(genesis, { issuedAtMs: NOW_MS + 300_000, counter: BigInt(NOW_MS + 300_000) }),
  ),
]);
add("a head issued later than that", "a head from the future says nothing about now", [
  taken(genesis),
  head("HEAD_IN_FUTURE", makeHead(genesis, { issuedAtMs: NOW_MS + 300_001 })),
  head("heard", good),
]);
add("a counter above now", "a counter is not above the receiver's now + 300 s", [
  taken(genesis),
  head("HEAD_IN_FUTURE", counted(NOW_MS + 300_001)),
  head("heard", good),
]);
add("a head issued 300 s ago", "clocks may differ by 300 s", [
  taken(genesis),
  head("heard", makeHead(genesis, { issuedAtMs: NOW_MS - 300_000 })),
]);
add("a head issued before that", "a head that was kept back says nothing about now", [
  taken(genesis),
  head("HEAD_STALE", makeHead(genesis, { issuedAtMs: NOW_MS - 300_001 })),
]);
add("a head with a bit flipped", "its node signed it", [
  taken(genesis),
  head("HEAD_SIGNATURE_INVALID", withSignature(flipped)),
]);
add("a head signed for another payload", "the signature is over this payload", [
  taken(genesis),
  head(
    "HEAD_SIGNATURE_INVALID",
    replaced(good, { 1: payloadWith({ counter: BigInt(NOW_MS + 5) }) }),
  ),
]);
const malformed = (title: string, shows: string, bytes: Uint8Array): void =>
  add(title, shows, [taken(genesis), head("HEAD_MALFORMED", bytes)]);
malformed("a state among heads", "a head is of kind 2", next().envelope);
malformed(
  "a head with two signatures",
  "one node signs a head",
  replaced(good, {
    2: [
      [one.publicKey, new Uint8Array(64)],
      [two.publicKey, new Uint8Array(64)],
    ],
  }),
);
malformed("a head without a signature", "one node signs a head", replaced(good, { 2: [] }));
malformed(
  "a head with recovery signatures",
  "recovery keys sign no head",
  replaced(good, { 3: [false] }),
);
malformed(
  "a head with a byte behind",
  "nothing follows the value",
  concatBytes(good, Uint8Array.of(0)),
);
malformed(
  "a head above 1 KiB",
  "a head has at most 1 KiB",
  replaced(good, { 1: concatBytes(goodPayload, new Uint8Array(1_024)) }),
);
malformed(
  "a head with a position too many",
  "a head has nine positions",
  signedHead(encodeCbor([...positionsOf(goodPayload), 0])),
);
malformed(
  "a head of format 2",
  "there is no other format yet",
  signedHead(replaced(goodPayload, { 0: 2 })),
);
malformed(
  "a head issued at 2 to the 53rd",
  "times are below 2^53",
  signedHead(replaced(goodPayload, { 8: 2n ** 53n })),
);
malformed(
  "a head of a record id of 31 bytes",
  "a record id has 32 bytes",
  signedHead(replaced(goodPayload, { 6: new Uint8Array(31) })),
);

function payloadWith(change: { readonly counter: bigint }): Uint8Array {
  const { state, lineage, id: recordId } = genesis;
  const { trustDomain, version } = state;
  return encodeHeadPayload({
    trustDomain,
    lineage,
    version,
    recordId,
    issuedAtMs: NOW_MS,
    ...change,
  });
}

function withSignature(change: (signature: Uint8Array) => Uint8Array): Uint8Array {
  const [, , signed] = positionsOf(good) as readonly [
    unknown,
    unknown,
    readonly [Uint8Array, Uint8Array][],
  ];
  return replaced(good, { 2: signed.map(([key, signature]) => [key, change(signature)]) });
}
