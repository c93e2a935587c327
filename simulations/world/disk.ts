/**
 * A daemon's data directory in memory: the store, where a batch is whole or absent, and the marks
 * beside it. A copy of both, or of the store alone, may come back later, and the store may be lost.
 */
import type { Pin } from "../../src/core/mesh/partner.ts";
import type {
  Mark,
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

interface Store {
  /** Another after each quarantine: marks stand beside one store. */
  readonly id: number;
  /** Batches so far: a store with less than the marks say is an older one. */
  readonly writes: number;
  readonly pins: Map<TrustDomain, Pin>;
  readonly domains: Map<TrustDomain, StoredDomain>;
  readonly steps: Map<TrustDomain, readonly StoredRecord[]>;
}

interface Marks {
  readonly storeId: number;
  readonly writes: number;
  readonly headCounter: bigint;
  readonly entries: ReadonlyMap<TrustDomain, Mark>;
  /** Of the own trust domain everything. */
  readonly own: StoredDomain | undefined;
}

export interface DiskCopy {
  readonly store: Store;
  readonly marks: Marks;
}

export class Disk implements RecordStore {
  /** How often the marks went back too, which nobody can notice. */
  restores = 0;
  #store: Store = { id: 0, writes: 0, pins: new Map(), domains: new Map(), steps: new Map() };
  #marks: Marks = { storeId: 0, writes: 0, headCounter: 0n, entries: new Map(), own: undefined };
  #headCounter = 0n;
  #stores = 0;

  get pins(): ReadonlyMap<TrustDomain, Pin> {
    return this.#store.pins;
  }

  get domains(): ReadonlyMap<TrustDomain, StoredDomain> {
    return this.#store.domains;
  }

  get steps(): ReadonlyMap<TrustDomain, readonly StoredRecord[]> {
    return this.#store.steps;
  }

  get marks(): ReadonlyMap<TrustDomain, Mark> {
    return this.#marks.entries;
  }

  copy(): DiskCopy {
    return { store: copyOf(this.#store), marks: this.#marks };
  }

  /** The daemon beside it is down. The marks stay as they are but where `isWhole`. */
  restore({ store, marks }: DiskCopy, isWhole: boolean): void {
    this.#store = copyOf(store);
    if (!isWhole) return;
    this.#marks = marks;
    this.#headCounter = marks.headCounter;
    this.restores += 1;
  }

  lose(): void {
    this.#store = { id: 0, writes: -1, pins: new Map(), domains: new Map(), steps: new Map() };
  }

  async load(): Promise<StoredContents> {
    let quarantined: string | undefined;
    const { storeId, writes, entries, own, headCounter } = this.#marks;
    if (this.#store.id !== storeId || this.#store.writes < writes) {
      quarantined = "the store is older than its marks";
      const domains = new Map(own && [[own.trustDomain, own]]);
      const steps = new Map(own && [[own.trustDomain, [own.held]]]);
      const id = (this.#stores += 1);
      this.#store = { id, writes: 0, pins: new Map(), domains, steps };
      this.#marks = { ...this.#marks, storeId: id, writes: 0 };
      this.#headCounter = headCounter;
    }
    const { pins, domains } = this.#store;
    const missing = [...entries.values()].filter((mark) => isBelow(domains, mark));
    return {
      pins: [...pins.values()],
      domains: [...domains.values()],
      headCounter: this.#headCounter,
      missing,
      quarantined,
      marksLost: false,
    };
  }

  async accept(domain: StoredDomain, pin: Pin | undefined, start: boolean): Promise<void> {
    const { trustDomain, held } = domain;
    const { pins, domains, steps, writes } = this.#store;
    domains.set(trustDomain, domain);
    if (pin !== undefined) pins.set(trustDomain, pin);
    const before = start ? [] : (steps.get(trustDomain) ?? []);
    const below = before.filter((step) => compareVersions(step, held) < 0);
    steps.set(trustDomain, [...below, held].slice(-STEP_RECORDS_MAX));
    this.#store = { ...this.#store, writes: writes + 1 };
    await this.marked();
  }

  async remove(trustDomain: TrustDomain): Promise<void> {
    const { pins, domains, steps, writes } = this.#store;
    for (const part of [pins, domains, steps]) part.delete(trustDomain);
    const entries = new Map(this.#marks.entries);
    entries.delete(trustDomain);
    this.#marks = { ...this.#marks, entries };
    this.#store = { ...this.#store, writes: writes + 1 };
  }

  async saveHeadCounter(counter: bigint): Promise<void> {
    this.#headCounter = counter;
  }

  async marked(): Promise<void> {
    const { writes, domains, pins } = this.#store;
    if (writes === this.#marks.writes) return;
    const entries = new Map(this.#marks.entries);
    let { own } = this.#marks;
    for (const [trustDomain, domain] of domains) {
      const { lineage, nodes, held } = domain;
      const { epoch, rev, sequence, recordId } = held;
      const pin = pins.get(trustDomain);
      if (pin === undefined) own = domain;
      const version = { epoch, rev, sequence, recordId, baseId: undefined };
      entries.set(trustDomain, { trustDomain, lineage, nodes, pin, ...version });
    }
    this.#marks = { ...this.#marks, writes, headCounter: this.#headCounter, entries, own };
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

function copyOf({ pins, domains, steps, ...rest }: Store): Store {
  return { ...rest, pins: new Map(pins), domains: new Map(domains), steps: new Map(steps) };
}

/** Marked, but not stored, or in an older version; of another lineage it is a new start. */
function isBelow(domains: Store["domains"], mark: Mark): boolean {
  const stored = domains.get(mark.trustDomain);
  if (stored === undefined) return true;
  return stored.lineage === mark.lineage && compareVersions(mark, stored.held) > 0;
}
