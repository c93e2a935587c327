/**
 * From SPIRE's own bundle to the state that may be published: duplicates joined, what partners'
 * agents could not read left out, cut to the limits. Never by the clock, so that replicas which see
 * the same bundle make the same bytes (docs/protocol.md 2).
 */
import { type Result, no, ok } from "../std/result.ts";
import { compareBytes, equalBytes, toHex } from "../std/bytes.ts";
import {
  JWT_AUTHORITIES_MAX,
  KEY_ID_LENGTH_MAX,
  PAYLOAD_BYTES_MAX,
  SPIRE_AUTHORITIES_MAX,
  X509_AUTHORITIES_MAX,
} from "../std/limits.ts";
import { sha256, sha256Hex } from "../std/sha256.ts";
import { jwtAuthorityProblem, readX509Authority } from "../record/authority.ts";
import type { Proofs } from "../record/proofs.ts";
import { type State, encodeState, noLineage } from "../record/state.ts";
import {
  JWT_KEY_ID,
  type JwtAuthority,
  type TrustBundle,
  type X509Authority,
} from "../spiffe/trust-bundle.ts";
import type { MeshState } from "./mesh-state.ts";
import { type Frame, type OwnStep, nextFrame } from "./own-frame.ts";

export interface Candidate {
  readonly state: State;
  /** Authorities left out because partners could not read them, in words. */
  readonly unpublishable: readonly string[];
  /**
   * Unix seconds when the last untainted authority ends that had to go: until then the bundle is too
   * big for one record. -Infinity when none had to.
   */
  readonly tooBigUntilS: number;
  /** No untainted X.509 authority is left: nothing may be published. */
  readonly noUsableCa: boolean;
}

/** The candidate of SPIRE's bundle on top of the own record. Made once for these three and kept. */
export function candidateOf(
  state: MeshState,
  bundle: TrustBundle,
  step: OwnStep | undefined,
  proofs: Proofs,
): Result<Candidate, string> {
  const { own } = state;
  const { slot, judged } = own;
  if (judged?.bundle === bundle && judged.slot === slot && judged.step === step) {
    return judged.candidate;
  }
  const candidate = makeCandidate(bundle, nextFrame(state, bundle.sequenceNumber, step), proofs);
  own.judged = { bundle, slot, step, candidate };
  return candidate;
}

/** Makes the candidate, or says why there is none: SPIRE lists more authorities than are read. */
export function makeCandidate(
  bundle: TrustBundle,
  frame: Frame,
  proofs: Proofs,
): Result<Candidate, string> {
  const listed = bundle.x509Authorities.length + bundle.jwtAuthorities.length;
  if (listed > SPIRE_AUTHORITIES_MAX) {
    return no(
      `SPIRE lists ${listed} authorities, more than the ${SPIRE_AUTHORITIES_MAX} that are read`,
    );
  }
  const unpublishable: string[] = [];
  const entries = [
    ...x509Entries(bundle.x509Authorities, unpublishable, proofs),
    ...jwtEntries(bundle.jwtAuthorities, unpublishable, proofs),
  ];
  const { kept, dropped } = cutToLimits(entries, frame);
  const state = stateOf(kept, frame);
  return ok({
    state,
    unpublishable,
    tooBigUntilS: dropped.reduce(
      (endS, { tainted, notAfterS }) => (tainted ? endS : Math.max(endS, notAfterS)),
      -Infinity,
    ),
    noUsableCa: !state.x509Authorities.some(({ tainted }) => !tainted),
  });
}

/** Names what a state says of SPIRE's bundle, taint included: the same digest, the same content. */
export function contentDigest({ trustDomain, x509Authorities, jwtAuthorities }: State): string {
  const frame = { trustDomain, lineage: noLineage(), nodes: [], removed: [], recovery: undefined };
  const version = { epoch: 0, rev: 0, sequence: 0n };
  return sha256Hex(encodeState({ ...frame, version, x509Authorities, jwtAuthorities }));
}

interface Entry {
  readonly x509: X509Authority | undefined;
  readonly jwt: JwtAuthority | undefined;
  readonly tainted: boolean;
  readonly notAfterS: number;
  readonly hash: Uint8Array;
}

