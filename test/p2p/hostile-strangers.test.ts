/** What somebody can do to us whom nobody admitted: it reaches our port, and has addresses. */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, type Socket, connect, createServer } from "node:net";
import type { Connection } from "@libp2p/interface";
import { describe, expect, onTestFinished, test } from "vitest";
import { peerIdOfNode } from "../../src/p2p/node-identity.ts";
import {
  PEERS,
  type RunningPeer,
  TD,
  bookRecord,
  encodeBookRecord,
  eventually,
  startsPeers,
} from "../compliance/peer-network.ts";
import { TIMES, beginsAttacks, startsRogues } from "../rogue/attacks.ts";
import { startCountingProxy } from "../rogue/counting-proxy.ts";
import { YAMUX, yamuxHeader } from "../rogue/yamux-header.ts";
import { making } from "./libp2p-peers.ts";

const start = startsPeers(making());
const begin = beginsAttacks();
const rogueNode = startsRogues();

const LIMIT_MS = 20_000;
const ELSEWHERE = "127.0.9.1"; // Another /24, still loopback.

function addressOf({ network }: RunningPeer): string {
  const [address = ""] = network.addresses();
  return address;
}

/** A member comes from elsewhere than the attack, is let in, publishes and syncs. */
async function expectMemberServed(ours: RunningPeer): Promise<void> {
  const member = await start();
  ours.network.admit(PEERS, [member.node]);
  member.network.admit(PEERS, [ours.node]);
  member.network.dial(PEERS, ours.network.addresses());
  await eventually(() => ours.peer.count(`synced ${member.id}`) > 0, LIMIT_MS);
  await eventually(() => member.peer.count(`synced ${ours.id}`) > 0, LIMIT_MS);
  const sequence = (ours.peer.book.newest(TD)?.sequence ?? 0n) + 1n;
  const record = bookRecord(TD, sequence);
  await member.network.publish(encodeBookRecord(record));
  await eventually(() => ours.peer.book.newest(TD)?.sequence === sequence, LIMIT_MS);
  await member.stop();
}

describe("connections that never become one", () => {
  test.each([
    ["half-open", 300],
    ["half-noise", 300],
    ["tcp-garbage", 100],
  ] as const)(
    "%s, %d of them: members connect and sync meanwhile",
    async (strategy, count) => {
      const ours = await start();
      const { attack, done } = begin(strategy, {
        address: addressOf(ours),
        count: count * TIMES,
        seconds: 60 * TIMES,
        persistent: true,
        from: ELSEWHERE,
      });
      await eventually(() => attack.outcome.actions > 64, LIMIT_MS);
      await expectMemberServed(ours);
      await done;
      await expectMemberServed(ours);
    },
    60_000 * TIMES,
  );

  test("are closed two seconds after they began, however far they came", async () => {
    const ours = await start();
    const port = Number(/\/tcp\/(\d+)/.exec(addressOf(ours))?.[1]);
    for (const said of ["", "\x13/multistream/1.0.0\n\x07/noise\n\x00\x20"]) {
      const socket = connect(port, "127.0.0.1");
      socket.on("error", () => {});
      const beganMs = performance.now();
      socket.write(said);
      socket.resume();
      await new Promise((resolve) => socket.on("close", resolve));
      expect(performance.now() - beganMs).toBeGreaterThan(1_500);
      expect(performance.now() - beganMs).toBeLessThan(5_000);
    }
  });
});

/** Connects so often from 127.0.0.1, where the members are, until the test ends. */
function flood(ours: RunningPeer, perSecond: number, meet: (socket: Socket) => void): () => number {
  const port = Number(/\/tcp\/(\d+)/.exec(addressOf(ours))?.[1]);
  const sockets = new Set<Socket>();
  const beganMs = performance.now();
  let begun = 0;
  let ended = 0;
  const timer = setInterval(() => {
    for (; begun < ((performance.now() - beganMs) * perSecond) / 1_000; begun += 1) {
      const socket = connect(port, "127.0.0.1");
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        sockets.delete(socket);
        ended += 1;
      });
      meet(socket.resume());
    }
  }, 10);
  onTestFinished(() => {
    clearInterval(timer);
    for (const socket of sockets) socket.destroy();
  });
  return () => ended;
}

function askForNoise(socket: Socket): void {
  socket.write("\x13/multistream/1.0.0\n\x07/noise\n");
  socket.write(Buffer.concat([Buffer.of(0, 32), randomBytes(32)]));
}

/** A handshake message of ours is longer, what comes before it shorter. */
const NOISE_ANSWER_BYTES = 100;

