/** The recovery door, and what somebody whom nobody admitted can do at it. */
import type { Connection } from "@libp2p/interface";
import { lpStream } from "@libp2p/utils";
import { describe, expect, test } from "vitest";
import { ENVELOPE_BYTES_MAX } from "../../src/core/std/limits.ts";
import { DOOR_PROTOCOL } from "../../src/p2p/door.ts";
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
import { openStream } from "../rogue/rogue-node.ts";
import { making } from "./libp2p-peers.ts";
import { endOf } from "./raw-peer.ts";

let nowMs = 0;
const start = startsPeers(making({ nowMs: () => nowMs }));
const startImpatient = startsPeers(making({ nowMs: () => nowMs, doorDeadlineMs: 300 }));
const rogueNode = startsRogues();

const LIMIT_MS = 30_000;
const KEPT_MS = 60_000;
/** Another /24, still loopback. */
const ELSEWHERE = "127.0.9.1";
const addressOf = ({ network }: RunningPeer): string => network.addresses()[0] ?? "";
const doors = ({ peer }: RunningPeer): number =>
  peer.seen.filter((each) => each.startsWith("door ")).length;

async function startKeeping(): Promise<RunningPeer> {
  nowMs += 60_000; // Every door is open again.
  return await start([TD], { strangerMs: KEPT_MS });
}

/** Knocks by hand; resolves with the answer, or how the stream ended. */
async function knock(connection: Connection, text: string): Promise<number | string> {
  const stream = await openStream(connection, DOOR_PROTOCOL);
  try {
    const frames = lpStream(stream);
    await frames.write(Buffer.from(text));
    const answer = await frames.read();
    void stream.close();
    return answer.get(0);
  } catch {
    return await endOf(stream);
  }
}

async function stranger(ours: RunningPeer, from?: string): Promise<Connection> {
  return await (await rogueNode({ from })).dial(addressOf(ours));
}

describe("a stranger at the door", () => {
  test("is heard once, and the connection is given up afterwards by who knocked", async () => {
    const [ours, theirs] = [await startKeeping(), await start()];
    expect(await theirs.network.knock(addressOf(ours), Buffer.from("take"))).toBe(true);
    expect(ours.peer.seen).toEqual(["door take"]);
    const connection = await stranger(ours, ELSEWHERE);
    nowMs += 1_000;
    expect(await knock(connection, "leave")).toBe(0);
    expect(ours.network.connections()).toEqual([]);
  });

  test("gives the largest envelope, and nothing that is larger", async () => {
    const [ours, theirs] = [await startKeeping(), await start()];
    const largest = Buffer.alloc(ENVELOPE_BYTES_MAX, "take");
    expect(await theirs.network.knock(addressOf(ours), largest)).toBe(true);
    expect(ours.peer.seen).toEqual([`door ${ENVELOPE_BYTES_MAX}`]);
    nowMs += 5_000;
    const connection = await stranger(ours);
    expect(await knock(connection, "x".repeat(ENVELOPE_BYTES_MAX + 1))).toBe("reset");
    expect(doors(ours)).toBe(1);
    expect(connection.status).toBe("open");
  });

  test.each<readonly [string, readonly number[]]>([
    ["says nothing", []],
    ["says half a frame", [0x20, 1, 2, 3]],
    ["begins a length that goes on", [0x80]],
  ])("that %s loses its stream at the deadline", async (_, bytes) => {
    nowMs += 60_000;
    const ours = await startImpatient([TD], { strangerMs: KEPT_MS });
    const connection = await stranger(ours);
    const stream = await openStream(connection, DOOR_PROTOCOL);
    const beganMs = performance.now();
    if (bytes.length > 0) stream.send(Uint8Array.from(bytes));
    expect(await endOf(stream)).toBe("reset");
    expect(performance.now() - beganMs).toBeLessThan(10_000); // A frame of sync may take longer.
    expect(connection.status).toBe("open");
    expect(doors(ours)).toBe(0);
  });

  test("that says more than one frame has its answer, and no more is looked at", async () => {
    const ours = await startKeeping();
    const stream = await openStream(await stranger(ours), DOOR_PROTOCOL);
    const frames = lpStream(stream);
    await frames.writeV([Buffer.from("take 1"), Buffer.from("take 2")]).catch(() => {});
    expect(await endOf(stream)).toBe("reset");
    expect(ours.peer.seen).toEqual(["door take 1"]);
  });

  test("is still dropped when its time is over", async () => {
    nowMs += 60_000;
    const ours = await start([TD], { strangerMs: 300 });
    const connection = await stranger(ours);
    expect(await knock(connection, "take")).toBe(1);
    await eventually(() => connection.status !== "open", LIMIT_MS);
  });

  test("that opens it a thousand times is heard once, and members are served meanwhile", async () => {
    const ours = await startKeeping();
    const rogue = await rogueNode();
    let shut = 0;
    let connection: Connection | undefined;
    for (let time = 0; time < 1_000;) {
      // After a few dozen streams it is cut off, and comes again.
      if (connection?.status !== "open") connection = await rogue.dial(addressOf(ours));
      time += 1;
      if ((await knock(connection, `take ${time}`).catch(() => "cut off")) !== 1) shut += 1;
    }
    expect(doors(ours)).toBe(1);
    expect(shut).toBe(999);
    const member = await start();
    ours.network.admit(PEERS, [member.node]);
    member.network.admit(PEERS, [ours.node]);
    member.network.dial(PEERS, ours.network.addresses());
    await eventually(() => ours.peer.count(`synced ${member.id}`) > 0, LIMIT_MS);
    await member.network.publish(encodeBookRecord(bookRecord(TD, 1n)));
    await eventually(() => ours.peer.book.newest(TD)?.sequence === 1n, LIMIT_MS);
  });

  test("leaves it to others from elsewhere, however often it knocks", async () => {
    const ours = await startKeeping();
    const hostile = await stranger(ours);
    expect(await knock(hostile, "take 1")).toBe(1);
    nowMs += 1_000;
    for (let time = 0; time < 20; time += 1) expect(await knock(hostile, "more")).toBe("reset");
    const honest = await stranger(ours, ELSEWHERE);
    expect(await knock(honest, "take 2")).toBe(1);
    expect(await knock(await stranger(ours, "127.0.8.1"), "at once")).toBe("reset");
    nowMs += 1_000;
    expect(await knock(await stranger(ours, "127.0.7.1"), "take 3")).toBe(1);
    expect(ours.peer.seen).toEqual(["door take 1", "door take 2", "door take 3"]);
  });
});

