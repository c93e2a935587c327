/** What a member can do to us at worst: it was let in, and keeps to no rule. */
import { fork } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Stream } from "@libp2p/interface";
import { lpStream } from "@libp2p/utils";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import type { Libp2pNetwork } from "../../src/p2p/libp2p-network.ts";
import { nodePrivateKey } from "../../src/p2p/node-identity.ts";
import { SYNC_PROTOCOL } from "../../src/p2p/sync.ts";
import {
  PEERS,
  type RunningPeer,
  TD,
  bookRecord,
  encodeBookRecord,
  eventually,
  startsPeers,
  withinTheTimeOf,
} from "../compliance/peer-network.ts";
import { TIMES, beginsAttacks, startsRogues } from "../rogue/attacks.ts";
import { message, subscription } from "../rogue/gossip-rpcs.ts";
import { GOSSIP_PROTOCOL, type Rogue, openStream } from "../rogue/rogue-node.ts";
import type { StrategyName } from "../rogue/strategies.ts";
import { compareRequest, wantedRequest } from "../rogue/sync-answers.ts";
import { making } from "./libp2p-peers.ts";
import { LoopRounds, TURN_BYTES_MAX, nextRound } from "./loop-rounds.ts";

let nowMs = 0; // Stands still unless a test moves it.
const start = startsPeers(making());
const startStill = startsPeers(making({ nowMs: () => nowMs }));
const begin = beginsAttacks();
const rogueNode = startsRogues();

/** Against hanging, not a figure: a machine may be busy with much else. */
const LIMIT_MS = 60_000;
vi.setConfig({ testTimeout: 3 * LIMIT_MS });
const ROGUES = "rogues.test";
const keyOf = async (seed: Uint8Array): Promise<Uint8Array> =>
  (await nodePrivateKey(seed)).publicKey.raw;

function addressOf({ network }: RunningPeer): string {
  const [address = ""] = network.addresses();
  return address;
}

/** Two of ours that are connected, the second one being honest, and a key that the first admits. */
async function besideHonest(): Promise<{
  ours: RunningPeer;
  honest: RunningPeer;
  seed: Uint8Array;
}> {
  const [ours, honest] = [await start(), await start()];
  const seed = randomBytes(32);
  ours.network.admit(PEERS, [honest.node]);
  ours.network.admit(ROGUES, [await keyOf(seed)]);
  honest.network.admit(PEERS, [ours.node]);
  honest.network.dial(PEERS, ours.network.addresses());
  await eventually(() => ours.peer.count(`synced ${honest.id}`) > 0, LIMIT_MS);
  await eventually(() => honest.peer.count(`synced ${ours.id}`) > 0, LIMIT_MS);
  return { ours, honest, seed };
}

let sequence = 0n;

/** What the honest one publishes is heard, and what it holds is synced. */
async function expectServed(ours: RunningPeer, honest: RunningPeer): Promise<void> {
  sequence += 1n;
  const record = bookRecord(TD, sequence);
  honest.peer.book.put(record);
  await honest.network.publish(encodeBookRecord(record));
  await eventually(() => ours.peer.book.newest(TD)?.sequence === sequence, LIMIT_MS);
  await ours.network.syncNow(honest.id);
  const connection = ours.network.connections().find(({ peerId }) => peerId === honest.id);
  expect(connection).toMatchObject({ rejected: 0, graylisted: false });
}

