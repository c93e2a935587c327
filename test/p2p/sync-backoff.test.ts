/** When a peer is asked again whose round failed, over real connections and by a clock of ours. */
import { describe, expect, test } from "vitest";
import { encodeComparison } from "../../src/p2p/sync-frames.ts";
import { SYNC_PROTOCOL } from "../../src/p2p/sync.ts";
import { type RunningPeer, eventually, startsPeers } from "../compliance/peer-network.ts";
import { startsRogues } from "../rogue/attacks.ts";
import type { Rogue } from "../rogue/rogue-node.ts";
import { answerSync } from "../rogue/sync-answers.ts";
import { making } from "./libp2p-peers.ts";

/** A busy machine; what is not to happen is told by the clock of ours, which stands still. */
const LIMIT_MS = 30_000;
const SAME = encodeComparison({ kind: "same" });
const GARBAGE = Uint8Array.of(0xff);

const clock = { nowMs: 0, tickMs: 0 };
/** When each line was logged. */
const loggedAtMs = { "sync: no stream": [] as number[], "sync: round failed": [] as number[] };
const start = startsPeers(
  making({
    nowMs: () => (clock.nowMs += clock.tickMs),
    log: (_, message) => {
      if (message in loggedAtMs) loggedAtMs[message as keyof typeof loggedAtMs].push(clock.nowMs);
    },
  }),
);
const rogueNode = startsRogues();

interface Asked {
  readonly rogue: Rogue;
  readonly address: string;
  /** What it answers to a comparison. */
  reply: Uint8Array;
}

/** A member that answered a round: from then on it is asked for a reason of these tests only. */
async function answering(ours: RunningPeer): Promise<Asked> {
  const rogue = await rogueNode();
  const [address = ""] = ours.network.addresses();
  const asked: Asked = { rogue, address, reply: SAME };
  await rogue.onStream(SYNC_PROTOCOL, (stream) => {
    void answerSync(stream, {
      entries: () => [],
      give: () => [],
      instead: ({ kind }) => (kind === "compare" ? asked.reply : undefined),
    });
  });
  ours.network.admit(`${rogue.id}.test`, [rogue.node]);
  await rogue.dial(address);
  await eventually(() => ours.peer.count(`synced ${rogue.id}`) > 0, LIMIT_MS);
  await ours.network.syncNow(rogue.id);
  return asked;
}

describe("a member whose round failed", () => {
  test("is asked again after five seconds, and at once when it connects anew", async () => {
    const ours = await start();
    const [failing, other] = [await answering(ours), await answering(ours)];
    const { rogue } = failing;
    const failedAtMs = loggedAtMs["sync: round failed"];
    failing.reply = GARBAGE;
    const beganMs = clock.nowMs;
    await ours.network.syncNow(rogue.id);
    clock.nowMs += 4_999;
    void ours.network.syncNow(rogue.id);
    await ours.network.syncNow(other.rogue.id); // All that may begin has begun.
    clock.nowMs += 1;
    await eventually(() => failedAtMs.length === 2, LIMIT_MS);

    void ours.network.syncNow(rogue.id);
    await rogue.libp2p.getConnections()[0]?.close();
    await eventually(() => ours.peer.count(`lost ${rogue.id}`) === 1, LIMIT_MS);
    await rogue.dial(failing.address);
    await eventually(() => failedAtMs.length === 3, LIMIT_MS);
    expect(failedAtMs.map((each) => each - beganMs)).toEqual([0, 5_000, 5_000]);
  });

  test("is one that lets us wait for its stream, and not one that refuses it", async () => {
    const ours = await start();
    const [failing, other] = [await answering(ours), await answering(ours)];
    const { id, libp2p } = failing.rogue;
    const unopenedAtMs = loggedAtMs["sync: no stream"];
    await libp2p.unhandle(SYNC_PROTOCOL);
    for (const _ of [1, 2]) await ours.network.syncNow(id);
    clock.tickMs = 1_000;
    await ours.network.syncNow(id);
    clock.tickMs = 0;
    expect(unopenedAtMs).toHaveLength(3);
    void ours.network.syncNow(id);
    await ours.network.syncNow(other.rogue.id);
    clock.nowMs += 5_000;
    await ours.network.syncNow(other.rogue.id);
    await eventually(() => unopenedAtMs.length === 4, LIMIT_MS);
    expect((unopenedAtMs[3] ?? 0) - (unopenedAtMs[2] ?? 0)).toBeGreaterThanOrEqual(5_000);
  });
});
