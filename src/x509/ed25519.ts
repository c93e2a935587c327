/**
 * Ed25519 as the protocol has it (RFC 8032, cofactorless): node:crypto verifies the equation, and
 * this file refuses what verifiers are known to disagree about, so that all daemons agree: encodings
 * that are not canonical, S not reduced, and public keys of small order, under which one signature
 * fits every message.
 */
import { type KeyObject, verify } from "node:crypto";
import { BoundedMap } from "../core/std/bounded-map.ts";
import { concatBytes, fromHex, toHex } from "../core/std/bytes.ts";
import { makeKeyObject } from "./key-object.ts";

const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;

/** 2^255 − 19, the field; and the order of the base point (RFC 8032, 5.1). */
const P = 2n ** 255n - 19n;
const L = 2n ** 252n + 27742317777372353535851937790883648493n;

/**
 * The y coordinates of the eight points whose order divides 8: 0, 1, −1 and the two of order 8.
 * A point and its negative share one, so the sign bit is left out.
 */
const ORDER_8_Y = readLittleEndian(
  fromHex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
);
const SMALL_ORDER_Y: ReadonlySet<bigint> = new Set([0n, 1n, P - 1n, ORDER_8_Y, P - ORDER_8_Y]);

/** The two points whose x is 0, with a sign: 2^255 more than y. */
const SIGNED_ZERO: ReadonlySet<bigint> = new Set([2n ** 255n + 1n, 2n ** 255n + P - 1n]);

/** DER up to the key's 32 bytes (RFC 8410). */
const SPKI_HEAD = fromHex("302a300506032b6570032100");

/**
 * Nodes of a mesh of a thousand trust domains, about 1 KiB each (measured). Above: the one that
 * verified nothing for the longest goes, and is made again on demand.
 */
const KEY_OBJECTS_MAX = 2_048;
/**
 * Key objects of node keys that have verified something, by hex: a node signs for months, and making
 * an object and its first use cost a third of a verification (measured). What did not verify is not
 * kept, so nobody fills this with keys of others.
 */
const keyObjects = new BoundedMap<string, KeyObject>(KEY_OBJECTS_MAX);

/** Whether 32 bytes are the canonical encoding of a point that is not of small order. */
export function isUsablePoint(bytes: Uint8Array): boolean {
  if (bytes.length !== KEY_BYTES) return false;
  const y = BigInt.asUintN(255, readLittleEndian(bytes)); // The last bit is the sign of x.
  return y < P && !SMALL_ORDER_Y.has(y);
}

/** Verifies strictly. `publicKey` is 32 bytes, `signature` 64; other lengths are false. */
export function verifiesEd25519(
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (!isUsablePoint(publicKey) || !isCanonicalSignature(signature)) return false;
  const hex = toHex(publicKey);
  const key = keyObjects.get(hex) ?? makeKeyObject(concatBytes(SPKI_HEAD, publicKey));
  const verifies = verify(null, message, key, signature);
  if (verifies) keyObjects.set(hex, key);
  return verifies;
}

/**
 * Whether 64 bytes are R in its canonical encoding, y < p and no sign where x is 0, and S < L.
 * OpenSSL refuses others too (measured): the rule stands here so that it does not change with it.
 */
export function isCanonicalSignature(bytes: Uint8Array): boolean {
  if (bytes.length !== SIGNATURE_BYTES) return false;
  const r = readLittleEndian(bytes.subarray(0, KEY_BYTES));
  const s = readLittleEndian(bytes.subarray(KEY_BYTES));
  return BigInt.asUintN(255, r) < P && !SIGNED_ZERO.has(r) && s < L;
}

function readLittleEndian(bytes: Uint8Array): bigint {
  return BigInt(`0x${toHex(bytes.toReversed())}`);
}
