/** Reads the lengths of the messages on a stream, unsigned varints of at most 53 bits in front. */

const VARINT_MORE = 0x80;

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
