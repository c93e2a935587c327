/** What a read costs of the turn of its trust domain: reads as they come out of Noise, handed to yamux. */
import {
  type MessageStream,
  type StreamMuxer,
  StreamMessageEvent,
  type StreamMuxerFactory,
} from "@libp2p/interface";
import { multiaddrConnectionPair } from "@libp2p/utils";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Admission } from "../../src/p2p/admission.ts";
import { peerIdOfNode } from "../../src/p2p/node-identity.ts";
import { Turns } from "../../src/p2p/turn.ts";
import { Wires } from "../../src/p2p/wires.ts";
import { YAMUX, yamuxHeader } from "../rogue/yamux-header.ts";

const TURN_FRAMES = 64;
const OURS = peerIdOfNode(new Uint8Array(32).fill(1));
const NODE = new Uint8Array(32).fill(2);

beforeEach(() => void vi.useFakeTimers({ toFake: ["setImmediate", "setTimeout"] }));
afterEach(() => void vi.useRealTimers());

/** A member's connection behind its handshake; what it reads, and the reads that yamux got. */
async function connected(): Promise<{ read: (bytes: Uint8Array) => void; handed: Uint8Array[] }> {
  const admission = new Admission(OURS, () => 0);
  admission.admit("some.test", [NODE]);
  const wires = new Wires(admission, new Turns(() => 0), {
    nowMs: () => 0,
    log: () => {},
    onHandshake: () => {},
  });
  const handed: Uint8Array[] = [];
  const yamux: StreamMuxerFactory = {
    protocol: "yamux",
    createStreamMuxer: (decrypted) => {
      decrypted.addEventListener("message", ({ data }) => handed.push(data.subarray()));
      return new EventTarget() as StreamMuxer;
    },
  };
  const [raw] = multiaddrConnectionPair();
  const [pair] = multiaddrConnectionPair();
  const decoder = { lengthDecoder: () => 0 };
  const decrypted: MessageStream = Object.assign(pair, { decoder });
  const secure = async () => ({
    connection: decrypted,
    remotePeer: peerIdOfNode(NODE),
    streamMuxer: yamux,
  });
  const noise = { protocol: "noise", secureInbound: secure, secureOutbound: secure };
  await wires.encrypter(noise).secureInbound(raw);
  wires.muxer(yamux).createStreamMuxer(decrypted);
  const read = (bytes: Uint8Array): void =>
    void decrypted.dispatchEvent(new StreamMessageEvent(bytes));
  return { read, handed };
}

const frames = (count: number, type: number, flags: number): Uint8Array =>
  Buffer.concat(Array.from({ length: count }, (_, index) => yamuxHeader(type, flags, index, 0)));

test.each([
  ["that opens a stream is eleven frames", YAMUX.windowUpdate, YAMUX.syn, 11],
  ["that opens a stream with data is eleven frames", YAMUX.data, YAMUX.syn, 11],
  ["that is a ping is eleven frames", YAMUX.ping, YAMUX.syn, 11],
  ["of data is one", YAMUX.data, 0, 1],
])("a frame %s of the turn that its trust domain has", async (_, type, flags, price) => {
  const { read, handed } = await connected();
  const spent = Math.ceil(TURN_FRAMES / price);
  const [first, second, third] = [
    frames(spent - 1, type, flags),
    frames(1, type, flags),
    frames(1, YAMUX.data, 0),
  ] as const;
  for (const each of [first, second, third]) read(each);
  expect(handed).toEqual([first, second]);
  vi.advanceTimersToNextTimer();
  expect(handed).toEqual([first, second, third]);
});

test("a read of many frames is handed on as many turns as it is, in order", async () => {
  const { read, handed } = await connected();
  const opening = frames(14, YAMUX.data, YAMUX.syn);
  const last = frames(1, YAMUX.data, 0);
  read(opening);
  read(last);
  expect(handed.map(({ length }) => length / 12)).toEqual([6]);
  vi.advanceTimersToNextTimer();
  expect(handed.map(({ length }) => length / 12)).toEqual([6, 6]);
  vi.advanceTimersToNextTimer();
  expect(Buffer.concat(handed)).toEqual(Buffer.concat([opening, last]));
});
