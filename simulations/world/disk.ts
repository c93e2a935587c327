/** A daemon's store in memory: a batch is whole or absent. */
import type { Pin } from "../../src/core/mesh/partner.ts";
import type {
  RecordStore,
  StoredContents,
  StoredDomain,
  StoredRecord,
} from "../../src/ports/record-store.ts";
import { type Version, compareVersions } from "../../src/core/record/state.ts";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import { STEP_RECORDS_MAX } from "../../src/core/std/limits.ts";

export class Disk implements RecordStore {
  readonly pins = new Map<TrustDomain, Pin>();
  readonly domains = new Map<TrustDomain, StoredDomain>();
  readonly steps = new Map<TrustDomain, readonly StoredRecord[]>();

  async load(): Promise<StoredContents> {
    return { pins: [...this.pins.values()], domains: [...this.domains.values()] };
  }

  async accept(domain: StoredDomain, pin: Pin | undefined): Promise<void> {
    const { trustDomain, held } = domain;
    this.domains.set(trustDomain, domain);
    if (pin !== undefined) this.pins.set(trustDomain, pin);
    const before = this.steps.get(trustDomain) ?? [];
    const others = before.filter((step) => compareVersions(step, held) !== 0);
    this.steps.set(trustDomain, [...others, held].slice(-STEP_RECORDS_MAX));
  }

  async remove(trustDomain: TrustDomain): Promise<void> {
    for (const part of [this.pins, this.domains, this.steps]) part.delete(trustDomain);
  }

  async stepsAbove(trustDomain: TrustDomain, above: Version, limit: number) {
    const steps = this.steps.get(trustDomain) ?? [];
    return steps.filter((step) => compareVersions(step, above) > 0).slice(0, limit);
  }

  async close(): Promise<void> {
    await Promise.resolve();
  }
}
