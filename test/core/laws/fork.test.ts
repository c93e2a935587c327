/**
 * Records of one version: what they come to is the same whatever the order in which they came, it only
 * takes away, and it comes back from the disk as it was.
 */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type State, compareVersions } from "../../../src/core/record/state.ts";
import { type SignedRecord, restoreRecord } from "../../../src/core/record/verify.ts";
import { encodeFrame, restoreSlot } from "../../../src/core/resolver/frame.ts";
import { intersect } from "../../../src/core/resolver/fork.ts";
import { type Slot, envelopeBytes } from "../../../src/core/resolver/slot.ts";
import { type Standing, standingOf } from "../../../src/core/record/standing.ts";
import type { JwtAuthority } from "../../../src/core/spiffe/trust-bundle.ts";
import { equalBytes, toHex } from "../../../src/core/std/bytes.ts";
import type { Certified, SigningKey } from "../../../simulations/world/table-proofs.ts";
import {
  HonestDomain,
  START_S,
  TableDomain,
  happening,
  known,
  x509Of,
} from "../../arbitraries/lineage.ts";

/** One of several records of a version: what of four authorities, four nodes and three keys it says. */
interface Sibling {
  /** Of each authority: 0 left out, 1 trusted, 2 tainted. */
  readonly cas: readonly number[];
  readonly nodes: readonly boolean[];
  /** Of each key: 0 left out, 1 as it was, 2 tainted, 3 ending, 4 another key of the same id. */
  readonly jwt: readonly number[];
  /** Which node signs, under which authority for what stood and for what stands. */
  readonly signer: number;
  readonly old: number;
  readonly anchor: number;
  readonly signedAtS: number;
}

const sibling: fc.Arbitrary<Sibling> = fc.record({
  cas: fc.array(fc.nat(2), { minLength: 4, maxLength: 4 }),
  nodes: fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
  jwt: fc.array(fc.nat(4), { minLength: 3, maxLength: 3 }),
  signer: fc.nat(3),
  old: fc.nat(3),
  anchor: fc.nat(3),
  signedAtS: fc.integer({ min: START_S, max: START_S + 100 }),
});

/** Four nodes, four authorities and three keys, all of which stood before the version in question. */
class Family {
  readonly table = new TableDomain();
  readonly nodes: readonly SigningKey[];
  readonly cas: readonly Certified[];
  readonly jwt: readonly JwtAuthority[];
  readonly others: readonly JwtAuthority[];
  readonly base: Slot;
  readonly nowS = START_S + 200;

  constructor() {
    const { table } = this;
    this.nodes = [0, 1, 2, 3].map(() => table.newNode());
    this.cas = [0, 1, 2, 3].map(() => table.newCa());
    this.jwt = [0, 1, 2].map(() => table.newJwt());
    this.others = this.jwt.map(({ keyId }) => ({ ...table.newJwt(), keyId }));
    const [node, ca] = [this.nodes[0], this.cas[0]];
    if (node === undefined || ca === undefined) throw new Error("there is one");
    const state: State = {
      trustDomain: table.trustDomain,
      lineage: new Uint8Array(32),
      version: { epoch: 0, rev: 0, sequence: 1n },
      nodes: this.nodes.map(({ publicKey }) => publicKey),
      removed: [],
      recovery: undefined,
      x509Authorities: x509Of(new Map(this.cas.map((each) => [each, false]))),
      jwtAuthorities: this.jwt,
    };
    const signers = [{ node, under: [ca], signedAtS: START_S }];
    this.base = table.first(table.sign({ state, signers, recoveryKeys: [] }), this.nowS);
  }

  /** A record of the next version; undefined when it could not be signed at all. */
  make(each: Sibling): SignedRecord | undefined {
    const { nodes, cas, jwt, others } = this;
    const [node, old, anchor] = [nodes[each.signer], cas[each.old], cas[each.anchor]];
    if (node === undefined || old === undefined || anchor === undefined) return undefined;
    if (each.nodes[each.signer] !== true || each.cas[each.anchor] !== 1) return undefined;
    const state: State = {
      ...this.base.effective.state,
      version: { epoch: 0, rev: 1, sequence: 2n },
      nodes: nodes.filter((_, at) => each.nodes[at]).map(({ publicKey }) => publicKey),
      x509Authorities: x509Of(
        new Map(
          cas.flatMap((ca, at) => (each.cas[at] === 0 ? [] : [[ca, each.cas[at] === 2] as const])),
        ),
      ),
      jwtAuthorities: each.jwt.flatMap((how, at) => {
        const key = how === 4 ? others[at] : jwt[at];
        if (how === 0 || key === undefined) return [];
        return [{ ...key, tainted: how === 2, expiresAtS: how === 3 ? each.signedAtS + 900 : 0 }];
      }),
    };
    const under = old === anchor ? [old] : [old, anchor];
    const signers = [{ node, under, signedAtS: each.signedAtS }];
    return this.table.sign({ state, signers, recoveryKeys: [] });
  }

