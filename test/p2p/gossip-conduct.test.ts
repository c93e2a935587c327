/** What a node's gossip costs, and whose account pays for it. */
import { randomBytes } from "node:crypto";
import type { Stream } from "@libp2p/interface";
import { peerIdFromPrivateKey } from "@libp2p/peer-id";
import { expect, onTestFinished, test, vi } from "vitest";
import { sha256 } from "../../src/core/std/sha256.ts";
import { Admission } from "../../src/p2p/admission.ts";
import { HEAD_TOPIC, STATE_TOPIC } from "../../src/p2p/gossip-options.ts";
import { Gossip } from "../../src/p2p/gossip.ts";
import { type MeshNode, createMeshNode } from "../../src/p2p/libp2p-node.ts";
import { nodePrivateKey } from "../../src/p2p/node-identity.ts";
import { Turn, Turns } from "../../src/p2p/turn.ts";
import { Wires } from "../../src/p2p/wires.ts";
import { eventually } from "../compliance/peer-network.ts";
import { startsRogues } from "../rogue/attacks.ts";
import {
  grafts,
  ihave,
  iwant,
  message,
  prunes,
  subscription,
  undecodable,
} from "../rogue/gossip-rpcs.ts";
import { GOSSIP_PROTOCOL, type Rogue, openStream } from "../rogue/rogue-node.ts";
import { hear } from "./gossip-forwarders.ts";
import { OPTIONS } from "./libp2p-peers.ts";

const rogueNode = startsRogues();
const ignore = async () => "ignore" as const;
const nowMs = (): number => 0;
const { log } = OPTIONS;
/** Of one trust domain, see conduct.ts. */
const WORK = 600_000;
const KIB = 1024;
/** Of one trust domain, see account.ts. */
const GOSSIP_BURST = 100;
const IWANT_BURST = 8 * 1024 * KIB;

interface Started {
  readonly node: MeshNode;
  readonly gossip: Gossip;
  readonly admission: Admission;
  readonly met: () => boolean;
  /** How often the forwarder of what was left is asked for a round of sync. */
  readonly left: () => number;
}

/** A node with gossip alone, and whom it admits. */
async function startGossip(): Promise<Started> {
  const privateKey = await nodePrivateKey(randomBytes(32));
  const admission = new Admission(peerIdFromPrivateKey(privateKey), nowMs);
  const turns = new Turns(nowMs);
  const judges = { onGossip: ignore, onGossipHead: ignore };
  const gossip = new Gossip({ nowMs, log }, admission, turns, judges);
  const node = await createMeshNode({
    privateKey,
    listen: OPTIONS.listen,
    announce: [],
    gater: {},
    wires: new Wires(admission, turns, { nowMs, log, onHandshake: () => {} }),
    gossip: (components) => gossip.create(components),
  });
  await node.start();
  onTestFinished(async () => await node.stop());
  let met = false;
  let left = 0;
  gossip.start({ onAttached: () => (met = true), onLeft: () => (left += 1) });
  return { node, gossip, admission, met: () => met, left: () => left };
}

/** The stream on which a node gossips to ours, which has met it. */
async function gossipFrom(rogue: Rogue, { node, met }: Started): Promise<Stream> {
  const [address] = node.getMultiaddrs();
  const stream = await openStream(await rogue.dial(String(address)), GOSSIP_PROTOCOL);
  await eventually(met);
  return stream;
}

/** Sends more than is looked at, and waits until that is known: all that came before was handled. */
async function untilHandled(stream: Stream, { left }: Started): Promise<void> {
  stream.send(message(...Array.from({ length: GOSSIP_BURST + 1 }, () => randomBytes(64))));
  await eventually(() => left() === 1);
}

test("what is beyond the budget is left, and its forwarder asked for a round", async () => {
  const ours = await startGossip();
  const rogue = await rogueNode();
  ours.admission.admit("first.test", [rogue.node]);
  const stream = await gossipFrom(rogue, ours);
  stream.send(subscription());
  const records = Array.from({ length: GOSSIP_BURST + 1 }, () => randomBytes(64));
  stream.send(message(...records.slice(1)));
  stream.send(message(...records.slice(0, 1)));
  await eventually(() => ours.left() === 1);
});

