/** Keys for node:crypto. */
import { type KeyObject, createPublicKey } from "node:crypto";

/**
 * Makes a key object of a SubjectPublicKeyInfo that passed the gate. It goes as PEM: given an object
 * with DER, Node 24 throws and catches four errors on the way, 46 instead of 16 µs (measured).
 */
export function makeKeyObject(spki: Uint8Array): KeyObject {
  const base64 = Buffer.from(spki).toString("base64");
  return createPublicKey(`-----BEGIN PUBLIC KEY-----\n${base64}\n-----END PUBLIC KEY-----\n`);
}
