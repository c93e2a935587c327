/** Trust domain names and the two SPIFFE IDs that the mesh asks for. */

/** A trust domain's name alone, such as `example.org`: checked, lower case, at most 255 characters. */
export type TrustDomain = string & { readonly __brand: "TrustDomain" };

/**
 * The whole of a trust domain name (SPIFFE-ID 2.1 and 2.3). `__proto__`, `.` and `..` are valid names,
 * so a name is never an object key and never a file name.
 */
export const TRUST_DOMAIN_NAME = /^[a-z0-9._-]{1,255}$/;

export function readTrustDomain(text: string): TrustDomain | undefined {
  return TRUST_DOMAIN_NAME.test(text) ? (text as TrustDomain) : undefined;
}

/** The SPIFFE ID of a trust domain itself: the one URI SAN of the CA that issues its SVIDs. */
export function trustDomainId(trustDomain: TrustDomain): string {
  return `spiffe://${trustDomain}`;
}

/** The SPIFFE ID that every record's X509-SVID carries. SPIRE refuses to mint below `/spire/`. */
export function publisherId(trustDomain: TrustDomain): string {
  return `spiffe://${trustDomain}/spire-mesh/publisher`;
}
