/** What is stored of one trust domain: read from its value and its step records, and batches for them. */
import type { Pin } from "../core/mesh/partner.ts";
import { compareVersions } from "../core/record/state.ts";
import type { TrustDomain } from "../core/spiffe/trust-domain.ts";
import { Fault } from "../fault.ts";
import type {
  StepEntry,
  StepRoom,
  StoredDomain,
  StoredRecord,
  ThinSteps,
} from "../ports/record-store.ts";
import type { WriteSet } from "./batches.ts";
import { type Known, NOTHING, thinned } from "./known-domain.ts";
import { type Change, type Database, readValue } from "./store-database.ts";
import { damagedValue } from "./store-fault.ts";
import { domainKey, pinKey, stepKey, stepRange } from "./store-key.ts";
import {
  type DomainValue,
  domainCodec,
  pinCodec,
  seal,
  sealHash,
  stepCodec,
  unseal,
} from "./stored-value.ts";

type Snapshot = ReturnType<Database["snapshot"]>;

/** What stands in a trust domain's value; undefined when nothing is held of it. */
export async function readDomain(
  database: Database,
  trustDomain: TrustDomain,
  snapshot?: Snapshot,
): Promise<DomainValue | undefined> {
  const key = domainKey(trustDomain);
  const sealed = await readValue(database, key, snapshot);
  return sealed && unseal(domainCodec, key, sealed);
}

/** Step records that the value lists. Throws `STORE_DAMAGED` when one is not there as it was written. */
export async function readSteps(
  database: Database,
  trustDomain: TrustDomain,
  steps: readonly StepEntry[],
  snapshot: Snapshot,
): Promise<readonly StoredRecord[]> {
  const keys = steps.map((step) => stepKey(trustDomain, step));
  const sealed = await database.getMany(keys, { snapshot });
  return keys.map((key, index) => unsealStep(key, sealed[index]));
}

/** Replaces what is held, and its pin if given. */
export function acceptance(
  before: Known,
  domain: StoredDomain & DomainValue,
  pin: Pin | undefined,
): WriteSet {
  const { trustDomain, held } = domain;
  const key = stepKey(trustDomain, held);
  const step = { key, value: seal(stepCodec, key, held) };
  const { changes, after } = replacement(before, trustDomain, domain);
  if (pin === undefined) return { changes: [...changes, step], after };
  const keyOfPin = pinKey(trustDomain);
  const value = seal(pinCodec(trustDomain), keyOfPin, pin);
  return {
    changes: [...changes, step, { key: keyOfPin, value }],
    after: { ...after, pinHash: sealHash(value) },
  };
}

/** Writes a trust domain's value, and deletes the step records that it no longer lists. */
export function replacement(
  before: Known,
  trustDomain: TrustDomain,
  domain: DomainValue,
): WriteSet {
  const key = domainKey(trustDomain);
  const value = seal(domainCodec, key, domain);
  const { steps } = domain;
  const deleted = before.steps
    .filter((old) => steps.every((step) => compareVersions(old, step) !== 0))
    .map((old): Change => ({ key: stepKey(trustDomain, old), value: undefined }));
  return {
    changes: [...deleted, { key, value }],
    after: { ...before, steps, domainHash: sealHash(value) },
  };
}

/** Deletes all of it. */
export async function removal(database: Database, trustDomain: TrustDomain): Promise<WriteSet> {
  const steps = await database.keys(stepRange(trustDomain)).all();
  const keys = [domainKey(trustDomain), pinKey(trustDomain), ...steps];
  return { changes: keys.map((key) => ({ key, value: undefined })), after: NOTHING };
}

/**
 * The steps that stay in this room.
 *
 * @param held The record of the last step, which may not be stored yet.
 */
export async function stepsWithin(
  database: Database,
  trustDomain: TrustDomain,
  steps: readonly StepEntry[],
  held: StoredRecord,
  room: StepRoom,
  thin: ThinSteps,
): Promise<readonly StepEntry[]> {
  const keys = steps.slice(0, -1).map((step) => stepKey(trustDomain, step));
  const sealed = await database.getMany(keys);
  const records = keys.flatMap((key, index) => readableStep(key, sealed[index]));
  return thinned(steps, [...records, held], room, thin);
}

/** A step that cannot be read leads nobody on: it is the first to go. */
function readableStep(key: Uint8Array, sealed: Uint8Array | undefined): readonly StoredRecord[] {
  try {
    return [unsealStep(key, sealed)];
  } catch (error) {
    if (error instanceof Fault) return [];
    throw error;
  }
}

function unsealStep(key: Uint8Array, sealed: Uint8Array | undefined): StoredRecord {
  if (sealed === undefined) throw damagedValue(key, "is gone");
  return unseal(stepCodec, key, sealed);
}
