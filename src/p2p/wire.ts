/**
 * What one connection may send and get below all streams. Nothing above looks at that: libp2p bounds
 * streams and messages, but not frames, and gossipsub not how often it is called.
 *
 *     socket ── bytes in and out ──▶ Noise ──▶ frames ──▶ yamux ──▶ streams
 *
 * A stranger gets what identify and ping need, and never more than four times the bytes it sent. A
 * member pays for the work that it makes (conduct.ts). Whoever goes beyond is cut off. Before that,
 * members that send faster than we work are read in turns (turn.ts), so that they keep us from nobody
 * else.
 */
import {
  type MessageStream,
  type PeerId,
  StreamMessageEvent,
  type StreamMuxer,
} from "@libp2p/interface";
import { ENVELOPE_BYTES_MAX } from "../core/std/limits.ts";
import type { Admission, Member } from "./admission.ts";
import type { PeerNetworkLog } from "./log.ts";
import { NEGOTIATION_BYTES_MAX, watchNegotiation } from "./negotiation.ts";
import { NOISE_PAYLOAD_BYTES_MAX, refuseShortMessages } from "./noise-messages.ts";
import type { Turn, Turns } from "./turn.ts";
import { YamuxFrames } from "./yamux-frames.ts";

/**
 * What one peer may make us buffer on one stream that nobody reads. A longer frame: the connection
 * is cut.
 */
export const STREAM_WINDOW_BYTES_MAX = 1024 * 1024;
/**
 * What a peer may send before it has proved a key: a handshake takes 278 bytes, and 64 KiB of empty
 * extensions 25 ms to decode (measured). Above: cut.
 */
const HANDSHAKE_BYTES_MAX = 4 * 1024;
/**
 * What a stranger may send in its ten seconds: the largest frame for the door, and 30 times what else an
 * honest one does (measured). Above: cut.
 */
const STRANGER_BYTES_MAX = ENVELOPE_BYTES_MAX + 64 * 1024;
/** Frames of a stranger, a stream or a ping counting ten: about thirty streams. Above: cut. */
const STRANGER_FRAMES_MAX = 400;
/**
 * The price for a member of a frame that opens a stream or wants an answer: 80 µs and up to 20 KiB
 * (measured), and an honest peer has ten in a busy second.
 */
const ASKING_WORK = 200;
/**
 * The price for a member of a Noise message in which no frame begins and that is not full. An honest
 * peer sends one for each frame above 64 KiB, its last; each is kept on its own until the frame or the
 * RPC is whole, which takes 200 bytes and more (measured).
 */
const PIECE_WORK = 20;
/**
 * What of ours may wait for one connection, before Noise and behind it each: the most of gossip,
 * 4 MiB, an answer of sync, and slack. A peer that grants a large window and reads little had 137 MiB
 * wait below all streams (measured). Above: cut.
 */
const CONNECTION_UNSENT_BYTES_MAX = 8 * 1024 * 1024;
/** Bytes out for each byte in until the peer is known. The handshake itself takes 3.97 (measured). */
const STRANGER_BYTES_OUT_A_BYTE_IN = 4;

export interface WireOptions {
  /** A clock that never goes backwards. */
  readonly nowMs: () => number;
  readonly log: PeerNetworkLog;
  /** Somebody who dialed us asked for Noise, and it begins. */
  readonly onHandshake: (raw: MessageStream) => void;
  readonly onCutOff: () => void;
}

/** One connection. */
export class Wire {
  readonly #raw: MessageStream;
  readonly #admission: Admission;
  readonly #options: WireOptions;
  readonly #turns: Turns;
  readonly #frames = new YamuxFrames();
  #isAgreed = false;
  #isTold = false;
  #peerId: PeerId | undefined;
  #known: Member | undefined;
  #bytesIn = 0;
  #bytesOut = 0;
  #strangerFrames = 0;
  /** The turn of its trust domain is spent, and all else comes first. */
  #waits = false;
  /**
   * What Noise decrypts after the turn is spent: the rest of one read, 64 KiB. What its peer sent right
   * before it closed is lost with it; sync repairs.
   */
  readonly #held: StreamMessageEvent["data"][] = [];

  constructor(raw: MessageStream, admission: Admission, turns: Turns, options: WireOptions) {
    this.#raw = raw;
    this.#admission = admission;
    this.#turns = turns;
    this.#options = options;
  }