const MEETINGS: [string, (socket: Socket) => void][] = [
  ["that say nothing", () => {}],
  [
    "that begin a handshake and leave",
    (socket) => {
      askForNoise(socket);
      socket.on("data", () => {
        if (socket.bytesRead > NOISE_ANSWER_BYTES) socket.destroy();
      });
    },
  ],
];

/** One attempt in seven comes through, so how long it takes has a long tail: 11 s were seen. */
const TURN_LIMIT_MS = 60_000;

describe("150 strangers a second from the address of two members, at both ends", () => {
  test.each(MEETINGS)(
    "%s: the members find each other",
    async (_, meet) => {
      const [ours, theirs] = [await start(), await start()];
      const ended = [ours, theirs].map((peer) => flood(peer, 150, meet));
      await eventually(() => ended.every((count) => count() > 200), LIMIT_MS);
      ours.network.admit(PEERS, [theirs.node]);
      theirs.network.admit(PEERS, [ours.node]);
      ours.network.dial(PEERS, theirs.network.addresses());
      theirs.network.dial(PEERS, ours.network.addresses());
      await eventually(() => ours.peer.count(`synced ${theirs.id}`) > 0, TURN_LIMIT_MS);
    },
    TURN_LIMIT_MS + 60_000,
  );
});

test("whoever resets our connections, sooner than we see them open or later, is tried again soon", async () => {
  let met = 0;
  const server = createServer((socket) => {
    met += 1;
    socket.on("error", () => {});
    socket.resetAndDestroy();
  }).listen(0, "127.0.0.1");
  onTestFinished(() => void server.close());
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const ours = await start();
  const node = randomBytes(32);
  ours.network.admit(PEERS, [node]);
  ours.network.dial(PEERS, [`/ip4/127.0.0.1/tcp/${port}/p2p/${peerIdOfNode(node).toString()}`]);
  // With the wait of who is not there, twelve would take more than a minute.
  await eventually(() => met >= 12, LIMIT_MS);
}, 60_000);

describe("strangers", () => {
  test.each(["strangers", "yamux-pings", "stream-churn", "endless-frame", "many-streams"] as const)(
    "%s: members connect and sync meanwhile",
    async (strategy) => {
      const ours = await start();
      const { done } = begin(strategy, {
        address: addressOf(ours),
        seconds: 1.5 * TIMES,
        persistent: true,
        from: ELSEWHERE,
      });
      await expectMemberServed(ours);
      await done;
      await expectMemberServed(ours);
    },
    60_000,
  );

  test("from one subnet are sixteen, from all thirty-two, and make place for others", async () => {
    const ours = await start([TD], { strangerMs: 60_000 });
    const connections: Connection[] = [];
    const open = (): number => connections.filter(({ status }) => status === "open").length;
    const come = async (from: string, count: number): Promise<void> => {
      for (let index = 0; index < count; index += 1) {
        const rogue = await rogueNode({ from });
        const connection = await rogue.dial(addressOf(ours)).catch(() => undefined);
        if (connection !== undefined) connections.push(connection);
      }
    };
    await come("127.0.1.1", 18);
    await eventually(() => open() === 16, LIMIT_MS);
    await come("127.0.2.1", 12);
    await eventually(() => open() === 28, LIMIT_MS);
    await come("127.0.3.1", 6);
    await eventually(() => open() === 32, LIMIT_MS);
    connections[0]?.abort(new Error("gone"));
    await eventually(() => open() === 31);
    await eventually(async () => {
      if (open() < 32) await come("127.0.4.1", 1);
      return open() === 32;
    }, LIMIT_MS);
  }, 60_000);

  test("never get more than four bytes for each of theirs, whatever they ask", async () => {
    const ours = await start([TD], { strangerMs: 60_000 });
    const proxy = await startCountingProxy(addressOf(ours));
    onTestFinished(() => proxy.stop());
    const rogue = await rogueNode({ deaf: true });
    await rogue.dial(proxy.address);
    // Identify is what gives most for the least: 589 bytes for 78, asked in one piece.
    const words = Buffer.from("\x13/multistream/1.0.0\n\x0f/ipfs/id/1.0.0\n");
    for (let streamId = 3; !proxy.closed; streamId += 2) {
      const ask = [
        yamuxHeader(YAMUX.data, YAMUX.syn, streamId, words.length),
        words,
        yamuxHeader(YAMUX.windowUpdate, YAMUX.fin, streamId, 0),
      ];
      const before = proxy.bytesOut;
      rogue.decrypted().send(Buffer.concat(ask));
      await eventually(() => proxy.bytesOut > before + 400 || proxy.closed);
    }
    expect(proxy.bytesOut).toBeGreaterThan(1_000);
    expect(proxy.worst).toBeGreaterThan(3.5);
    expect(proxy.worst).toBeLessThanOrEqual(4);
  }, 60_000);
});
