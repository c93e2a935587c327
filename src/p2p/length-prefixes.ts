/**
 * The lengths of the messages on a stream, unsigned varints of at most 53 bits in front of each, seen
 * before its reader does. Readers keep each piece on its own until a message is whole, at 200 bytes and
 * more for a piece of one (measured), so small ones are joined here.
 */
import { type Stream, StreamMessageEvent } from "@libp2p/interface";
import { concatBytes } from "../core/std/bytes.ts";

const VARINT_MORE = 0x80;
/** Of a message that is not whole a reader gets no smaller piece. */
const PIECE_BYTES_MIN = 1024;
const NOTHING = new Uint8Array();

export interface SeenLengths {
  /** Infinity when none ended in these bytes. */
  readonly shortest: number;
  /** Of one that goes on, the least that it can be when it is written as short as it can be. */
  readonly longest: number;
}

export class LengthPrefixes {
  #length = 0;
  #scale = 1;
  #bodyBytesLeft = 0;

  /** Whether a message has begun and is not whole. */
  get isWithin(): boolean {
    return this.#bodyBytesLeft > 0 || this.#scale > 1;
  }

  /** Takes the next bytes of the stream, cut anywhere. */
  read(bytes: Uint8Array): SeenLengths {
    let shortest = Infinity;
    let longest = 0;
    for (let at = 0; at < bytes.length;) {
      const byte = bytes[at] ?? 0;
      if (this.#bodyBytesLeft > 0) {
        const skipped = Math.min(this.#bodyBytesLeft, bytes.length - at);
        this.#bodyBytesLeft -= skipped;
        at += skipped;
      } else if (byte >= VARINT_MORE) {
        this.#length += (byte - VARINT_MORE) * this.#scale;
        this.#scale *= VARINT_MORE;
        longest = Math.max(longest, this.#scale);
        at += 1;
      } else {
        this.#bodyBytesLeft = this.#length + byte * this.#scale;
        shortest = Math.min(shortest, this.#bodyBytesLeft);
        longest = Math.max(longest, this.#bodyBytesLeft);
        this.#length = 0;
        this.#scale = 1;
        at += 1;
      }
    }
    return { shortest, longest };
  }
}

export interface Seen extends SeenLengths {
  /** How many bytes came. */
  readonly bytes: number;
  /** Whether a message has begun that is not whole. */
  readonly isWithin: boolean;
}

/** @param takes Whether the reader gets what came. */
export function watchMessages(stream: Stream, takes: (seen: Seen) => boolean): void {
  const lengths = new LengthPrefixes();
  let held: Uint8Array = NOTHING;
  let isJoined = false;
  stream.addEventListener("message", (event) => {
    if (isJoined) return;
    const bytes = event.data.subarray();
    const { shortest, longest } = lengths.read(bytes);
    const { isWithin } = lengths;
    const isTaken = takes({ shortest, longest, bytes: bytes.length, isWithin });
    const isPassedOn = !isWithin || held.length + bytes.length >= PIECE_BYTES_MIN;
    if (isTaken && isPassedOn && held.length === 0) return;
    event.stopImmediatePropagation();
    if (!isTaken) return;
    held = concatBytes(held, bytes);
    if (!isPassedOn) return;
    const joined = new StreamMessageEvent(held);
    held = NOTHING;
    isJoined = true;
    stream.dispatchEvent(joined);
    isJoined = false;
  });
}
