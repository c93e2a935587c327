/** Step 1 and 2: what is no envelope, no payload, no signature of our form. */
import { type State, encodeState } from "../../../src/core/record/state.ts";
import { concatBytes } from "../../../src/core/std/bytes.ts";
import { type CborValue, encodeCbor } from "../../../src/core/std/cbor.ts";
import { twinOf } from "../../arbitraries/record.ts";
import { casesIn, refused, taken } from "../conformance-case.ts";
import {
  after,
  byOne,
  byTwo,
  envelopeOf,
  flipped,
  genesis,
  jwtAuthority,
  makeRecord,
  next,
  positionsOf,
  replaced,
  one,
} from "../fixed-records.ts";
import { nodeKey } from "../fixed-keys.ts";

const { cases, add } = casesIn("bytes");
export const bytesCases = cases;

const good = next();
const { envelope } = good;
const payload = encodeState(good.state);
const [, , blocks = []] = positionsOf(envelope);
const [block = []] = Array.isArray(blocks) ? (blocks as CborValue[][]) : [];

const noEnvelope = (title: string, shows: string, bytes: Uint8Array): void =>
  add(title, shows, [taken(genesis), refused("ENVELOPE_MALFORMED", bytes)]);
/** The good envelope with one position of its block replaced. */
const withBlock = (place: number, value: CborValue): Uint8Array =>
  replaced(envelope, { 2: [block.map((each, index) => (index === place ? value : each))] });
/** The good envelope with other bytes in the place of its head: an array of four, kind 1. */
const headed = (...bytes: readonly number[]): Uint8Array =>
  concatBytes(Uint8Array.from(bytes), envelope.subarray(2));
/** The good envelope with other bytes for its empty list of recovery signatures. */
const ended = (...bytes: readonly number[]): Uint8Array =>
  concatBytes(envelope.subarray(0, -1), Uint8Array.from(bytes));

add("a good record", "what the others of this folder break in one place", [
  taken(genesis),
  taken(good),
]);
noEnvelope("no bytes", "an envelope has bytes", new Uint8Array());
noEnvelope("an empty array", "an envelope has four positions", Uint8Array.of(0x80));
noEnvelope("a kind in two bytes", "integers are in their shortest form", headed(0x84, 0x18, 1));
noEnvelope("a long head", "lengths of arrays are in their shortest form", headed(0x98, 4, 1));
noEnvelope(
  "an indefinite array",
  "arrays have a length",
  concatBytes(headed(0x9f, 1), Uint8Array.of(0xff)),
);
noEnvelope("a tag", "there are no tags", concatBytes(Uint8Array.of(0xd9, 0xd9, 0xf7), envelope));
noEnvelope("a map", "there are no maps", ended(0xa0));
noEnvelope("null", "there is no null", ended(0xf6));
noEnvelope("a float", "there are no floats", ended(0xf9, 0, 0));
noEnvelope("a byte behind", "nothing follows the value", concatBytes(envelope, Uint8Array.of(0)));
noEnvelope("a byte less", "the value is whole", envelope.subarray(0, -1));
noEnvelope(
  "seven arrays deep",
  "arrays are nested at most six deep",
  ended(0x81, 0x81, 0x81, 0x81, 0x81, 0x81, 0x80),
);
noEnvelope(
  "too many items",
  "an envelope has at most 1,024 items in all",
  replaced(envelope, { 3: Array.from({ length: 1_025 }, () => 0) }),
);
noEnvelope(
  "five positions",
  "an envelope has exactly four positions",
  encodeCbor([...positionsOf(envelope), 0]),
);
noEnvelope("kind 2 among states", "a head is no state, whatever else it has", headed(0x84, 2));
noEnvelope("kind 3", "there are no other kinds", headed(0x84, 3));
noEnvelope("no block", "a record has one block at the least", replaced(envelope, { 2: [] }));
noEnvelope(
  "the same block twice",
  "no node signature stands twice",
  replaced(envelope, { 2: [block, block] }),
);
noEnvelope(
  "a negative time",
  "there are no negative numbers",
  concatBytes(...split(envelope, encodeCbor(block[1] ?? 0), Uint8Array.of(0x3a, 0, 0, 0, 0))),
);
noEnvelope("a time of 2 to the 53rd", "times are below 2^53", withBlock(1, 2n ** 53n));
noEnvelope("a node key of 31 bytes", "a node key has 32 bytes", withBlock(0, new Uint8Array(31)));
noEnvelope(
  "a node signature of 63 bytes",
  "a node signature has 64 bytes",
  withBlock(4, new Uint8Array(63)),
);
noEnvelope("no chain", "a block has one or two chains", withBlock(2, []));
noEnvelope(
  "three chains",
  "a block has one or two chains",
  replaced(envelope, {
    2: [
      block.map((each, index) =>
        index === 2 ? repeat(3, chainOf()) : index === 3 ? repeat(3, fill(64, 1)) : each,
      ),
    ],
  }),
);
noEnvelope(
  "a chain of five",
  "a chain has at most four certificates",
  withBlock(2, [repeat(5, certificateOf())]),
);
noEnvelope("an empty chain", "a chain has its leaf", withBlock(2, [[]]));
noEnvelope(
  "a signature less than chains",
  "there is one SVID signature for each chain",
  withBlock(2, [chainOf(), chainOf()]),
);
noEnvelope(
  "a position too many in a block",
  "a block has exactly five positions",
  replaced(envelope, { 2: [[...block, 0]] }),
);
noEnvelope(
  "recovery signatures out of order",
  "recovery signatures ascend by key, without duplicates",
  replaced(envelope, {
    3: [
      [fill(32, 2), fill(64, 0)],
      [fill(32, 1), fill(64, 0)],
    ],
  }),
);
noEnvelope(
  "six recovery signatures",
  "there are at most five recovery signatures",
  replaced(envelope, { 3: [1, 2, 3, 4, 5, 6].map((each) => [fill(32, each), fill(64, 0)]) }),
);

