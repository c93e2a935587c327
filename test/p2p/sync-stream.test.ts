/** Streams of sync between two libp2p nodes on loopback, one of which takes half of a frame. */
import type { Stream } from "@libp2p/interface";
import { afterEach, describe, expect, test } from "vitest";
import { SyncStream, SyncStreamFailure } from "../../src/p2p/sync-stream.ts";
import { eventually } from "../compliance/peer-network.ts";
import { type CountingProxy, startCountingProxy } from "../rogue/counting-proxy.ts";
import { readsOnly, startsRawPeers } from "./raw-peer.ts";

const PROTOCOL = "/test/frames";
/** As small as yamux has it: a quarter of the frame. */
const WINDOW_BYTES = 256 * 1024;
const FRAME = new Uint8Array(4 * WINDOW_BYTES);
const LIMIT_MS = 60_000;
const rawPeer = startsRawPeers();
const proxies: CountingProxy[] = [];
afterEach(() => proxies.splice(0).forEach((proxy) => proxy.stop()));

interface Pair {
  readonly ours: SyncStream;
  /** Below ours. */
  readonly stream: Stream;
  readonly theirs: Stream;
  /** What they are connected through. */
  readonly proxy: CountingProxy;
  readonly stopping: AbortController;
}

async function pair(frameDeadlineMs: number): Promise<Pair> {
  const [near, far] = [await rawPeer(), await rawPeer(WINDOW_BYTES)];
  const opened = Promise.withResolvers<Stream>();
  await near.libp2p.handle(PROTOCOL, opened.resolve);
  const proxy = await startCountingProxy(String(near.libp2p.getMultiaddrs()[0]));
  proxies.push(proxy);
  const connection = await far.dial([proxy.address]);
  const theirs = await connection.newStream(PROTOCOL);
  const stopping = new AbortController();
  const options = { frameBytesMax: FRAME.length, frameDeadlineMs, signal: stopping.signal };
  const stream = await opened.promise;
  const ours = new SyncStream(stream, options);
  theirs.send(Uint8Array.of(1, 0)); // Behind all windows that it gave while the stream was opened.
  await ours.receive();
  return { ours, stream, theirs, proxy, stopping };
}

/** Bytes after which the other side takes no more, and what then waits for its window at the most. */
const takers = [
  ["nothing", 1, 3.1 * WINDOW_BYTES],
  ["half", WINDOW_BYTES + 1, 2.1 * WINDOW_BYTES],
] as const;

const endings: readonly [string, string, number, (pair: Pair) => void][] = [
  ["we end the stream", "for a reason", LIMIT_MS, ({ ours }) => ours.abort("for a reason")],
  [
    "the other side resets it",
    "The stream has been reset",
    LIMIT_MS,
    ({ theirs }) => theirs.abort(new Error("had enough")),
  ],
  ["the connection ends", "the stream ended", LIMIT_MS, ({ proxy }) => proxy.stop()],
  ["we stop", "stopping", LIMIT_MS, ({ stopping }) => stopping.abort(new Error("stopping"))],
  ["its time is over", "The operation was aborted due to timeout", 500, () => {}],
];

describe.each(takers)("a frame of which the other side takes %s", (_, bytes, unsent) => {
  test.each(endings)("fails once %s, and says why: %s", async (__, reason, deadlineMs, happens) => {
    const both = await pair(deadlineMs);
    readsOnly(both.theirs, bytes);
    const failed = both.ours.send(FRAME).catch((error: unknown) => error);
    await eventually(() => both.stream.writeBufferLength <= unsent, LIMIT_MS);
    happens(both);
    const failure = await failed;
    expect(failure).toBeInstanceOf(SyncStreamFailure);
    expect(failure).toHaveProperty("message", reason);
  });
});

describe("a stream of sync", () => {
  test("that ended says so by a signal, whoever ended it", async () => {
    const [one, other] = [await pair(LIMIT_MS), await pair(LIMIT_MS)];
    expect(one.ours.ended.aborted).toBe(false);
    one.ours.abort("for a reason");
    other.theirs.abort(new Error("had enough"));
    await eventually(() => one.ours.ended.aborted && other.ours.ended.aborted, LIMIT_MS);
    expect(one.ours.ended.reason).toEqual(new Error("for a reason"));
  });

  test("keeps one frame that is not read yet, and ends with another one behind it", async () => {
    const { ours, stream, theirs } = await pair(LIMIT_MS);
    const length = Uint8Array.of(0x80, 0x80, 0x40); // Of the frame, as a varint.
    theirs.send(length);
    theirs.send(FRAME);
    expect(await ours.receive()).toHaveLength(FRAME.length);
    theirs.send(length);
    theirs.send(FRAME);
    theirs.send(Uint8Array.of(1, 0));
    await eventually(() => ours.ended.aborted, LIMIT_MS);
    expect(stream.status).toBe("aborted");
  });
});
