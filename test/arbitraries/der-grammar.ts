/**
 * Builds arbitraries of DER from the grammar of a standard: each part mostly as it should be, and now
 * and then not. What is made of several such parts is still whole often enough.
 */
import * as fc from "fast-check";
import { sequence, tlv } from "./der.ts";

export type Der = fc.Arbitrary<Buffer>;

/** Of so many choices one is a shape that the standard does not want. */
export const ODD_ONE_IN = 120;

export function mostly(good: Der, ...odd: readonly Der[]): Der {
  return fc.oneof(
    { weight: ODD_ONE_IN - 1, arbitrary: good },
    { weight: 1, arbitrary: fc.oneof(...odd) },
  );
}

export function optionally(part: Der): Der {
  return fc.oneof(part, fc.constant(Buffer.of()));
}

/** Sequences and sets of parts that are generated one by one. */
export function joined(
  wrap: (...parts: readonly Uint8Array[]) => Buffer,
  ...parts: readonly Der[]
): Der {
  return fc.tuple(...parts).map((each) => wrap(...each));
}

export function listOf(
  item: Der,
  {
    min = 1,
    max = 3,
    wrap = sequence,
  }: { min?: number; max?: number; wrap?: typeof sequence } = {},
): Der {
  const items = fc.array(item, { minLength: min, maxLength: max }).map((each) => wrap(...each));
  return min === 0 ? items : mostly(items, fc.constant(wrap()));
}

export const tagged =
  (tag: number) =>
  (...parts: readonly Uint8Array[]) =>
    tlv(tag, ...parts);
export const bytes = (minLength: number, maxLength: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength, maxLength });
export const constant = (hex: string): Der => fc.constant(Buffer.from(hex, "hex"));