add(
  "two blocks by gossip",
  "one block a gossip message",
  [taken(genesis), refused("BLOCK_COUNT", makeRecord(after(genesis), [byOne, byTwo]))],
  { carrier: "gossip" },
);
add("two blocks by sync", "sync and files may carry all blocks", [
  taken(genesis),
  taken(makeRecord(after(genesis), [byOne, byTwo])),
]);

const noPayload = (title: string, shows: string, bytes: Uint8Array): void =>
  add(title, shows, [taken(genesis), refused("PAYLOAD_MALFORMED", envelopeOf(bytes))]);
const withPosition = (place: number, value: CborValue): Uint8Array =>
  replaced(payload, { [place]: value });
const withState = (change: Partial<State>): Uint8Array => encodeState(after(genesis, change));
const [, , , , , , nodeItems = [], , , x509Items = []] = positionsOf(
  payload,
) as readonly (readonly CborValue[])[];

noPayload("a payload that is text", "a payload is an array", encodeCbor("state"));
noPayload(
  "a payload with a byte behind",
  "nothing follows the payload",
  concatBytes(payload, Uint8Array.of(0)),
);
noPayload("format 2", "there is no other format yet", withPosition(0, 2));
noPayload("a name in capitals", "a trust domain is [a-z0-9._-]", withPosition(1, "Alpha.test"));
noPayload("an empty name", "a trust domain has 1 to 255 characters", withPosition(1, ""));
noPayload(
  "a name of 256 characters",
  "a trust domain has 1 to 255 characters",
  withPosition(1, "a".repeat(256)),
);
noPayload("a name that is not UTF-8", "text is UTF-8", flipName(payload));
noPayload("a lineage of 31 bytes", "a lineage has 32 bytes", withPosition(2, fill(31, 1)));
noPayload("an epoch of 2 to the 32nd", "epoch and rev are u32", withPosition(3, 2n ** 32n));
noPayload("a rev of 2 to the 32nd", "epoch and rev are u32", withPosition(4, 2n ** 32n));
noPayload("nodes out of order", "nodes ascend bytewise", withPosition(6, nodeItems.toReversed()));
noPayload("a node twice", "no node stands twice", withPosition(6, [one.publicKey, one.publicKey]));
noPayload("no node", "a record has a node at the least", withPosition(6, []));
noPayload("17 nodes", "a record has at most 16 nodes", withState({ nodes: keys(17) }));
noPayload(
  "33 removed nodes",
  "a record has at most 32 removed nodes",
  withState({ removed: keys(33) }),
);
noPayload("a threshold of 0", "m is 1 at the least", withPosition(8, [0, [fill(32, 1)]]));
noPayload("a threshold above the keys", "m is at most n", withPosition(8, [2, [fill(32, 1)]]));
noPayload(
  "six recovery keys",
  "n is at most 5",
  withPosition(8, [1, [1, 2, 3, 4, 5, 6].map((each) => fill(32, each))]),
);
noPayload(
  "recovery keys out of order",
  "hashes of recovery keys ascend",
  withPosition(8, [1, [fill(32, 2), fill(32, 1)]]),
);
noPayload(
  "X 509 authorities out of order",
  "X.509 authorities ascend by SHA-256 of their DER",
  withPosition(9, x509Items.toReversed()),
);
noPayload(
  "an X 509 authority twice",
  "no authority stands twice",
  withPosition(9, [x509Items[0] ?? 0, x509Items[0] ?? 0]),
);
noPayload(
  "no X 509 authority",
  "a record has an X.509 authority at the least",
  withPosition(9, []),
);
noPayload("taint as an integer", "taint is a boolean", withPosition(9, [[fill(8, 0x30), 0]]));
noPayload(
  "JWT authorities out of order",
  "JWT authorities ascend by key id",
  withPosition(10, [jwtItem("b"), jwtItem("a")]),
);
noPayload(
  "a key id with a space",
  "a key id is printable ASCII without spaces",
  withPosition(10, [jwtItem("a b")]),
);
noPayload(
  "a key id of 129 characters",
  "a key id has at most 128 characters",
  withPosition(10, [jwtItem("a".repeat(129))]),
);
noPayload(
  "a key that ends at 2 to the 53rd",
  "times are below 2^53",
  withPosition(10, [["a", fill(8, 0x30), 2n ** 53n, false]]),
);
noPayload(
  "a genesis of epoch 1",
  "a record without a lineage has epoch 0",
  withState({ lineage: new Uint8Array(32), version: { epoch: 1, rev: 0, sequence: 2n } }),
);
noPayload(
  "a genesis of rev 1",
  "a record without a lineage has rev 0",
  withState({ lineage: new Uint8Array(32), version: { epoch: 0, rev: 1, sequence: 2n } }),
);
noPayload(
  "a genesis with removed nodes",
  "a record without a lineage has removed no node",
  withState({ lineage: new Uint8Array(32), removed: keys(1) }),
);

