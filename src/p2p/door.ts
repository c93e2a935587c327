/**
 * The recovery door (docs/protocol.md 5): the one stream that is open to whom nobody admits. A trust
 * domain whose disks are gone has new peer ids, and could say so to nobody otherwise.
 *
 *     stranger ── one frame ──▶ door, open once a second ──▶ core ──▶ one byte: taken or refused
 *
 * Whoever is admitted gossips and syncs instead.
 */
import type { Connection, PeerId, Stream } from "@libp2p/interface";
import { BoundedMap } from "../core/std/bounded-map.ts";
import { ENVELOPE_BYTES_MAX } from "../core/std/limits.ts";
import { type Rate, TokenBucket } from "../core/std/token-bucket.ts";
import type { PeerNetworkEvents } from "../ports/peer-network.ts";
import type { PeerAddress } from "./address.ts";
import type { PeerNetworkLog } from "./log.ts";
import { subnetOf } from "./subnet.ts";
import { SyncStream } from "./sync-stream.ts";

export const DOOR_PROTOCOL = "/spire-mesh/door/1.0.0";
/** For all strangers: what the core does for one costs it a few signature checks. Above: shut. */
const DOOR_RATE: Rate = { perSecond: 1, burst: 1 };
/** Of one subnet, so that whoever knocks all the time leaves four seconds in five to others. Above: shut. */
const SUBNET_RATE: Rate = { perSecond: 0.2, burst: 1 };
/** Subnets whose last knock is remembered. Above: the one that knocked longest ago is forgotten. */
const SUBNETS_MAX = 1_024;
/** For the frame to come and the answer to go, together: 128 KiB at 0.2 Mbit/s. Then: the stream is reset. */
const DOOR_DEADLINE_MS = 5_000;
/** To reach a peer, and for all that is said. Then: not taken. */
const KNOCK_DEADLINE_MS = 15_000;

const TAKEN = 1;
const REFUSED = 0;

export interface DoorOptions {
  /** A clock that never goes backwards. */
  readonly nowMs: () => number;
  readonly deadlineMs?: number | undefined;
  readonly log: PeerNetworkLog;
}

export interface DoorPorts {
  admits(peerId: PeerId): boolean;
  readonly events: Pick<PeerNetworkEvents, "onDoor">;
  /** The newest connection with the peer, or a new one. */
  connect(address: PeerAddress, signal: AbortSignal): Promise<Connection>;
}

export class Door {
  readonly #options: DoorOptions;
  readonly #ports: DoorPorts;
  readonly #rate: TokenBucket;
  readonly #rates = new BoundedMap<string, TokenBucket>(SUBNETS_MAX);
  readonly #stopping = new AbortController();
  /** Peers at whose door we knock now, by id. */
  readonly #knocking = new Set<string>();

  constructor(options: DoorOptions, ports: DoorPorts) {
    this.#options = options;
    this.#ports = ports;
    this.#rate = new TokenBucket(DOOR_RATE, options.nowMs());
  }

  stop(): void {
    this.#stopping.abort(new Error("stopping"));
  }

  /** Whether we may connect to the peer, though we do not admit it. */
  knocksAt(peerId: PeerId): boolean {
    return this.#knocking.has(peerId.toString());
  }

  /** Answers one inbound stream. */
  async onStream(stream: Stream, connection: Connection): Promise<void> {
    const { remotePeer } = connection;
    if (this.#ports.admits(remotePeer) || !this.#mayOpen(connection)) {
      stream.abort(new Error("the door is shut"));
      return;
    }
    const { deadlineMs = DOOR_DEADLINE_MS } = this.#options;
    const frames = this.#framesOn(stream, ENVELOPE_BYTES_MAX, AbortSignal.timeout(deadlineMs));
    await this.#within(frames, remotePeer, async () => {
      const envelope = await frames.receive();
      if (envelope === undefined || this.#stopping.signal.aborted) throw new Error("nothing said");
      const isTaken = await this.#ports.events.onDoor(envelope);
      await frames.send(Uint8Array.of(isTaken ? TAKEN : REFUSED));
      await frames.finish();
    });
  }

  /** Resolves with whether the peer took the envelope; false, too, when it was not reached. */
  async knock(address: PeerAddress, envelope: Uint8Array): Promise<boolean> {
    const { peerId } = address;
    const id = peerId.toString();
    if (this.#knocking.has(id)) return false;
    this.#knocking.add(id);
    const deadline = AbortSignal.timeout(KNOCK_DEADLINE_MS);
    const signal = AbortSignal.any([this.#stopping.signal, deadline]);
    let connection: Connection | undefined;
    try {
      connection = await this.#ports.connect(address, signal);
      const stream = await connection.newStream(DOOR_PROTOCOL, { signal });
      const frames = this.#framesOn(stream, 1, deadline);
      const answer = await this.#within(frames, peerId, async () => {
        await frames.send(envelope);
        const said = await frames.receive();
        await frames.finish();
        return said;
      });
      return answer?.[0] === TAKEN;
    } catch (error) {
      this.#options.log("info", "door: not reached", { peer_id: id, reason: String(error) });
      return false;
    } finally {
      this.#knocking.delete(id);
      if (!this.#ports.admits(peerId)) connection?.abort(new Error("knocked"));
    }
  }

  #mayOpen({ remoteAddr }: Connection): boolean {
    const nowMs = this.#options.nowMs();
    const subnet = subnetOf(remoteAddr);
    const ofSubnet = this.#rates.get(subnet) ?? new TokenBucket(SUBNET_RATE, nowMs);
    if (ofSubnet.left(nowMs) < 1 || !this.#rate.take(nowMs)) return false;
    this.#rates.set(subnet, ofSubnet);
    return ofSubnet.take(nowMs);
  }

  #framesOn(stream: Stream, frameBytesMax: number, deadline: AbortSignal): SyncStream {
    const signal = AbortSignal.any([this.#stopping.signal, deadline]);
    return new SyncStream(stream, { frameBytesMax, frameDeadlineMs: KNOCK_DEADLINE_MS, signal });
  }

  /** Whatever goes wrong closes the stream and nothing else. */
  async #within<Value>(
    frames: SyncStream,
    peerId: PeerId,
    act: () => Promise<Value>,
  ): Promise<Value | undefined> {
    try {
      return await act();
    } catch (error) {
      frames.abort(String(error));
      const fields = { peer_id: peerId.toString(), reason: String(error) };
      this.#options.log("debug", "door: nothing came of it", fields);
      return undefined;
    }
  }
}
