/**
 * What survives a restart. One call is one batch that is on disk when its promise resolves; a batch
 * is whole or absent after a crash. One that rejects has changed nothing: the store takes it back
 * before it writes or closes again, if the disk lets it. Rejects with `STORE_DAMAGED` when a value does
 * not match its hash, and `STORE_FULL` when the disk is.
 *
 * Beside the records stand the marks: what was held of each trust domain, without the records
 * themselves. They follow what is stored, and say what is missing where a store was lost.
 */
import type { Pin } from "../core/mesh/partner.ts";
import type { Version } from "../core/record/state.ts";
import type { TrustDomain } from "../core/spiffe/trust-domain.ts";

/** One accepted version of a trust domain. */
export interface StoredRecord extends Version {
  /** 64 hex digits. */
  readonly recordId: string;
  /** Encoded envelope with all kept blocks. */
  readonly envelope: Uint8Array;
}

/** Everything held of one trust domain. */
export interface StoredDomain {
  readonly trustDomain: TrustDomain;
  /** Record id of the genesis: 64 hex digits. The marks say it again. */
  readonly lineage: string;
  /** Ed25519 public keys of the nodes that may publish, at most 16. The marks say them again. */
  readonly nodes: readonly Uint8Array[];
  readonly held: StoredRecord;
  /** The sibling of a fork, as evidence. */
  readonly sibling: StoredRecord | undefined;
  /**
   * What the core knows beside the records, at most 256 KiB. Empty when an earlier version of the
   * daemon stored the domain.
   */
  readonly frame: Uint8Array;
}

/** What was held of a trust domain, as the marks tell it when the store lost it. */
export interface Mark extends Version {
  readonly trustDomain: TrustDomain;
  /** 64 hex digits. */
  readonly lineage: string;
  readonly recordId: string;
  /** Of the step record before it; undefined when there was none. */
  readonly baseId: string | undefined;
  /** Ed25519 public keys, at most 16: who to ask for it. */
  readonly nodes: readonly Uint8Array[];
  /** With at most two address hints. Undefined for the own trust domain. */
  readonly pin: Pin | undefined;
}

export interface StoredContents {
  readonly pins: readonly Pin[];
  readonly domains: readonly StoredDomain[];
  /** As `saveHeadCounter` left it, or lower where the store was lost; 0n before. */
  readonly headCounter: bigint;
  /** Trust domains that the marks name and the store lacks, or holds in an older version. */
  readonly missing: readonly Mark[];
  /**
   * Why the store that was there is not the one that was opened, and where it lies now. Only after
   * the opening that put it there; what it held is in `missing`, and its own trust domain is restored.
   */
  readonly quarantined: string | undefined;
  /** The marks were lost or damaged, and were made anew from what is stored. */
  readonly marksLost: boolean;
}

/** A step record without its envelope. */
export interface StepEntry extends Version {
  /** 64 hex digits. */
  readonly recordId: string;
  readonly envelopeBytes: number;
  /** When its version was stored first: Unix time in ms; 0 when an earlier version of the daemon stored it. */
  readonly storedAtMs: number;
}

/** How much of a trust domain's step records there is room for. */
export interface StepRoom {
  readonly records: number;
  readonly bytes: number;
}

/**
 * Which step records stay when there are too many: some of those given, which ascend by version. What
 * of them is still too much goes by age, and the record that is held stays anyway.
 */
export type ThinSteps = (steps: readonly StoredRecord[], room: StepRoom) => readonly StoredRecord[];

export interface RecordStore {
  /** Everything but the step records. */
  load(): Promise<StoredContents>;
  /**
   * Writes what is held of one trust domain now, its pin if given, and adds the held record to the
   * step records: at most 64, and 4 MiB. The first record of each epoch goes last.
   *
   * @param start The step records begin anew: a first record, a record pinned, a new lineage. Otherwise
   *   the version is not below the one held.
   */
  accept(domain: StoredDomain, pin: Pin | undefined, start: boolean): Promise<void>;
  /** Forgets a trust domain: pin, records, steps and mark. */
  remove(trustDomain: TrustDomain): Promise<void>;
  /** Keeps the counter of the own heads. */
  saveHeadCounter(counter: bigint): Promise<void>;
  /**
   * Resolves when the marks hold everything that was accepted or removed so far. Rejects when they
   * cannot be written; the next call tries again. Nothing else waits for it.
   */
  marked(): Promise<void>;
  /** A record of this id, 32 bytes: held, its sibling, or among the steps. */
  record(trustDomain: TrustDomain, recordId: Uint8Array): Promise<StoredRecord | undefined>;
  /** The step records without their envelopes, in version order. The last is held. */
  history(trustDomain: TrustDomain): Promise<readonly StepEntry[]>;
  /** Accepted records above a version, in version order, at most `limit`. */
  stepsAbove(
    trustDomain: TrustDomain,
    above: Version,
    limit: number,
  ): Promise<readonly StoredRecord[]>;
  close(): Promise<void>;
}
