/**
 * Gossip does not keep order: a record may come before the one it stands on. Such a record is parked
 * for a while and judged again when its trust domain has advanced, instead of waiting for sync.
 *
 *     refused for want of a step ──▶ parked ── the domain advanced ──▶ judged again, lowest version first
 *                                      └── 10 min, or no room ──▶ dropped: sync brings it
 *
 * Parked records are not authentic yet: nothing shows or counts them. The room is shared by bytes,
 * and who takes the most makes room, so a flood only pushes out itself.
 */
import assert from "node:assert/strict";
import { compareVersions } from "../record/state.ts";
import type { RefusalCode } from "../record/refusal.ts";
import type { SignedRecord } from "../record/verify.ts";
import { PARKED_A_FORWARDER_MAX, PARKED_BYTES_MAX, PARKED_MS } from "../std/limits.ts";
import type { TrustDomain } from "../spiffe/trust-domain.ts";

export interface Parked {
  readonly record: SignedRecord;
  /** Size of the envelope it came in. */
  readonly bytes: number;
  /** The forwarder's node in hex. */
  readonly from: string;
  readonly sinceMs: number;
}

/** Refusals that a record in between may end. */
const FOR_WANT_OF_A_STEP: ReadonlySet<RefusalCode> = new Set([
  "NODE_NOT_LISTED",
  "OLD_AUTHORITY_MISSING",
]);

export function waitsForAStep(code: RefusalCode): boolean {
  return FOR_WANT_OF_A_STEP.has(code);
}

/** What one forwarder brought. */
interface Shelf {
  /** By record id, the oldest first. */
  readonly records: Map<string, Parked>;
  bytes: number;
}

export class ParkedRecords {
  readonly #shelves = new Map<string, Shelf>();
  #bytes = 0;

  /** Keeps a record; at the limits its forwarder's oldest go, then those of whoever takes the most. */
  park(parked: Parked): void {
    const { from, record, bytes } = parked;
    const shelf = this.#shelves.get(from) ?? { records: new Map<string, Parked>(), bytes: 0 };
    if (shelf.records.has(record.idHex)) return;
    this.#shelves.set(from, shelf);
    shelf.records.set(record.idHex, parked);
    shelf.bytes += bytes;
    this.#bytes += bytes;
    if (shelf.records.size > PARKED_A_FORWARDER_MAX) this.#dropOldest(shelf);
    while (this.#bytes > PARKED_BYTES_MAX) this.#dropOldest(this.#largest());
  }

  has(trustDomain: TrustDomain): boolean {
    return this.#all().some(({ record }) => record.state.trustDomain === trustDomain);
  }

  /** Takes all records of a trust domain out, ascending by version. */
  takeAll(trustDomain: TrustDomain): readonly Parked[] {
    const taken = this.#all().filter(({ record }) => record.state.trustDomain === trustDomain);
    for (const parked of taken) this.#drop(parked);
    return taken.sort((left, right) =>
      compareVersions(left.record.state.version, right.record.state.version),
    );
  }

  /** Drops what waited too long, or seems to after the clock was set. */
  dropOld(nowMs: number): void {
    for (const parked of this.#all()) {
      if (Math.abs(nowMs - parked.sinceMs) > PARKED_MS) this.#drop(parked);
    }
  }

  #all(): Parked[] {
    const all: Parked[] = [];
    for (const { records } of this.#shelves.values()) all.push(...records.values());
    return all;
  }

  #largest(): Shelf {
    const shelves = [...this.#shelves.values()];
    return shelves.reduce((most, each) => (each.bytes > most.bytes ? each : most));
  }

  #dropOldest({ records }: Shelf): void {
    const [oldest] = records.values();
    assert(oldest !== undefined, "a shelf holds something");
    this.#drop(oldest);
  }

  #drop({ from, record, bytes }: Parked): void {
    const shelf = this.#shelves.get(from);
    if (shelf?.records.delete(record.idHex) !== true) return;
    shelf.bytes -= bytes;
    this.#bytes -= bytes;
    if (shelf.records.size === 0) this.#shelves.delete(from);
  }
}