describe("beside a member that floods, honest ones are served, and the flood ends", () => {
  test.each<readonly [StrategyName, "cut off" | "graylisted"]>([
    ["invalid-messages", "graylisted"],
    ["oversize-messages", "graylisted"],
    ["graft-prune", "graylisted"],
    ["repeated-messages", "cut off"],
    ["ihave", "cut off"],
    ["iwant", "cut off"],
    ["idontwant", "cut off"],
    ["subscriptions", "cut off"],
    ["stream-churn", "cut off"],
    ["yamux-pings", "cut off"],
    ["endless-frame", "cut off"],
    ["noise-zeros", "cut off"],
    ["noise-pieces", "cut off"],
  ])("%s: %s", async (strategy, end) => {
    const { ours, honest, seed } = await besideHonest();
    const id = (await rogueNode({ seed })).id;
    const { attack } = begin(strategy, { address: addressOf(ours), seed });
    const has = (): boolean =>
      end === "cut off"
        ? attack.outcome.cutOffAfterS !== undefined
        : ours.network.connections().some((each) => each.peerId === id && each.graylisted);
    await expectServed(ours, honest);
    await eventually(has, LIMIT_MS);
    await expectServed(ours, honest);
  });

  test.each<readonly [StrategyName]>([
    ["empty-rpcs"],
    ["undecodable-rpcs"],
    ["oversize-rpcs"],
    ["half-rpc"],
    ["many-streams"],
    ["sync-junk"],
    ["sync-equal-wants"],
    ["sync-compares"],
    ["sync-wanted"],
    ["head-flood"],
    ["sync-stall"],
    ["connect-churn"],
    ["same-key"],
  ])("%s: as long as it goes on", async (strategy) => {
    const { ours, honest, seed } = await besideHonest();
    const persistent = true;
    const { done } = begin(strategy, {
      address: addressOf(ours),
      seed,
      seconds: TIMES / 2,
      persistent,
    });
    await expectServed(ours, honest);
    await done;
    await expectServed(ours, honest);
  });
});

const ROGUE = fileURLToPath(new URL("../rogue/main.ts", import.meta.url));
/** Far more than anybody takes: the kernel's buffers are full. */
const FULL_SPEED = ["--seconds", "10", "--rate", "20000"];
/** So often an honest member keeps below its budget. */
const PACE_MS = 100;
/**
 * Of the member that floods, and of the honest one in both directions. Without turns 1.7 MB; with them
 * 0.13 MB (measured).
 */
const ROUND_BYTES_MAX = 3 * TURN_BYTES_MAX;
/** From `publish` to the verdict: 1 as measured. */
const ARRIVAL_ROUNDS_MAX = 20;

/** Floods from a process of its own. Aborted when it was cut off or its time is over. */
function floodElsewhere(ours: RunningPeer, seed: Uint8Array): AbortSignal {
  const key = Buffer.from(seed).toString("hex");
  const orders = ["ignored-messages", addressOf(ours), "--seed", key, ...FULL_SPEED];
  const rogue = fork(ROGUE, orders, { stdio: ["ignore", "ignore", "inherit", "ipc"] });
  onTestFinished(() => void rogue.kill("SIGKILL"));
  const over = new AbortController();
  void once(rogue, "exit").then(() => over.abort());
  return over.signal;
}

test("a member that sends faster than we work leaves everybody else a turn between its reads", async () => {
  const { ours, honest, seed } = await besideHonest();
  const over = floodElsewhere(ours, seed);
  await eventually(() => ours.network.connections().length === 2, LIMIT_MS);
  const rounds = new LoopRounds();
  onTestFinished(() => void vi.restoreAllMocks());
  const arrivals: number[] = [];
  for (let number = 1n; !over.aborted; number += 1n) {
    const record = bookRecord(TD, number);
    const before = rounds.count;
    await honest.network.publish(encodeBookRecord(record));
    while (ours.peer.book.newest(TD)?.sequence !== number) await nextRound();
    arrivals.push(rounds.count - before);
    await sleep(PACE_MS);
  }
  rounds.isOver = true;
  expect(arrivals.length).toBeGreaterThan(1);
  expect(rounds.most).toBeLessThan(ROUND_BYTES_MAX);
  expect(Math.max(...arrivals)).toBeLessThan(ARRIVAL_ROUNDS_MAX);
});

/** A rogue that our side admits, with a gossip stream of its own. */
async function gossiping(ours: RunningPeer, rogue: Rogue): Promise<Stream> {
  const connection = await rogue.dial(addressOf(ours));
  const stream = await openStream(connection, GOSSIP_PROTOCOL);
  stream.send(subscription());
  await eventually(() => ours.network.connections().some(({ peerId }) => peerId === rogue.id));
  return stream;
}

