/** A daemon's store in memory: a batch is whole or absent. */
import type { Pin } from "../../src/core/mesh/partner.ts";
import type {
  RecordStore,
  StepEntry,
  StoredContents,
  StoredDomain,
  StoredRecord,
} from "../../src/ports/record-store.ts";
import { type Version, compareVersions } from "../../src/core/record/state.ts";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import { toHex } from "../../src/core/std/bytes.ts";
import { STEP_RECORDS_MAX } from "../../src/core/std/limits.ts";

export class Disk implements RecordStore {
  readonly pins = new Map<TrustDomain, Pin>();
  readonly domains = new Map<TrustDomain, StoredDomain>();
  readonly steps = new Map<TrustDomain, readonly StoredRecord[]>();
  headCounter = 0n;

  async load(): Promise<StoredContents> {
    return {
      pins: [...this.pins.values()],
      domains: [...this.domains.values()],
      headCounter: this.headCounter,
      missing: [],
      quarantined: undefined,
      marksLost: false,
    };
  }

  async accept(domain: StoredDomain, pin: Pin | undefined, start: boolean): Promise<void> {
    const { trustDomain, held } = domain;
    this.domains.set(trustDomain, domain);
    if (pin !== undefined) this.pins.set(trustDomain, pin);
    const before = start ? [] : (this.steps.get(trustDomain) ?? []);
    const below = before.filter((step) => compareVersions(step, held) < 0);
    this.steps.set(trustDomain, [...below, held].slice(-STEP_RECORDS_MAX));
  }

  async remove(trustDomain: TrustDomain): Promise<void> {
    for (const part of [this.pins, this.domains, this.steps]) part.delete(trustDomain);
  }

  async saveHeadCounter(counter: bigint): Promise<void> {
    this.headCounter = counter;
  }

  /** A batch and its mark are one here. */
  async marked(): Promise<void> {
    await Promise.resolve();
  }

  async record(trustDomain: TrustDomain, recordId: Uint8Array): Promise<StoredRecord | undefined> {
    const wanted = toHex(recordId);
    const { held, sibling } = this.domains.get(trustDomain) ?? {};
    const steps = this.steps.get(trustDomain) ?? [];
    return [held, sibling, ...steps].find((each) => each?.recordId === wanted);
  }

  async history(trustDomain: TrustDomain): Promise<readonly StepEntry[]> {
    const steps = this.steps.get(trustDomain) ?? [];
    return steps.map(({ epoch, rev, sequence, recordId, envelope }) => {
      const envelopeBytes = envelope.length;
      return { epoch, rev, sequence, recordId, envelopeBytes, storedAtMs: 0 };
    });
  }

  async stepsAbove(trustDomain: TrustDomain, above: Version, limit: number) {
    const steps = this.steps.get(trustDomain) ?? [];
    return steps.filter((step) => compareVersions(step, above) > 0).slice(0, limit);
  }

  async close(): Promise<void> {
    await Promise.resolve();
  }
}
