import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Parked, ParkedRecords } from "../../../src/core/mesh/parked.ts";
import {
  PARKED_A_FORWARDER_MAX,
  PARKED_BYTES_MAX,
  PARKED_MS,
} from "../../../src/core/std/limits.ts";
import type { SignedRecord } from "../../../src/core/record/verify.ts";
import { readRecord } from "../../../src/core/record/verify.ts";
import { x509Proofs } from "../../../src/x509/proofs.ts";
import { makePublisher, makeRecord, stateAfter } from "../../arbitraries/record.ts";

const alpha = makePublisher("alpha.test");
const bravo = makePublisher("bravo.test");
const { trustDomain } = alpha;

/** A record of a trust domain at a sequence number, signed by its node. */
function recordAt(sequence: number, publisher = alpha): SignedRecord {
  const { genesis, node, svid } = publisher;
  const state = stateAfter(genesis, {
    version: { epoch: 0, rev: 0, sequence: BigInt(sequence) },
  });
  const read = readRecord(
    makeRecord(state, [{ node, svids: [svid] }]).envelope,
    "sync",
    x509Proofs,
  );
  if (!read.ok) throw new Error(read.reason.code);
  return read.value;
}

const records = Array.from({ length: 8 }, (_, index) => recordAt(index + 2));
const [first, second, third] = records as [SignedRecord, SignedRecord, SignedRecord];

const parkedAs = (record: SignedRecord, change: Partial<Parked> = {}): Parked => ({
  record,
  bytes: 1_000,
  from: "aa",
  sinceMs: 0,
  ...change,
});

/** A record that only differs by its id: what is parked is not looked into. */
const numbered = (index: number): SignedRecord => ({ ...first, idHex: `${index}` });

const idsOf = (all: readonly Parked[]): string[] => all.map(({ record }) => record.idHex);

describe("parked records", () => {
  test("stay within their bounds, and who takes the most makes room", () => {
    const one = fc.record({
      from: fc.constantFrom("aa", "bb", "cc"),
      bytes: fc.integer({ min: 1, max: 128 * 1024 }),
    });
    fc.assert(
      fc.property(fc.array(one, { maxLength: 400, size: "max" }), (arrivals) => {
        const shelf = new ParkedRecords();
        for (const [index, { from, bytes }] of arrivals.entries()) {
          shelf.park(parkedAs(numbered(index), { from, bytes }));
        }
        const all = shelf.takeAll(trustDomain);
        const sum = all.reduce((bytes, each) => bytes + each.bytes, 0);
        expect(sum).toBeLessThanOrEqual(PARKED_BYTES_MAX);
        for (const from of ["aa", "bb", "cc"]) {
          const mine = all.filter((each) => each.from === from);
          expect(mine.length).toBeLessThanOrEqual(PARKED_A_FORWARDER_MAX);
        }
        expect(shelf.has(trustDomain)).toBe(false);
      }),
      { numRuns: 50 },
    );
  });

  test("come out in the order of their versions, and only once", () => {
    const shelf = new ParkedRecords();
    for (const record of [third, first, second]) shelf.park(parkedAs(record));
    expect(idsOf(shelf.takeAll(trustDomain))).toEqual(
      idsOf([first, second, third].map((record) => parkedAs(record))),
    );
    expect(shelf.takeAll(trustDomain)).toEqual([]);
  });

  test("are kept once for each forwarder", () => {
    const shelf = new ParkedRecords();
    shelf.park(parkedAs(first));
    shelf.park(parkedAs(first));
    shelf.park(parkedAs(first, { from: "bb" }));
    expect(shelf.takeAll(trustDomain)).toHaveLength(2);
  });

  test("of another trust domain stay where they are", () => {
    const shelf = new ParkedRecords();
    shelf.park(parkedAs(recordAt(2, bravo)));
    expect(shelf.has(trustDomain)).toBe(false);
    expect(shelf.takeAll(trustDomain)).toEqual([]);
    expect(shelf.has(bravo.trustDomain)).toBe(true);
  });

  test("are 64 of one forwarder: the oldest goes", () => {
    const shelf = new ParkedRecords();
    shelf.park(parkedAs(first, { from: "bb" }));
    for (let index = 0; index <= PARKED_A_FORWARDER_MAX; index += 1) {
      shelf.park(parkedAs(numbered(index)));
    }
    const ids = idsOf(shelf.takeAll(trustDomain));
    expect(ids).toHaveLength(PARKED_A_FORWARDER_MAX + 1);
    expect(ids).not.toContain("0");
    expect(ids).toContain("1");
    expect(ids).toContain(first.idHex);
  });

  test("are 8 MiB together: a flood pushes out itself, not what others brought", () => {
    const shelf = new ParkedRecords();
    shelf.park(parkedAs(first, { from: "bb" }));
    const large = PARKED_BYTES_MAX / 8;
    for (let index = 0; index < 20; index += 1) {
      shelf.park(parkedAs(numbered(index), { bytes: large }));
    }
    const all = shelf.takeAll(trustDomain);
    expect(idsOf(all)).toContain(first.idHex);
    expect(all.filter(({ from }) => from === "aa")).toHaveLength(7);
    expect(idsOf(all)).toContain("19");
    shelf.park(parkedAs(numbered(0), { bytes: PARKED_BYTES_MAX }));
    expect(shelf.has(trustDomain), "exactly at the bound").toBe(true);
  });

  test("wait ten minutes, and no longer when the clock is set", () => {
    const shelf = new ParkedRecords();
    shelf.park(parkedAs(first, { sinceMs: 1_000_000_000 }));
    shelf.dropOld(1_000_000_000 + PARKED_MS);
    expect(shelf.has(trustDomain)).toBe(true);
    shelf.dropOld(1_000_000_000 - PARKED_MS);
    expect(shelf.has(trustDomain)).toBe(true);
    shelf.dropOld(1_000_000_000 + PARKED_MS + 1);
    expect(shelf.has(trustDomain)).toBe(false);
    shelf.park(parkedAs(first, { sinceMs: 1_000_000_000 }));
    shelf.dropOld(0);
    expect(shelf.has(trustDomain)).toBe(false);
  });
});
