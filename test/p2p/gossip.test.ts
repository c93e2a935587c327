/** What of gossip we leave for reasons of our own is not lost: another copy is taken, or sync asks. */
import { describe, expect, test } from "vitest";
import type { Libp2pNetwork } from "../../src/p2p/libp2p-network.ts";
import type { Verdict } from "../../src/ports/peer-network.ts";
import {
  PEERS,
  type RunningPeer,
  TD,
  bookRecord,
  encodeBookRecord,
  eventually,
  startsPeers,
} from "../compliance/peer-network.ts";
import { message } from "../rogue/gossip-rpcs.ts";
import { startsForwarders } from "./gossip-forwarders.ts";
import { making } from "./libp2p-peers.ts";

const start = startsPeers(making({ nowMs: () => 0, random: () => 0 })); // No budget is earned.
const forwardersTo = startsForwarders();

const BUDGET = 100;
const JUNK_TD = "nobody.test";

const record = (sequence: bigint): Uint8Array =>
  message(encodeBookRecord(bookRecord(TD, sequence)));
const junk = (from: number, count: number): readonly Uint8Array[] =>
  Array.from({ length: count }, (_, index) =>
    message(encodeBookRecord(bookRecord(JUNK_TD, BigInt(from + index)))),
  );
const heard = ({ peer }: RunningPeer): number =>
  peer.seen.filter((each) => each.startsWith("gossip ")).length;

describe("a record whose first copy was not looked at", () => {
  test("for its forwarder's spent budget is taken at once from its publisher", async () => {
    const ours = await start();
    const [relay, publisher] = await forwardersTo(ours, 2);
    for (const each of junk(0, BUDGET)) relay?.gossip.send(each);
    await eventually(() => heard(ours) === BUDGET);
    relay?.gossip.send(record(7n));
    const { gossipCounts } = ours.network as Libp2pNetwork;
    await eventually(() => gossipCounts.overBudget === 1);
    expect(ours.peer.book.newest(TD)).toBeUndefined();
    publisher?.gossip.send(record(7n));
    await eventually(() => ours.peer.book.newest(TD)?.sequence === 7n);
  });

  test("for want of room is taken once there is room, and its forwarder is asked", async () => {
    const ours = await start();
    const [publisher, ...others] = await forwardersTo(ours, 4);
    const verdicts = Promise.withResolvers<Verdict>();
    let judging = 0;
    ours.peer.judge = async () => {
      judging += 1;
      return await verdicts.promise;
    };
    for (const [index, { gossip }] of others.entries()) {
      for (const each of junk(index * BUDGET, BUDGET)) gossip.send(each);
    }
    const { gossipCounts } = ours.network as Libp2pNetwork;
    await eventually(() => judging === 256 && gossipCounts.overload === 44);
    const roundsBefore = publisher?.rounds() ?? 0;
    publisher?.gossip.send(record(7n));
    await eventually(() => gossipCounts.overload === 45);
    await eventually(() => publisher?.rounds() === roundsBefore + 1);
    ours.peer.judge = undefined;
    verdicts.resolve("ignore");
    // The first copy may come while some of them still wait.
    await eventually(() => {
      publisher?.gossip.send(record(7n));
      return ours.peer.book.newest(TD)?.sequence === 7n;
    });
  });

  test("by the core is judged anew, and each forwarder is asked once an interval", async () => {
    const ours = await start();
    const [first, second] = await forwardersTo(ours, 2);
    const before = [first?.rounds() ?? 0, second?.rounds() ?? 0] as const;
    let judged = 0;
    ours.peer.judge = async () => {
      judged += 1;
      return "unjudged";
    };
    for (let time = 1; time <= 3; time += 1) {
      first?.gossip.send(record(7n));
      await eventually(() => judged === time);
    }
    await eventually(() => first?.rounds() === before[0] + 1);
    ours.peer.judge = undefined;
    second?.gossip.send(record(7n));
    await eventually(() => ours.peer.book.newest(TD)?.sequence === 7n);
    expect([first?.rounds(), second?.rounds()]).toEqual([before[0] + 1, before[1]]);
  });

  test("by the core is asked for again after the interval, when more was left meanwhile", async () => {
    const ours = await start([TD], { syncIntervalMs: 300 });
    const honest = await start();
    const [rogue] = await forwardersTo(ours, 1); // The first one: chosen for every random round.
    ours.network.admit(PEERS, [honest.node, ...(rogue === undefined ? [] : [rogue.rogue.node])]);
    honest.network.admit(PEERS, [ours.node]);
    honest.network.dial(PEERS, ours.network.addresses());
    await eventually(() => honest.peer.count(`synced ${ours.id}`) > 0);
    await eventually(() => ours.peer.count(`synced ${honest.id}`) > 0);
    let judged = 0;
    ours.peer.judge = async () => {
      judged += 1;
      return "unjudged";
    };
    for (let sequence = 1n; sequence <= 2n; sequence += 1n) {
      const published = bookRecord(TD, sequence);
      honest.peer.book.put(published);
      await honest.network.publish(encodeBookRecord(published));
      await eventually(() => judged === Number(sequence));
      await eventually(() => sequence > 1n || ours.peer.book.newest(TD)?.sequence === 1n);
    }
    await eventually(() => ours.peer.book.newest(TD)?.sequence === 2n);
  });
});

test("a copy of a record that was looked at costs its forwarder nothing", async () => {
  const ours = await start();
  const [relay, publisher] = await forwardersTo(ours, 2);
  publisher?.gossip.send(record(1n));
  await eventually(() => ours.peer.book.newest(TD)?.sequence === 1n);
  for (let copy = 0; copy < 2 * BUDGET; copy += 1) relay?.gossip.send(record(1n));
  for (const each of junk(0, BUDGET - 1)) relay?.gossip.send(each);
  relay?.gossip.send(record(2n));
  await eventually(() => ours.peer.book.newest(TD)?.sequence === 2n);
  expect((ours.network as Libp2pNetwork).gossipCounts.overBudget).toBe(0);
});
