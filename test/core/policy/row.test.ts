import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { desiredRow } from "../../../src/core/policy/row.ts";
import { standingOf } from "../../../src/core/record/standing.ts";
import type { State } from "../../../src/core/record/state.ts";
import { compareBytes, toHex } from "../../../src/core/std/bytes.ts";
import { sha256, sha256Hex } from "../../../src/core/std/sha256.ts";
import { makeAuthority } from "../../arbitraries/authority.ts";
import { makeKeyPair, spkiOf } from "../../arbitraries/certificate.ts";
import { NOW_S, makePublisher } from "../../arbitraries/record.ts";
import { verified } from "../record/verdict.ts";

const alpha = makePublisher("alpha.test");
const { trustDomain, ca } = alpha;
const spki = Uint8Array.from(spkiOf(makeKeyPair().publicKey));

/** Authorities that end a minute apart, around now. */
const pool = [-120, -60, 0, 60, 120].map((offset) => ({
  notAfterS: NOW_S + offset,
  der: Uint8Array.from(makeAuthority({ trustDomain, notAfterS: NOW_S + offset }).der),
}));
const keyPool = [0, NOW_S - 1, NOW_S, NOW_S + 1].map((expiresAtS, index) => ({
  keyId: `k${index}`,
  spki,
  expiresAtS,
  tainted: false,
}));

function held(x509: State["x509Authorities"], jwt: State["jwtAuthorities"] = []) {
  const own = { der: Uint8Array.from(ca.der), tainted: false };
  const authorities = { x509Authorities: [own, ...x509], jwtAuthorities: jwt };
  const record = verified(alpha.next(alpha.genesis, authorities), verified(alpha.genesis));
  // The publisher's own authority lives for decades: without it, all of them may have expired.
  const others = record.authorities.filter(
    ({ facts }) => sha256Hex(facts.der) !== sha256Hex(ca.der),
  );
  return { effective: { ...standingOf(record), authorities: others }, gone: [] };
}

describe("the row of an accepted trust domain", () => {
  test("has exactly the authorities that have not expired, by hash, and is never empty", () => {
    const chosen = fc.tuple(
      fc.subarray(pool, { minLength: 1 }),
      fc.subarray(keyPool),
      fc.array(fc.boolean(), { minLength: 5, maxLength: 5 }),
    );
    fc.assert(
      fc.property(chosen, ([some, keys, taints]) => {
        const x509 = some.map(({ der }, index) => ({ der, tainted: taints[index] ?? false }));
        const row = desiredRow(held(x509, keys), NOW_S);
        const living = some.filter(({ notAfterS }) => notAfterS >= NOW_S);
        if (living.length === 0) {
          expect(row).toBeUndefined();
          return;
        }
        const hashes = living.map(({ der }) => sha256(der)).sort(compareBytes);
        expect(row?.x509Authorities.map(({ der }) => sha256Hex(der))).toEqual(hashes.map(toHex));
        for (const { der, tainted } of row?.x509Authorities ?? []) {
          expect(tainted).toBe(
            x509.find((each) => each.der === der || toHex(each.der) === toHex(der))?.tainted,
          );
        }
        expect(row?.jwtAuthorities.map(({ keyId }) => keyId)).toEqual(
          keys
            .filter(({ expiresAtS }) => expiresAtS === 0 || expiresAtS >= NOW_S)
            .map((k) => k.keyId),
        );
        expect(row).toMatchObject({ trustDomain, sequenceNumber: 2n });
      }),
      { numRuns: 60 },
    );
  });

  test("keeps an authority through its last second", () => {
    const last = pool.filter(({ notAfterS }) => notAfterS === NOW_S);
    const record = held(last.map(({ der }) => ({ der, tainted: false })));
    expect(desiredRow(record, NOW_S)?.x509Authorities).toHaveLength(1);
    expect(desiredRow(record, NOW_S + 1)).toBeUndefined();
  });
});
