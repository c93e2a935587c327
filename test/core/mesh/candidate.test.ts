import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Candidate, contentDigest, makeCandidate } from "../../../src/core/mesh/candidate.ts";
import { decodeState, encodeState } from "../../../src/core/record/state.ts";
import type {
  JwtAuthority,
  TrustBundle,
  X509Authority,
} from "../../../src/core/spiffe/trust-bundle.ts";
import { fromHex, toHex } from "../../../src/core/std/bytes.ts";
import { PAYLOAD_BYTES_MAX } from "../../../src/core/std/limits.ts";
import { sha256Hex } from "../../../src/core/std/sha256.ts";
import { x509Proofs } from "../../../src/x509/proofs.ts";
import { makeAuthority } from "../../arbitraries/authority.ts";
import { extensions, makeKeyPair, spkiOf } from "../../arbitraries/certificate.ts";
import { extension, octetString } from "../../arbitraries/der.ts";
import { NOW_S, bundleOf, makePublisher } from "../../arbitraries/record.ts";

const { genesis, trustDomain } = makePublisher("alpha.test");
const keys = makeKeyPair();

/** Authorities with one key, each of its own end. */
function certificate(notAfterS: number, extraBytes = 0): Uint8Array {
  const more = extension("1.3.6.1.4.1.99999.7", octetString(Buffer.alloc(extraBytes)));
  const ca = [extensions.keyUsage(5, 6), extensions.basicConstraints(true)];
  const overrides = extraBytes === 0 ? {} : { extensions: [...ca, more] };
  return Uint8Array.from(makeAuthority({ trustDomain, keys, notAfterS, overrides }).der);
}

const spkis = [1, 2].map(() => Uint8Array.from(spkiOf(makeKeyPair().publicKey)));
const [firstKey = new Uint8Array(), secondKey = new Uint8Array()] = spkis;
const bundle = (
  x509Authorities: readonly X509Authority[],
  jwtAuthorities: readonly JwtAuthority[] = [],
): TrustBundle => ({ ...bundleOf(genesis.state), x509Authorities, jwtAuthorities });
const candidate = (from: TrustBundle): Candidate => {
  const made = makeCandidate(from, genesis.state, x509Proofs);
  if (!made.ok) throw new Error(made.reason);
  return made.value;
};
const jwt = (keyId: string, change: Partial<JwtAuthority> = {}): JwtAuthority => ({
  keyId,
  spki: firstKey,
  expiresAtS: 0,
  tainted: false,
  ...change,
});

const ders = [1, 2, 3].map((hours) => certificate(NOW_S + hours * 3_600));
const garbage = fromHex("3000");
const x509Entry = fc.record({ der: fc.constantFrom(...ders, garbage), tainted: fc.boolean() });
const jwtEntry = fc.record({
  keyId: fc.constantFrom("a", "b", "a b", ""),
  spki: fc.constantFrom(...spkis, garbage),
  expiresAtS: fc.constant(0),
  tainted: fc.boolean(),
});