const valid = (number: bigint): Uint8Array => message(encodeBookRecord(bookRecord(TD, number)));

describe("a graylisted member", () => {
  test("stays so when it connects anew, still syncs, and is heard again after a minute", async () => {
    nowMs = 0;
    const ours = await startStill();
    const rogue = await rogueNode();
    ours.network.admit(PEERS, [rogue.node]);
    const first = await gossiping(ours, rogue);
    for (let index = 0; index < 9; index += 1) first.send(message(Buffer.from(`!${index}`)));
    await eventually(() => ours.network.connections()[0]?.graylisted === true);
    expect(ours.network.connections()[0]).toMatchObject({ rejected: 9, overBudget: 0 });
    for (const connection of rogue.libp2p.getConnections()) await connection.close();
    await eventually(() => ours.network.connections().length === 0);

    ours.peer.book.put(bookRecord(TD, 1n));
    const second = await gossiping(ours, rogue);
    second.send(valid(2n));
    const [connection] = rogue.libp2p.getConnections();
    if (connection === undefined) throw new Error("not connected");
    const sync = lpStream(await connection.newStream(SYNC_PROTOCOL));
    await sync.write(wantedRequest([TD]));
    await sync.read();
    await sync.write(compareRequest());
    expect((await sync.read()).byteLength).toBeGreaterThan(8_192);
    expect(ours.network.connections()[0]?.graylisted).toBe(true);
    expect(ours.peer.book.newest(TD)?.sequence).toBe(1n);

    nowMs += 60_000;
    second.send(valid(3n));
    await eventually(() => ours.peer.book.newest(TD)?.sequence === 3n);
  });

  test("is one far above its budget, not one that forwards what ten thousand domains rotate", async () => {
    nowMs = 0;
    const ours = await startStill();
    const rogue = await rogueNode();
    ours.network.admit(PEERS, [rogue.node]);
    const stream = await gossiping(ours, rogue);
    const send = async (from: number, to: number): Promise<void> => {
      for (let index = from; index < to; index += 1) {
        const stale = encodeBookRecord(bookRecord("nobody.test", BigInt(index)));
        if (!stream.send(message(stale))) await stream.onDrain();
      }
    };
    await send(0, 10_100);
    await eventually(() => ours.network.connections()[0]?.overBudget === 10_000, LIMIT_MS);
    expect(ours.network.connections()[0]).toMatchObject({ rejected: 0, graylisted: false });
    await send(10_100, 20_200);
    await eventually(() => ours.network.connections()[0]?.graylisted === true, LIMIT_MS);
    expect(ours.network.connections()[0]).toMatchObject({ rejected: 0, overBudget: 20_001 });
  });
});

describe("a member that was cut off", () => {
  test("is refused and not dialed for five minutes under any key of its trust domain, then let in", async () => {
    nowMs = 0;
    const ours = await startStill();
    const seed = randomBytes(32);
    ours.network.admit(PEERS, [await keyOf(seed)]);
    const { attack, done } = begin("yamux-pings", { address: addressOf(ours), seed });
    await done;
    expect(attack.outcome.cutOffAfterS).toBeDefined();
    expect((ours.network as Libp2pNetwork).edgeCounts).toEqual({ refused: 0, cutOff: 1 });
    await eventually(() => ours.network.connections().length === 0);
    const rogue = await rogueNode({ seed });
    ours.network.dial(PEERS, rogue.libp2p.getMultiaddrs().map(String));
    const again = await rogue.dial(addressOf(ours)).catch(() => undefined);
    await eventually(() => again === undefined || again.status !== "open");
    expect(ours.network.connections()).toEqual([]);
    const other = await rogueNode();
    ours.network.admit(PEERS, [other.node]);
    const fresh = await other.dial(addressOf(ours)).catch(() => undefined);
    await eventually(() => fresh === undefined || fresh.status !== "open");
    expect(ours.network.connections()).toEqual([]);
    nowMs += 5 * 60_000;
    await other.dial(addressOf(ours));
    await eventually(() => ours.network.connections().length === 1);
  });
});

