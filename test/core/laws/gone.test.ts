/** What a trust domain took back stays taken back, until it has ended by itself. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodeState } from "../../../src/core/record/state.ts";
import type { Standing } from "../../../src/core/record/standing.ts";
import { type Gone, goneAfter, returned, without } from "../../../src/core/resolver/gone.ts";
import { equalBytes, toHex } from "../../../src/core/std/bytes.ts";
import { GONE_MAX } from "../../../src/core/std/limits.ts";
import { sha256 } from "../../../src/core/std/sha256.ts";
import { START_S, TableDomain, x509Of } from "../../arbitraries/lineage.ts";

const table = new TableDomain();
/** The first ends in an hour, the last in five. */
const cas = [1, 2, 3, 4, 5].map((hours) => table.newCa(START_S - 60, 60 + hours * 3_600));
const keys = [0, START_S + 3_600, START_S + 7_200].map((end) => table.newJwt(end));

/** Of each authority: 0 left out, 1 trusted, 2 tainted. */
interface Says {
  readonly cas: readonly number[];
  readonly keys: readonly number[];
  readonly sequence: bigint;
}

const says: fc.Arbitrary<Says> = fc.record({
  cas: fc.array(fc.nat(2), { minLength: 5, maxLength: 5 }),
  keys: fc.array(fc.nat(2), { minLength: 3, maxLength: 3 }),
  sequence: fc.bigInt(0n, 9n),
});

function standing(each: Says): Standing {
  const listed = cas.flatMap((ca, at) =>
    each.cas[at] === 0 ? [] : [[ca, each.cas[at] === 2] as const],
  );
  const x509Authorities = x509Of(new Map(listed));
  return {
    authorities: x509Authorities.flatMap(({ der, tainted }) => {
      const ca = cas.find(({ facts }) => equalBytes(facts.der, der));
      return ca === undefined ? [] : [{ facts: ca.facts, tainted }];
    }),
    state: {
      trustDomain: table.trustDomain,
      lineage: new Uint8Array(32),
      version: { epoch: 0, rev: 0, sequence: each.sequence },
      nodes: [],
      removed: [],
      recovery: undefined,
      x509Authorities,
      jwtAuthorities: keys.flatMap((key, at) =>
        each.keys[at] === 0 ? [] : [{ ...key, tainted: each.keys[at] === 2 }],
      ),
    },
  };
}

/** What is trusted, in hex of its hash. */
function trustedOf({ state, authorities }: Standing): readonly string[] {
  return [
    ...authorities.filter(({ tainted }) => !tainted).map(({ facts }) => toHex(sha256(facts.der))),
    ...state.jwtAuthorities
      .filter(({ tainted }) => !tainted)
      .map(({ spki }) => toHex(sha256(spki))),
  ];
}

const hashesOf = (gone: readonly Gone[]): readonly string[] => gone.map(({ hash }) => toHex(hash));

describe("what is gone", () => {
  test("is what was trusted and is not any more at a higher sequence, until it has ended", () => {
    fc.assert(
      fc.property(fc.array(says, { minLength: 2, maxLength: 8 }), fc.nat(6), (all, hours) => {
        const steps = all.map((each) => standing(each));
        const nowS = START_S + hours * 3_600;
        let gone: readonly Gone[] = [];
        const expected = new Map<string, number>();
        for (const [at, after] of steps.entries()) {
          const before = steps[at - 1];
          if (before === undefined) continue;
          gone = goneAfter(gone, before, after, nowS);
          if (after.state.version.sequence > before.state.version.sequence) {
            for (const hash of trustedOf(before)) {
              if (!trustedOf(after).includes(hash)) expected.set(hash, endOf(hash));
            }
          }
        }
        const left = [...expected].filter(([, endS]) => endS >= nowS).map(([hash]) => hash);
        expect(hashesOf(gone).toSorted()).toEqual(left.toSorted());
      }),
      { numRuns: 500 },
    );
  });

  test("is told when it is trusted again, and what is left without it lists all the rest as it was", () => {
    fc.assert(
      fc.property(fc.tuple(says, says, says), ([first, second, third]) => {
        const [one, two, now] = [standing(first), standing(second), standing(third)];
        const gone = goneAfter([], one, two, START_S);
        const back = returned(now, gone);
        const trusted = trustedOf(now);
        expect(hashesOf(back).toSorted()).toEqual(
          hashesOf(gone)
            .filter((hash) => trusted.includes(hash))
            .toSorted(),
        );
        const rest = without(now, back);
        expect(returned(rest, gone)).toEqual([]);
        expect(trustedOf(rest).toSorted()).toEqual(
          trusted.filter((hash) => !hashesOf(back).includes(hash)).toSorted(),
        );
        if (back.length === 0) expect(encodeState(rest.state)).toEqual(encodeState(now.state));
        expect(rest.authorities).toHaveLength(rest.state.x509Authorities.length);
      }),
      { numRuns: 500 },
    );
  });

  test("is bounded: what ends first is forgotten first", () => {
    const some = Array.from({ length: GONE_MAX + 40 }, (_, at): Gone => ({
      hash: sha256(Uint8Array.of(at, at >> 8)),
      untilS: START_S + 1 + ((at * 7) % 1_000),
    }));
    const one = standing({ cas: [1, 0, 0, 0, 0], keys: [1, 0, 0], sequence: 1n });
    const two = standing({ cas: [0, 1, 0, 0, 0], keys: [0, 1, 0], sequence: 2n });
    const gone = goneAfter(some, one, two, START_S);
    expect(gone).toHaveLength(GONE_MAX);
    const least = Math.min(...gone.map(({ untilS }) => untilS));
    const forgotten = some.filter((each) => !gone.includes(each));
    for (const { untilS } of forgotten) expect(untilS).toBeLessThanOrEqual(least);
    // A key without an end is remembered before all others.
    expect(hashesOf(gone)[0]).toBe(toHex(sha256(keys[0]?.spki ?? new Uint8Array())));
  });
});

function endOf(hash: string): number {
  const ca = cas.find(({ facts }) => toHex(sha256(facts.der)) === hash);
  if (ca !== undefined) return ca.facts.notAfterS;
  const key = keys.find(({ spki }) => toHex(sha256(spki)) === hash);
  return key === undefined || key.expiresAtS === 0 ? Infinity : key.expiresAtS;
}
