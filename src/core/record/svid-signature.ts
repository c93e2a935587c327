/**
 * The one form of an SVID's signature, ECDSA P-256 as r‖s: (r, n − s) verifies as well as (r, s), and
 * whoever flips it would have made a new message of an old one.
 */
import { concatBytes, fromHex, toHex } from "../std/bytes.ts";

const SCALAR_BYTES = 32;
/** n, the order of P-256's base point (SP 800-186, 3.2.1.3). */
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

/** r‖s with 0 < r < n and 0 < s ≤ n/2. Both scalars have 32 bytes. */
export function isCanonicalSvidSignature(signature: Uint8Array): boolean {
  const [r, s] = scalarsOf(signature);
  return r > 0n && r < ORDER && s > 0n && s <= ORDER / 2n;
}

/** The same signature with the smaller s. */
export function toCanonicalSvidSignature(signature: Uint8Array): Uint8Array {
  const [, s] = scalarsOf(signature);
  if (s <= ORDER / 2n) return signature;
  const lowS = (ORDER - s).toString(16).padStart(2 * SCALAR_BYTES, "0");
  return concatBytes(signature.subarray(0, SCALAR_BYTES), fromHex(lowS));
}

function scalarsOf(signature: Uint8Array): readonly [r: bigint, s: bigint] {
  return [
    toScalar(signature.subarray(0, SCALAR_BYTES)),
    toScalar(signature.subarray(SCALAR_BYTES)),
  ];
}

function toScalar(bytes: Uint8Array): bigint {
  return BigInt(`0x${toHex(bytes)}`);
}
