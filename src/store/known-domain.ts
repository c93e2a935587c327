/**
 * What a write has to know of its trust domain: the step records to keep or thin, and the hashes
 * that its values have in the sum over all of them.
 */
import { type Version, compareVersions } from "../core/record/state.ts";
import type { TrustDomain } from "../core/spiffe/trust-domain.ts";
import { BoundedMap } from "../core/std/bounded-map.ts";
import { STEP_BYTES_MAX, STEP_RECORDS_MAX } from "../core/std/limits.ts";
import type { StepEntry, StepRoom, StoredRecord, ThinSteps } from "../ports/record-store.ts";
import type { Database } from "./store-database.ts";
import { domainKey, pinKey } from "./store-key.ts";
import { domainCodec, sealHash, unseal } from "./stored-value.ts";

/** What is stored of one trust domain, as far as a write has to know it. Hashes of sealed values. */
export interface Known {
  readonly steps: readonly StepEntry[];
  readonly domainHash: Uint8Array | undefined;
  readonly pinHash: Uint8Array | undefined;
}

export const NOTHING: Known = { steps: [], domainHash: undefined, pinHash: undefined };
/** Those of a burst, at 16 KiB. Above: the one written the longest ago is read before its next write. */
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

/** What one trust domain's step records may take. */
const ROOM: StepRoom = { records: STEP_RECORDS_MAX, bytes: STEP_BYTES_MAX };
/** What is left of a bound when it was reached: a quarter of it comes and goes at a time. */
const LEFT = 3 / 4;

/**
 * The step records once `held` was accepted: those below it, then it. What is not below is no step
 * towards it any more.
 */
export function stepsWith(
  held: StoredRecord,
  steps: readonly StepEntry[],
  nowMs: number,
): readonly StepEntry[] {
  const { epoch, rev, sequence, recordId, envelope } = held;
  const below = steps.filter((step) => compareVersions(step, held) < 0);
  const before = steps.find((step) => isSameVersion(step, held) && step.recordId === recordId);
  const storedAtMs = before?.storedAtMs ?? nowMs; // Another block of it came, no other version.
  return [...below, { epoch, rev, sequence, recordId, envelopeBytes: envelope.length, storedAtMs }];
}

/** The room to thin step records to; undefined when they are within their bounds. */
export function tooMany(steps: readonly StepEntry[]): StepRoom | undefined {
  return isWithin(steps, ROOM)
    ? undefined
    : { records: ROOM.records * LEFT, bytes: ROOM.bytes * LEFT };
}

/** The room of a history that has to give way to others: less than it takes. */
export function lessThan(steps: readonly StepEntry[]): StepRoom {
  return {
    records: steps.length,
    bytes: Math.floor(bytesBelowHeld(steps) * LEFT) + heldBytes(steps),
  };
}

/** What step records take on disk beside the held one, which is kept anyway. */
export function bytesBelowHeld(steps: readonly StepEntry[]): number {
  return bytesOf(steps) - heldBytes(steps);
}

/**
 * The steps that stay: those that `thin` chose of the records, as far as there is room. The last is held
 * and stays anyway; of the others the first record of an epoch goes last, as no other leads into it,
 * and the oldest first.
 *
 * @param records Of these steps, those that can be read.
 */
export function thinned(
  steps: readonly StepEntry[],
  records: readonly StoredRecord[],
  room: StepRoom,
  thin: ThinSteps,
): readonly StepEntry[] {
  const held = steps.at(-1);
  const readable = steps.filter((step) => step === held || isAmong(records, step));
  const firsts = new Set(
    readable.filter((step, index) => step.epoch > (readable[index - 1]?.epoch ?? 0)),
  );
  const chosen = thin(records, room);
  const kept = readable.filter(
    (step) => step === held || firsts.has(step) || isAmong(chosen, step),
  );
  while (kept.length > 1 && !isWithin(kept, room)) {
    const next = kept.findIndex((step) => step !== held && !firsts.has(step));
    kept.splice(Math.max(next, 0), 1);
  }
  return kept;
}

function isAmong(records: readonly StoredRecord[], step: StepEntry): boolean {
  return records.some((record) => isSameVersion(record, step));
}

function isSameVersion(left: Version, right: Version): boolean {
  return compareVersions(left, right) === 0;
}

function isWithin(steps: readonly StepEntry[], room: StepRoom): boolean {
  return steps.length <= room.records && bytesOf(steps) <= room.bytes;
}

function bytesOf(steps: readonly StepEntry[]): number {
  return steps.reduce((total, { envelopeBytes }) => total + envelopeBytes, 0);
}

function heldBytes(steps: readonly StepEntry[]): number {
  return steps.at(-1)?.envelopeBytes ?? 0;
}

/** Adds a value's hash to a sum, or takes it out: XOR does both. */
export function addTo(sum: Uint8Array, hash: Uint8Array): void {
  for (const [index, byte] of hash.entries()) sum[index] = (sum[index] ?? 0) ^ byte;
}
