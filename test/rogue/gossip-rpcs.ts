/** gossipsub RPCs of any content, with their length in front. */
import { randomBytes } from "node:crypto";
import { RPC } from "@libp2p/gossipsub/message";
import { HEAD_TOPIC, STATE_TOPIC } from "../../src/p2p/gossip-options.ts";

const VARINT_MORE = 0x80;

export function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let left = value;
  while (left >= VARINT_MORE) {
    bytes.push((left % VARINT_MORE) + VARINT_MORE);
    left = Math.floor(left / VARINT_MORE);
  }
  return Uint8Array.from([...bytes, left]);
}

export function framed(bytes: Uint8Array): Uint8Array {
  return Buffer.concat([varint(bytes.length), bytes]);
}

function rpc(content: Partial<RPC>): Uint8Array {
  return framed(RPC.encode({ subscriptions: [], messages: [], ...content }));
}

function control(entries: Partial<RPC.ControlMessage>): Uint8Array {
  const none = { ihave: [], iwant: [], graft: [], prune: [], idontwant: [] };
  return rpc({ control: { ...none, ...entries } });
}

const ID_BYTES = 32;
const randomIds = (count: number): Uint8Array[] =>
  Array.from({ length: count }, () => randomBytes(ID_BYTES));
const given = (ids: readonly Uint8Array[] | number): Uint8Array[] =>
  typeof ids === "number" ? randomIds(ids) : [...ids];

export const subscription = (topic = STATE_TOPIC): Uint8Array =>
  rpc({ subscriptions: [{ subscribe: true, topic }] });
/** One subscription, of which the last topic counts. */
export const topics = (count: number): Uint8Array => {
  const empty = Buffer.alloc(2 * count, Uint8Array.of((2 << 3) | 2, 0));
  return framed(Buffer.concat([Uint8Array.of((1 << 3) | 2), framed(empty)]));
};
export const message = (...data: readonly Uint8Array[]): Uint8Array =>
  rpc({ messages: data.map((each) => ({ topic: STATE_TOPIC, data: each })) });
export const head = (...data: readonly Uint8Array[]): Uint8Array =>
  rpc({ messages: data.map((each) => ({ topic: HEAD_TOPIC, data: each })) });
export const ihave = (ids: readonly Uint8Array[] | number, topicID = STATE_TOPIC): Uint8Array =>
  control({ ihave: [{ topicID, messageIDs: given(ids) }] });
export const iwant = (ids: readonly Uint8Array[] | number): Uint8Array =>
  control({ iwant: [{ messageIDs: given(ids) }] });
export const idontwant = (ids: readonly Uint8Array[] | number): Uint8Array =>
  control({ idontwant: [{ messageIDs: given(ids) }] });
export const graft = (): Uint8Array => control({ graft: [{ topicID: STATE_TOPIC }] });
/** In turn of each topic. */
export const grafts = (count: number, topics: readonly string[] = [STATE_TOPIC]): Uint8Array =>
  control({
    graft: Array.from({ length: count }, (_, index) => {
      return { topicID: topics[index % topics.length] ?? STATE_TOPIC };
    }),
  });
export const prunes = (count: number, topics: readonly string[] = [STATE_TOPIC]): Uint8Array =>
  control({
    prune: Array.from({ length: count }, (_, index) => {
      return { topicID: topics[index % topics.length] ?? STATE_TOPIC, peers: [] };
    }),
  });
export const graftAndPrune = (): Uint8Array =>
  control({
    graft: [{ topicID: STATE_TOPIC }],
    prune: [{ topicID: STATE_TOPIC, peers: [], backoff: 1 }],
  });
export const subscriptions = (count: number): Uint8Array =>
  rpc({
    subscriptions: Array.from({ length: count }, (_, index) => ({
      subscribe: index % 2 === 0,
      topic: STATE_TOPIC,
    })),
  });
/** The same small message often in one RPC: each but the first is a duplicate. */
export const repeated = (count: number): Uint8Array =>
  message(...Array.from({ length: count }, () => Uint8Array.of(1)));
/** One byte each. */
export const emptyRpcs = (count: number): Uint8Array => new Uint8Array(count);
/** A field of a wire type that protobuf does not have. */
export const undecodable = (bytes: number): Uint8Array => framed(new Uint8Array(bytes).fill(0xff));
