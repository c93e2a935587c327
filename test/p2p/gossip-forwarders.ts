/** Members that gossip with one of ours by hand: what they send, and what they hear of it. */
import { RPC } from "@libp2p/gossipsub/message";
import type { Stream } from "@libp2p/interface";
import { lpStream } from "@libp2p/utils";
import { SYNC_PROTOCOL } from "../../src/p2p/sync.ts";
import { type RunningPeer, eventually } from "../compliance/peer-network.ts";
import { startsRogues } from "../rogue/attacks.ts";
import { subscription } from "../rogue/gossip-rpcs.ts";
import { GOSSIP_PROTOCOL, type Rogue, openStream } from "../rogue/rogue-node.ts";

export interface Forwarder {
  readonly rogue: Rogue;
  readonly gossip: Stream;
  /** Rounds of sync that ours began with it. None is answered. */
  readonly rounds: () => number;
  /** Gossip streams that ours opened to it. */
  readonly streams: () => number;
  /** Gets each RPC that ours sends from now on. */
  onRpc: ((rpc: RPC) => void) | undefined;
  /** Another gossip stream, in place of one that ended. */
  open(): Promise<Stream>;
}

const RPC_BYTES_MAX = 4 * 1024 * 1024;

/**
 * Starts members of ours with a gossip stream each, once ours has asked each for the rounds on
 * connect. They end with the test.
 */
export function startsForwarders(): (
  ours: RunningPeer,
  count: number,
) => Promise<readonly Forwarder[]> {
  const rogueNode = startsRogues();
  return async (ours, count) => {
    const rogues = await Promise.all(Array.from({ length: count }, async () => await rogueNode()));
    for (const { id, node } of rogues) ours.network.admit(`${id}.test`, [node]);
    return await Promise.all(rogues.map(async (rogue) => await forwarder(ours, rogue)));
  };
}

async function forwarder(ours: RunningPeer, rogue: Rogue): Promise<Forwarder> {
  let rounds = 0;
  let streams = 0;
  await rogue.onStream(SYNC_PROTOCOL, (stream) => {
    rounds += 1;
    void stream.close();
  });
  await rogue.onStream(GOSSIP_PROTOCOL, (stream) => {
    streams += 1;
    void hear(stream, (rpc) => made.onRpc?.(rpc));
  });
  const [address = ""] = ours.network.addresses();
  const connection = await rogue.dial(address);
  const open = async (): Promise<Stream> => {
    const stream = await openStream(connection, GOSSIP_PROTOCOL);
    stream.send(subscription());
    return stream;
  };
  const made: Forwarder = {
    rogue,
    gossip: await open(),
    rounds: () => rounds,
    streams: () => streams,
    onRpc: undefined,
    open,
  };
  await eventually(() => rounds > 0);
  return made;
}

/** Reads the RPCs of a stream until it ends. */
export async function hear(stream: Stream, onRpc: (rpc: RPC) => void): Promise<void> {
  const frames = lpStream(stream, { maxDataLength: RPC_BYTES_MAX });
  try {
    for (;;) onRpc(RPC.decode((await frames.read()).subarray()));
  } catch {
    // It ended.
  }
}
