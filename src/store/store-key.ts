/**
 * Keys of the level store. A trust domain name stands in them with its length in front, so no name
 * is another's prefix, and `__proto__`, `.` and `..` are names like all others.
 *
 *     d ‖ length ‖ name                                   what is held of a trust domain
 *     m                                                   the store about itself
 *     p ‖ length ‖ name                                   its pin
 *     s ‖ length ‖ name ‖ epoch ‖ rev ‖ sequence          one step record; big-endian, so that a
 *                                                         range of keys is in version order
 */
import assert from "node:assert/strict";
import type { Version } from "../core/record/state.ts";
import { type TrustDomain, readTrustDomain } from "../core/spiffe/trust-domain.ts";
import { concatBytes, toUtf8 } from "../core/std/bytes.ts";

const DOMAIN = 0x64;
const META = 0x6d;
const PIN = 0x70;
const STEP = 0x73;
const VERSION_BYTES = 4 + 4 + 8;

export const META_KEY: Uint8Array = Uint8Array.of(META);

/** Everything but the step records, as a range for an iterator. */
export const BELOW_STEPS = { lt: Uint8Array.of(STEP) } as const;
/** Where no key of ours is. */
export const ABOVE_STEPS = { gte: Uint8Array.of(STEP + 1) } as const;

export function domainKey(trustDomain: TrustDomain): Uint8Array {
  return named(DOMAIN, trustDomain);
}

export function pinKey(trustDomain: TrustDomain): Uint8Array {
  return named(PIN, trustDomain);
}

export function stepKey(trustDomain: TrustDomain, version: Version): Uint8Array {
  const bytes = new Uint8Array(VERSION_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, version.epoch);
  view.setUint32(4, version.rev);
  view.setBigUint64(8, version.sequence);
  return concatBytes(named(STEP, trustDomain), bytes);
}

/** All step records of one trust domain, as a range for an iterator. */
export function stepRange(trustDomain: TrustDomain): { gte: Uint8Array; lte: Uint8Array } {
  const highest = { epoch: 2 ** 32 - 1, rev: 2 ** 32 - 1, sequence: 2n ** 64n - 1n };
  const lowest = { epoch: 0, rev: 0, sequence: 0n };
  return { gte: stepKey(trustDomain, lowest), lte: stepKey(trustDomain, highest) };
}

export type ReadKey =
  | { readonly kind: "domain" | "pin"; readonly trustDomain: TrustDomain }
  | { readonly kind: "meta" };

/** What a key other than a step's stands for; undefined when this version never writes such a key. */
export function readKey(key: Uint8Array): ReadKey | undefined {
  const [prefix, length] = key;
  if (prefix === META && length === undefined) return { kind: "meta" };
  if (prefix !== DOMAIN && prefix !== PIN) return undefined;
  const trustDomain = readTrustDomain(Buffer.from(key.subarray(2)).toString("latin1"));
  if (trustDomain === undefined || trustDomain.length !== length) return undefined;
  return { kind: prefix === DOMAIN ? "domain" : "pin", trustDomain };
}

function named(prefix: number, trustDomain: TrustDomain): Uint8Array {
  const name = toUtf8(trustDomain);
  assert(name.length >= 1 && name.length <= 255, "a trust domain name has 1 to 255 characters");
  return concatBytes(Uint8Array.of(prefix, name.length), name);
}
