/**
 * Two records of one version: a publisher contradicted itself, or somebody has its keys. What both say
 * is still true; what one of them leaves out, taints or adds is not (docs/protocol.md 4).
 *
 * Law: a running intersection only ever shrinks, whatever the order of the records, and one that came
 * twice changes nothing.
 */
import { equalBytes } from "../std/bytes.ts";
import { anchorsOf } from "../record/authority.ts";
import type { Standing } from "../record/standing.ts";
import { has } from "../record/step.ts";
import type { VerifiedRecord } from "../record/verify.ts";
import type { JwtAuthority } from "../spiffe/trust-bundle.ts";
import { sha256 } from "../std/sha256.ts";

/** Authorities and nodes that both have; tainted when either says so. The rest is that of `one`. */
export function intersect(one: Standing, other: Standing): Standing {
  const authorities = one.authorities.flatMap(({ facts, tainted }) => {
    const twin = other.authorities.find((each) => equalBytes(each.facts.der, facts.der));
    return twin === undefined ? [] : [{ facts, tainted: tainted || twin.tainted }];
  });
  const jwtAuthorities = one.state.jwtAuthorities.flatMap((each): JwtAuthority[] => {
    const twin = other.state.jwtAuthorities.find(({ keyId }) => keyId === each.keyId);
    if (twin === undefined || !equalBytes(twin.spki, each.spki)) return []; // One key id, two keys.
    return [{ ...each, tainted: each.tainted || twin.tainted, expiresAtS: sooner(each, twin) }];
  });
  return {
    authorities,
    state: {
      ...one.state,
      nodes: one.state.nodes.filter((node) => has(other.state.nodes, node)),
      x509Authorities: authorities.map(({ facts, tainted }) => ({ der: facts.der, tainted })),
      jwtAuthorities,
    },
  };
}

/** Zero is no end at all. */
function sooner({ expiresAtS: one }: JwtAuthority, { expiresAtS: other }: JwtAuthority): number {
  if (one === 0 || other === 0) return Math.max(one, other);
  return Math.min(one, other);
}

/**
 * What a sibling is judged against: any node of before or now may have signed it, under an authority
 * that both trust. Before is the receiver's own; without one it is what stands now.
 */
export function judgesSibling(base: Standing | undefined, effective: Standing): Standing {
  const before = base ?? effective;
  const common = intersect(before, effective);
  const nodes = before.state.nodes.filter((node) => !has(effective.state.nodes, node));
  return {
    authorities: common.authorities,
    state: {
      ...before.state,
      nodes: [...effective.state.nodes, ...nodes],
      x509Authorities: common.state.x509Authorities,
    },
  };
}

/** Whether each of these authorities (SHA-256 of the DER) is untainted in the record. */
export function trustsAll(
  { authorities }: VerifiedRecord,
  anchors: readonly Uint8Array[],
): boolean {
  const hashes = anchorsOf(authorities).map(({ der }) => sha256(der));
  return anchors.every((anchor) => has(hashes, anchor));
}
