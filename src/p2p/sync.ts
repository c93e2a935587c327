/**
 * Anti-entropy (docs/protocol.md 5): a round with each peer on connect, one with a node of another
 * trust domain every ten seconds, one with whoever gossiped what we left, and one whenever somebody
 * asks. Gossip alone repairs nothing that was missed while disconnected (measured: 0 of 4 in a small
 * mesh). sync-queue.ts says whose round is next.
 */
import type { Connection, PeerId, Stream } from "@libp2p/interface";
import type { TrustDomain } from "../core/spiffe/trust-domain.ts";
import { SYNC_REPLY_BYTES_MAX } from "../core/std/limits.ts";
import type { Result } from "../core/std/result.ts";
import type { PeerNetworkEvents, SyncSource, Verdict } from "../ports/peer-network.ts";
import type { Admission, Member } from "./admission.ts";
import { Answers } from "./answers.ts";
import type { PeerNetworkLog } from "./log.ts";
import { type AnsweringBudget, type PeerWants, answerPeer } from "./sync-answer.ts";
import type { AskingBudget, SyncProgress } from "./sync-fetch.ts";
import { REQUEST_BYTES_MAX } from "./sync-frames.ts";
import { HeldIndex } from "./sync-holdings.ts";
import { type SyncOutcome, SyncQueue, type SyncRound } from "./sync-queue.ts";
import { type Agreement, askPeer } from "./sync-round.ts";
import { SyncStream, SyncStreamFailure } from "./sync-stream.ts";

export const SYNC_PROTOCOL = "/spire-mesh/sync/1.0.0";
/**
 * Rounds that one connection may have open with us. It needs one; the rest are streams still closing.
 * Each may hold a request that never ends, for 20 s: 26 MiB of frames on all connections of a trust
 * domain, 28 measured. Above: the stream is reset.
 */
export const INBOUND_SYNC_STREAMS_MAX = 4;
/**
 * For a frame to come or go: the largest, 1 MiB, at 0.5 Mbit/s, as rounds share a slow link. With 5 s a
 * site at 2 Mbit/s that had been away got nothing more of eight partners (measured). Whoever asks us
 * verifies 64 records before it asks again. Then: the round failed.
 */
const FRAME_DEADLINE_MS = 20_000;
/** Nothing more is asked after that: the round goes on when the other trust domains had theirs. */
const ROUND_MS = 20_000;
/** Who does not admit us says so in a round trip; who takes longer to say it fails. */
const REFUSAL_MS = 1_000;
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

export interface ConnectedStream {
  readonly stream: Stream;
  readonly connection: Connection;
}

export interface SyncPorts {
  readonly source: SyncSource;
  readonly events: Pick<PeerNetworkEvents, "onSyncRecords" | "onSynced">;
  readonly admission: Admission;
  /** Connected, admitted peers. */
  peers(): readonly PeerId[];
  /** On the newest connection. Rejects when the peer is not connected any more. */
  openStream(peerId: PeerId, signal: AbortSignal): Promise<ConnectedStream>;
  /** The peer opened a round: it admits us. */
  onAsked(peerId: PeerId): void;
  /** The peer answered a round of ours to the end. */
  onAnswered(peerId: PeerId): void;
}

export class Sync {
  readonly #options: SyncOptions;
  readonly #ports: SyncPorts;
  readonly #queue = new SyncQueue();
  readonly #answers: Answers;
  readonly #stopping = new AbortController();
  /** Peers asked for what was left within the last interval, by id; whether more was left since. */
  readonly #repairs = new Map<string, { readonly timer: NodeJS.Timeout; again: boolean }>();
  #timer: NodeJS.Timeout | undefined;
  readonly #index: HeldIndex;
  /** What was agreed on where we ask, and where the peer asks. */
  readonly #agreements = new WeakMap<Connection, Agreement>();
  readonly #peerWants = new WeakMap<Connection, PeerWants>();
  readonly #progress = new WeakMap<Member, SyncProgress>();
  /** Until the backoff of a peer that waits is over. */
  #backoffTimer: NodeJS.Timeout | undefined;

  constructor(options: SyncOptions, ports: SyncPorts) {
    this.#options = options;
    this.#ports = ports;
    this.#index = new HeldIndex(ports.source);
    this.#answers = new Answers(options.frameDeadlineMs ?? FRAME_DEADLINE_MS);
  }

