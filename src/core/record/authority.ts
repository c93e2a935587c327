/**
 * Step 7: which authorities may stand in a record. The gate behind `Proofs` has already read each
 * certificate strictly; here is judged what the certificate says.
 *
 * SPIRE Server takes nearly anything as an authority (measured: empty bytes, two certificates glued
 * together), and its agents then stop their whole sync. So a record is whole or refused.
 */
import { type Judged, refuse } from "./refusal.ts";
import type { CertificateFacts, Malformed, Proofs } from "./proofs.ts";
import type { JwtAuthority, X509Authority } from "../spiffe/trust-bundle.ts";
import type { State } from "./state.ts";
import { equalBytes } from "../std/bytes.ts";
import { ok } from "../std/result.ts";

/** What is wrong with one X.509 authority, or its facts. */
export function readX509Authority(
  { der }: X509Authority,
  proofs: Proofs,
): CertificateFacts | Malformed {
  const facts = proofs.readCertificate(der);
  if ("malformed" in facts) return facts;
  if (!facts.isCa) return { malformed: "not a CA" };
  if (facts.keyUsage !== undefined && !facts.keyUsage.keyCertSign) {
    return { malformed: "its key usage has no keyCertSign" };
  }
  if (facts.uriSans.length > 1) return { malformed: "more than one URI SAN" };
  return facts;
}

/** What is wrong with one JWT authority, or undefined. The shape of its key id is read with the state. */
export function jwtAuthorityProblem({ spki }: JwtAuthority, proofs: Proofs): string | undefined {
  const facts = proofs.readKey(spki);
  return "malformed" in facts ? facts.malformed : undefined;
}

/** One X.509 authority of a verified record. */
export interface AuthorityFacts {
  readonly facts: CertificateFacts;
  readonly tainted: boolean;
}

/** Untainted authorities: those that a chain may end in. */
export type Anchors = readonly CertificateFacts[];

export function anchorsOf(authorities: readonly AuthorityFacts[]): Anchors {
  return authorities.filter(({ tainted }) => !tainted).map(({ facts }) => facts);
}

/**
 * Reads every authority of a state; one bad authority refuses the record.
 *
 * @param known Authorities of the record before: those that are still listed need not be read again.
 */
export function readAuthorities(
  state: State,
  proofs: Proofs,
  known: readonly AuthorityFacts[] = [],
): Judged<readonly AuthorityFacts[]> {
  const authorities: AuthorityFacts[] = [];
  for (const authority of state.x509Authorities) {
    const facts =
      known.find((each) => equalBytes(each.facts.der, authority.der))?.facts ??
      readX509Authority(authority, proofs);
    if ("malformed" in facts) return refuse("AUTHORITY_MALFORMED", facts.malformed);
    authorities.push({ facts, tainted: authority.tainted });
  }
  for (const authority of state.jwtAuthorities) {
    const problem = jwtAuthorityProblem(authority, proofs);
    if (problem !== undefined) {
      return refuse("AUTHORITY_MALFORMED", `JWT key ${authority.keyId}: ${problem}`);
    }
  }
  return ok(authorities);
}
