/** Heads have a topic and budgets of their own, beside records: a flood of one keeps back nothing of the other. */
import { describe, expect, test } from "vitest";
import { HEAD_TOPIC } from "../../src/p2p/gossip-options.ts";
import type { Libp2pNetwork } from "../../src/p2p/libp2p-network.ts";
import type { Verdict } from "../../src/ports/peer-network.ts";
import {
  type RunningPeer,
  TD,
  bookRecord,
  encodeBookRecord,
  eventually,
  startsPeers,
} from "../compliance/peer-network.ts";
import { head, ihave, message } from "../rogue/gossip-rpcs.ts";
import { type Forwarder, startsForwarders } from "./gossip-forwarders.ts";
import { making } from "./libp2p-peers.ts";

const start = startsPeers(making({ nowMs: () => 0, random: () => 0 })); // No budget is earned.
const forwardersTo = startsForwarders();

/** Of one trust domain, see account.ts. */
const HEADS = 1_000;
const RECORDS = 100;
const HEAD_BYTES_MAX = 1_024;

const countsOf = ({ network }: RunningPeer) => (network as Libp2pNetwork).gossipCounts;
const headOf = (text: string): Uint8Array => head(Buffer.from(text));
const heads = (count: number, of = ""): readonly Uint8Array[] =>
  Array.from({ length: count }, (_, index) => headOf(`ignore ${of}${index}`));
const thousand = (round: number): Uint8Array =>
  head(...Array.from({ length: 1_000 }, (_, index) => Buffer.from(`ignore ${round}.${index}`)));
const record = (sequence: bigint): Uint8Array =>
  message(encodeBookRecord(bookRecord(TD, sequence)));
const heard = ({ peer }: RunningPeer, what: string): number =>
  peer.seen.filter((each) => each.startsWith(`${what} `)).length;

async function startWith(count: number): Promise<[RunningPeer, ...Forwarder[]]> {
  const ours = await start();
  return [ours, ...(await forwardersTo(ours, count))];
}

describe("a flood of heads", () => {
  test("keeps back no record, and a flood of records no head, of the same forwarder", async () => {
    const [ours, member] = await startWith(1);
    for (const each of heads(HEADS + 1)) member?.gossip.send(each);
    await eventually(() => countsOf(ours).overBudget === 1);
    expect(heard(ours, "head")).toBe(HEADS);
    member?.gossip.send(record(1n));
    await eventually(() => ours.peer.book.newest(TD)?.sequence === 1n);

    const [theirs, other] = await startWith(1);
    for (let sequence = 1n; sequence <= BigInt(RECORDS + 1); sequence += 1n) {
      other?.gossip.send(record(sequence));
    }
    await eventually(() => countsOf(theirs).overBudget === 1);
    other?.gossip.send(headOf("accept 1"));
    await eventually(() => heard(theirs, "head") === 1);
  });

  test("is of its forwarder alone: what it lacks the budget for is taken from another", async () => {
    const [ours, flooding, other] = await startWith(2);
    for (const each of heads(HEADS)) flooding?.gossip.send(each);
    await eventually(() => heard(ours, "head") === HEADS);
    flooding?.gossip.send(headOf("accept news"));
    await eventually(() => countsOf(ours).overBudget === 1);
    other?.gossip.send(headOf("accept news"));
    await eventually(() => heard(ours, "head") === HEADS + 1);
  });

  test("has its forwarder asked for no round of sync, which brings no heads", async () => {
    const [ours, member] = await startWith(1);
    const before = member?.rounds();
    for (const each of heads(HEADS + 10)) member?.gossip.send(each);
    await eventually(() => countsOf(ours).overBudget === 10);
    for (let sequence = 1n; sequence <= BigInt(RECORDS); sequence += 1n) {
      member?.gossip.send(record(sequence));
    }
    await eventually(() => heard(ours, "gossip") === RECORDS);
    expect(member?.rounds()).toBe(before);
  });

  test("far above any budget has its forwarder graylisted, as one of records has", async () => {
    const [ours, member] = await startWith(1);
    for (let round = 0; round < 22; round += 1) member?.gossip.send(thousand(round));
    await eventually(() => ours.network.connections()[0]?.graylisted === true);
    expect(heard(ours, "head")).toBeLessThanOrEqual(HEADS);
  });
});

describe("heads", () => {
  test("wait for at most 256 verdicts at once", async () => {
    const [ours, member] = await startWith(1);
    const verdicts = Promise.withResolvers<Verdict>();
    let judging = 0;
    ours.peer.judgeHead = async () => {
      judging += 1;
      return await verdicts.promise;
    };
    for (const each of heads(300)) member?.gossip.send(each);
    await eventually(() => countsOf(ours).overload === 44);
    expect(judging).toBe(256);
    member?.gossip.send(record(1n)); // Records have room of their own.
    await eventually(() => ours.peer.book.newest(TD)?.sequence === 1n);
    verdicts.resolve("ignore");
  });

  test("that the core left are judged when they come again", async () => {
    const [ours, member] = await startWith(1);
    for (const time of [1, 2]) {
      member?.gossip.send(headOf("unjudged 1"));
      await eventually(() => heard(ours, "head") === time);
    }
  });

  test("above 1 KiB is rejected before anybody looks at it", async () => {
    const [ours, member] = await startWith(1);
    const largest = `ignore ${"x".repeat(HEAD_BYTES_MAX - "ignore ".length)}`;
    member?.gossip.send(headOf(`${largest}x`));
    await eventually(() => ours.network.connections()[0]?.rejected === 1);
    member?.gossip.send(headOf(largest));
    await eventually(() => heard(ours, "head") === 1);
  });

  test("that a member advertises are not asked for, and what else it advertises is", async () => {
    const [ours, member] = await startWith(1);
    if (member === undefined) throw new Error("no member");
    const asked: number[] = [];
    member.onRpc = ({ control }) => {
      for (const { messageIDs } of control?.iwant ?? []) asked.push(messageIDs.length);
    };
    member.gossip.send(ihave(10, HEAD_TOPIC));
    member.gossip.send(ihave(7));
    await eventually(() => asked.length > 0);
    expect(asked).toEqual([7]);
    expect(ours.network.connections()).toHaveLength(1);
  });
});
