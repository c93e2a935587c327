/**
 * What survives a restart. One call is one batch that is on disk when its promise resolves; a batch
 * is whole or absent after a crash. One that rejects has changed nothing: the store takes it back
 * before it writes or closes again, if the disk lets it. Rejects with `STORE_DAMAGED` when a value does not match its
 * hash, and `STORE_FULL` when the disk is.
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
  readonly held: StoredRecord;
  /** The accepted record before `held`, encoded; undefined when `held` is a first record. */
  readonly base: StoredRecord | undefined;
  /** The sibling of a fork, as evidence. */
  readonly sibling: StoredRecord | undefined;
}

export interface StoredContents {
  readonly pins: readonly Pin[];
  readonly domains: readonly StoredDomain[];
}

export interface RecordStore {
  /** Everything but the step records. */
  load(): Promise<StoredContents>;
  /**
   * Writes what is held of one trust domain now, its pin if given, and adds the held record to the
   * step records, of which the last 64 are kept.
   */
  accept(domain: StoredDomain, pin: Pin | undefined): Promise<void>;
  /** Forgets a trust domain: pin, records and steps. */
  remove(trustDomain: TrustDomain): Promise<void>;
  /** Accepted records above a version, in version order, at most `limit`. */
  stepsAbove(
    trustDomain: TrustDomain,
    above: Version,
    limit: number,
  ): Promise<readonly StoredRecord[]>;
  close(): Promise<void>;
}
