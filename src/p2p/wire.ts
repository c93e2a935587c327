/**
 * What one connection may send and get below all streams. Nothing above looks at that: libp2p bounds
 * streams and messages, but not frames, and gossipsub not how often it is called.
 *
 *     socket ── bytes in and out ──▶ Noise ──▶ frames ──▶ yamux ──▶ streams
 *
 * A stranger gets what identify and ping need, and never more than four times the bytes it sent. A
 * member pays for the work that it makes (conduct.ts). Whoever goes beyond is cut off. Before that, a
 * member that sends faster than we work is read in turns, so that it keeps us from nobody else.
 */
import {
  type ConnectionEncrypter,
  type MessageStream,
  type PeerId,
  type SecuredConnection,
  StreamMessageEvent,
  type StreamMuxerFactory,
} from "@libp2p/interface";
import type { Admission, Member } from "./admission.ts";
import type { PeerNetworkLog } from "./log.ts";
import { YamuxFrames } from "./yamux-frames.ts";

/**
 * What one peer may make us buffer on one stream that nobody reads. A longer frame: the connection
 * is cut.
 */
export const STREAM_WINDOW_BYTES_MAX = 1024 * 1024;
/**
 * What a peer may send before it has proved a key: a handshake takes 278 bytes (measured). Above:
 * cut.
 */
const HANDSHAKE_BYTES_MAX = 64 * 1024;
/**
 * What a stranger may send in its ten seconds: 30 times what an honest one does (measured). Above:
 * cut.
 */
const STRANGER_BYTES_MAX = 64 * 1024;
/** Frames of a stranger, a stream or a ping counting ten: about thirty streams. Above: cut. */
const STRANGER_FRAMES_MAX = 400;
const STRANGER_FRAMES_ASKING = 10;
/**
 * The price for a member of a frame that opens a stream or wants an answer: 80 µs and up to 20 KiB
 * (measured), and an honest peer has ten in a busy second.
 */
const ASKING_WORK = 200;
/**
 * What is read of one connection of a member in one turn of the event loop. libuv reads 2 MiB, which
 * is 20,000 small messages and 2 s (measured). Above: it waits until every other socket and timer had
 * its turn, and its sender for us. 64 messages take 4 to 10 ms, and a sync reply has few frames.
 */
const TURN_BYTES = 64 * 1024;
const TURN_FRAMES = 64;
/**
 * Who sends more than we promise to look at has half of our time at most: after each turn it waits
 * for as long as that took. The bound is for a turn in which the machine was asleep.
 */
const REST_MS_MAX = 1_000;
/** Bytes out for each byte in until the peer is known. The handshake itself takes 3.97 (measured). */
const STRANGER_BYTES_OUT_A_BYTE_IN = 4;

/** What was done to connections at the edge since the start. */
export interface EdgeCounts {
  /** Refused before their handshake. */
  readonly refused: number;
  /** Cut off for what came over them. */
  readonly cutOff: number;
}

export interface WireOptions {
  /** A clock that never goes backwards. */
  readonly nowMs: () => number;
  readonly log: PeerNetworkLog;
  /** Somebody who dialed us asked for Noise, and it begins. */
  readonly onHandshake: (raw: MessageStream) => void;
  readonly onCutOff: () => void;
}

interface Turn {
  bytes: number;
  frames: number;
}

/** One connection. */
class Wire {
  readonly #raw: MessageStream;
  readonly #admission: Admission;
  readonly #options: WireOptions;
  readonly #frames = new YamuxFrames();
  #peerId: PeerId | undefined;
  #known: Member | undefined;
  #bytesIn = 0;
  #bytesOut = 0;
  #strangerFrames = 0;
  /** What was read in this turn of the event loop. */
  #turn: Turn | undefined;
  /** It had its turn, and all else comes first. */
  #waits = false;
  /** Of the member, when the last turn that it spent was over. */
  #overBudget = 0;
  /** What Noise decrypts after the turn is spent: the rest of one read, 64 KiB. */
  readonly #held: StreamMessageEvent["data"][] = [];

  constructor(raw: MessageStream, admission: Admission, options: WireOptions) {
    this.#raw = raw;
    this.#admission = admission;
    this.#options = options;
  }

  /** The peer has proved its key. */
  belongsTo(peerId: PeerId): void {
    this.#peerId = peerId;
  }

