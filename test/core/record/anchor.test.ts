/** The path rules on facts alone, answered by a table: which anchor speaks, and who is asked at most. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  findIssuer,
  judgeConstraints,
  judgeLinks,
  readChain,
} from "../../../src/core/record/chain.ts";
import type { CertificateFacts, NameConstraints } from "../../../src/core/record/proofs.ts";
import { toHex } from "../../../src/core/std/bytes.ts";
import { sha256, sha256Hex } from "../../../src/core/std/sha256.ts";
import { x509Proofs } from "../../../src/x509/proofs.ts";

const NOW_S = 1_000;
const NAME = Uint8Array.of(1);

/** A CA of the one name, told apart by its DER and its key. */
function authority(der: number, change: Partial<CertificateFacts> = {}): CertificateFacts {
  return {
    der: Uint8Array.of(der),
    issuer: NAME,
    subject: NAME,
    notBeforeS: 0,
    notAfterS: NOW_S,
    key: { spki: Uint8Array.of(der), type: "ec-p256", bits: 256 },
    isCa: true,
    pathLength: undefined,
    keyUsage: undefined,
    uriSans: [],
    subjectKeyId: undefined,
    authorityKeyId: undefined,
    nameConstraints: undefined,
    ...change,
  };
}

const issuedBy = (): boolean => true;
const leaf = authority(0, { isCa: false });
const sameKey = { spki: Uint8Array.of(7), type: "ec-p256", bits: 256 } as const;

/** The authorities in the order in which they are tried. */
function byHash(...authorities: readonly CertificateFacts[]): readonly CertificateFacts[] {
  return authorities.toSorted((left, right) =>
    sha256Hex(left.der) < sha256Hex(right.der) ? -1 : 1,
  );
}

interface Outcome {
  /** First byte of the DER of what was found, or code and detail of the refusal. */
  readonly found: number | undefined | string;
  /** The same of who was asked, in order. */
  readonly asked: readonly (number | undefined)[];
}

function find(
  anchors: readonly CertificateFacts[],
  issued: (anchor: CertificateFacts) => boolean,
  atS = NOW_S,
): Outcome {
  const asked: (number | undefined)[] = [];
  const found = findIssuer([leaf], anchors, atS, "OLD_AUTHORITY_MISSING", {
    issuedBy: (child, parent) => {
      expect(child).toBe(leaf);
      asked.push(parent.der[0]);
      return issued(parent);
    },
  });
  if (!found.ok) return { found: found.reason.code, asked };
  expect(toHex(found.value.hash)).toBe(toHex(sha256(found.value.anchor.der)));
  return { found: found.value.anchor.der[0], asked };
}