  /** Noise is agreed on, and begins. */
  beginHandshake(): void {
    this.#isAgreed = true;
  }

  /** The peer has proved its key. */
  belongsTo(peerId: PeerId, secured: MessageStream): void {
    this.#peerId = peerId;
    for (const each of [secured, this.#raw]) {
      each.maxWriteBufferLength = CONNECTION_UNSENT_BYTES_MAX;
      each.addEventListener("close", ({ error }) => {
        if (error?.name === "StreamBufferError") this.#tell("more than it reads");
      });
    }
    refuseShortMessages(secured, () => this.#cut("a Noise message too short to say anything"));
    this.#raw.addEventListener("message", (event) => this.#charge(1, event));
  }

  /** Counts bytes, from the first one on. */
  watchBytes(): void {
    this.#raw.addEventListener("message", (event) => {
      this.#bytesIn += event.data.byteLength;
      if (this.#member !== undefined) return;
      const unproved = this.#isAgreed ? HANDSHAKE_BYTES_MAX : NEGOTIATION_BYTES_MAX;
      const allowed = this.#peerId === undefined ? unproved : STRANGER_BYTES_MAX;
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
      const member = this.#member;
      const turn = member && this.#turns.of(member);
      if (turn?.isSpent === true) this.#wait(turn, decrypted);
      if (this.#waits) {
        event.stopImmediatePropagation();
        this.#held.push(event.data);
        return;
      }
      const bytes = event.data.subarray();
      // While we close it nothing waits for a turn, which would never come.
      const weightMax = this.#raw.status === "open" ? turn?.framesLeft : undefined;
      const { end, frames, asking, weight, longest } = this.#frames.read(bytes, weightMax);
      if (longest > STREAM_WINDOW_BYTES_MAX) this.#cut("a frame longer than its window", event);
      if (turn === undefined) {
        this.#strangerFrames += weight;
        if (this.#strangerFrames > STRANGER_FRAMES_MAX)
          this.#cut("more frames than a stranger needs", event);
        return;
      }
      const isPiece = frames === 0 && event.data.byteLength < NOISE_PAYLOAD_BYTES_MAX;
      this.#charge(frames + asking * ASKING_WORK + (isPiece ? PIECE_WORK : 0), event);
      turn.spend(end, Math.max(weight, 1));
      if (end === bytes.length) return;
      event.data = bytes.subarray(0, end); // What else came with it is another turn's.
      this.#held.push(bytes.subarray(end));
      this.#wait(turn, decrypted);
    });
  }

  watchStreams(muxer: StreamMuxer): void {
    watchNegotiation(muxer, (event) => {
      this.#cut("more than it takes to propose a protocol", event);
    });
  }

  /** What a member makes us work, whatever its kind. */
  #charge(work: number, event: StreamMessageEvent): void {
    const conduct = this.#member?.conduct;
    const nowMs = this.#options.nowMs();
    conduct?.onWork(work, nowMs);
    if (conduct?.barred(nowMs) === true) this.#cut("more work than any honest peer makes", event);
  }

  /** Reads no more until its next turn: what else is sent stays in the kernel, then with its sender. */
  #wait(turn: Turn, decrypted: MessageStream): void {
    if (this.#waits || this.#raw.status !== "open") return;
    this.#waits = true;
    this.#raw.pause();
    turn.wait(() => this.#goOn(decrypted));
  }

  #goOn(decrypted: MessageStream): void {
    this.#waits = false;
    for (const data of this.#held.splice(0)) {
      if (this.#raw.status !== "open") return; // What came before had it cut off.
      decrypted.dispatchEvent(new StreamMessageEvent(data));
    }
    if (!this.#waits && this.#raw.status === "open") this.#raw.resume();
  }

  get #member(): Member | undefined {
    if (this.#peerId !== undefined) this.#known ??= this.#admission.member(this.#peerId);
    return this.#known;
  }

  #cut(reason: string, event?: StreamMessageEvent): void {
    event?.stopImmediatePropagation();
    if (this.#raw.status !== "open") return;
    this.#tell(reason);
    this.#raw.abort(new Error(reason));
  }

  /** Once for each connection. */
  #tell(reason: string): void {
    if (this.#isTold) return;
    this.#isTold = true;
    this.#options.onCutOff();
    const level = this.#member === undefined ? "debug" : "warn";
    this.#options.log(level, "peers: cut off", {
      peer_id: this.#peerId?.toString() ?? "unknown",
      reason,
    });
  }
}
