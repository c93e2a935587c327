/**
 * Step 11: every authority that is held of a partner has expired, so its old keys prove nothing by
 * themselves. Newer records are still followed step by step, but beside what is held, until somebody
 * else's word names where that leads: two other partners who hold that record, or the operator, whose
 * `bundle pin` needs no steps at all (docs/protocol.md 3).
 *
 *     held, expired ─▶ ladder: step ─▶ step ─▶ step ── named by two others ──▶ held
 */
import { BoundedMap } from "../std/bounded-map.ts";
import type { Slot } from "../resolver/slot.ts";
import type { TrustDomain } from "../spiffe/trust-domain.ts";
import { toHex } from "../std/bytes.ts";
import type { SyncEntry } from "./sync-entry.ts";

/** Partners other than the one it is about, each directly approved here. */
const VOUCHERS_MIN = 2;
/** Whose word is remembered. Above: the oldest goes, and says it again in its next round. */
const VOUCHERS_MAX = 64;
/** Who brings steps. Above: who brought some the longest ago begins anew. */
const CLIMBERS_MAX = 16;
/** Stands for whoever brings files. */
const FILES = "files";

export class Ladder {
  /** What the steps of each who brought some lead to, by its node in hex. */
  readonly #tops = new BoundedMap<string, Slot>(CLIMBERS_MAX);
  /** What each partner says that it holds: record ids in hex. */
  readonly #named = new BoundedMap<TrustDomain, readonly string[]>(VOUCHERS_MAX);

  /** @param from Undefined for files. */
  topOf(from: string | undefined): Slot | undefined {
    return this.#tops.get(from ?? FILES);
  }

  put(from: string | undefined, top: Slot): void {
    this.#tops.set(from ?? FILES, top);
  }

  /** A node of another partner said what it holds; what it only parked it does not list. */
  hear(voucher: TrustDomain, { recordIds }: SyncEntry): void {
    this.#named.set(voucher, recordIds.map(toHex));
  }

  /** Where steps lead that enough others stand on. */
  get named(): Slot | undefined {
    const heard = [...this.#named.values()];
    return [...this.#tops.values()].find(({ held }) => {
      const vouchers = heard.filter((ids) => ids.includes(held.record.idHex));
      return vouchers.length >= VOUCHERS_MIN;
    });
  }
}
