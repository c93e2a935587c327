/** What one gossip RPC may carry: we send none, ask for none and take none that is too large. */
import { RPC } from "@libp2p/gossipsub/message";
import { afterEach, describe, expect, test, vi } from "vitest";
import { GOSSIPSUB } from "../../src/p2p/gossip-options.ts";
import type { Libp2pNetwork } from "../../src/p2p/libp2p-network.ts";
import { sha256 } from "../../src/core/std/sha256.ts";
import {
  PEERS,
  type RunningPeer,
  TD,
  bookRecord,
  encodeBookRecord,
  eventually,
  startsPeers,
} from "../compliance/peer-network.ts";
import { startsRogues } from "../rogue/attacks.ts";
import { graft, idontwant, ihave, iwant, message, topics, varint } from "../rogue/gossip-rpcs.ts";
import { GOSSIP_PROTOCOL, openStream } from "../rogue/rogue-node.ts";
import { type Forwarder, startsForwarders } from "./gossip-forwarders.ts";
import { making } from "./libp2p-peers.ts";

const start = startsPeers(making());
const startStill = startsPeers(making({ nowMs: () => 0 })); // No budget is earned.
const startImpatient = startsPeers(making({ gossipRpcDeadlineMs: 500 }));
const forwardersTo = startsForwarders();
const rogueNode = startsRogues();
afterEach(() => vi.restoreAllMocks());

const RPC_BYTES_MAX = 1024 * 1024;
const WANTED_MAX = 24;
const ID_BYTES = 32;
const LARGE_ID_BYTES = 1_000_000;
const LARGE = "x".repeat(120 * 1024);
const LAST = Buffer.from("the last");
const JUNK_TD = "nobody.test";
/** gossipsub takes no more peers into its mesh unless it dialed them (Dhi). */
const MESH_FULL = 8;
/** Against hanging, not a figure: a machine may be busy with much else. */
const LIMIT_MS = 60_000;

const heard = ({ peer }: RunningPeer, by: string): string[] =>
  peer.seen.filter((each) => each.startsWith(`gossip ${by} `));
const junk = (from: number, count: number): readonly Uint8Array[] =>
  Array.from({ length: count }, (_, index) =>
    encodeBookRecord(bookRecord(JUNK_TD, BigInt(from + index))),
  );

/** One of ours whose mesh is full, and another that is connected and outside of it. */
async function besideFullMesh(): Promise<{
  forwarder: RunningPeer;
  outside: RunningPeer;
  member: Forwarder;
}> {
  const [forwarder, outside] = [await start(), await start()];
  const mesh = await forwardersTo(forwarder, MESH_FULL);
  const [member] = mesh;
  if (member === undefined) throw new Error("no member");
  for (const { gossip } of mesh) gossip.send(graft());
  forwarder.network.admit(PEERS, [outside.node]);
  outside.network.admit(PEERS, [forwarder.node]);
  outside.network.dial(PEERS, forwarder.network.addresses());
  await eventually(() => outside.peer.count(`synced ${forwarder.id}`) > 0, LIMIT_MS);
  await eventually(() => forwarder.peer.count(`synced ${outside.id}`) > 0, LIMIT_MS);
  return { forwarder, outside, member };
}

describe("more than an RPC carries, asked for at once by IWANT", () => {
  test("comes in several, and the pair goes on hearing each other", async () => {
    const { forwarder, outside, member } = await besideFullMesh();
    const large = Array.from({ length: 12 }, (_, index) => bookRecord(TD, BigInt(index), LARGE));
    for (const each of large) member.gossip.send(message(encodeBookRecord(each)));
    await eventually(() => heard(forwarder, member.rogue.id).length === large.length, LIMIT_MS);
    await eventually(() => heard(outside, forwarder.id).length === large.length, LIMIT_MS);
    await forwarder.network.publish(encodeBookRecord(bookRecord(TD, 99n, "own")));
    await eventually(() => outside.peer.count(`gossip ${forwarder.id} own`) === 1, LIMIT_MS);
  });
});

describe("a length that no RPC has", () => {
  test.each([
    ["above 1 MiB", varint(RPC_BYTES_MAX + 1)],
    ["below 8", varint(7)],
    ["that never ends", Uint8Array.from([0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80])],
  ])("%s ends the stream, and the pair begins anew", async (_, prefix) => {
    const ours = await start();
    const [member] = await forwardersTo(ours, 1);
    if (member === undefined) throw new Error("no member");
    const [rounds, streams] = [member.rounds(), member.streams()];
    member.gossip.send(prefix);
    await eventually(() => member.gossip.status !== "open");
    const again = await member.open();
    again.send(message(encodeBookRecord(bookRecord(TD, 1n, "again"))));
    await eventually(() => ours.peer.count(`gossip ${member.rogue.id} again`) === 1);
    await eventually(() => member.streams() === streams + 1, LIMIT_MS);
    await eventually(() => member.rounds() > rounds, LIMIT_MS);
    expect(ours.network.connections()[0]).toMatchObject({ rejected: 0, graylisted: false });
  });

  test("is not that of the largest one", async () => {
    const ours = await start();
    const [member] = await forwardersTo(ours, 1);
    const eight = Array.from({ length: 8 }, (_, index) =>
      encodeBookRecord(bookRecord(JUNK_TD, BigInt(index), "x".repeat(128 * 1024 - 64))),
    );
    member?.gossip.send(message(...eight));
    await eventually(() => heard(ours, member?.rogue.id ?? "").length === eight.length);
  });
});

