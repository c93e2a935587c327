/**
 * Step 8: whether a chain ends in one of a state's anchors. Linear: each certificate is issued by
 * the next, the last by an anchor; no path is searched for (RFC 5280, 6.1, without its options).
 *
 *     leaf (publisher) ← issuer (URI SAN spiffe://td) ← … ← anchor (an untainted authority)
 *
 * Path rules (`judgeLinks`, `findIssuer`, `judgeConstraints`) hold for any X.509 path; whose it must
 * be is the identity rule's (`judgeLeaf`, `judgeIssuers`). `judgeChain` and `findAnchor` ask both.
 */
import { compareBytes, equalBytes, toHex } from "../std/bytes.ts";
import { ok } from "../std/result.ts";
import { sha256 } from "../std/sha256.ts";
import { type TrustDomain, publisherId, trustDomainId } from "../spiffe/trust-domain.ts";
import type { Anchors } from "./authority.ts";
import type { Chain } from "./envelope.ts";
import type { CertificateFacts, Proofs } from "./proofs.ts";
import { type Judged, refuse } from "./refusal.ts";

/**
 * Keys tried for one chain: an honest name and key id has one, and each costs a signature check.
 * Above: not tried, refused.
 */
const ANCHOR_KEYS_MAX = 4;

type AnchorMissing = "OLD_AUTHORITY_MISSING" | "NEW_AUTHORITY_MISSING";

/** Certificates of a chain, leaf first: at least the leaf. */
export type ChainFacts = readonly [CertificateFacts, ...CertificateFacts[]];

/** Reads the certificates of a chain. */
export function readChain(chain: Chain, proofs: Proofs): Judged<ChainFacts> {
  const facts: CertificateFacts[] = [];
  for (const der of chain) {
    const each = proofs.readCertificate(der);
    if ("malformed" in each) return refuse("CHAIN_MALFORMED", each.malformed);
    facts.push(each);
  }
  const [leaf, ...above] = facts;
  return leaf === undefined ? refuse("CHAIN_MALFORMED", "empty") : ok([leaf, ...above]);
}

/** What a chain must be whatever it ends in: the leaf's identity and key, and the links so far. */
export function judgeChain(
  chain: ChainFacts,
  trustDomain: TrustDomain,
  signedAtS: number,
  proofs: Pick<Proofs, "issuedBy">,
): Judged<undefined> {
  const leaf = judgeLeaf(chain[0], trustDomain);
  return leaf.ok ? judgeLinks(chain, signedAtS, proofs) : leaf;
}

/**
 * Finds the anchor of a judged chain: the smallest SHA-256 of the DER among `anchors` that issued
 * its last certificate and could speak at `signedAtS`.
 *
 * @returns SHA-256 of the anchor's DER, 32 bytes. The refusal is that of the last candidate, or
 *   `missing` when no anchor fits by name and key id.
 */
export function findAnchor(
  chain: ChainFacts,
  anchors: Anchors,
  trustDomain: TrustDomain,
  signedAtS: number,
  missing: AnchorMissing,
  proofs: Pick<Proofs, "issuedBy">,
): Judged<Uint8Array> {
  const found = findIssuer(chain, anchors, signedAtS, missing, proofs);
  if (!found.ok) return found;
  const { anchor, hash } = found.value;
  const cas = [...chain.slice(1), anchor];
  const issuers = judgeIssuers(cas, trustDomain);
  if (!issuers.ok) return issuers;
  const constraints = judgeConstraints(cas, [trustDomain]);
  return constraints.ok ? ok(hash) : constraints;
}

/** The leaf is the publisher's X509-SVID and nothing else. */
function judgeLeaf(leaf: CertificateFacts, trustDomain: TrustDomain): Judged<undefined> {
  if (leaf.uriSans.length !== 1 || leaf.uriSans[0] !== publisherId(trustDomain)) {
    return refuse("LEAF_NOT_PUBLISHER", `URI SANs ${leaf.uriSans.join(" ") || "none"}`);
  }
  if (leaf.isCa || leaf.keyUsage?.digitalSignature !== true || leaf.keyUsage.keyCertSign) {
    return refuse("LEAF_NOT_PUBLISHER", "its key usage is not that of an SVID");
  }
  if (leaf.key.type !== "ec-p256") return refuse("LEAF_NOT_PUBLISHER", `key ${leaf.key.type}`);
  return ok(undefined);
}

/** The CAs, from the leaf's issuer to the anchor, speak for this trust domain and no other. */
function judgeIssuers(
  cas: readonly CertificateFacts[],
  trustDomain: TrustDomain,
): Judged<undefined> {
  const wanted = trustDomainId(trustDomain);
  const [issuer, ...above] = cas;
  // This separates trust domains that stand under one corporate root.
  if (issuer?.uriSans.length !== 1 || issuer.uriSans[0] !== wanted) {
    return refuse("ISSUER_NOT_TRUST_DOMAIN", `URI SANs ${issuer?.uriSans.join(" ") || "none"}`);
  }
  if (above.some(({ uriSans }) => uriSans.some((uri) => uri !== wanted))) {
    return refuse("ISSUER_NOT_TRUST_DOMAIN", "a CA above the issuer names another trust domain");
  }
  return ok(undefined);
}

