/**
 * What a write has to know of its trust domain: the step records to keep or prune, and the hashes
 * that its values have in the sum over all of them.
 */
import { compareVersions } from "../core/record/state.ts";
import type { TrustDomain } from "../core/spiffe/trust-domain.ts";
import { BoundedMap } from "../core/std/bounded-map.ts";
import { STEP_BYTES_MAX, STEP_RECORDS_MAX } from "../core/std/limits.ts";
import type { StoredRecord } from "../ports/record-store.ts";
import type { Database } from "./store-database.ts";
import { domainKey, pinKey } from "./store-key.ts";
import { type StepEntry, domainCodec, sealHash, unseal } from "./stored-value.ts";

/** What is stored of one trust domain, as far as a write has to know it. Hashes of sealed values. */
export interface Known {
  readonly steps: readonly StepEntry[];
  readonly domainHash: Uint8Array | undefined;
  readonly pinHash: Uint8Array | undefined;
}

export const NOTHING: Known = { steps: [], domainHash: undefined, pinHash: undefined };
/** Those of a burst, at 6 KiB. Above: the one written the longest ago is read before its next write. */
const KNOWN_MAX = 64;

/** Trust domains of which what was written last need not be read back. */
export class KnownDomains extends BoundedMap<TrustDomain, Known> {
  constructor() {
    super(KNOWN_MAX);
  }
}

/** Reads it. Throws `STORE_DAMAGED` when a value is not what was written. */
export async function readKnown(database: Database, trustDomain: TrustDomain): Promise<Known> {
  const key = domainKey(trustDomain);
  const [domain, pin] = await database.getMany([key, pinKey(trustDomain)]);
  return {
    steps: domain === undefined ? [] : unseal(domainCodec, key, domain).steps,
    domainHash: domain && sealHash(domain),
    pinHash: pin && sealHash(pin),
  };
}

/**
 * The step records after `held` was accepted: those below it, then it. What is not below is no step
 * towards it any more. Bounded by number and bytes, the oldest go first.
 */
export function stepsWith(held: StoredRecord, steps: readonly StepEntry[]): readonly StepEntry[] {
  const { epoch, rev, sequence, envelope } = held;
  const kept = steps.filter((step) => compareVersions(step, held) < 0);
  let bytes = kept.reduce((total, step) => total + step.envelopeBytes, envelope.length);
  while (kept.length >= STEP_RECORDS_MAX || bytes > STEP_BYTES_MAX) {
    bytes -= kept.shift()?.envelopeBytes ?? 0;
  }
  return [...kept, { epoch, rev, sequence, envelopeBytes: envelope.length }];
}

/** Adds a value's hash to a sum, or takes it out: XOR does both. */
export function addTo(sum: Uint8Array, hash: Uint8Array): void {
  for (const [index, byte] of hash.entries()) sum[index] = (sum[index] ?? 0) ^ byte;
}
