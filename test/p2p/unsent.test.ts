/**
 * A member that gives its streams all the room there is, and does not read its connection: what it asks
 * for then waits below all streams.
 */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import type { Connection, Stream } from "@libp2p/interface";
import { lpStream } from "@libp2p/utils";
import { afterEach, expect, test, vi } from "vitest";
import type { Libp2pNetwork } from "../../src/p2p/libp2p-network.ts";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import { encodeRequest } from "../../src/p2p/sync-frames.ts";
import { INBOUND_SYNC_STREAMS_MAX, SYNC_PROTOCOL } from "../../src/p2p/sync.ts";
import {
  PEERS,
  type RunningPeer,
  TD,
  eventually,
  startsPeers,
} from "../compliance/peer-network.ts";
import { startsRogues } from "../rogue/attacks.ts";
import { type CountingProxy, startCountingProxy } from "../rogue/counting-proxy.ts";
import type { Rogue } from "../rogue/rogue-node.ts";
import { YAMUX, yamuxHeader } from "../rogue/yamux-header.ts";
import { making } from "./libp2p-peers.ts";

const start = startsPeers(making());
const rogueNode = startsRogues();
const proxies: CountingProxy[] = [];
afterEach(() => proxies.splice(0).forEach((proxy) => proxy.stop()));

/** Against hanging, not a figure: a machine may be busy with much else. */
const LIMIT_MS = 60_000;
vi.setConfig({ testTimeout: 2 * LIMIT_MS });
const TCP_LISTEN = "0A";
const WINDOW_BYTES = 256 * 1024 * 1024;
/** 1 MiB, the largest answer. */
const LARGEST = Array.from({ length: 8 }, () => new Uint8Array(128 * 1024 - 10));
/** Eight wait for the connection, the ninth is too much; the rest is in the kernel (four, measured). */
const ANSWERS_MAX = 24;
/** More than Linux takes, which is asserted, and less than what is too much. */
const KEPT_ANSWERS = 9;
/** A socket that stays would stay for hours. */
const GONE_MS = 10_000;
/** Requests that wait: more than those that end with a stream which is reset for being slow. */
const ASKED_AHEAD = 64;
const REQUEST = encodeRequest({
  kind: "fetch",
  wants: [
    {
      trustDomain: TD as TrustDomain,
      above: { epoch: 0, rev: 0, sequence: 0n },
      recordId: undefined,
    },
  ],
});

interface Hoarder {
  readonly proxy: CountingProxy;
  readonly rogue: Rogue;
  readonly streams: readonly Stream[];
}

/** A member that dialed us, by a proxy that does not read what we send. */
async function dialingHoarder(ours: RunningPeer): Promise<Hoarder> {
  const proxy = await startCountingProxy(ours.network.addresses()[0] ?? "");
  proxies.push(proxy);
  const rogue = await rogueNode();
  ours.network.admit("hostile.test", [rogue.node]);
  return await hoarder(proxy, rogue, await rogue.dial(proxy.address));
}

/** The same, dialed by us. */
async function dialedHoarder(ours: RunningPeer): Promise<Hoarder> {
  const rogue = await rogueNode();
  const proxy = await startCountingProxy(rogue.libp2p.getMultiaddrs().join(), "before");
  proxies.push(proxy);
  ours.network.dial("hostile.test", [proxy.address]);
  ours.network.admit("hostile.test", [rogue.node]);
  await eventually(() => rogue.libp2p.getConnections().length > 0, LIMIT_MS);
  const [connection] = rogue.libp2p.getConnections();
  assert(connection !== undefined);
  return await hoarder(proxy, rogue, connection);
}

async function hoarder(
  proxy: CountingProxy,
  rogue: Rogue,
  connection: Connection,
): Promise<Hoarder> {
  const streams: Stream[] = [];
  while (streams.length < INBOUND_SYNC_STREAMS_MAX) {
    streams.push(
      await connection.newStream(SYNC_PROTOCOL, { maxOutboundStreams: INBOUND_SYNC_STREAMS_MAX }),
    );
  }
  proxy.stopReading();
  for (const stream of streams) giveRoom(rogue, stream, WINDOW_BYTES);
  return { proxy, rogue, streams };
}