/** Each certificate is issued by the next one, and was valid then. */
export function judgeLinks(
  chain: ChainFacts,
  signedAtS: number,
  proofs: Pick<Proofs, "issuedBy">,
): Judged<undefined> {
  for (const [index, child] of chain.entries()) {
    if (!validAt(child, signedAtS)) {
      return refuse("CHAIN_NOT_VALID_THEN", `certificate ${index} at ${signedAtS}`);
    }
    const parent = chain[index + 1];
    if (parent === undefined) break;
    const problem = linkProblem(child, parent, index);
    if (problem !== undefined) return refuse("CHAIN_BROKEN", problem);
    if (!proofs.issuedBy(child, parent)) return refuse("CHAIN_BROKEN", `signature ${index}`);
  }
  return ok(undefined);
}

/** The anchor that issued the last certificate of a chain, and was valid then. */
export function findIssuer(
  chain: ChainFacts,
  anchors: Anchors,
  signedAtS: number,
  missing: AnchorMissing,
  proofs: Pick<Proofs, "issuedBy">,
): Judged<{ readonly anchor: CertificateFacts; readonly hash: Uint8Array }> {
  const last = chain.at(-1) ?? chain[0];
  const index = chain.length - 1;
  const candidates = anchors
    .filter((anchor) => linkProblem(last, anchor, index) === undefined)
    .map((anchor) => ({ anchor, hash: sha256(anchor.der) }))
    .sort((left, right) => compareBytes(left.hash, right.hash));
  let refusal = refuse(missing, `no untainted authority issued the chain's last certificate`);
  const tried = new Set<string>();
  for (const candidate of candidates) {
    const { anchor } = candidate;
    // Authorities may share a name and a key: one that did not sign it is not asked again.
    const key = toHex(sha256(anchor.key.spki));
    if (tried.has(key)) continue;
    if (tried.size === ANCHOR_KEYS_MAX) break;
    if (!validAt(anchor, signedAtS)) {
      refusal = refuse("CHAIN_NOT_VALID_THEN", `the authority at ${signedAtS}`);
    } else if (proofs.issuedBy(last, anchor)) {
      return ok(candidate);
    } else {
      tried.add(key);
      refusal = refuse(missing, "the authority of that name and key id did not sign it");
    }
  }
  return refusal;
}

/** The name constraints of the CAs allow the hosts of every URI below (RFC 5280, 4.2.1.10). */
export function judgeConstraints(
  cas: readonly CertificateFacts[],
  uriHosts: readonly string[],
): Judged<undefined> {
  for (const { nameConstraints } of cas) {
    if (nameConstraints === undefined) continue;
    const { permittedUris, excludedUris, othersCritical } = nameConstraints;
    if (othersCritical) return refuse("NAME_CONSTRAINED", "a constraint on other names");
    for (const host of uriHosts) {
      const isWithin = (constraint: string): boolean => hostWithin(host, constraint);
      // Go reads `example.org` as all below it too: excluded is what either reading excludes.
      const isBelow = (constraint: string): boolean => hostWithin(host, `.${constraint}`);
      const isPermitted = permittedUris.length === 0 || permittedUris.some(isWithin);
      if (!isPermitted || excludedUris.some(isWithin) || excludedUris.some(isBelow)) {
        return refuse("NAME_CONSTRAINED", `${host} is outside the CA's URI constraints`);
      }
    }
  }
  return ok(undefined);
}

/** RFC 5280, 4.2.1.10: `.example.org` means hosts below it, `example.org` that host alone. */
function hostWithin(host: string, constraint: string): boolean {
  const wanted = constraint.toLowerCase();
  return wanted.startsWith(".") ? host.endsWith(wanted) && host !== wanted : host === wanted;
}

/** What forbids that `parent` issued `child`, its signature aside. `below` is the child's index. */
function linkProblem(
  child: CertificateFacts,
  parent: CertificateFacts,
  below: number,
): string | undefined {
  if (!equalBytes(child.issuer, parent.subject)) return `issuer name of certificate ${below}`;
  if (
    child.authorityKeyId !== undefined &&
    parent.subjectKeyId !== undefined &&
    !equalBytes(child.authorityKeyId, parent.subjectKeyId)
  ) {
    return `authority key id of certificate ${below}`;
  }
  if (!parent.isCa) return `the issuer of certificate ${below} is not a CA`;
  if (parent.keyUsage !== undefined && !parent.keyUsage.keyCertSign) {
    return `the issuer of certificate ${below} may not sign certificates`;
  }
  // Every certificate between the leaf and the parent counts, self-issued ones too: stricter than
  // RFC 5280, 6.1.4 (l), and SPIRE issues none.
  if (parent.pathLength !== undefined && below > parent.pathLength) {
    return `path length above certificate ${below}`;
  }
  return undefined;
}

/** Both ends are inclusive (RFC 5280, 4.1.2.5). */
function validAt({ notBeforeS, notAfterS }: CertificateFacts, timeS: number): boolean {
  return notBeforeS <= timeS && timeS <= notAfterS;
}