describe("a candidate", () => {
  test("is the same whatever the order in which SPIRE lists its authorities", () => {
    const lists = fc.tuple(
      fc.array(x509Entry, { maxLength: 6 }),
      fc.array(jwtEntry, { maxLength: 6 }),
    );
    const listed = lists.chain(([x509, jwts]) =>
      fc.tuple(
        fc.constant(bundle(x509, jwts)),
        fc.record({
          x509: fc.shuffledSubarray(x509, { minLength: x509.length }),
          jwts: fc.shuffledSubarray(jwts, { minLength: jwts.length }),
        }),
      ),
    );
    fc.assert(
      fc.property(listed, ([here, there]) => {
        const one = candidate(here);
        const two = candidate(bundle(there.x509, there.jwts));
        expect(toHex(encodeState(two.state))).toBe(toHex(encodeState(one.state)));
        expect(two.noUsableCa).toBe(one.noUsableCa);
        expect(contentDigest(one.state)).toBe(contentDigest(two.state));
      }),
      { numRuns: 60 },
    );
  });

  test("is a state that reads, unless it has no authority", () => {
    fc.assert(
      fc.property(fc.array(x509Entry), fc.array(jwtEntry), (x509, jwts) => {
        const { state, noUsableCa } = candidate(bundle(x509, jwts));
        expect(decodeState(encodeState(state)).ok).toBe(state.x509Authorities.length > 0);
        expect(noUsableCa).toBe(!state.x509Authorities.some(({ tainted }) => !tainted));
      }),
      { numRuns: 60 },
    );
  });

  test("has one entry for each certificate and key id, tainted when one of them is", () => {
    const [der = garbage] = ders;
    const { state, unpublishable } = candidate(
      bundle(
        [
          { der, tainted: true },
          { der, tainted: false },
        ],
        [jwt("a", { tainted: false }), jwt("a", { tainted: true })],
      ),
    );
    expect(state.x509Authorities).toEqual([{ der, tainted: true }]);
    expect(state.jwtAuthorities).toEqual([jwt("a", { tainted: true })]);
    expect(unpublishable).toEqual([]);
  });

  const good = { der: ders[0] ?? garbage, tainted: false };

  test.each<readonly [string, readonly X509Authority[], readonly JwtAuthority[]]>([
    ["an authority that does not read", [{ der: garbage, tainted: false }], []],
    ["an empty authority", [{ der: new Uint8Array(), tainted: false }], []],
    ["an authority above 8 KiB", [{ der: certificate(NOW_S, 8_192), tainted: false }], []],
    ["a JWT key that does not read", [], [jwt("a", { spki: garbage })]],
    ["a JWT key without an id", [], [jwt("")]],
    ["a JWT key with a space in its id", [], [jwt("a b")]],
    ["a JWT key with an id of 129 characters", [], [jwt("a".repeat(129))]],
    ["two keys under one id", [], [jwt("a"), jwt("a", { spki: secondKey })]],
    ["three keys under one id", [], [jwt("a"), jwt("a", { spki: secondKey }), jwt("a")]],
  ])("leaves out %s, and says so once", (_, x509, jwts) => {
    const { state, unpublishable } = candidate(bundle([good, ...x509], [jwt("z"), ...jwts]));
    expect(state.x509Authorities).toEqual([good]);
    expect(state.jwtAuthorities.map(({ keyId }) => keyId)).toEqual(["z"]);
    expect(unpublishable).toHaveLength(1);
  });

  test("names a JWT key that is left out so that it can be read", () => {
    const keyId = `\u{1b}[2J\u{202e}k${"x".repeat(500)}`;
    const { unpublishable } = candidate(bundle([good], [jwt(keyId)]));
    const shown = `?[2J?k${"x".repeat(122)}`;
    expect(unpublishable).toEqual([
      `JWT authority ${shown}: its key id is not 1 to 128 printable characters`,
    ]);
  });

  test("keeps expired authorities: the clock decides nothing", () => {
    const expired = { der: certificate(NOW_S - 86_400), tainted: false };
    const { state } = candidate(bundle([good, expired]));
    expect(state.x509Authorities).toHaveLength(2);
    expect(candidate(bundle([expired])).noUsableCa).toBe(false);
  });

  test("keeps what is not SPIRE's", () => {
    const frame = { ...genesis.state, removed: [new Uint8Array(32)] };
    expect(makeCandidate(bundle([good]), frame, x509Proofs)).toMatchObject({
      value: { state: { ...frame, x509Authorities: [good], jwtAuthorities: [] } },
    });
  });
});

/** Hashes of the certificates that stay. */
const kept = (from: TrustBundle): Set<string> =>
  new Set(candidate(from).state.x509Authorities.map(({ der }) => sha256Hex(der)));

describe("a candidate above the limits", () => {
  const hour = 3_600;
  const many = Array.from({ length: 66 }, (_, index) => certificate(NOW_S + index - 32));
  const all = many.map((der) => ({ der, tainted: false }));

  test("drops the earliest end first, and may when these have expired", () => {
    const hashes = kept(bundle(all));
    expect(hashes.size).toBe(64);
    expect(hashes.has(sha256Hex(many[0] ?? garbage))).toBe(false);
    expect(hashes.has(sha256Hex(many[1] ?? garbage))).toBe(false);
    expect(candidate(bundle(all)).tooBigUntilS).toBe(NOW_S - 31);
  });

  test("drops tainted ones before all others", () => {
    const last = many.length - 1;
    const some = all.map((each, index) => ({ ...each, tainted: index >= last - 1 }));
    const hashes = kept(bundle(some));
    expect(hashes.has(sha256Hex(many[last] ?? garbage))).toBe(false);
    expect(hashes.has(sha256Hex(many[0] ?? garbage))).toBe(true);
    expect(candidate(bundle(some)).tooBigUntilS).toBe(-Infinity);
  });

  test("is too big until the last authority ends that had to go", () => {
    const working = Array.from({ length: 66 }, (_, index) => certificate(NOW_S + hour + index));
    const { tooBigUntilS } = candidate(bundle(working.map((der) => ({ der, tainted: false }))));
    expect(tooBigUntilS).toBe(NOW_S + hour + 1);
  });

  test("is too big for ever when a JWT key had to go that never ends", () => {
    const jwts = Array.from({ length: 65 }, (_, index) => jwt(`k${index}`));
    expect(candidate(bundle(all.slice(40), jwts)).tooBigUntilS).toBe(Infinity);
    const expired = jwts.with(0, jwt("k0", { expiresAtS: 1 }));
    expect(candidate(bundle(all.slice(40), expired)).tooBigUntilS).toBe(1);
  });

  test("stays below 96 KiB, tainted ones first", () => {
    const wide = Array.from({ length: 14 }, (_, index) => ({
      der: certificate(NOW_S + hour + index, 7_500),
      tainted: index > 10,
    }));
    const { state, tooBigUntilS } = candidate(bundle(wide));
    expect(encodeState(state).length).toBeLessThanOrEqual(PAYLOAD_BYTES_MAX);
    expect(state.x509Authorities.filter(({ tainted }) => !tainted)).toHaveLength(11);
    expect(tooBigUntilS).toBe(-Infinity);
    const untainted = wide.map(({ der }) => ({ der, tainted: false }));
    expect(candidate(bundle(untainted)).tooBigUntilS).toBeGreaterThan(NOW_S + hour);
  });
});
