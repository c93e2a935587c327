/**
 * The choices of one input, as a stream of bytes made from the run's seed, the target's name and the
 * input's number: ChaCha20 over nothing. So an input is made again without those before it.
 */
import { type Cipheriv, createCipheriv, hash } from "node:crypto";

const BLOCK_BYTES = 256;
const NONCE = new Uint8Array(16);
const ZEROS = new Uint8Array(BLOCK_BYTES);

export class Random {
  readonly #stream: Cipheriv;
  #block: Buffer = Buffer.of();
  #at = 0;

  constructor(...seed: readonly (string | number)[]) {
    this.#stream = createCipheriv("chacha20", hash("sha256", seed.join(" "), "buffer"), NONCE);
  }

  /** From 0 up to, not including, `limit`, which is at most 2^32. The bias does not matter here. */
  below(limit: number): number {
    if (this.#at + 4 > this.#block.length) {
      this.#block = this.#stream.update(ZEROS);
      this.#at = 0;
    }
    const value = this.#block.readUInt32LE(this.#at);
    this.#at += 4;
    return value % limit;
  }

  /** Both ends are possible. */
  between(min: number, max: number): number {
    return min + this.below(max - min + 1);
  }

  /** True once in so many times. */
  oneIn(times: number): boolean {
    return this.below(times) === 0;
  }

  pick<Item>(items: readonly Item[]): Item {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new RangeError("nothing to pick from");
    return item;
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from(this.#stream.update(new Uint8Array(length)));
  }

  /** Some of the items, in their order. */
  some<Item>(items: readonly Item[]): Item[] {
    return items.filter(() => this.oneIn(2));
  }

  shuffled<Item>(items: readonly Item[]): Item[] {
    const left = [...items];
    return items.flatMap(() => left.splice(this.below(left.length), 1));
  }
}