test("half an RPC is kept no longer than its deadline, and the pair begins anew", async () => {
  const ours = await startImpatient();
  const [member] = await forwardersTo(ours, 1);
  if (member === undefined) throw new Error("no member");
  member.gossip.send(varint(RPC_BYTES_MAX));
  await eventually(() => member.gossip.status !== "open", LIMIT_MS);
  const again = await member.open();
  again.send(message(encodeBookRecord(bookRecord(TD, 1n, "again"))));
  await eventually(() => ours.peer.count(`gossip ${member.rogue.id} again`) === 1);
});

test(
  "who leaves our gossip streams unanswered keeps nobody else's waiting",
  async () => {
    const ours = await start();
    const silent = await Promise.all(
      Array.from({ length: 12 }, async () => await rogueNode({ deaf: true })),
    );
    ours.network.admit(
      "silent.test",
      silent.map(({ node }) => node),
    );
    for (const rogue of silent) await rogue.dial(ours.network.addresses()[0] ?? "");
    await eventually(() => ours.network.connections().length === silent.length, LIMIT_MS);
    const [member] = await forwardersTo(ours, 1);
    // One after the other, at 5 s each, they would take a minute, and the next ones are asked by then.
    await eventually(() => member?.streams() === 1, 20_000);
  },
  LIMIT_MS,
);

test("of the gossip streams of one peer the last is read, and the others are reset", async () => {
  const ours = await start();
  const [member] = await forwardersTo(ours, 1);
  if (member === undefined) throw new Error("no member");
  const connection = await member.rogue.dial(ours.network.addresses()[0] ?? "");
  const streams = [member.gossip];
  for (const protocol of ["/meshsub/1.0.0", "/meshsub/1.1.0", GOSSIP_PROTOCOL]) {
    for (let index = 0; index < 4; index += 1) {
      streams.push(await openStream(connection, protocol));
      streams.at(-1)?.send(varint(RPC_BYTES_MAX)); // And nothing more of it.
      await eventually(() => streams.at(-2)?.status !== "open");
    }
  }
  const last = await member.open();
  await eventually(() => streams.every(({ status }) => status !== "open"));
  last.send(message(encodeBookRecord(bookRecord(TD, 1n, "the last"))));
  await eventually(() => ours.peer.count(`gossip ${member.rogue.id} the last`) === 1);
  expect(ours.network.connections()[0]).toMatchObject({ rejected: 0, graylisted: false });
});

test("an RPC with more messages than a full one of an honest peer has is refused", async () => {
  const ours = await start();
  const [member] = await forwardersTo(ours, 1);
  const known = encodeBookRecord(bookRecord(TD, 1n, "known"));
  const copies = (count: number): Uint8Array =>
    message(...Array.from({ length: count }, () => known));
  member?.gossip.send(copies(1_024));
  await eventually(() => heard(ours, member?.rogue.id ?? "").length === 1);
  expect(ours.network.connections()[0]).toMatchObject({ rejected: 0 });
  member?.gossip.send(copies(1_025));
  await eventually(() => ours.network.connections()[0]?.rejected === 1);
});

test("an RPC with more fields than any honest one is left before it is decoded", async () => {
  const decoded = vi.spyOn(RPC, "decode");
  const ours = await start();
  const [member] = await forwardersTo(ours, 1);
  member?.gossip.send(topics(16_384));
  await eventually(() => ours.network.connections()[0]?.rejected === 1);
  const longest = Math.max(...decoded.mock.calls.map(([bytes]) => bytes.byteLength));
  expect(longest).toBeLessThan(16_384);
  member?.gossip.send(topics(16_000));
  await eventually(() => decoded.mock.calls.some(([bytes]) => bytes.byteLength > 32_000));
  expect(ours.network.connections()[0]).toMatchObject({ rejected: 1, graylisted: false });
});

