/**
 * The SPIRE row of an accepted trust domain. Rows of domains
 * that nobody approved do not exist; every later cause of a row belongs into this file.
 */
import { compareBytes } from "../std/bytes.ts";
import { sha256 } from "../std/sha256.ts";
import type { VerifiedRecord } from "../record/verify.ts";
import type { TrustBundle } from "../spiffe/trust-bundle.ts";

/**
 * What SPIRE's row shall hold: the authorities that have not expired, tainted ones included, sorted
 * by hash, under the record's sequence number.
 *
 * @returns undefined when every X.509 authority has expired: the row stays as it was last written.
 *   An empty bundle is never written, as it fails the Workload API of *local* workloads (measured).
 */
export function desiredRow(held: VerifiedRecord, nowS: number): TrustBundle | undefined {
  const { state } = held.record;
  const x509Authorities = held.authorities
    .filter(({ facts }) => facts.notAfterS >= nowS)
    .map(({ facts, tainted }) => ({ der: facts.der, tainted }))
    .sort((left, right) => compareBytes(sha256(left.der), sha256(right.der)));
  if (x509Authorities.length === 0) return undefined;
  return {
    trustDomain: state.trustDomain,
    sequenceNumber: state.version.sequence,
    x509Authorities,
    jwtAuthorities: state.jwtAuthorities.filter(
      ({ expiresAtS }) => expiresAtS === 0 || expiresAtS >= nowS,
    ),
  };
}
