/**
 * The order of everything that sync compares: first the bucket of a trust domain, the first byte of
 * SHA-256(name), then the name in CBOR, where shorter ones come first. Entries of one bucket so ascend
 * by their own bytes, too, and a bit for each of several names stands in this order (docs/protocol.md 5).
 * Pure.
 */
import { toUtf8 } from "../core/std/bytes.ts";
import { SHA256_BYTES, sha256 } from "../core/std/sha256.ts";

export const BUCKETS = 256;
/** The hashes of all buckets, one behind the other. */
export const HASHES_BYTES = BUCKETS * SHA256_BYTES;

export function bucketOf(name: string): number {
  return sha256(toUtf8(name))[0] ?? 0;
}

/** What names, of at most 255 ASCII characters, are sorted by: bytewise, as they are below 256 each. */
function orderKey(name: string): string {
  return String.fromCharCode(bucketOf(name), name.length) + name;
}

/** The same in bytes. */
export function syncOrder(name: string): Uint8Array {
  return Buffer.from(orderKey(name), "latin1");
}

export function comesBehind(name: string, other: string): boolean {
  return orderKey(name) > orderKey(other);
}

/** A copy of the items in sync order. */
export function inSyncOrder<Item>(
  items: Iterable<Item>,
  nameOf: (item: Item) => string,
): readonly Item[] {
  return [...items]
    .map((item) => ({ item, key: orderKey(nameOf(item)) }))
    .sort((left, right) => (left.key < right.key ? -1 : 1))
    .map(({ item }) => item);
}

/** How many bytes take a bit for each of so many. */
export function bytesForBits(count: number): number {
  return Math.ceil(count / 8);
}

/** The first bit is the highest of the first byte. */
export function hasBit(bits: Uint8Array, index: number): boolean {
  return ((bits[index >> 3] ?? 0) & (0x80 >> (index & 7))) !== 0;
}

export function setBit(bits: Uint8Array, index: number): void {
  bits[index >> 3] = (bits[index >> 3] ?? 0) | (0x80 >> (index & 7));
}