describe("the anchor of a chain", () => {
  test("is the smallest hash of those that issued it, whatever the order of the anchors", () => {
    const numbers = fc.uniqueArray(fc.integer({ min: 1, max: 250 }), {
      minLength: 1,
      maxLength: 4,
    });
    fc.assert(
      fc.property(numbers, fc.nat(15), (all, mask) => {
        const issuers = new Set(all.filter((_, index) => ((mask >> index) & 1) === 1));
        const anchors = all.map((each) => authority(each));
        const issued = ({ der }: CertificateFacts): boolean => issuers.has(der[0] ?? 0);
        const first = byHash(...anchors).find(issued);
        const { found } = find(anchors, issued);
        expect(found).toBe(first?.der[0] ?? "OLD_AUTHORITY_MISSING");
      }),
    );
  });

  const namesakes = byHash(...[1, 2, 3, 4, 5].map((each) => authority(each)));
  const numbers = namesakes.map(({ der }) => der[0]);

  test("is asked of four keys of its name at most", () => {
    const fourth = find(namesakes, (anchor) => anchor === namesakes[3]);
    expect(fourth).toEqual({ found: numbers[3], asked: numbers.slice(0, 4) });
    const fifth = find(namesakes, (anchor) => anchor === namesakes[4]);
    expect(fifth).toEqual({ found: "OLD_AUTHORITY_MISSING", asked: numbers.slice(0, 4) });
  });

  test("is not asked twice of one key", () => {
    const twins = [1, 2, 3, 4].map((each) => authority(each, { key: sameKey }));
    const [first] = byHash(...twins);
    const found = find(twins, () => false);
    expect(found).toEqual({ found: "OLD_AUTHORITY_MISSING", asked: [first?.der[0]] });
    const other = authority(5);
    const behind = find([...twins, other], (anchor) => anchor === other);
    expect(behind.found).toBe(5);
  });

  test("that had ended is passed over: one of the same key that had not is asked", () => {
    const [first, second] = byHash(authority(1), authority(2)).map(({ der }) => der[0] ?? 0);
    const ended = authority(first ?? 0, { key: sameKey, notAfterS: NOW_S - 1 });
    const standing = authority(second ?? 0, { key: sameKey });
    expect(find([ended, standing], () => true)).toEqual({
      found: standing.der[0],
      asked: [standing.der[0]],
    });
    expect(find([ended], () => true)).toEqual({ found: "CHAIN_NOT_VALID_THEN", asked: [] });
    expect(find([ended, standing], () => false).found).toBe("OLD_AUTHORITY_MISSING");
  });

  test.each([
    ["CHAIN_NOT_VALID_THEN", 499],
    [1, 500],
    [1, 1_000],
    ["CHAIN_NOT_VALID_THEN", 1_001],
  ])("is %s at %i of 500 to 1000, both inclusive", (found, atS) => {
    expect(find([authority(1, { notBeforeS: 500 })], () => true, atS).found).toBe(found);
  });

  test.each<readonly [string, boolean, Partial<CertificateFacts>]>([
    ["of another name", false, { subject: Uint8Array.of(2) }],
    ["that is no CA", false, { isCa: false }],
    ["without a key usage", true, { keyUsage: undefined }],
    [
      "that may sign certificates",
      true,
      { keyUsage: { digitalSignature: false, keyCertSign: true } },
    ],
    [
      "that may sign only other things",
      false,
      { keyUsage: { digitalSignature: true, keyCertSign: false } },
    ],
    ["with a key id that the leaf does not name", true, { subjectKeyId: Uint8Array.of(9) }],
    ["of path length 0", true, { pathLength: 0 }],
  ])("may be one %s: %s", (_, isTaken, change) => {
    const { found } = find([authority(1, change)], () => true);
    expect(found).toBe(isTaken ? 1 : "OLD_AUTHORITY_MISSING");
  });

  test.each<readonly [string, boolean, Uint8Array | undefined, Uint8Array | undefined]>([
    ["both have", true, Uint8Array.of(9), Uint8Array.of(9)],
    ["differs", false, Uint8Array.of(9), Uint8Array.of(8)],
    ["only the leaf names", true, Uint8Array.of(9), undefined],
    ["neither has", true, undefined, undefined],
  ])("may have a key id that %s: %s", (_, isTaken, authorityKeyId, subjectKeyId) => {
    const named = { ...leaf, authorityKeyId };
    const anchors = [authority(1, { subjectKeyId })];
    const missing = "NEW_AUTHORITY_MISSING";
    expect(findIssuer([named], anchors, NOW_S, missing, { issuedBy }).ok).toBe(isTaken);
  });

  test("counts the certificates below it against its path length", () => {
    const between = authority(3);
    const judge = (pathLength: number): boolean =>
      findIssuer([leaf, between], [authority(1, { pathLength })], NOW_S, "NEW_AUTHORITY_MISSING", {
        issuedBy,
      }).ok;
    expect([judge(0), judge(1)]).toEqual([false, true]);
  });
});

test("a chain of no certificate is malformed", () => {
  expect(readChain([], x509Proofs)).toMatchObject({ reason: { code: "CHAIN_MALFORMED" } });
});

describe("the links of a chain", () => {
  test("are each verified once, from the leaf up, and the last certificate's not", () => {
    const [server, root] = [authority(1), authority(2)];
    const asked: (readonly CertificateFacts[])[] = [];
    const issuedBy = (child: CertificateFacts, parent: CertificateFacts): boolean => {
      asked.push([child, parent]);
      return true;
    };
    expect(judgeLinks([leaf, server, root], NOW_S, { issuedBy }).ok).toBe(true);
    expect(asked).toEqual([
      [leaf, server],
      [server, root],
    ]);
  });
});

const NONE: NameConstraints = { permittedUris: [], excludedUris: [], othersCritical: false };

/** Whether a host is allowed below an unconstrained CA and one with these constraints. */
function isAllowed(host: string, change: Partial<NameConstraints>): boolean {
  const constrained = authority(2, { nameConstraints: { ...NONE, ...change } });
  return judgeConstraints([authority(1), constrained], [host]).ok;
}

describe("name constraints", () => {
  test.each<readonly [string, boolean, Partial<NameConstraints>]>([
    ["a.test", true, {}],
    ["a.test", true, { permittedUris: ["b.test", "a.test"] }],
    ["a.test", true, { permittedUris: ["a.test"], excludedUris: ["b.test"] }],
    ["a.test", false, { permittedUris: ["a.test"], excludedUris: ["b.test", "a.test"] }],
    ["a.test", false, { permittedUris: [".test"], excludedUris: ["b", "test"] }],
    ["a.test", false, { permittedUris: ["est"] }],
    // The name may begin with a dot: it is not below itself.
    [".test", false, { permittedUris: [".test"] }],
    [".test", true, { excludedUris: [".test"] }],
    ["a.test", false, { othersCritical: true }],
  ])("for %s are kept: %s (%j)", (host, isKept, constraints) => {
    expect(isAllowed(host, constraints)).toBe(isKept);
  });

  test("hold for every host", () => {
    const permittedUris = ["a.test"];
    const constrained = authority(1, { nameConstraints: { ...NONE, permittedUris } });
    expect(judgeConstraints([constrained], ["a.test", "b.test"]).ok).toBe(false);
  });
});
