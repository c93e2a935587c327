import { RPC } from "@libp2p/gossipsub/message";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RPC_FIELDS_MAX, countRpcFields } from "../../src/p2p/rpc-fields.ts";
import { varint } from "../rogue/gossip-rpcs.ts";

const DELIMITED = 2;
const RUNS = 2_000;

const delimited = (number: number, body: Uint8Array): Uint8Array =>
  Buffer.concat([varint(number * 8 + DELIMITED), varint(body.length), body]);

type Shape = { readonly [number: number]: "varint" | "bytes" | Shape };

const IDS: Shape = { 1: "bytes" };
const RPC_SHAPE: Shape = {
  1: { 1: "varint", 2: "bytes" },
  2: { 1: "bytes", 2: "bytes", 3: "bytes", 4: "bytes", 5: "bytes", 6: "bytes", 9: "varint" },
  3: {
    1: { 1: "bytes", 2: "bytes" },
    2: IDS,
    3: IDS,
    4: { 1: "bytes", 2: { 1: "bytes", 2: "bytes" }, 3: "varint" },
    5: IDS,
  },
  7: "bytes",
};

/** Any fields of the shape in any order, as often as it comes. */
function fieldsOf(shape: Shape): fc.Arbitrary<Uint8Array> {
  const each = Object.entries(shape).map(([number, kind]): fc.Arbitrary<Uint8Array> => {
    if (kind === "varint")
      return fc
        .nat({ max: 300 })
        .map((n) => Buffer.concat([varint(Number(number) * 8), varint(n)]));
    const bodies = kind === "bytes" ? fc.uint8Array({ maxLength: 4 }) : fieldsOf(kind);
    return bodies.map((body) => delimited(Number(number), body));
  });
  return fc.array(fc.oneof(...each), { maxLength: 6 }).map((parts) => Buffer.concat(parts));
}

/** An RPC, and one in which a byte is another. */
const rpcs = fc
  .tuple(fieldsOf(RPC_SHAPE), fc.option(fc.tuple(fc.nat(), fc.nat({ max: 255 }))))
  .map(([bytes, mutation]) => {
    if (mutation === null || bytes.length === 0) return bytes;
    return Buffer.from(bytes).fill(
      mutation[1],
      mutation[0] % bytes.length,
      (mutation[0] % bytes.length) + 1,
    );
  });

/** How many fields the decoder reads; undefined when it takes none of it. */
function readFields(bytes: Uint8Array): number | undefined {
  try {
    RPC.decode(bytes);
    return [...RPC.stream(bytes)].length;
  } catch {
    return undefined;
  }
}

describe("the fields of an RPC", () => {
  test("are never fewer than the decoder reads", () => {
    let taken = 0;
    fc.assert(
      fc.property(rpcs, (bytes) => {
        const counted = countRpcFields(bytes);
        const read = readFields(bytes);
        if (counted.isMalformed || read === undefined) return;
        expect(counted.count).toBeGreaterThanOrEqual(read);
        if (read > 1) taken += 1;
      }),
      { numRuns: RUNS },
    );
    expect(taken).toBeGreaterThan(RUNS / 4);
  });

  test("are counted at all depths", () => {
    const ids = [new Uint8Array(32), new Uint8Array(32)];
    const bytes = RPC.encode({
      subscriptions: [{ subscribe: true, topic: "a" }],
      messages: [{ topic: "a", data: new Uint8Array(1) }],
      control: {
        ihave: [{ topicID: "a", messageIDs: ids }],
        iwant: [{ messageIDs: ids }],
        graft: [{ topicID: "a" }],
        prune: [{ topicID: "a", peers: [{ peerID: new Uint8Array(1) }], backoff: 1 }],
        idontwant: [],
      },
    });
    expect(countRpcFields(bytes)).toEqual({
      count: 3 + 3 + 1 + 4 + 3 + 2 + 5,
      isMalformed: false,
    });
  });

  test("are counted no further than there may be", () => {
    const topics = Buffer.alloc(1024 * 1024, delimited(2, new Uint8Array()));
    expect(countRpcFields(delimited(1, topics))).toEqual({
      count: RPC_FIELDS_MAX + 1,
      isMalformed: false,
    });
  });

  test.each([
    ["a known field of another wire type", [1 << 3, 0]],
    ["a group", [(9 << 3) | 3, (9 << 3) | 4]],
    ["a body that ends behind its message", [(1 << 3) | 2, 2, (2 << 3) | 2, 1, 97]],
    ["a length without its body", [(9 << 3) | 2, 5, 0]],
    ["half a tag", [0x80]],
    ["half a fixed value", [(9 << 3) | 1, 0]],
  ])("with %s are malformed", (_, bytes) => {
    expect(countRpcFields(Uint8Array.from(bytes)).isMalformed).toBe(true);
  });
});
