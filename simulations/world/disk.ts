/** A daemon's store in memory: a batch is whole or absent, and writes can fail. */
import { Fault } from "../../src/fault.ts";
import type {
  RecordStore,
  StoredDomain,
  StoredPin,
  StoredRecord,
} from "../../src/ports/record-store.ts";
import { compareVersions } from "../../src/core/record/state.ts";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import { STEP_RECORDS_MAX } from "../../src/core/std/limits.ts";

export class Disk implements RecordStore {
  readonly pins = new Map<TrustDomain, StoredPin>();
  readonly domains = new Map<TrustDomain, StoredDomain>();
  readonly steps = new Map<TrustDomain, readonly StoredRecord[]>();
  isFull = false;

  readonly load: RecordStore["load"] = async () => ({
    pins: [...this.pins.values()],
    domains: [...this.domains.values()],
  });

  readonly accept: RecordStore["accept"] = async (domain, pin) => {
    if (this.isFull) throw new Fault("STORE_FULL", "the disk is full");
    const { trustDomain, held } = domain;
    this.domains.set(trustDomain, domain);
    if (pin !== undefined) this.pins.set(trustDomain, pin);
    const before = this.steps.get(trustDomain) ?? [];
    const others = before.filter((step) => compareVersions(step, held) !== 0);
    this.steps.set(trustDomain, [...others, held].slice(-STEP_RECORDS_MAX));
  };

  readonly remove: RecordStore["remove"] = async (trustDomain) => {
    if (this.isFull) throw new Fault("STORE_FULL", "the disk is full");
    for (const part of [this.pins, this.domains, this.steps]) part.delete(trustDomain);
  };

  stepsAbove: RecordStore["stepsAbove"] = async (trustDomain, above, limit) =>
    (this.steps.get(trustDomain) ?? [])
      .filter((step) => compareVersions(step, above) > 0)
      .slice(0, limit);

  readonly close: RecordStore["close"] = async () => undefined;
}