  /** What is held after these came, and which of them counted. */
  after(records: readonly SignedRecord[]): { readonly slot: Slot; readonly counted: Set<string> } {
    let slot = this.base;
    const counted = new Set<string>();
    for (const record of records) {
      const received = this.table.receive(slot, record, this.nowS);
      slot = received.slot;
      if (received.said === "taken" || received.said === "unchanged") counted.add(record.idHex);
    }
    return { slot, counted };
  }
}

/** The family is the same in every run; only what its records say differs. */
const family = new Family();
const records = fc
  .array(sibling, { minLength: 1, maxLength: 6 })
  .map((all) => all.flatMap((each) => family.make(each) ?? []));
/** As many, but all signed by the first node under the first authority, which all of them trust. */
const agreeing = fc.array(sibling, { minLength: 1, maxLength: 6 }).map((all) =>
  all.flatMap(({ cas, nodes, ...rest }) => {
    const keeps = { cas: [1, ...cas.slice(1)], nodes: [true, ...nodes.slice(1)] };
    return family.make({ ...rest, ...keeps, signer: 0, old: 0, anchor: 0 }) ?? [];
  }),
);
const twice = <Value>(values: fc.Arbitrary<readonly Value[]>) =>
  values.chain((all) =>
    fc.tuple(
      fc.constant(all),
      fc.shuffledSubarray([...all], { minLength: all.length }),
      fc.array(fc.nat(20), { maxLength: 6 }),
    ),
  );

describe("records of one version", () => {
  test("that all count come to the same, in any order and as often as they like", () => {
    fc.assert(
      fc.property(twice(agreeing), ([here, there, again]) => {
        const one = family.after(here);
        const other = family.after([
          ...there,
          ...again.flatMap((at) => here[at % here.length] ?? []),
        ]);
        expect(one.counted.size).toBe(new Set(here.map(({ idHex }) => idHex)).size);
        expect(other.counted).toEqual(one.counted);
        expect(known(other.slot)).toEqual(known(one.slot));
      }),
      { numRuns: 150 },
    );
  });

  test("come to the same in two orders whenever the same of them counted", () => {
    let same = 0;
    fc.assert(
      fc.property(twice(records), ([here, there]) => {
        const [one, other] = [family.after(here), family.after(there)];
        const isSame = [...one.counted].toSorted().join() === [...other.counted].toSorted().join();
        fc.pre(isSame);
        if (one.counted.size > 1) same += 1;
        expect(known(other.slot)).toEqual(known(one.slot));
      }),
      { numRuns: 150 },
    );
    expect(same).toBeGreaterThan(0);
  });

  test("only take away: each one leaves what stood, or less, and never the version", () => {
    fc.assert(
      fc.property(records, (all) => {
        let { slot } = family.after([]);
        for (const record of all) {
          const before = slot;
          ({ slot } = family.table.receive(slot, record, family.nowS));
          const { version } = slot.held.record.state;
          expect(compareVersions(version, before.held.record.state.version)).toBeGreaterThanOrEqual(
            0,
          );
          if (before === family.base) continue;
          for (const { facts, tainted } of slot.effective.authorities) {
            const twin = before.effective.authorities.find((each) =>
              equalBytes(each.facts.der, facts.der),
            );
            expect(twin).toBeDefined();
            expect(Number(tainted)).toBeGreaterThanOrEqual(Number(twin?.tainted));
          }
          for (const { spki, expiresAtS } of slot.effective.state.jwtAuthorities) {
            const twin = before.effective.state.jwtAuthorities.find((each) =>
              equalBytes(each.spki, spki),
            );
            expect(expiresAtS || Infinity).toBeLessThanOrEqual(twin?.expiresAtS || Infinity);
          }
          const nodes = before.effective.state.nodes.map(toHex);
          for (const node of slot.effective.state.nodes) expect(nodes).toContain(toHex(node));
          const keys = before.effective.state.jwtAuthorities.map(({ spki }) => toHex(spki));
          for (const { spki } of slot.effective.state.jwtAuthorities) {
            expect(keys).toContain(toHex(spki));
          }
        }
      }),
      { numRuns: 150 },
    );
  });

  test("always leave an untainted authority under which all of them are signed", () => {
    fc.assert(
      fc.property(records, (all) => {
        const { slot, counted } = family.after(all);
        if (counted.size === 0) return;
        expect(slot.effective.authorities.some(({ tainted }) => !tainted)).toBe(true);
      }),
      { numRuns: 150 },
    );
  });

  test("count only when they trust what each of the others is signed under", () => {
    const all = { nodes: [true, true, true, true], jwt: [1, 1, 1], signer: 0, signedAtS: START_S };
    const make = (cas: readonly number[], anchor: number): SignedRecord => {
      const record = family.make({ ...all, cas, old: anchor, anchor });
      if (record === undefined) throw new Error("it can be signed");
      return record;
    };
    const [one, two] = [make([1, 1, 1, 1], 0), make([1, 1, 1, 0], 1)];
    for (const [cas, isCounted] of [
      [[1, 1, 0, 0], true],
      [[0, 1, 0, 0], false],
      [[2, 1, 0, 0], false],
      [[1, 2, 0, 0], false],
      [[1, 0, 1, 0], false],
    ] as const) {
      const third = make(cas, cas[1] === 1 ? 1 : 0);
      expect(family.after([one, two, third]).counted.has(third.idHex)).toBe(isCounted);
    }
  });

  test("keep those of the two smallest ids as evidence, and what all of them say stands", () => {
    fc.assert(
      fc.property(records, (all) => {
        const { slot, counted } = family.after(all);
        const ids = [...counted].toSorted();
        expect(slot.sibling?.record.idHex).toBe(ids[1]);
        if (ids.length > 0) expect(slot.held.record.idHex).toBe(ids[0]);
        const { sibling: second, effective, held } = slot;
        if (second === undefined || ids.length > 2) return;
        const both = intersect(standingOf(held), standingOf(second));
        expect(effective.state.x509Authorities).toEqual(both.state.x509Authorities);
        expect(effective.state.jwtAuthorities).toEqual(both.state.jwtAuthorities);
        expect(effective.state.nodes).toEqual(both.state.nodes);
      }),
      { numRuns: 150 },
    );
  });
});

