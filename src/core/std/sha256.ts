/** SHA-256, the only hash in the protocol. Synchronous and pure: the core may use it. */
import { hash } from "node:crypto";

export const SHA256_BYTES = 32;

export function sha256(bytes: Uint8Array): Uint8Array {
  return Uint8Array.from(hash("sha256", bytes, "buffer"));
}

/** SHA-256 as 64 lower-case hex digits. */
export function sha256Hex(bytes: Uint8Array): string {
  return hash("sha256", bytes, "hex");
}
