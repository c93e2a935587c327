/**
 * Authorities that a trust domain took back before their end: removed, or tainted. A restored datastore
 * may bring one back, whose key is anybody's by then; it does not come back by itself.
 */
import { equalBytes } from "../std/bytes.ts";
import { sha256 } from "../std/sha256.ts";
import { GONE_MAX } from "../std/limits.ts";
import type { Standing } from "../record/standing.ts";
import type { State } from "../record/state.ts";

/** An authority that is gone. */
export interface Gone {
  /** SHA-256 of the DER, or of the SubjectPublicKeyInfo of a JWT authority. 32 bytes. */
  readonly hash: Uint8Array;
  /** Unix seconds when it ends by itself, and may be forgotten; Infinity for a key without an end. */
  readonly untilS: number;
}

/**
 * What is gone after a step to a higher sequence: what the newer state lacks or taints. A lower one, as
 * of a restored datastore, proves nothing: it lacks what came since.
 */
export function goneAfter(
  gone: readonly Gone[],
  before: Standing,
  after: Standing,
  nowS: number,
): readonly Gone[] {
  const standing = gone.filter(({ untilS }) => untilS >= nowS);
  if (after.state.version.sequence <= before.state.version.sequence) return standing;
  const still = trusted(after);
  const went = trusted(before).filter(
    ({ hash, untilS }) =>
      untilS >= nowS &&
      !still.some((each) => equalBytes(each.hash, hash)) &&
      !standing.some((each) => equalBytes(each.hash, hash)),
  );
  if (went.length === 0 && standing.length === gone.length) return gone;
  // Those that end first are the least use.
  return [...standing, ...went].sort((one, other) => other.untilS - one.untilS).slice(0, GONE_MAX);
}

/** Authorities of a state that came back though they were gone. */
export function returned({ state, authorities }: Standing, gone: readonly Gone[]): readonly Gone[] {
  if (gone.length === 0) return [];
  const trustedNow = trusted({ state, authorities });
  return gone.filter(({ hash }) => trustedNow.some((each) => equalBytes(each.hash, hash)));
}

/** The state without them. */
export function without({ state, authorities }: Standing, hashes: readonly Gone[]): Standing {
  if (hashes.length === 0) return { state, authorities };
  const stays = (bytes: Uint8Array): boolean => {
    const hash = sha256(bytes);
    return !hashes.some((each) => equalBytes(each.hash, hash));
  };
  const kept: State = {
    ...state,
    x509Authorities: state.x509Authorities.filter(({ der }) => stays(der)),
    jwtAuthorities: state.jwtAuthorities.filter(({ spki }) => stays(spki)),
  };
  return { state: kept, authorities: authorities.filter(({ facts }) => stays(facts.der)) };
}

/** Untainted authorities, and until when. */
function trusted({ state, authorities }: Standing): Gone[] {
  return [
    ...authorities
      .filter(({ tainted }) => !tainted)
      .map(({ facts }) => ({ hash: sha256(facts.der), untilS: facts.notAfterS })),
    ...state.jwtAuthorities
      .filter(({ tainted }) => !tainted)
      .map(({ spki, expiresAtS }) => ({
        hash: sha256(spki),
        untilS: expiresAtS === 0 ? Number.POSITIVE_INFINITY : expiresAtS,
      })),
  ];
}