describe("an RPC with a message id that is no SHA-256", () => {
  test.each([
    ["IHAVE", "shorter", ihave, ID_BYTES - 1],
    ["IHAVE", "larger", ihave, LARGE_ID_BYTES],
    ["IWANT", "empty", iwant, 0],
    ["IWANT", "larger", iwant, LARGE_ID_BYTES],
    ["IDONTWANT", "longer", idontwant, ID_BYTES + 1],
    ["IDONTWANT", "larger", idontwant, LARGE_ID_BYTES],
  ] as const)("in %s, %s, is left before the id becomes text", async (_, __, rpc, bytes) => {
    const ids = vi.spyOn(GOSSIPSUB, "msgIdToStrFn");
    const ours = await start();
    const [member] = await forwardersTo(ours, 1);
    const good = sha256(LAST);
    member?.gossip.send(rpc([good, new Uint8Array(bytes)]));
    await eventually(() => ours.network.connections()[0]?.rejected === 1);
    expect(ids).not.toHaveBeenCalledWith(good);
    member?.gossip.send(rpc([good]));
    await eventually(() => ids.mock.calls.some(([id]) => Buffer.from(id).equals(good)));
    expect(ours.network.connections()[0]).toMatchObject({ rejected: 1, graylisted: false });
  });

  test("graylists its member with the ninth", async () => {
    const ours = await startStill();
    const [member] = await forwardersTo(ours, 1);
    for (let sent = 0; sent < 9; sent += 1) member?.gossip.send(ihave([new Uint8Array(1)]));
    await eventually(() => ours.network.connections()[0]?.graylisted === true);
    expect(ours.network.connections()[0]).toMatchObject({ rejected: 9 });
  });
});

/** Answers as gossipsub does, but in RPCs of a few. Returns the ids that ours wanted. */
function answers(member: Forwarder, held: ReadonlyMap<string, Uint8Array>): string[] {
  const wanted: string[] = [];
  member.onRpc = ({ control }) => {
    for (const { messageIDs } of control?.iwant ?? []) {
      const ids = messageIDs.map((id) => Buffer.from(id).toString("hex"));
      wanted.push(...ids);
      for (const id of ids) {
        const data = held.get(id);
        if (data !== undefined) member.gossip.send(message(data));
      }
    }
  };
  return wanted;
}

const byId = (messages: readonly Uint8Array[]): [string, Uint8Array][] =>
  messages.map((each) => [Buffer.from(sha256(each)).toString("hex"), each]);
const ids = (messages: readonly Uint8Array[]): Uint8Array[] => messages.map(sha256);

describe("of what a member advertises", () => {
  test("we want no more in a heartbeat than it can send us", async () => {
    const ours = await startStill();
    const [member] = await forwardersTo(ours, 1);
    if (member === undefined) throw new Error("no member");
    const wanted = answers(member, new Map());
    for (let time = 0; time < 3; time += 1) member.gossip.send(ihave(1_000));
    member.gossip.send(message(encodeBookRecord(bookRecord(TD, 1n, "after"))));
    await eventually(() => ours.peer.count(`gossip ${member.rogue.id} after`) === 1);
    await eventually(() => wanted.length > 0);
    expect(wanted.length).toBeLessThanOrEqual(2 * WANTED_MAX); // A heartbeat may lie between.
  });

  test("we want nothing that we would leave for its spent budget", async () => {
    const ours = await startStill();
    const [member] = await forwardersTo(ours, 1);
    if (member === undefined) throw new Error("no member");
    const wanted = answers(member, new Map());
    for (const each of junk(0, 99)) member.gossip.send(message(each));
    await eventually(() => heard(ours, member.rogue.id).length === 99);
    member.gossip.send(ihave(1_000));
    await eventually(() => wanted.length === 1);
    for (const each of junk(99, 1)) member.gossip.send(message(each));
    await eventually(() => heard(ours, member.rogue.id).length === 100);
    member.gossip.send(ihave(1_000));
    member.gossip.send(message(...junk(100, 1)));
    await eventually(() => (ours.network as Libp2pNetwork).gossipCounts.overBudget === 1);
    // All that was said before it is heard before it.
    let published = false;
    const { onRpc } = member;
    member.onRpc = (rpc) => {
      published ||= rpc.messages.some(({ data }) => Buffer.from(data ?? []).equals(LAST));
      onRpc?.(rpc);
    };
    await ours.network.publish(LAST);
    await eventually(() => published);
    expect(wanted).toHaveLength(1);
  });

  test("ten times our budget costs an honest one outside our mesh nothing", async () => {
    const ours = await start();
    const [member] = await forwardersTo(ours, 1);
    if (member === undefined) throw new Error("no member");
    const held = new Map<string, Uint8Array>();
    answers(member, held);
    for (const each of junk(0, 80)) member.gossip.send(message(each));
    await eventually(() => heard(ours, member.rogue.id).length === 80);
    let windows: Uint8Array[][] = [];
    for (let heartbeat = 1; heartbeat <= 4; heartbeat += 1) {
      const fresh = [...junk(heartbeat * 200, 200)];
      for (const [id, each] of byId(fresh)) held.set(id, each);
      windows = [fresh, ...windows].slice(0, 3);
      const enough = heard(ours, member.rogue.id).length + 20;
      await eventually(
        () => {
          member.gossip.send(ihave(ids(windows.flat())));
          return heard(ours, member.rogue.id).length >= enough;
        },
        LIMIT_MS,
        500,
      );
    }
    const { gossipCounts } = ours.network as Libp2pNetwork;
    expect(gossipCounts.overBudget).toBeLessThanOrEqual(WANTED_MAX); // Those on their way.
    expect(ours.network.connections()[0]).toMatchObject({ rejected: 0, graylisted: false });
  });
});
