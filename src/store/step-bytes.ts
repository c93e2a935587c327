/** What the step records take on disk, of each trust domain and in all. Held records do not count. */
import type { TrustDomain } from "../core/spiffe/trust-domain.ts";

export class StepBytes {
  readonly #bytes = new Map<TrustDomain, number>();
  #total = 0;

  get total(): number {
    return this.#total;
  }

  set(trustDomain: TrustDomain, bytes: number): void {
    this.#total += bytes - (this.#bytes.get(trustDomain) ?? 0);
    if (bytes === 0) this.#bytes.delete(trustDomain);
    else this.#bytes.set(trustDomain, bytes);
  }

  /** Whose take the most; undefined when there are none. */
  longest(): TrustDomain | undefined {
    let longest: TrustDomain | undefined;
    let most = 0;
    for (const [trustDomain, bytes] of this.#bytes) {
      if (bytes > most) [longest, most] = [trustDomain, bytes];
    }
    return longest;
  }
}
