/** SPIRE's Bundle message and the core's trust bundle, one from the other. */
import type { TrustBundle } from "../core/spiffe/trust-bundle.ts";
import type { TrustDomain } from "../core/spiffe/trust-domain.ts";
import type {
  Bundle,
  BundleSchema,
  FederationRelationship,
  MessageInitShape,
} from "../spire-api/services.ts";

/** Reads what SPIRE says of a trust domain, whose name the caller has checked. */
export function toTrustBundle(trustDomain: TrustDomain, message: Bundle): TrustBundle {
  return {
    trustDomain,
    sequenceNumber: message.sequenceNumber,
    x509Authorities: message.x509Authorities.map(({ asn1, tainted }) => ({ der: asn1, tainted })),
    jwtAuthorities: message.jwtAuthorities.map(({ keyId, publicKey, expiresAt, tainted }) => ({
      keyId,
      spki: publicKey,
      expiresAtS: toSafeSeconds(expiresAt),
      tainted,
    })),
  };
}

/** What an entry takes besides its bytes, also an empty one: some 300 of heap (measured). Our guess. */
const ENTRY_BYTES = 64;

/** What listed rows take: names, addresses, certificates and keys, and a price for each entry. */
export function bytesOf(rows: readonly (Bundle | FederationRelationship)[]): number {
  return rows.reduce((sum, row) => sum + bytesOfRow(row), 0);
}

function bytesOfRow(row: Bundle | FederationRelationship): number {
  if ("bundleEndpointUrl" in row) {
    const bundle = row.trustDomainBundle;
    const named = row.trustDomain.length + row.bundleEndpointUrl.length;
    return ENTRY_BYTES + named + (bundle === undefined ? 0 : bytesOfRow(bundle));
  }
  const entries = [
    row.trustDomain.length,
    ...row.x509Authorities.map(({ asn1 }) => asn1.length),
    ...row.jwtAuthorities.map(({ keyId, publicKey }) => keyId.length + publicKey.length),
  ];
  return entries.reduce((sum, length) => sum + ENTRY_BYTES + length, 0);
}

/** What SPIRE is asked to store. It drops the taint, and the row has no refresh hint (measured). */
export function toBundleMessage(bundle: TrustBundle): MessageInitShape<typeof BundleSchema> {
  return {
    trustDomain: bundle.trustDomain,
    sequenceNumber: bundle.sequenceNumber,
    x509Authorities: bundle.x509Authorities.map(({ der, tainted }) => ({ asn1: der, tainted })),
    jwtAuthorities: bundle.jwtAuthorities.map(({ keyId, spki, expiresAtS, tainted }) => ({
      keyId,
      publicKey: spki,
      expiresAt: BigInt(expiresAtS),
      tainted,
    })),
  };
}

/** Seconds as a number. What lies beyond 2^53 − 1, 285 million years, is kept as just that. */
function toSafeSeconds(seconds: bigint): number {
  const most = BigInt(Number.MAX_SAFE_INTEGER);
  if (seconds > most) return Number.MAX_SAFE_INTEGER;
  return seconds < -most ? -Number.MAX_SAFE_INTEGER : Number(seconds);
}
