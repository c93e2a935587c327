/**
 * All that we change of Noise: the place where it takes a message of any length (libp2p's noise
 * specification, Wire Format: two bytes of length, then so many). One of length 0 takes it 0.2 µs and
 * more, yields nothing and so is seen by nobody above: zeros on a socket, for which nobody needs to
 * encrypt, took 20 s of our time for one of the sender's (measured).
 *
 * Its class is not exported, so the decoder's function is replaced on the one object that there is.
 */
import assert from "node:assert/strict";
import type { MessageStream } from "@libp2p/interface";

/** The version that was read for this. An update is read again. */
export const NOISE_VERSION = "17.0.3";
/** A byte and its tag: an honest node encrypts nothing only when it has nothing to say. Below: refused. */
const MESSAGE_BYTES_MIN = 17;
/** What goes into one message; what is longer goes on in the next. */
export const NOISE_PAYLOAD_BYTES_MAX = 65_519;

/** With what the type of the secured connection does not declare. */
interface Inside extends MessageStream {
  readonly decoder: { lengthDecoder: (bytes: unknown) => number };
}

/** Calls `onShort`, which ends the connection, and has no more decoded, once a message is too short. */
export function refuseShortMessages(secured: MessageStream, onShort: () => void): void {
  const { decoder } = secured as Partial<Inside>;
  const lengthOf = decoder?.lengthDecoder;
  assert(decoder !== undefined && lengthOf !== undefined, `another noise than ${NOISE_VERSION}`);
  decoder.lengthDecoder = (bytes) => {
    const length = lengthOf(bytes);
    if (length >= MESSAGE_BYTES_MIN) return length;
    onShort();
    throw new Error("a Noise message too short to say anything");
  };
}
