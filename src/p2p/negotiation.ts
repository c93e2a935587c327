/** What a peer sends before a protocol is agreed on (multistream-select), which nobody else looks at. */
import type { StreamMessageEvent, StreamMuxer } from "@libp2p/interface";

/**
 * What a peer may send before a protocol is agreed on, of a connection or of a stream: an honest one
 * sends 90 bytes, and waits for the answer. Each line gets an answer, up to 15 µs for four bytes, and
 * no timer runs between them (measured). On a stream of ping as well, where an honest one sends 32: what
 * it echoes waits without a bound. Above: cut.
 */
export const NEGOTIATION_BYTES_MAX = 128;
/** And lines of it on a stream: its own name and gossip's three are four. Above: cut. */
const NEGOTIATION_LINES_MAX = 6;
const LINE_END = 0x0a;
/** Those of libp2p's own: identify, to which nothing is sent, and ping. Gossip and sync have budgets. */
const OWN_PROTOCOLS = "/ipfs/";

/** Calls `onExcess` for a stream of the peer's that brings more. Before libp2p listens to the muxer. */
export function watchNegotiation(
  muxer: StreamMuxer,
  onExcess: (event: StreamMessageEvent) => void,
): void {
  const listen = muxer.addEventListener.bind(muxer);
  // It keeps streams until somebody listens, and they would be ours alone: so right before libp2p.
  muxer.addEventListener = (type: never, ...others: [never]) => {
    if (type === "stream") {
      muxer.addEventListener = listen;
      listen("stream", ({ detail: stream }) => {
        let [bytes, lines] = [0, 0];
        stream.addEventListener("message", (event) => {
          const { protocol } = stream;
          if (protocol !== "" && !protocol.startsWith(OWN_PROTOCOLS)) return;
          bytes += event.data.byteLength;
          if (protocol === "") lines += linesIn(event.data.subarray());
          if (bytes > NEGOTIATION_BYTES_MAX || lines > NEGOTIATION_LINES_MAX) onExcess(event);
        });
      });
    }
    listen(type, ...others);
  };
}

function linesIn(bytes: Uint8Array): number {
  return bytes.reduce((count, byte) => count + (byte === LINE_END ? 1 : 0), 0);
}