const wrongBlock = (
  title: string,
  shows: string,
  code: "SIGNATURE_ENCODING" | "NODE_SIGNATURE_INVALID",
  bytes: Uint8Array,
): void => add(title, shows, [taken(genesis), refused(code, bytes)]);
wrongBlock(
  "an SVID signature with the larger s",
  "s is at most n/2, as the twin would verify too",
  "SIGNATURE_ENCODING",
  next({}, [{ ...byOne, svidSignature: twinOf }]).envelope,
);
wrongBlock(
  "an SVID signature with r 0",
  "r is 1 to n − 1",
  "SIGNATURE_ENCODING",
  next({}, [
    { ...byOne, svidSignature: (bytes) => concatBytes(new Uint8Array(32), bytes.subarray(32)) },
  ]).envelope,
);
wrongBlock(
  "an SVID signature with s 0",
  "s is 1 to n/2",
  "SIGNATURE_ENCODING",
  next({}, [
    { ...byOne, svidSignature: (bytes) => concatBytes(bytes.subarray(0, 32), new Uint8Array(32)) },
  ]).envelope,
);
wrongBlock(
  "an SVID signature with r above n",
  "r is 1 to n − 1",
  "SIGNATURE_ENCODING",
  next({}, [
    { ...byOne, svidSignature: (bytes) => concatBytes(fill(32, 0xff), bytes.subarray(32)) },
  ]).envelope,
);
wrongBlock(
  "a node signature with a bit flipped",
  "the carried node key verifies the node signature",
  "NODE_SIGNATURE_INVALID",
  next({}, [{ ...byOne, nodeSignature: flipped }]).envelope,
);
wrongBlock(
  "a node signature with S above L",
  "S is below L",
  "NODE_SIGNATURE_INVALID",
  next({}, [{ ...byOne, nodeSignature: plusL }]).envelope,
);
wrongBlock(
  "a node key of small order",
  "under such a key one signature fits every message",
  "NODE_SIGNATURE_INVALID",
  smallOrder(),
);
wrongBlock(
  "a node signature that covers another time",
  "the node signs the time",
  "NODE_SIGNATURE_INVALID",
  withBlock(1, (block[1] as number) + 1),
);
wrongBlock(
  "recovery signatures put in later",
  "the node signs over the recovery signatures",
  "NODE_SIGNATURE_INVALID",
  replaced(envelope, { 3: [[fill(32, 1), fill(64, 0)]] }),
);
add(
  "one of two node signatures is wrong",
  "by sync a block whose node signature fails is left out, and one must remain",
  [
    taken(genesis),
    taken(makeRecord(after(genesis), [{ ...byOne, nodeSignature: flipped }, byTwo])),
  ],
);

