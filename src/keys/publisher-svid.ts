/**
 * One X509-SVID of the publisher with its private key: read and checked whether SPIRE just minted it
 * or a file kept it, and able to sign.
 */
import { type KeyObject, createPublicKey, sign } from "node:crypto";
import { type ChainFacts, judgeChain, readChain } from "../core/record/chain.ts";
import type { Chain } from "../core/record/envelope.ts";
import { toCanonicalSvidSignature } from "../core/record/svid-signature.ts";
import type { TrustDomain } from "../core/spiffe/trust-domain.ts";
import { concatBytes, equalBytes, toUtf8 } from "../core/std/bytes.ts";
import { CHAIN_CERTIFICATES_MAX, SVID_TTL_S } from "../core/std/limits.ts";
import { type Result, no, ok } from "../core/std/result.ts";
import { sha256Hex } from "../core/std/sha256.ts";
import { x509Proofs } from "../x509/proofs.ts";

/**
 * An SVID is used no longer than this after its `notBefore`, whatever SPIRE wrote into it: the hour
 * that was asked for, and the seconds by which SPIRE dates it back (10, read in its source). It is
 * forgotten then.
 */
const SVID_LIFE_S_MAX = SVID_TTL_S + 60;

/** Signed once on reading, and no preimage of a record: those begin with a name of their own. */
const PROBE = toUtf8("spire-mesh probes a private key");

export interface PublisherSvid {
  /** DER, leaf first, without the root. */
  readonly chain: Chain;
  readonly facts: ChainFacts;
  readonly privateKey: KeyObject;
  /** Names the authority that the chain ends in: 64 hex digits, the same for all that it issued. */
  readonly anchorId: string;
  /** Unix time in seconds, both inclusive. */
  readonly notBeforeS: number;
  readonly notAfterS: number;
}

/**
 * Reads a chain and its key.
 * @returns The reason, in words, when the chain is not one of this trust domain's publisher, was not
 *   valid when it began, or the key is not the leaf's or does not sign for it.
 */
export function readPublisherSvid(
  chain: Chain,
  privateKey: KeyObject,
  trustDomain: TrustDomain,
): Result<PublisherSvid, string> {
  if (chain.length > CHAIN_CERTIFICATES_MAX) return no(`a chain of ${chain.length} certificates`);
  const read = readChain(chain, x509Proofs);
  if (!read.ok) return no(read.reason.detail);
  const facts = read.value;
  const [leaf] = facts;
  const notBeforeS = Math.max(...facts.map((each) => each.notBeforeS));
  const notAfterS = Math.min(
    leaf.notBeforeS + SVID_LIFE_S_MAX,
    ...facts.map((each) => each.notAfterS),
  );
  const judged = judgeChain(facts, trustDomain, notBeforeS, x509Proofs);
  if (!judged.ok) return no(judged.reason.detail);
  const spki = createPublicKey(privateKey).export({ type: "spki", format: "der" });
  if (!equalBytes(spki, leaf.key.spki)) return no("the private key is not the leaf's");
  const svid = { chain, facts, privateKey, anchorId: anchorIdOf(facts), notBeforeS, notAfterS };
  // OpenSSL believes a key file that names a public point which its scalar does not give (measured).
  if (!x509Proofs.verifiesSvid(leaf.key, PROBE, signAsSvid(svid, PROBE))) {
    return no("the private key does not sign for the leaf's: its scalar is damaged");
  }
  return ok(svid);
}

export function isValidAt({ notBeforeS, notAfterS }: PublisherSvid, timeS: number): boolean {
  return notBeforeS <= timeS && timeS <= notAfterS;
}

/** Signs with the SVID's key: ECDSA P-256 with SHA-256, 64 bytes r‖s, s at most half the order. */
export function signAsSvid({ privateKey }: PublisherSvid, preimage: Uint8Array): Uint8Array {
  const signature = sign("sha256", preimage, { key: privateKey, dsaEncoding: "ieee-p1363" });
  return toCanonicalSvidSignature(Uint8Array.from(signature)); // Receivers take no other.
}

/**
 * Issuer name and authority key id of the last certificate. Never a subject: two nested servers'
 * intermediates share one (measured). Without a key id the certificate stands for itself.
 */
function anchorIdOf(facts: ChainFacts): string {
  const last = facts.at(-1) ?? facts[0];
  const { issuer, authorityKeyId, der } = last;
  return sha256Hex(authorityKeyId === undefined ? der : concatBytes(issuer, authorityKeyId));
}
