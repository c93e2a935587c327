/**
 * Anti-entropy (docs/protocol.md 5): a round with each peer on connect, one with a random peer every
 * ten seconds, one with whoever gossiped what we left, and one whenever somebody asks. Gossip alone
 * repairs nothing that was missed while disconnected (measured: 0 of 4 in a small mesh).
 */
import type { Connection, PeerId, Stream } from "@libp2p/interface";
import { PeerQueue } from "@libp2p/utils";
import { SYNC_REPLY_BYTES_MAX } from "../core/std/limits.ts";
import type { Result } from "../core/std/result.ts";
import type { PeerNetworkEvents, SyncSource } from "../ports/peer-network.ts";
import type { Admission } from "./admission.ts";
import type { PeerNetworkLog } from "./log.ts";
import { REQUEST_BYTES_MAX } from "./sync-frames.ts";
import { type AnsweringBudget, type AskingBudget, answerPeer, askPeer } from "./sync-round.ts";
import { SyncStream, SyncStreamFailure } from "./sync-stream.ts";

export const SYNC_PROTOCOL = "/spire-mesh/sync/1.0.0";
/** Rounds that one peer may have open with us. It needs one; the rest are streams still closing. */
export const INBOUND_SYNC_STREAMS_MAX = 8;
/** Rounds of ours under way: each may bring 64 records at a time for the core to verify. */
const ROUNDS_AT_ONCE = 8;
/** A peer stays quiet so long within a round only when it is stuck. */
const FRAME_DEADLINE_MS = 5_000;
/** Opening a stream takes one round trip, or shows that the peer is gone or does not admit us. */
const OPEN_DEADLINE_MS = 5_000;
/** A round that is not done by then goes on in the next one. */
const ROUND_DEADLINE_MS = 30_000;
/** Daemons that started together shall not ask together: each wait is 80 to 120 % of the interval. */
const JITTER = 0.2;

export interface SyncOptions {
  readonly intervalMs: number;
  /** A clock that never goes backwards. */
  readonly nowMs: () => number;
  readonly frameDeadlineMs?: number | undefined;
  /** From 0 up to 1. */
  readonly random: () => number;
  readonly log: PeerNetworkLog;
}

export interface SyncPorts {
  readonly source: SyncSource;
  readonly events: Pick<PeerNetworkEvents, "onSyncRecords" | "onSynced">;
  readonly admission: Admission;
  /** Connected, admitted peers. */
  peers(): readonly PeerId[];
  /** Rejects when the peer is not connected any more. */
  openStream(peerId: PeerId, signal: AbortSignal): Promise<Stream>;
  /** The peer opened a round: it admits us. */
  onAsked(peerId: PeerId): void;
  /** The peer answered a round of ours to the end. */
  onAnswered(peerId: PeerId): void;
}

