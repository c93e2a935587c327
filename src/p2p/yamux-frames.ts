/**
 * Reads the frame headers that pass on a connection (yamux specification, Framing), to bound what
 * the multiplexer does not: it gathers a frame of up to 4 GiB before it looks at it (8.0.3).
 */

const HEADER_BYTES = 12;
const TYPE_AT = 1;
const FLAGS_AT = 2;
const LENGTH_AT = 8;
const DATA = 0;
const WINDOW_UPDATE = 1;
const SYN = 1;

/**
 * What a frame that opens a stream or wants an answer counts besides being one: an honest peer has ten
 * in a busy second, and a stream is proposed protocols on, for half a millisecond (measured).
 */
const ASKING_WEIGHT = 10;

export interface SeenFrames {
  /** How many of the bytes were read. */
  readonly end: number;
  /** Frames that began. */
  readonly frames: number;
  /** Those that open a stream or want an answer: a SYN, a ping. */
  readonly asking: number;
  /** All that began, those that ask counting {@link ASKING_WEIGHT} more. */
  readonly weight: number;
  /** The longest body that was announced, in bytes. */
  readonly longest: number;
}

export class YamuxFrames {
  readonly #header = new Uint8Array(HEADER_BYTES);
  readonly #view = new DataView(this.#header.buffer);
  #headerBytes = 0;
  #bodyBytesLeft = 0;

  /**
   * Takes the next bytes of the connection, cut anywhere.
   *
   * @param weightMax Above 0. No frame is begun once those before it weigh as much: the rest is for
   *   the next call.
   */
  read(bytes: Uint8Array, weightMax = Infinity): SeenFrames {
    let frames = 0;
    let asking = 0;
    let longest = 0;
    let at = 0;
    const weight = (): number => frames + asking * ASKING_WEIGHT;
    while (at < bytes.length) {
      if (this.#bodyBytesLeft > 0) {
        const skipped = Math.min(this.#bodyBytesLeft, bytes.length - at);
        this.#bodyBytesLeft -= skipped;
        at += skipped;
        continue;
      }
      if (this.#headerBytes === 0 && weight() >= weightMax) break;
      const part = bytes.subarray(at, at + HEADER_BYTES - this.#headerBytes);
      this.#header.set(part, this.#headerBytes);
      this.#headerBytes += part.length;
      at += part.length;
      if (this.#headerBytes < HEADER_BYTES) break;
      this.#headerBytes = 0;
      const type = this.#header[TYPE_AT];
      frames += 1;
      if (type !== DATA && type !== WINDOW_UPDATE) asking += 1;
      else if ((this.#view.getUint16(FLAGS_AT) & SYN) !== 0) asking += 1;
      if (type === DATA) {
        this.#bodyBytesLeft = this.#view.getUint32(LENGTH_AT);
        longest = Math.max(longest, this.#bodyBytesLeft);
      }
    }
    return { end: at, frames, asking, weight: weight(), longest };
  }
}