/** One entry per DER, taint is OR. */
function x509Entries(
  authorities: readonly X509Authority[],
  unpublishable: string[],
  proofs: Proofs,
): Entry[] {
  const byHash = new Map<string, Entry>();
  for (const authority of authorities) {
    const facts = readX509Authority(authority, proofs);
    const hash = sha256(authority.der);
    const key = toHex(hash);
    if ("malformed" in facts) {
      unpublishable.push(`X.509 authority ${key}: ${facts.malformed}`);
      continue;
    }
    const tainted = authority.tainted || byHash.get(key)?.tainted === true;
    byHash.set(key, {
      x509: { der: authority.der, tainted },
      jwt: undefined,
      tainted,
      notAfterS: facts.notAfterS,
      hash,
    });
  }
  return [...byHash.values()];
}

/** One entry per key id, taint is OR; a nested server lists one key twice (measured). */
function jwtEntries(
  authorities: readonly JwtAuthority[],
  unpublishable: string[],
  proofs: Proofs,
): Entry[] {
  const byKeyId = new Map<string, JwtAuthority>();
  const refused = new Set<string>();
  const leaveOut = (keyId: string, reason: string): void => {
    if (!refused.has(keyId)) unpublishable.push(`JWT authority ${shown(keyId)}: ${reason}`);
    refused.add(keyId);
    byKeyId.delete(keyId);
  };
  for (const authority of authorities) {
    const { keyId, spki } = authority;
    const known = byKeyId.get(keyId);
    const problem = JWT_KEY_ID.test(keyId)
      ? jwtAuthorityProblem(authority, proofs)
      : `its key id is not 1 to ${KEY_ID_LENGTH_MAX} printable characters`;
    if (problem !== undefined) leaveOut(keyId, problem);
    else if (known !== undefined && !equalBytes(known.spki, spki)) {
      leaveOut(keyId, "two keys under one key id");
    } else if (authority.expiresAtS < 0) {
      leaveOut(keyId, "it expired before 1970");
    } else if (!refused.has(keyId)) {
      const tainted = authority.tainted || known?.tainted === true;
      byKeyId.set(keyId, { ...authority, tainted });
    }
  }
  return [...byKeyId.values()].map((jwt) => ({
    x509: undefined,
    jwt,
    tainted: jwt.tainted,
    notAfterS: jwt.expiresAtS === 0 ? Number.POSITIVE_INFINITY : jwt.expiresAtS,
    hash: sha256(jwt.spki),
  }));
}

/** A key id to read: SPIRE takes any text of any length. */
function shown(keyId: string): string {
  return keyId.slice(0, KEY_ID_LENGTH_MAX).replaceAll(/[^\x21-\x7e]/g, "?");
}

/** Tainted entries go first, then the earliest end, ties by hash. */
function cutToLimits(
  entries: readonly Entry[],
  frame: Frame,
): { readonly kept: readonly Entry[]; readonly dropped: readonly Entry[] } {
  const order = [...entries].sort(
    (left, right) =>
      Number(right.tainted) - Number(left.tainted) ||
      compareNumbers(left.notAfterS, right.notAfterS) ||
      compareBytes(left.hash, right.hash),
  );
  const dropped = new Set<Entry>();
  const drop = (from: readonly Entry[], excess: number): void => {
    for (const entry of from.slice(0, Math.max(0, excess))) dropped.add(entry);
  };
  const ofX509 = order.filter(({ x509 }) => x509 !== undefined);
  const ofJwt = order.filter(({ jwt }) => jwt !== undefined);
  drop(ofX509, ofX509.length - X509_AUTHORITIES_MAX);
  drop(ofJwt, ofJwt.length - JWT_AUTHORITIES_MAX);
  let kept = order.filter((entry) => !dropped.has(entry));
  while (kept.length > 1 && encodeState(stateOf(kept, frame)).length > PAYLOAD_BYTES_MAX) {
    drop(kept, 1);
    kept = kept.slice(1);
  }
  return { kept, dropped: [...dropped] };
}

function stateOf(entries: readonly Entry[], frame: Frame): State {
  return {
    ...frame,
    x509Authorities: entries.flatMap(({ x509 }) => x509 ?? []),
    jwtAuthorities: entries.flatMap(({ jwt }) => jwt ?? []),
  };
}

function compareNumbers(left: number, right: number): number {
  return left < right ? -1 : Number(left > right);
}