export class Sync {
  readonly #options: SyncOptions;
  readonly #ports: SyncPorts;
  readonly #rounds = new PeerQueue({ concurrency: ROUNDS_AT_ONCE });
  readonly #stopping = new AbortController();
  /** Peers asked for what was left within the last interval, by id; whether more was left since. */
  readonly #repairs = new Map<string, { readonly timer: NodeJS.Timeout; again: boolean }>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: SyncOptions, ports: SyncPorts) {
    this.#options = options;
    this.#ports = ports;
  }

  start(): void {
    const { intervalMs, random } = this.#options;
    const waitMs = intervalMs * (1 + JITTER * (2 * random() - 1));
    this.#timer = setTimeout(() => {
      const peers = this.#ports.peers();
      const peer = peers[Math.floor(random() * peers.length)];
      if (peer !== undefined) void this.now(peer);
      this.start();
    }, waitMs);
  }

  stop(): void {
    clearTimeout(this.#timer);
    for (const { timer } of this.#repairs.values()) clearTimeout(timer);
    this.#stopping.abort(new Error("stopping"));
    this.#rounds.abort();
  }

  /**
   * Resolves after a round that began after this call, whatever came of it: one under way may have
   * compared before the news that we were called for. Calls made meanwhile share the next round.
   */
  async now(peerId: PeerId): Promise<void> {
    const running = this.#rounds.find(peerId);
    if (running?.status === "running") await ended(running.join());
    const next = this.#rounds.find(peerId);
    await (next === undefined ? this.#queueRound(peerId) : ended(next.join()));
  }

  /**
   * Asks a peer for what we left of its gossip: now, unless it was asked within the last interval,
   * else at the end of it. A round over 10,000 domains takes it 8 s to earn back (LOOKUP_RATE).
   */
  repair(peerId: PeerId): void {
    if (this.#stopping.signal.aborted) return;
    const id = peerId.toString();
    const asked = this.#repairs.get(id);
    if (asked !== undefined) {
      asked.again = true;
      return;
    }
    void this.now(peerId);
    const timer = setTimeout(() => {
      const again = this.#repairs.get(id)?.again === true;
      this.#repairs.delete(id);
      if (again) this.repair(peerId);
    }, this.#options.intervalMs);
    this.#repairs.set(id, { timer, again: false });
  }

  /** Answers one inbound stream. Strangers get no further than opening it. */
  async onStream(stream: Stream, { remotePeer }: Connection): Promise<void> {
    const member = this.#ports.admission.member(remotePeer);
    if (member === undefined) {
      stream.abort(new Error("not admitted"));
      return;
    }
    this.#ports.onAsked(remotePeer);
    const { nowMs } = this.#options;
    const budget: AnsweringBudget = {
      mayAsk: () => member.requestBudget.take(nowMs()),
      mayLookUp: (records) => member.lookupBudget.take(nowMs(), records),
      maySend: (bytes) => member.answerBudget.take(nowMs(), bytes),
      inTurn: async (answer) => {
        const turn = ended(member.answering).then(answer);
        member.answering = turn;
        return await turn;
      },
    };
    await this.#within(
      stream,
      remotePeer,
      REQUEST_BYTES_MAX,
      async (frames) => await answerPeer(frames, this.#ports.source, budget),
    );
  }

  async #queueRound(peerId: PeerId): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    await ended(this.#rounds.add(async () => await this.#round(peerId), { peerId }));
  }

  async #round(peerId: PeerId): Promise<void> {
    const { events, source } = this.#ports;
    const { signal } = this.#stopping;
    const id = peerId.toString();
    let stream: Stream;
    try {
      stream = await this.#ports.openStream(
        peerId,
        AbortSignal.any([signal, AbortSignal.timeout(OPEN_DEADLINE_MS)]),
      );
    } catch (error) {
      this.#options.log("debug", "sync: no stream", { peer_id: id, reason: String(error) });
      return;
    }
    await this.#within(stream, peerId, SYNC_REPLY_BYTES_MAX, async (frames) => {
      const onRecords = async (envelopes: readonly Uint8Array[]): Promise<number> =>
        signal.aborted ? 0 : await events.onSyncRecords(envelopes, id);
      const budget: AskingBudget = {
        mayWaste: (records) =>
          this.#ports.admission
            .member(peerId)
            ?.uselessBudget.take(this.#options.nowMs(), records) === true,
      };
      const answer = await askPeer(frames, source, onRecords, budget);
      if (answer.ok && !signal.aborted) {
        this.#ports.onAnswered(peerId);
        events.onSynced(id, answer.value);
      }
      return answer;
    });
  }

  /** Runs one side of a round; whatever goes wrong closes the stream and nothing else. */
  async #within(
    stream: Stream,
    peerId: PeerId,
    frameBytesMax: number,
    round: (frames: SyncStream) => Promise<Result<unknown, string>>,
  ): Promise<void> {
    const { frameDeadlineMs = FRAME_DEADLINE_MS, log } = this.#options;
    const signal = AbortSignal.any([this.#stopping.signal, AbortSignal.timeout(ROUND_DEADLINE_MS)]);
    const frames = new SyncStream(stream, { frameBytesMax, frameDeadlineMs, signal });
    const failed = (level: "debug" | "info" | "error", reason: string): void => {
      frames.abort(reason);
      log(level, "sync: round failed", { peer_id: peerId.toString(), reason });
    };
    try {
      const outcome = await round(frames);
      if (!outcome.ok) failed("info", outcome.reason);
    } catch (error) {
      failed(error instanceof SyncStreamFailure ? "debug" : "error", String(error));
    }
  }
}

/** Waits for a round of which all that matters was logged where it happened. */
async function ended(round: Promise<unknown>): Promise<void> {
  try {
    await round;
  } catch {
    // Stopped before it began.
  }
}
