/** A map of at most so many entries: above that, the one that was set the longest ago goes. */
export class BoundedMap<Key, Value> extends Map<Key, Value> {
  readonly #max: number;

  /** @param max At least 1. */
  constructor(max: number) {
    super();
    this.#max = max;
  }

  /** Sets the newest entry, also of a key that is there already. */
  override set(key: Key, value: Value): this {
    this.delete(key);
    super.set(key, value);
    for (const oldest of this.keys()) {
      if (this.size <= this.#max) break;
      this.delete(oldest);
    }
    return this;
  }
}