  /** Counts bytes, from the first one on. */
  watchBytes(): void {
    this.#raw.addEventListener("message", (event) => {
      this.#bytesIn += event.data.byteLength;
      if (this.#member !== undefined) return;
      const allowed = this.#peerId === undefined ? HANDSHAKE_BYTES_MAX : STRANGER_BYTES_MAX;
      if (this.#bytesIn > allowed) this.#cut("more bytes than a stranger needs", event);
    });
    // Each step of the handshake puts back what it did not need, and it comes by once more.
    const unshift = this.#raw.unshift.bind(this.#raw);
    this.#raw.unshift = (data) => {
      this.#bytesIn -= data.byteLength;
      unshift(data);
    };
    const send = this.#raw.send.bind(this.#raw);
    this.#raw.send = (data) => {
      this.#bytesOut += data.byteLength;
      const earned = STRANGER_BYTES_OUT_A_BYTE_IN * this.#bytesIn;
      if (this.#bytesOut <= earned || this.#member !== undefined) return send(data);
      this.#cut("four times the bytes that it sent");
      return false;
    };
  }

  /** Reads the frames on their way to the multiplexer, which must not listen yet. */
  watchFrames(decrypted: MessageStream): void {
    decrypted.addEventListener("message", (event) => {
      if (this.#waits) {
        event.stopImmediatePropagation();
        this.#held.push(event.data);
        return;
      }
      const { frames, asking, longest } = this.#frames.read(event.data.subarray());
      if (longest > STREAM_WINDOW_BYTES_MAX) this.#cut("a frame longer than its window", event);
      const member = this.#member;
      if (member === undefined) {
        this.#strangerFrames += frames + asking * STRANGER_FRAMES_ASKING;
        if (this.#strangerFrames > STRANGER_FRAMES_MAX)
          this.#cut("more frames than a stranger needs", event);
      } else {
        const nowMs = this.#options.nowMs();
        member.conduct.onWork(frames + asking * ASKING_WORK, nowMs);
        if (member.conduct.barred(nowMs)) this.#cut("more work than any honest peer makes", event);
        else this.#spend(event.data.byteLength, frames, member, decrypted);
      }
    });
  }

  /** Reads no more when the turn is spent: what else is sent stays in the kernel, then with its sender. */
  #spend(bytes: number, frames: number, member: Member, decrypted: MessageStream): void {
    this.#turn ??= this.#beginTurn(member, decrypted);
    this.#turn.bytes += bytes;
    this.#turn.frames += frames;
    if (this.#turn.bytes < TURN_BYTES && this.#turn.frames < TURN_FRAMES) return;
    if (this.#raw.status !== "open") return;
    this.#waits = true;
    this.#raw.pause();
  }

  #beginTurn(member: Member, decrypted: MessageStream): Turn {
    const { nowMs } = this.#options;
    const beganMs = nowMs();
    setImmediate(() => {
      this.#turn = undefined;
      if (!this.#waits) return;
      const within = member.overBudget === this.#overBudget && !member.conduct.graylisted(nowMs());
      this.#overBudget = member.overBudget;
      const restMs = within ? 0 : Math.min(nowMs() - beganMs, REST_MS_MAX);
      if (restMs > 0) setTimeout(() => this.#readOn(decrypted), restMs).unref();
      else this.#readOn(decrypted);
    });
    return { bytes: 0, frames: 0 };
  }

  #readOn(decrypted: MessageStream): void {
    const held = this.#held.splice(0);
    if (this.#raw.status !== "open") return;
    this.#waits = false;
    this.#raw.resume();
    for (const data of held) {
      if (this.#raw.status !== "open") return; // What came before had it cut off.
      decrypted.dispatchEvent(new StreamMessageEvent(data));
    }
  }

  get #member(): Member | undefined {
    if (this.#peerId !== undefined) this.#known ??= this.#admission.member(this.#peerId);
    return this.#known;
  }

  #cut(reason: string, event?: StreamMessageEvent): void {
    event?.stopImmediatePropagation();
    if (this.#raw.status !== "open") return;
    this.#options.onCutOff();
    const level = this.#member === undefined ? "debug" : "warn";
    this.#options.log(level, "peers: cut off", {
      peer_id: this.#peerId?.toString() ?? "unknown",
      reason,
    });
    this.#raw.abort(new Error(reason));
  }
}

/** Watches every connection of a node by standing between its socket, Noise and yamux. */
export class Wires {
  readonly #admission: Admission;
  readonly #options: WireOptions;
  /** Connections cut off since the start. */
  cutOff = 0;
  /** By the connection's socket, and by what Noise makes of it. */
  readonly #wires = new WeakMap<MessageStream, Wire>();

  constructor(admission: Admission, options: Omit<WireOptions, "onCutOff">) {
    this.#admission = admission;
    const onCutOff = (): void => {
      this.cutOff += 1;
    };
    this.#options = { ...options, onCutOff };
  }

  /** An inbound connection, before anything was read from it. */
  begin(raw: MessageStream): void {
    const wire = new Wire(raw, this.#admission, this.#options);
    wire.watchBytes();
    this.#wires.set(raw, wire);
  }

  encrypter(inner: ConnectionEncrypter): ConnectionEncrypter {
    return {
      protocol: inner.protocol,
      secureInbound: async (raw, options) => {
        this.#options.onHandshake(raw);
        return this.#secured(raw, await inner.secureInbound(raw, options));
      },
      secureOutbound: async (raw, options) =>
        this.#secured(raw, await inner.secureOutbound(raw, options)),
    };
  }

  muxer(inner: StreamMuxerFactory): StreamMuxerFactory {
    return {
      protocol: inner.protocol,
      createStreamMuxer: (decrypted) => {
        this.#wires.get(decrypted)?.watchFrames(decrypted);
        return inner.createStreamMuxer(decrypted);
      },
    };
  }

  /** libp2p asks for a multiplexer only after this, also when the handshake itself agreed on one. */
  #secured(raw: MessageStream, secured: SecuredConnection): SecuredConnection {
    const wire = this.#wires.get(raw) ?? new Wire(raw, this.#admission, this.#options);
    wire.belongsTo(secured.remotePeer);
    this.#wires.set(secured.connection, wire);
    return secured;
  }
}
