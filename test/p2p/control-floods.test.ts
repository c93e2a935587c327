/** RPCs that carry no message: what a flood of them does, and how many honest peers send. */
import { randomBytes } from "node:crypto";
import type { Connection, Stream } from "@libp2p/interface";
import { afterEach, expect, test, vi } from "vitest";
import { Conduct } from "../../src/p2p/conduct.ts";
import type { Libp2pNetwork } from "../../src/p2p/libp2p-network.ts";
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
import { subscription } from "../rogue/gossip-rpcs.ts";
import { GOSSIP_PROTOCOL, type Rogue, openStream } from "../rogue/rogue-node.ts";
import { making } from "./libp2p-peers.ts";
import { LoopRounds, TURN_BYTES_MAX, nextRound } from "./loop-rounds.ts";

const start = startsPeers(making());
const rogueNode = startsRogues();
/** Against hanging, not a figure: a machine may be busy with much else. */
const LIMIT_MS = 60_000;
vi.setConfig({ testTimeout: 3 * LIMIT_MS });
afterEach(() => vi.restoreAllMocks());

const DOMAINS = 3;
const NODES = 16;
const FLOODERS = DOMAINS * NODES;
/** Of one node, within its stream's window: of a trust domain twice what bars it. */
const RPCS = Buffer.concat(Array.from({ length: 6_000 }, () => subscription()));
/** From `publish` to the verdict: 1 or 2 as measured. */
const ROUNDS_MAX = 20;

/** Below what one trust domain may gossip at once. */
const RECORDS = 50n;
const MESSAGES = 60;
/** One to advertise and one to ask, between three peers in both directions. */
const CONTROLS_A_HEARTBEAT = 12;

interface Flooder {
  readonly rogue: Rogue;
  readonly connection: Connection;
  readonly stream: Stream;
}

async function floodersOf(ours: RunningPeer, trustDomain: string): Promise<readonly Flooder[]> {
  const rogues = await Promise.all(Array.from({ length: NODES }, async () => await rogueNode()));
  ours.network.admit(
    trustDomain,
    rogues.map(({ node }) => node),
  );
  const [address = ""] = ours.network.addresses();
  const flooders: Flooder[] = [];
  for (const rogue of rogues) {
    const connection = await rogue.dial(address);
    flooders.push({ rogue, connection, stream: await openStream(connection, GOSSIP_PROTOCOL) });
  }
  return flooders;
}

test("three trust domains that flood from all their nodes hold up nobody, and are cut off", async () => {
  const [ours, honest] = [await start(), await start()];
  ours.network.admit(PEERS, [honest.node]);
  honest.network.admit(PEERS, [ours.node]);
  honest.network.dial(PEERS, ours.network.addresses());
  await eventually(() => honest.peer.count(`synced ${ours.id}`) > 0, LIMIT_MS);
  const flooders: Flooder[] = [];
  for (let domain = 0; domain < DOMAINS; domain += 1)
    flooders.push(...(await floodersOf(ours, `rogues${domain}.test`)));
  expect(flooders).toHaveLength(FLOODERS);

  const rounds = new LoopRounds();
  for (const { stream } of flooders) stream.send(RPCS);
  const network = ours.network as Libp2pNetwork;
  for (let number = 1n; network.edgeCounts.cutOff === 0 && number <= RECORDS; number += 1n) {
    const before = rounds.count;
    await honest.network.publish(encodeBookRecord(bookRecord(TD, number)));
    while (ours.peer.book.newest(TD)?.sequence !== number) await nextRound();
    expect(rounds.count - before).toBeLessThan(ROUNDS_MAX);
  }
  const areCutOff = (): boolean => flooders.every(({ connection }) => connection.status !== "open");
  await eventually(areCutOff, LIMIT_MS);
  rounds.isOver = true;
  expect(rounds.most).toBeLessThan((DOMAINS + 1) * TURN_BYTES_MAX);

  const [address = ""] = ours.network.addresses();
  const [first] = flooders;
  const again = await first?.rogue.dial(address).catch(() => undefined);
  await eventually(() => again === undefined || again.status !== "open");
  expect(ours.network.connections()).toMatchObject([{ peerId: honest.id, graylisted: false }]);
});

const heard = ({ seen }: RunningPeer["peer"]): number =>
  seen.filter((each) => each.startsWith("gossip ")).length;

test("honest peers send one for each message that they do not want again, and a few in a heartbeat", async () => {
  const onControl = vi.spyOn(Conduct.prototype, "onControl");
  const wanted = Array.from({ length: MESSAGES }, (_, index) => `d${index}.test`);
  const peers = [await start(wanted), await start(wanted), await start(wanted)];
  for (const { network } of peers) {
    network.admit(
      PEERS,
      peers.map(({ node }) => node),
    );
    network.dial(
      PEERS,
      peers.flatMap((each) => each.network.addresses()),
    );
  }
  const met = ({ peer, id }: RunningPeer): boolean =>
    peers.every((other) => other.id === id || peer.count(`synced ${other.id}`) > 0);
  await eventually(() => peers.every(met), LIMIT_MS);
  const before = onControl.mock.contexts.length;
  const beganMs = performance.now();
  for (const [index, name] of wanted.entries()) {
    // Large enough for gossipsub to say that no further copy is wanted.
    const record = bookRecord(name, 1n, randomBytes(1_024).toString("hex"));
    await peers[index % peers.length]?.network.publish(encodeBookRecord(record));
  }
  const all = 2 * MESSAGES; // Each is heard by the other two.
  await eventually(() => peers.reduce((sum, { peer }) => sum + heard(peer), 0) === all, LIMIT_MS);
  const heartbeats = 1 + Math.ceil((performance.now() - beganMs) / 1_000);
  const controls = onControl.mock.contexts.length - before;
  expect(controls).toBeGreaterThanOrEqual(MESSAGES / 2); // 63 as measured.
  expect(controls).toBeLessThanOrEqual(all + heartbeats * CONTROLS_A_HEARTBEAT);
  for (const { network } of peers) expect(network.connections()).toHaveLength(2);
});