  start(): void {
    const { intervalMs, nowMs, random } = this.#options;
    const waitMs = intervalMs * (1 + JITTER * (2 * random() - 1));
    this.#timer = setTimeout(() => {
      const members = this.#ports.peers().flatMap((peerId) => this.#member(peerId) ?? []);
      const next = this.#queue.pick(members, nowMs(), random());
      if (next !== undefined) void this.now(next.peerId);
      this.start();
    }, waitMs);
  }

  stop(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#backoffTimer);
    for (const { timer } of this.#repairs.values()) clearTimeout(timer);
    this.#stopping.abort(new Error("stopping"));
    this.#queue.clear();
  }

  /**
   * Resolves after a round that began after this call, whatever came of it: one under way may have
   * compared before the news that we were called for. Calls made meanwhile share the next round.
   */
  async now(peerId: PeerId): Promise<void> {
    const member = this.#member(peerId);
    if (member === undefined || this.#stopping.signal.aborted) return;
    const over = this.#queue.want(member);
    this.#beginRounds();
    await over;
  }

  /** The same with a peer that may have got well: it connected anew, or shows that it admits us. */
  async afresh(peerId: PeerId): Promise<void> {
    const member = this.#member(peerId);
    if (member !== undefined) this.#queue.resetBackoff(member);
    await this.now(peerId);
  }

  /**
   * Asks a peer for what we left of its gossip: now, unless it was asked within the last interval,
   * else at the end of it, as it may hold a thousand records that we left for want of budget.
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
  async onStream(stream: Stream, connection: Connection): Promise<void> {
    const { remotePeer } = connection;
    const member = this.#member(remotePeer);
    if (member === undefined) {
      stream.abort(new Error("not admitted"));
      return;
    }
    this.#ports.onAsked(remotePeer);
    const { frameDeadlineMs = FRAME_DEADLINE_MS, nowMs } = this.#options;
    const frames = new SyncStream(stream, {
      frameBytesMax: REQUEST_BYTES_MAX,
      frameDeadlineMs,
      signal: this.#stopping.signal,
    });
    const budget: AnsweringBudget = {
      mayAsk: () => member.requestBudget.take(nowMs()),
      mayLookUp: (records) => member.lookupBudget.take(nowMs(), records),
      maySend: (bytes) => member.answerBudget.take(nowMs(), bytes),
      withPlace: async (answer) => await this.#answers.run(member, frames, answer),
    };
    const peer = this.#peerWants.get(connection) ?? { shared: undefined, saying: undefined };
    this.#peerWants.set(connection, peer);
    const { source } = this.#ports;
    await this.#within(frames, member, async () => {
      return await answerPeer(frames, { source, index: this.#index, peer, budget });
    });
  }

  #member(peerId: PeerId): Member | undefined {
    return this.#ports.admission.member(peerId);
  }

  #beginRounds(): void {
    const { nowMs } = this.#options;
    if (this.#stopping.signal.aborted) return;
    for (let round = this.#queue.begin(nowMs()); round !== undefined;) {
      void this.#round(round);
      round = this.#queue.begin(nowMs());
    }
    clearTimeout(this.#backoffTimer);
    const untilMs = this.#queue.backoffUntilMs(nowMs());
    if (untilMs === undefined) return;
    this.#backoffTimer = setTimeout(() => this.#beginRounds(), Math.ceil(untilMs - nowMs()));
  }

  async #round(round: SyncRound): Promise<void> {
    const outcome = await this.#ask(round.member);
    this.#queue.end(round, outcome, this.#options.nowMs());
    this.#beginRounds();
  }

  async #ask(member: Member): Promise<SyncOutcome> {
    const { events, source } = this.#ports;
    const { frameDeadlineMs = FRAME_DEADLINE_MS, nowMs } = this.#options;
    const { signal } = this.#stopping;
    const { peerId } = member;
    const id = peerId.toString();
    const beganMs = nowMs();
    const atOnce = (): SyncOutcome => (nowMs() - beganMs < REFUSAL_MS ? "refused" : "failed");
    const opened = await this.#open(member, frameDeadlineMs);
    if (opened === undefined) return atOnce();
    const agreement = this.#agreements.get(opened.connection) ?? { shared: undefined };
    this.#agreements.set(opened.connection, agreement);
    const frames = new SyncStream(opened.stream, {
      frameBytesMax: SYNC_REPLY_BYTES_MAX,
      frameDeadlineMs,
      signal,
    });
    const onRecords = async (envelopes: readonly Uint8Array[]): Promise<readonly Verdict[]> =>
      signal.aborted ? envelopes.map(() => "unjudged") : await events.onSyncRecords(envelopes, id);
    const budget: AskingBudget = {
      mayGoOn: () => nowMs() - beganMs < ROUND_MS,
      mayWaste: (records) => member.uselessBudget.take(nowMs(), records),
    };
    const progress = this.#progressOf(member);
    const index = this.#index;
    const asking = { source, index, agreement, onRecords, budget, progress };
    const answer = await this.#within(frames, member, async () => {
      const held = await askPeer(frames, asking);
      if (held.ok && held.value !== undefined && !signal.aborted) {
        this.#ports.onAnswered(peerId);
        events.onSynced(id, held.value);
      }
      return held;
    });
    if (answer !== undefined) return answer.value === undefined ? "unfinished" : "finished";
    return frames.received === 0 ? atOnce() : "failed";
  }

  #progressOf(member: Member): SyncProgress {
    const progress = this.#progress.get(member) ?? { after: this.#anywhere() };
    this.#progress.set(member, progress);
    return progress;
  }

  /** Behind which name a first round begins: rounds at once bring different records over a slow link. */
  #anywhere(): TrustDomain | undefined {
    const { names } = this.#index.now().wanted;
    return names[Math.floor(this.#options.random() * (names.length + 1)) - 1];
  }

  async #open({ peerId }: Member, deadlineMs: number): Promise<ConnectedStream | undefined> {
    const { log } = this.#options;
    const signal = AbortSignal.any([this.#stopping.signal, AbortSignal.timeout(deadlineMs)]);
    try {
      return await this.#ports.openStream(peerId, signal);
    } catch (error) {
      log("debug", "sync: no stream", { peer_id: peerId.toString(), reason: String(error) });
      return undefined;
    }
  }

  /** Runs one side of a round; whatever goes wrong closes the stream and nothing else. */
  async #within<Value>(
    frames: SyncStream,
    { peerId }: Member,
    round: () => Promise<Result<Value, string>>,
  ): Promise<{ readonly value: Value } | undefined> {
    const failed = (level: "debug" | "error", reason: string): undefined => {
      frames.abort(reason);
      this.#options.log(level, "sync: round failed", { peer_id: peerId.toString(), reason });
    };
    try {
      const outcome = await round();
      return outcome.ok ? outcome : failed("debug", outcome.reason);
    } catch (error) {
      return failed(error instanceof SyncStreamFailure ? "debug" : "error", String(error));
    }
  }
}
