/** Bytes that no writer made: damage without knowledge of what the bytes say. */
import { concatBytes, equalBytes } from "../../src/core/std/bytes.ts";
import type { Random } from "./random.ts";

/** Numbers at which readers of lengths and signs go wrong. */
const EDGES = [0x00, 0x01, 0x7f, 0x80, 0x81, 0x82, 0x9f, 0xbf, 0xf4, 0xf6, 0xfb, 0xff];
const NOISE_BYTES_MAX = 600;
const PATCH_BYTES_MAX = 12;

type Damage = (bytes: Uint8Array, random: Random) => Uint8Array;

const DAMAGES: readonly Damage[] = [
  (bytes, random) => bytes.slice(0, random.below(bytes.length + 1)),
  (bytes, random) => bytes.slice(random.below(bytes.length + 1)),
  (bytes, random) => changed(bytes, random, (byte) => byte ^ (1 << random.below(8))),
  (bytes, random) => changed(bytes, random, () => random.below(256)),
  (bytes, random) => changed(bytes, random, () => random.pick(EDGES)),
  // Most length fields differ from a wrong one by little.
  (bytes, random) => changed(bytes, random, (byte) => byte + random.pick([-2, -1, 1, 2])),
  (bytes, random) =>
    replaced(bytes, random, () => random.bytes(random.between(1, PATCH_BYTES_MAX))),
  (bytes, random) => inserted(bytes, random, random.bytes(random.between(1, PATCH_BYTES_MAX))),
  (bytes, random) => inserted(bytes, random, piece(bytes, random)),
  (bytes, random) => replaced(bytes, random, () => piece(bytes, random)),
  (bytes, random) => replaced(bytes, random, () => new Uint8Array()),
  (bytes, random) => concatBytes(bytes, random.bytes(random.between(1, PATCH_BYTES_MAX))),
  (bytes) => concatBytes(bytes, bytes),
];

/** Noise once in sixteen times, else one to four damages of `valid`, which it never is. */
export function rawMutant(valid: Uint8Array, other: Uint8Array, random: Random): Uint8Array {
  if (random.oneIn(16)) return random.bytes(random.below(NOISE_BYTES_MAX));
  let bytes = random.oneIn(8) ? spliced(valid, other, random) : valid;
  let damages = random.oneIn(2) ? 1 : random.between(2, 4);
  while (damages > 0 || equalBytes(bytes, valid) || equalBytes(bytes, other)) {
    bytes = random.pick(DAMAGES)(bytes, random);
    damages -= 1;
  }
  return bytes;
}

function spliced(left: Uint8Array, right: Uint8Array, random: Random): Uint8Array {
  const cut = random.below(left.length + 1);
  return concatBytes(left.subarray(0, cut), right.subarray(Math.min(cut, right.length)));
}

function changed(bytes: Uint8Array, random: Random, change: (byte: number) => number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  const at = random.below(copy.length + 1);
  if (at < copy.length) copy[at] = change(copy[at] ?? 0);
  return copy;
}

function replaced(bytes: Uint8Array, random: Random, by: () => Uint8Array): Uint8Array {
  const start = random.below(bytes.length + 1);
  const end = Math.min(bytes.length, start + random.between(1, PATCH_BYTES_MAX));
  return concatBytes(bytes.subarray(0, start), by(), bytes.subarray(end));
}

function inserted(bytes: Uint8Array, random: Random, more: Uint8Array): Uint8Array {
  const at = random.below(bytes.length + 1);
  return concatBytes(bytes.subarray(0, at), more, bytes.subarray(at));
}

function piece(bytes: Uint8Array, random: Random): Uint8Array {
  const start = random.below(bytes.length + 1);
  return bytes.subarray(start, start + random.below(64));
}