function fill(length: number, byte: number): Uint8Array {
  return new Uint8Array(length).fill(byte);
}

function keys(count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, index) => nodeKey(`many ${index}`).publicKey);
}

function jwtItem(keyId: string): CborValue {
  const { spki, expiresAtS, tainted } = jwtAuthority("key-1");
  return [keyId, spki, expiresAtS, tainted];
}

function chainOf(): CborValue {
  const [, , chains] = block;
  return Array.isArray(chains) ? ((chains as CborValue[])[0] ?? []) : [];
}

function certificateOf(): CborValue {
  const chain = chainOf();
  return Array.isArray(chain) ? ((chain as CborValue[])[0] ?? 0) : 0;
}

function repeat(count: number, value: CborValue): CborValue[] {
  return Array.from({ length: count }, () => value);
}

/** What stands before, the replacement, and what stands behind the only place where `found` stands. */
function split(bytes: Uint8Array, found: Uint8Array, replacement: Uint8Array): Uint8Array[] {
  const place = Buffer.from(bytes).indexOf(found);
  return [bytes.subarray(0, place), replacement, bytes.subarray(place + found.length)];
}

/** The second byte of the name becomes one that no UTF-8 text has there. */
function flipName(bytes: Uint8Array): Uint8Array {
  return bytes.map((byte, index) => (index === 4 ? 0xff : byte));
}

/** The same S, and the order of the base point more. */
function plusL(signature: Uint8Array): Uint8Array {
  const order = 2n ** 252n + 27742317777372353535851937790883648493n;
  const s = BigInt(`0x${Buffer.from(signature.subarray(32).toReversed()).toString("hex")}`) + order;
  const bytes = Buffer.from(s.toString(16).padStart(64, "0"), "hex").reverse();
  return concatBytes(signature.subarray(0, 32), bytes);
}

/** Key and R are the neutral element, S is 0: the equation holds for every message. */
function smallOrder(): Uint8Array {
  const neutral = Uint8Array.from({ length: 32 }, (_, index) => (index === 0 ? 1 : 0));
  const signature = concatBytes(neutral, new Uint8Array(32));
  return replaced(envelope, {
    2: [block.map((each, index) => (index === 0 ? neutral : index === 4 ? signature : each))],
  });
}