describe("connections of one member", () => {
  test("are four at the most", async () => {
    const ours = await start();
    const rogue = await rogueNode();
    ours.network.admit(PEERS, [rogue.node]);
    const four = [];
    for (let time = 0; time < 4; time += 1) four.push(await rogue.dial(addressOf(ours)));
    await eventually(() => ours.network.connections()[0]?.addresses.length === 4);
    const fifth = await rogue.dial(addressOf(ours)).catch(() => undefined);
    await eventually(() => fifth === undefined || fifth.status !== "open");
    expect(ours.network.connections()[0]?.addresses).toHaveLength(4);
    expect(four.every(({ status }) => status === "open")).toBe(true);
  });

  test("are twenty-four at the most for all nodes of its trust domain", async () => {
    const ours = await start();
    const rogues = await Promise.all(Array.from({ length: 7 }, async () => await rogueNode()));
    ours.network.admit(
      ROGUES,
      rogues.map(({ node }) => node),
    );
    for (const rogue of rogues) {
      for (let time = 0; time < 4; time += 1) {
        await rogue.dial(addressOf(ours)).catch(() => undefined);
      }
    }
    const connected = (): number =>
      ours.network.connections().reduce((sum, { addresses }) => sum + addresses.length, 0);
    await eventually(() => connected() === 24);
    const other = await rogueNode();
    ours.network.admit(PEERS, [other.node]);
    await other.dial(addressOf(ours));
    await eventually(() => connected() === 25);
  });

  test("begin sixty-four times and then twice a second, so that nobody keeps the core busy", async () => {
    nowMs = 0;
    const ours = await startStill();
    const seed = randomBytes(32);
    const id = (await rogueNode({ seed })).id;
    ours.network.admit(PEERS, [await keyOf(seed)]);
    await begin("connect-churn", {
      address: addressOf(ours),
      seed,
      count: 100,
      rate: 100,
      persistent: true,
    }).done;
    await eventually(() => ours.network.connections().length === 0);
    expect(ours.peer.count(`connected ${id}`)).toBeGreaterThan(0);
    expect(ours.peer.count(`connected ${id}`)).toBeLessThanOrEqual(64);
    expect(ours.peer.count(`lost ${id}`)).toBe(ours.peer.count(`connected ${id}`));
  });

  test("with our own key come to nothing", async () => {
    const ours = await start();
    const twin = await rogueNode({ seed: ours.seed });
    ours.network.admit(PEERS, [ours.node]);
    expect(twin.id).toBe(ours.id);
    await expect(twin.dial(addressOf(ours))).rejects.toThrow();
    expect(ours.network.connections()).toEqual([]);
    expect(ours.peer.seen).toEqual([]);
  });

  test("are never asked who they are", async () => {
    const ours = await start();
    const rogue = await rogueNode();
    let asked = 0;
    await rogue.onStream("/ipfs/id/1.0.0", (stream) => {
      asked += 1;
      stream.abort(new Error("a huge list"));
    });
    ours.network.admit(PEERS, [rogue.node]);
    await gossiping(ours, rogue);
    // Our gossip stream to it is opened after the question would have been asked.
    const [connection] = rogue.libp2p.getConnections();
    await eventually(() => connection?.streams.some(({ direction }) => direction === "inbound"));
    await rogue.libp2p.services.ping.ping(connection?.remotePeer ?? rogue.libp2p.peerId);
    expect(asked).toBe(0);
  });
});

describe("stopping", () => {
  test("while a member floods takes less than 2 s, and nothing is told from then on", async () => {
    const { ours, seed } = await besideHonest();
    let judged = 0;
    ours.peer.judge = async () => {
      judged += 1;
      return "ignore";
    };
    begin("ignored-messages", { address: addressOf(ours), seed });
    await eventually(() => judged > 50, LIMIT_MS);
    await withinTheTimeOf(2_000, async () => await ours.stop());
    const [before, seen] = [judged, ours.peer.seen.length];
    await new Promise((resolve) => setImmediate(resolve));
    expect([judged, ours.peer.seen.length]).toEqual([before, seen]);
  });
});