test("what it asks for again is sent within its budget of bytes, and no further", async () => {
  const ours = await startGossip();
  const rogue = await rogueNode();
  ours.admission.admit("first.test", [rogue.node]);
  const heard: Uint8Array[] = [];
  await rogue.onStream(GOSSIP_PROTOCOL, (stream) => {
    void hear(stream, ({ messages }) => heard.push(...messages.flatMap(({ data }) => data ?? [])));
  });
  const stream = await gossipFrom(rogue, ours);
  const records = Array.from({ length: 4 }, () => randomBytes(100 * KIB));
  for (const each of records) await ours.gossip.publish(each); // It did not subscribe.
  ours.admission.member(rogue.libp2p.peerId)?.iwantBudget.take(0, IWANT_BURST - 200 * KIB);
  stream.send(iwant(records.map(sha256)));
  await eventually(() => heard.length === 2);
  stream.send(iwant(records.map(sha256)));
  stream.send(subscription());
  const large = (): number => heard.filter(({ length }) => length > KIB).length;
  await eventually(async () => {
    await ours.gossip.publish(randomBytes(64));
    return heard.length > large();
  });
  expect(large()).toBe(2);
});

test("a PRUNE that says what one before it said is not handled", async () => {
  const ours = await startGossip();
  const rogue = await rogueNode();
  ours.admission.admit("first.test", [rogue.node]);
  const stream = await gossipFrom(rogue, ours);
  stream.send(subscription());
  const { gossip: pubsub } = ours.node.services;
  let handled = 0;
  pubsub.addEventListener("gossipsub:prune", ({ detail }) => {
    if (detail.direction === "inbound") handled += 1;
  });
  const topics = [STATE_TOPIC, HEAD_TOPIC, "/other/1"];
  for (let sent = 0; sent < 4; sent += 1) stream.send(prunes(1_000, topics));
  await untilHandled(stream, ours);
  expect(handled).toBe(2);
});

test("an RPC takes of the turn as many frames as its fields take time", async () => {
  const spend = vi.spyOn(Turn.prototype, "spend");
  const ours = await startGossip();
  const rogue = await rogueNode();
  ours.admission.admit("first.test", [rogue.node]);
  const stream = await gossipFrom(rogue, ours);
  stream.send(ihave(4_093)); // And its topic, its entry and what holds it.
  await eventually(() => spend.mock.calls.some(([bytes, frames]) => bytes === 0 && frames === 32));
});

test("of many GRAFTs in one RPC one is answered for each topic", async () => {
  const ours = await startGossip();
  const rogue = await rogueNode();
  ours.admission.admit("first.test", [rogue.node]);
  let pruned = 0;
  await rogue.onStream(GOSSIP_PROTOCOL, (stream) => {
    void hear(stream, ({ control }) => (pruned += control?.prune.length ?? 0));
  });
  const stream = await gossipFrom(rogue, ours);
  const topics = [STATE_TOPIC, HEAD_TOPIC, "/other/1"];
  stream.send(prunes(3, topics)); // It is not to be grafted now.
  stream.send(grafts(1_000, topics));
  await eventually(() => pruned > 0);
  await untilHandled(stream, ours);
  expect(pruned).toBe(2);
});

test("the one whose conduct is better now, not when the stream was opened", async () => {
  const ours = await startGossip();
  const rogue = await rogueNode();
  for (const trustDomain of ["first.test", "second.test"])
    ours.admission.admit(trustDomain, [rogue.node]);
  const stream = await gossipFrom(rogue, ours);
  stream.send(subscription());
  const accounts = ours.admission.member(rogue.libp2p.peerId)?.accounts;
  const [first, second] = [accounts?.get("first.test"), accounts?.get("second.test")];
  first?.conduct.onWork(WORK + 1, 0);
  second?.conduct.onWork(WORK - 200, 0);
  expect([first?.conduct.barred(0), second?.conduct.barred(0)]).toEqual([true, false]);
  stream.send(undecodable(256 * KIB));
  await eventually(() => second?.conduct.barred(0));
});
