import { createServer } from "node:net";
import { randomBytes } from "node:crypto";
import { spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { lpStream } from "@libp2p/utils";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { ENVELOPE_BYTES_MAX } from "../../src/core/std/limits.ts";
import { Fault } from "../../src/fault.ts";
import { STATE_TOPIC } from "../../src/p2p/gossip-options.ts";
import { Gossip } from "../../src/p2p/gossip.ts";
import {
  type Libp2pNetwork,
  type PeerNetworkOptions,
  createPeerNetwork,
} from "../../src/p2p/libp2p-network.ts";
import type { PeerNetworkLog } from "../../src/p2p/log.ts";
import { nodePrivateKey, peerIdOfNode } from "../../src/p2p/node-identity.ts";
import {
  type SyncRequest,
  decodeComparison,
  encodeComparison,
  encodeEntries,
  encodeRecords,
  encodeRequest,
  encodeShared,
} from "../../src/p2p/sync-frames.ts";
import { SYNC_PROTOCOL } from "../../src/p2p/sync.ts";
import {
  PEERS,
  BookPeer,
  type RunningPeer,
  TD,
  bookRecord,
  describePeerNetwork,
  encodeBookRecord,
  eventually,
  startsPeers,
} from "../compliance/peer-network.ts";
import { answerSync, compareRequest, wantedRequest } from "../rogue/sync-answers.ts";
import { OPTIONS, making } from "./libp2p-peers.ts";
import { type RawPeer, endOf, startsRawPeers } from "./raw-peer.ts";
import { referenceHashes, referenceRoot } from "./sync-reference.ts";

describePeerNetwork("libp2p", making());

/** Against hanging, not a figure: a machine may be busy with much else. */
const LIMIT_MS = 30_000;
/**
 * libp2p's address book settles for a second after it last changed. Of ours, what could be left takes
 * 10 s, as the next round of sync and the time of a stranger, or has no end.
 */
const LEFT_BEHIND_MS = 9_000;
/** Ninety handshakes and 180 rounds of sync in one process: 6 s on a quiet machine. */
const MESH_LIMIT_MS = 180_000;

const start = startsPeers(making());
/** What those who are impatient logged about sync. */
const said = new Set<string>();
const log: PeerNetworkLog = (level, message) => {
  if (message.startsWith("sync")) said.add(`${level} ${message}`);
};
const startImpatient = startsPeers(making({ syncFrameDeadlineMs: 200, log }));
const startRaw = startsRawPeers();

/** A raw peer that our side admits, with gossip streams in both directions. */
async function admittedRaw(ours: RunningPeer, ...others: readonly RawPeer[]): Promise<RawPeer> {
  const raw = await startRaw();
  ours.network.admit(
    PEERS,
    [raw, ...others].map(({ node }) => node),
  );
  await raw.dial(ours.network.addresses());
  await eventually(() => gossipsTo(raw, ours));
  return raw;
}

/** Whether gossip of the raw peer goes to ours. */
function gossipsTo(raw: RawPeer, { id }: { readonly id: string }): boolean {
  const { gossip } = raw.libp2p.services;
  const streams = raw.libp2p.getConnections().flatMap((connection) => connection.streams);
  return (
    gossip.getSubscribers(STATE_TOPIC).some((peerId) => peerId.toString() === id) &&
    streams.some(
      ({ direction, protocol }) => direction === "outbound" && protocol.startsWith("/meshsub/"),
    )
  );
}

describe("a peer that is not reached", () => {
  const node = randomBytes(32);
  const id = peerIdOfNode(node).toString();

  test.each<readonly [string, (alive: RunningPeer) => string, RegExp]>([
    ["nobody listens", () => "/ip4/127.0.0.1/tcp/1", /ECONNREFUSED/],
    [
      "somebody else is",
      ({ network }) => network.addresses()[0]?.replace(/\/p2p\/.*/, "") ?? "",
      /does not match expected/,
    ],
  ])("is told of where %s, and why", async (_, addressIn, reason) => {
    const [ours, alive] = [await start(), await start()];
    const address = `${addressIn(alive)}/p2p/${id}`;
    ours.network.admit(PEERS, [node]);
    ours.network.dial(PEERS, [address]);
    await eventually(() => ours.network.dialFailures().length > 0);
    expect(ours.network.dialFailures()).toEqual([
      {
        peerId: id,
        trustDomains: [PEERS],
        addresses: [address],
        atMs: expect.any(Number),
        reason: expect.stringMatching(reason),
      },
    ]);
  });
});

describe("strangers", () => {
  test("get identify and ping, no gossip, no sync, and are dropped", async () => {
    const ours = await start([TD], { strangerMs: 500 });
    ours.peer.book.put(bookRecord(TD, 1n));
    const raw = await startRaw();
    const connection = await raw.dial(ours.network.addresses());
    expect(await raw.libp2p.services.ping.ping(connection.remotePeer)).toBeGreaterThanOrEqual(0);
    expect((await raw.libp2p.services.identify.identify(connection)).agentVersion).toBe(
      "spire-mesh",
    );
    for (const protocol of [SYNC_PROTOCOL, "/meshsub/1.2.0"]) {
      const stream = await connection.newStream(protocol);
      expect(await endOf(stream)).toBe("reset");
    }
    await raw.libp2p.services.gossip.publish(STATE_TOPIC, encodeBookRecord(bookRecord(TD, 2n)));
    await eventually(() => connection.status !== "open");
    expect(ours.peer.seen).toEqual([]);
    expect(gossipsTo(raw, ours)).toBe(false);
  });

  test("are not dropped any more once they are admitted", async () => {
    const strangerMs = 300;
    const ours = await start([TD], { strangerMs });
    const raw = await startRaw();
    const connection = await raw.dial(ours.network.addresses());
    await raw.libp2p.services.ping.ping(connection.remotePeer); // Ours has seen it, too.
    ours.network.admit(PEERS, [raw.node]);
    await eventually(() => ours.peer.count(`connected ${raw.id}`) === 1);
    await eventually(() => Date.now() - connection.timeline.open > strangerMs * 2);
    expect(connection.status).toBe("open");
  });

  test("never take the room of members", async () => {
    const ours = await start([TD], { strangerMs: 60_000 });
    const strangers: RawPeer[] = [];
    const connected = (): number =>
      strangers.filter(({ libp2p }) => libp2p.getConnections().length > 0).length;
    for (let index = 0; index < 20; index += 1) {
      const raw = await startRaw();
      strangers.push(raw);
      await raw.dial(ours.network.addresses()).catch(() => undefined);
    }
    await eventually(() => connected() === 16); // All come from 127.0.0.0/24.
    await admittedRaw(ours);
    expect(ours.network.connections()).toHaveLength(1);
  });
});

describe("gossip from a member", () => {
  test("above 128 KiB is rejected before anybody looks at it", async () => {
    const ours = await start();
    const raw = await admittedRaw(ours);
    const largest = encodeBookRecord(bookRecord(TD, 1n, "x".repeat(ENVELOPE_BYTES_MAX - 13)));
    expect(largest).toHaveLength(ENVELOPE_BYTES_MAX);
    await raw.libp2p.services.gossip.publish(
      STATE_TOPIC,
      Buffer.concat([largest, Buffer.from("x")]),
    );
    await eventually(() => ours.network.connections()[0]?.rejected === 1);
    await raw.libp2p.services.gossip.publish(STATE_TOPIC, largest);
    await eventually(() => ours.peer.book.newest(TD)?.sequence === 1n);
    expect(ours.peer.seen.filter((each) => each.startsWith("gossip"))).toHaveLength(1);
  });

  test("on another topic goes nowhere", async () => {
    const ours = await start();
    const raw = await admittedRaw(ours);
    raw.libp2p.services.gossip.subscribe("/other/1");
    await raw.libp2p.services.gossip.publish("/other/1", encodeBookRecord(bookRecord(TD, 1n)));
    await raw.libp2p.services.gossip.publish(STATE_TOPIC, encodeBookRecord(bookRecord(TD, 2n)));
    await eventually(() => ours.peer.book.newest(TD)?.sequence === 2n);
    expect(ours.peer.seen.filter((each) => each.startsWith("gossip"))).toHaveLength(1);
  });

  test("beyond its budget is ignored and counted", async () => {
    const nowMs = 0; // The clock stands still, so no token is earned.
    const peer = new BookPeer([TD]);
    const seed = randomBytes(32);
    const options = { ...OPTIONS, nodeKeySeed: () => seed, nowMs: () => nowMs };
    const network = await createPeerNetwork(options, peer, peer.book);
    await network.start();
    try {
      const raw = await startRaw();
      network.admit(PEERS, [raw.node]);
      await raw.dial(network.addresses());
      await eventually(() => gossipsTo(raw, { id: network.peerId }));
      for (let sequence = 1; sequence <= 150; sequence += 1) {
        const record = encodeBookRecord(bookRecord(TD, BigInt(sequence)));
        await raw.libp2p.services.gossip.publish(STATE_TOPIC, record);
      }
      await eventually(() => network.gossipCounts.overBudget === 50);
      expect(peer.book.newest(TD)?.sequence).toBe(100n);
      expect(network.connections()[0]?.rejected).toBe(0);
    } finally {
      await network.stop();
    }
  });

  test("waits for at most 256 verdicts at once", async () => {
    const ours = await start();
    const verdicts = Promise.withResolvers<"accept">();
    ours.peer.judge = async () => await verdicts.promise;
    const members = [await startRaw(), await startRaw(), await startRaw()];
    for (const { id, node } of members) ours.network.admit(`${id}.test`, [node]);
    const network = ours.network as Libp2pNetwork;
    for (const [index, raw] of members.entries()) {
      await raw.dial(ours.network.addresses());
      await eventually(() => gossipsTo(raw, ours));
      for (let sequence = 0; sequence < 100; sequence += 1) {
        const record = bookRecord(TD, BigInt(index * 100 + sequence));
        await raw.libp2p.services.gossip.publish(STATE_TOPIC, encodeBookRecord(record));
      }
    }
    await eventually(() => network.gossipCounts.overload === 44);
    verdicts.resolve("accept");
  });

  test("goes on after one of two connections was closed", async () => {
    const ours = await start();
    const raw = await admittedRaw(ours);
    await raw.dial(ours.network.addresses());
    await eventually(() => ours.network.connections()[0]?.addresses.length === 2);
    ours.network.dial(PEERS, raw.libp2p.getMultiaddrs().map(String));
    await raw.libp2p.getConnections()[0]?.close();
    await eventually(() => ours.peer.count(`connected ${raw.id}`) === 2);
    expect(ours.peer.count(`lost ${raw.id}`)).toBe(1);
    await eventually(() => gossipsTo(raw, ours));
    let sequence = 0n;
    await eventually(async () => {
      sequence += 1n;
      await ours.network.publish(encodeBookRecord(bookRecord(TD, sequence)));
      return raw.heard.length > 0;
    });
  });
});

describe("sync with a member that does not keep to the protocol", () => {
  const compare = compareRequest();
  const td = bookRecord(TD, 0n).trustDomain;
  const after = undefined;
  const frames: readonly [string, Uint8Array][] = [
    ["garbage", Uint8Array.from([0xff, 0x00, 0x13])],
    ["an empty frame", new Uint8Array()],
    ["a frame above the limit", new Uint8Array(300 * 1024)],
    ["a reply in place of a request", Uint8Array.from([0x81, 0x04])],
    ["a list of what was not compared", encodeRequest({ kind: "list", buckets: [0], after })],
    ["names out of turn", encodeRequest({ kind: "wanted", at: 1, total: 2, names: [td] })],
    ["a request in another form", Uint8Array.from([...compare, 0x00])],
  ];

  test.each(frames)("%s closes the stream and nothing else", async (_, frame) => {
    const ours = await start();
    ours.peer.book.put(bookRecord(TD, 1n));
    const raw = await admittedRaw(ours);
    const [connection] = raw.libp2p.getConnections();
    const stream = await connection?.newStream(SYNC_PROTOCOL);
    if (connection === undefined || stream === undefined) throw new Error("not connected");
    void lpStream(stream)
      .write(frame)
      .catch(() => {});
    expect(await endOf(stream)).toBe("reset");
    expect(connection.status).toBe("open");

    const again = lpStream(await connection.newStream(SYNC_PROTOCOL));
    const comparing = async (request: Uint8Array) => {
      await again.write(request);
      return decodeComparison(Uint8Array.from((await again.read()).subarray()));
    };
    expect(await comparing(compare)).toEqual({ ok: true, value: { kind: "unknown" } });
    await again.write(wantedRequest([TD, "other.test"]));
    await again.read();
    expect(await comparing(compare)).toMatchObject({ ok: true, value: { kind: "hashes" } });
    const root = referenceRoot(ours.peer.book.entries([TD]));
    const same = await comparing(compareRequest(root));
    expect(same).toEqual({ ok: true, value: { kind: "same" } });
  });

  test("a frame that is announced above the limit ends the stream before it arrives", async () => {
    const ours = await start();
    const raw = await admittedRaw(ours);
    const stream = await raw.libp2p.getConnections()[0]?.newStream(SYNC_PROTOCOL);
    stream?.send(Uint8Array.from([0x80, 0x80, 0x20])); // 512 KiB, as a varint.
    await eventually(() => stream?.status === "reset", 2_000); // The deadline is 5 s.
  });

  test.each([
    ["says nothing", new Uint8Array()],
    ["stops in the middle of a frame", Uint8Array.from([0x20, 0x83, 0x01])],
  ])("a stream that %s ends at the deadline", async (_, bytes) => {
    const ours = await startImpatient();
    const raw = await admittedRaw(ours);
    const stream = await raw.libp2p.getConnections()[0]?.newStream(SYNC_PROTOCOL);
    if (stream === undefined) throw new Error("not connected");
    if (bytes.length > 0) stream.send(bytes);
    expect(await endOf(stream)).toBe("reset");
  });

  test("more streams than anybody needs are refused", async () => {
    const ours = await start();
    const raw = await admittedRaw(ours);
    const [connection] = raw.libp2p.getConnections();
    if (connection === undefined) throw new Error("not connected");
    const streams = await Promise.all(
      Array.from({ length: 12 }, async () => await connection.newStream(SYNC_PROTOCOL)),
    );
    const refused = (): number => streams.filter(({ status }) => status === "reset").length;
    await eventually(() => refused() >= 4, 2_000); // The deadline is 5 s.
  });

  test("when it asks for the first time, we ask it once more", async () => {
    const ours = await start();
    const raw = await startRaw();
    let asked = 0;
    await raw.libp2p.handle(SYNC_PROTOCOL, (stream) => {
      asked += 1;
      stream.abort(new Error("not now"));
    });
    ours.network.admit(PEERS, [raw.node]);
    const connection = await raw.dial(ours.network.addresses());
    await eventually(() => asked > 0);
    await ours.network.syncNow(raw.id);
    const before = asked;
    for (let time = 0; time < 3; time += 1) {
      const asking = lpStream(await connection.newStream(SYNC_PROTOCOL));
      await asking.write(compare);
      await asking.read();
    }
    await eventually(() => asked === before + 1, 3_000); // Without it, after 5 s.
  });

  const ids = [randomBytes(32)];
  const entry = (name: string) => {
    const version = { epoch: 0, rev: 0, sequence: 1n };
    return { trustDomain: bookRecord(name, 0n).trustDomain, version, recordIds: ids };
  };
  const GARBAGE = Uint8Array.from([0xff]);
  /** What is said to one of our requests; the rest is answered properly. */
  const replies: readonly [string, SyncRequest["kind"], Uint8Array | undefined][] = [
    ["nothing to what we want", "wanted", undefined],
    ["garbage to what we want", "wanted", GARBAGE],
    ["bits of another count to what we want", "wanted", encodeShared(new Uint8Array(2))],
    ["nothing to a comparison", "compare", undefined],
    ["garbage to a comparison", "compare", GARBAGE],
    ["a frame above the limit to a comparison", "compare", new Uint8Array(1024 * 1024 + 1)],
    ["always that it knows nothing", "compare", encodeComparison({ kind: "unknown" })],
    [
      "our own hashes and another root",
      "compare",
      encodeComparison({ kind: "hashes", hashes: referenceHashes([]) }),
    ],
    ["records to a list", "list", encodeRecords([])],
    ["an entry that was not asked for to a list", "list", encodeEntries([entry("z")])],
    ["garbage to a fetch", "fetch", GARBAGE],
  ];
  test.each(replies)("when we ask and it answers %s, the round ends quietly", async (...row) => {
    const [, kind, reply] = row;
    const ours = await startImpatient();
    said.clear();
    const raw = await startRaw();
    await raw.libp2p.handle(SYNC_PROTOCOL, async (stream) => {
      const never = Promise.withResolvers<never>();
      await answerSync(stream, {
        entries: () => [entry(TD)],
        give: () => [],
        instead: (request) => {
          if (request.kind !== kind) return undefined;
          return reply ?? never.promise;
        },
      });
    });
    ours.network.admit(PEERS, [raw.node]);
    await raw.dial(ours.network.addresses());
    await eventually(() => gossipsTo(raw, ours), LIMIT_MS);
    await eventually(() => said.size > 0, LIMIT_MS);
    expect(ours.peer.seen).toEqual([`connected ${raw.id}`]);
    expect(ours.network.connections()).toHaveLength(1);
    // A line that each stream of a peer makes would be a flood of the log.
    expect([...said]).toEqual(["debug sync: round failed"]);
  });
});

async function create(options: Partial<PeerNetworkOptions>): Promise<Libp2pNetwork> {
  const peer = new BookPeer([TD]);
  const seed = randomBytes(32);
  const keyed = { ...OPTIONS, nodeKeySeed: () => seed, ...options };
  return await createPeerNetwork(keyed, peer, peer.book);
}

describe("addresses", () => {
  test("a port that is in use is a fault that names the address", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const bound = taken.address();
    const port = typeof bound === "object" ? bound?.port : undefined;
    const address = `/ip4/127.0.0.1/tcp/${port}`;
    try {
      const network = await create({ listen: ["/ip4/127.0.0.1/tcp/0", address] });
      const failure = await network.start().catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(Fault);
      expect(failure).toMatchObject({
        code: "CANNOT_CREATE",
        message: `cannot listen on ${address}: EADDRINUSE`,
        advice: expect.stringContaining("addresses of this host"),
      });
    } finally {
      taken.close();
    }
  });

  test("every address that is none is named at once", async () => {
    const failure = await create({
      listen: ["7843"],
      announce: ["/ip4/127.0.0.1/udp/1/quic-v1"],
      peers: ["/dns4/mesh.bravo.test/tcp/7843", "/dnsaddr/bravo.test/p2p/12D3KooW"],
    }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(Fault);
    expect(failure).toMatchObject({ code: "CONFIG_INVALID" });
    expect(String(failure).split("\n")).toHaveLength(4);
  });

  test("a port of our choosing shows, and announced addresses replace it", async () => {
    const network = await create({});
    await network.start();
    expect(network.addresses()).toEqual([
      expect.stringMatching(/^\/ip4\/127\.0\.0\.1\/tcp\/[1-9]\d*\/p2p\/12D3KooW/),
    ]);
    await network.stop();
    const announce = ["/dns4/mesh.alpha.test/tcp/7843"];
    const behind = await create({ announce });
    await behind.start();
    expect(behind.addresses()).toEqual([`${announce[0]}/p2p/${behind.peerId}`]);
    await behind.stop();
  });

  test("configured peers are dialed once they are admitted", async () => {
    const ours = await start();
    const peer = new BookPeer([TD]);
    const seed = randomBytes(32);
    const options = { ...OPTIONS, nodeKeySeed: () => seed, peers: ours.network.addresses() };
    const network = await createPeerNetwork(options, peer, peer.book);
    ours.network.admit(PEERS, [(await nodePrivateKey(seed)).publicKey.raw]);
    network.admit(PEERS, [ours.node]);
    await network.start();
    try {
      await eventually(() => peer.count(`synced ${ours.id}`) > 0);
    } finally {
      await network.stop();
    }
  });
});

test("what is not closed a second after a stop began is cut", async () => {
  const attach = vi.spyOn(Gossip.prototype, "attach");
  onTestFinished(() => void vi.restoreAllMocks().useRealTimers());
  const ours = await start();
  await admittedRaw(ours);
  const [, connection] = attach.mock.lastCall ?? [];
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const stopped = ours.stop();
  vi.advanceTimersByTime(999);
  expect(connection?.status).toBe("open"); // Nothing of libp2p's has had its turn.
  vi.advanceTimersByTime(1);
  expect(connection?.status).toBe("aborted");
  await stopped;
});

describe("a mesh in one process", () => {
  test("30 nodes, each dialing three others, hear every record", async () => {
    const peers: RunningPeer[] = [];
    for (let index = 0; index < 30; index += 1) peers.push(await start());
    for (const [index, { network }] of peers.entries()) {
      for (const { id, node } of peers) network.admit(`${id}.test`, [node]);
      for (const step of [1, 7, 13]) {
        const other = peers[(index + step) % peers.length];
        network.dial(`${other?.id}.test`, other?.network.addresses() ?? []);
      }
    }
    await eventually(() => peers.every(({ peer }) => peer.synced.size === 6), MESH_LIMIT_MS);
    for (const [index, { network, peer }] of peers.slice(0, 5).entries()) {
      const record = bookRecord(TD, BigInt(index));
      peer.book.put(record);
      await network.publish(encodeBookRecord(record));
      await eventually(
        () => peers.every((each) => each.peer.book.newest(TD)?.sequence === record.sequence),
        LIMIT_MS,
      );
    }
  }, 300_000);

  test("leaves nothing behind that keeps the process alive", async () => {
    const script = new URL("start-and-stop.ts", import.meta.url);
    const child = spawn(process.execPath, [script.pathname], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    onTestFinished(() => {
      child.kill(); // In case it did not end.
    });
    const [stopped] = (await once(child.stdout, "data")) as [Buffer];
    expect(String(stopped)).toBe("stopped\n");
    const stoppedMs = performance.now();
    const [code] = (await once(child, "exit")) as [number];
    expect(code).toBe(0);
    expect(performance.now() - stoppedMs).toBeLessThan(LEFT_BEHIND_MS);
  });
});
