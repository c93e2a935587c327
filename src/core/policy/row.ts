/**
 * The SPIRE row of an accepted trust domain: what stands, in a fork what all records of that version
 * say, without what had been taken back. Rows of domains that nobody approved do not exist; every
 * later cause of a row belongs into this file.
 */
import { compareBytes } from "../std/bytes.ts";
import { sha256 } from "../std/sha256.ts";
import { returned, without } from "../resolver/gone.ts";
import type { Slot } from "../resolver/slot.ts";
import type { TrustBundle } from "../spiffe/trust-bundle.ts";

/**
 * What SPIRE's row shall hold: the authorities that have not expired, tainted ones included, sorted
 * by hash, under the record's sequence number.
 *
 * @returns undefined when every X.509 authority has expired: the row stays as it was last written.
 *   An empty bundle is never written, as it fails the Workload API of *local* workloads (measured).
 */
export function desiredRow(
  { effective, gone }: Pick<Slot, "effective" | "gone">,
  nowS: number,
): TrustBundle | undefined {
  const { state, authorities } = without(effective, returned(effective, gone));
  const x509Authorities = authorities
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