function standing(some: readonly SignedRecord[]): Standing {
  return family.after(some.slice(0, 1)).slot.effective;
}

function said({ state }: Standing): unknown {
  return [state.nodes.map(toHex).toSorted(), state.x509Authorities, state.jwtAuthorities];
}

describe("an intersection", () => {
  test("of three is the same however they are grouped, and of one with itself it is that one", () => {
    const three = fc
      .tuple(agreeing, agreeing, agreeing)
      .filter((all) => all.every((each) => each[0]));
    fc.assert(
      fc.property(three, ([a, b, c]) => {
        const [one, two, other] = [standing(a), standing(b), standing(c)];
        const left = intersect(intersect(one, two), other);
        expect(said(intersect(one, intersect(two, other)))).toEqual(said(left));
        expect(said(intersect(intersect(other, two), one))).toEqual(said(left));
        expect(said(intersect(one, one))).toEqual(said(one));
      }),
      { numRuns: 150 },
    );
  });
});

describe("blocks of one record", () => {
  test("leave the same slot in any order, what it is signed under included", () => {
    const signers = fc.uniqueArray(fc.tuple(fc.nat(3), fc.nat(3)), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(twice(signers), ([here, there]) => {
        const all = { cas: [1, 1, 1, 1], nodes: [true, true, true, true], jwt: [1, 1, 1] };
        const make = ([signer, anchor]: readonly [number, number]) =>
          family.make({ ...all, signer, old: anchor, anchor, signedAtS: START_S }) ?? [];
        const one = family.after(here.flatMap(make));
        const other = family.after(there.flatMap(make));
        expect(known(other.slot)).toEqual(known(one.slot));
      }),
      { numRuns: 150 },
    );
  });
});

/** A slot as it comes back from the disk. */
function restored({ table }: Pick<Family, "table">, slot: Slot): Slot {
  const back = (each: Slot["held"]): Slot["held"] => {
    const read = restoreRecord(envelopeBytes(each), table.proofs);
    if (!read.ok) throw new Error(`a stored record does not read: ${read.reason.code}`);
    return read.value;
  };
  const second = slot.sibling && back(slot.sibling);
  const read = restoreSlot(back(slot.held), second, encodeFrame(slot), table.proofs);
  if (!read.ok) throw new Error(`a frame does not read: ${read.reason}`);
  return read.value;
}

describe("a slot on disk", () => {
  test("comes back as it was in a fork, and takes what comes next as the one before would", () => {
    fc.assert(
      fc.property(records, records, (held, later) => {
        const { slot } = family.after(held);
        const back = restored(family, slot);
        expect(known(back)).toEqual(known(slot));
        for (const record of later) {
          const here = family.table.receive(slot, record, family.nowS);
          const there = family.table.receive(back, record, family.nowS);
          expect(there.said).toBe(here.said);
          expect(known(there.slot)).toEqual(known(here.slot));
        }
      }),
      { numRuns: 400 },
    );
  });

  test("comes back without a node where a fork before it had left none", () => {
    const { effective } = family.base;
    const base = { ...effective, state: { ...effective.state, nodes: [] } };
    const slot = { ...family.base, base };
    expect(known(restored(family, slot))).toEqual(known(slot));
    expect(restored(family, slot).base?.state.nodes).toEqual([]);
  });

  test("comes back as it was at every step of an honest history", () => {
    fc.assert(
      fc.property(fc.array(happening, { minLength: 1, maxLength: 20 }), (all) => {
        const domain = new HonestDomain();
        const { table } = domain;
        let slot = table.first(table.sign(domain.parts), START_S);
        for (const each of all) {
          const parts = domain.happen(each);
          if (parts === undefined) continue;
          slot = table.receive(restored(domain, slot), table.sign(parts), domain.nowS).slot;
          expect(known(restored(domain, slot))).toEqual(known(slot));
        }
      }),
      { numRuns: 200 },
    );
  });
});
