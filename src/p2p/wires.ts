/**
 * Every connection of a node, watched from between its socket, Noise and yamux: wire.ts says what one
 * may do there.
 */
import type {
  ConnectionEncrypter,
  MessageStream,
  SecuredConnection,
  StreamMuxerFactory,
} from "@libp2p/interface";
import type { Admission } from "./admission.ts";
import type { Turns } from "./turn.ts";
import { Wire, type WireOptions } from "./wire.ts";

/** What was done to connections at the edge since the start. */
export interface EdgeCounts {
  /** Refused before their handshake. */
  readonly refused: number;
  /** Cut off for what came over them. */
  readonly cutOff: number;
}

export class Wires {
  readonly #admission: Admission;
  readonly #options: WireOptions;
  readonly #turns: Turns;
  /** Connections cut off since the start. */
  cutOff = 0;
  /** By the connection's socket, and by what Noise makes of it. */
  readonly #wires = new WeakMap<MessageStream, Wire>();

  constructor(admission: Admission, turns: Turns, options: Omit<WireOptions, "onCutOff">) {
    this.#admission = admission;
    this.#turns = turns;
    const onCutOff = (): void => {
      this.cutOff += 1;
    };
    this.#options = { ...options, onCutOff };
  }

  /** An inbound connection, before anything was read from it. */
  begin(raw: MessageStream): void {
    const wire = this.#wireOf(raw);
    wire.watchBytes();
    this.#wires.set(raw, wire);
  }

  encrypter(inner: ConnectionEncrypter): ConnectionEncrypter {
    return {
      protocol: inner.protocol,
      secureInbound: async (raw, options) => {
        this.#options.onHandshake(raw);
        this.#wires.get(raw)?.beginHandshake();
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
        const wire = this.#wires.get(decrypted);
        wire?.watchFrames(decrypted);
        const muxer = inner.createStreamMuxer(decrypted);
        wire?.watchStreams(muxer);
        return muxer;
      },
    };
  }

  /** libp2p asks for a multiplexer only after this, also when the handshake itself agreed on one. */
  #secured(raw: MessageStream, secured: SecuredConnection): SecuredConnection {
    // Else a protocol would be agreed on once more, by whoever has a key.
    if (secured.streamMuxer === undefined)
      throw new Error("no multiplexer agreed on in the handshake");
    const wire = this.#wires.get(raw) ?? this.#wireOf(raw);
    wire.belongsTo(secured.remotePeer, secured.connection);
    this.#wires.set(secured.connection, wire);
    return secured;
  }

  #wireOf(raw: MessageStream): Wire {
    return new Wire(raw, this.#admission, this.#turns, this.#options);
  }
}