describe("who knocks", () => {
  test("at the door of nobody, or of somebody else, gets no", async () => {
    const [ours, theirs] = [await startKeeping(), await start()];
    const wrong = addressOf(ours).replace(/\/p2p\/.*/, `/p2p/${theirs.id}`);
    const third = await start();
    const nobody = `/ip4/127.0.0.1/tcp/1/p2p/${ours.id}`;
    for (const address of [wrong, nobody, "", addressOf(third).replace(/\/p2p\/.*/, "")]) {
      expect(await third.network.knock(address, Buffer.from("take"))).toBe(false);
    }
    const tooLarge = Buffer.alloc(ENVELOPE_BYTES_MAX + 1);
    expect(await third.network.knock(addressOf(ours), tooLarge)).toBe(false);
    expect([...ours.peer.seen, ...theirs.peer.seen]).toEqual([]);
  });

  test("connects to nobody else whom it does not admit", async () => {
    const [ours, theirs] = [await startKeeping(), await start()];
    theirs.network.dial(PEERS, [addressOf(ours)]);
    const knocked = theirs.network.knock(addressOf(ours), Buffer.from("take"));
    const twice = await theirs.network.knock(addressOf(ours), Buffer.from("take"));
    expect([await knocked, twice]).toEqual([true, false]);
    expect(theirs.network.connections()).toEqual([]);
  });

  test("is told no by one that stops, and nothing is told from then on", async () => {
    const [ours, theirs] = [await startKeeping(), await start()];
    const connection = await stranger(ours);
    const stream = await openStream(connection, DOOR_PROTOCOL);
    stream.send(Uint8Array.of(4));
    await ours.stop();
    expect(await theirs.network.knock(addressOf(ours), Buffer.from("take"))).toBe(false);
    await theirs.stop();
    expect(await theirs.network.knock(addressOf(ours), Buffer.from("take"))).toBe(false);
    expect(ours.peer.seen).toEqual([]);
  });
});