/** Whatever is written to a stream that gets room goes on to the connection. */
function giveRoom(rogue: Rogue, { id }: Stream, bytes: number): void {
  rogue.decrypted().send(yamuxHeader(YAMUX.windowUpdate, 0, Number(id), bytes));
}

/** Asks on one stream after the other, so often that some are always waiting, until so many have come. */
async function hoard(
  { proxy, rogue, streams }: Hoarder,
  answers: () => number,
  most = Infinity,
): Promise<void> {
  const asking = streams.map((stream) => ({ stream, frames: lpStream(stream) }));
  let asked = 0;
  await eventually(() => {
    for (const { stream, frames } of asking) {
      if (proxy.closed || answers() >= most) return true;
      giveRoom(rogue, stream, 1);
      if (asked > answers() + ASKED_AHEAD) continue;
      asked += 1;
      void frames.write(REQUEST).catch(() => {});
    }
    return false;
  }, LIMIT_MS);
}

/**
 * The sockets of Linux that have the address at one of their ends, but those that listen; of each how
 * many bytes are unsent (proc(5), /proc/net/tcp).
 */
async function sockets(end: "local" | "remote", address: string): Promise<readonly number[]> {
  const port = Number(/\/tcp\/(\d+)/.exec(address)?.[1]);
  const at = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const rows = (await readFile("/proc/net/tcp", "utf8")).trim().split("\n").slice(1);
  return rows.flatMap((row) => {
    const [, local = "", remote = "", state = "", queues = ""] = row.trim().split(/ +/);
    if (state === TCP_LISTEN || !{ local, remote }[end].endsWith(at)) return [];
    return Number.parseInt(queues, 16);
  });
}

async function largestAnswer(connection: Connection): Promise<void> {
  const asking = lpStream(await connection.newStream(SYNC_PROTOCOL));
  await asking.write(REQUEST);
  expect((await asking.read()).byteLength).toBeGreaterThan(1_000_000);
}

test("a member that gives its streams room and reads nothing is cut off, with little unsent; others are served", async () => {
  const ours = await start();
  let answers = 0;
  ours.peer.book.records = async () => {
    answers += 1;
    return LARGEST;
  };
  const honest = await rogueNode();
  ours.network.admit(PEERS, [honest.node]);
  const connection = await honest.dial(ours.network.addresses()[0] ?? "");
  const hostile = await dialingHoarder(ours);
  await Promise.all([hoard(hostile, () => answers), largestAnswer(connection)]);
  expect((ours.network as Libp2pNetwork).edgeCounts.cutOff).toBe(1);
  expect(answers).toBeLessThanOrEqual(ANSWERS_MAX);
  await eventually(() => ours.network.connections().length === 1, LIMIT_MS);
  await largestAnswer(connection);
});

test.each([
  ["it", dialingHoarder, "local"],
  ["we", dialedHoarder, "remote"],
] as const)(
  "a member that closes a connection that %s dialed, with much of ours unread, leaves no socket behind",
  async (_, hoarderOf, end) => {
    const ours = await start();
    let answers = 0;
    ours.peer.book.records = async () => {
      answers += 1;
      return LARGEST;
    };
    const hostile = await hoarderOf(ours);
    const address = end === "local" ? ours.network.addresses()[0] : hostile.proxy.address;
    const own = async (): Promise<readonly number[]> => await sockets(end, address ?? "");
    await hoard(hostile, () => answers, KEPT_ANSWERS);
    await eventually(async () => (await own()).some((bytes) => bytes > 0), LIMIT_MS);
    hostile.proxy.closeUnread();
    await eventually(() => ours.network.connections().length === 0, LIMIT_MS);
    expect((ours.network as Libp2pNetwork).edgeCounts.cutOff).toBe(0);
    await eventually(async () => (await own()).length === 0, GONE_MS);
  },
);
