/** What is compared is what docs/protocol.md 5 defines, however it is remembered. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { SyncEntry } from "../../src/core/mesh/sync-entry.ts";
import { compareBytes } from "../../src/core/std/bytes.ts";
import { SYNC_ENTRIES_MAX } from "../../src/core/std/limits.ts";
import { HeldIndex, SharedDomains } from "../../src/p2p/sync-holdings.ts";
import { BUCKETS, bytesForBits, setBit, syncOrder } from "../../src/p2p/sync-order.ts";
import { allBits } from "../rogue/sync-answers.ts";
import { TestSource, entryOf, nameOf, referenceHashes, referenceRoot } from "./sync-reference.ts";

const ALL_BUCKETS = Array.from({ length: BUCKETS }, (_, bucket) => bucket);
const names = fc.uniqueArray(fc.nat({ max: 400 }).map(nameOf), { minLength: 1, maxLength: 60 });
/** What somebody wants, and of that what it holds. */
const holders = fc
  .tuple(names, fc.array(fc.tuple(fc.boolean(), fc.bigInt(1n, 3n)), { minLength: 60 }))
  .map(([wanted, held]) => ({
    wanted,
    held: wanted.flatMap((name, index) => {
      const [isHeld = false, sequence] = held[index] ?? [];
      return isHeld ? entryOf(name, sequence) : [];
    }),
  }));

function sharedBy(index: HeldIndex, with_: readonly string[]): SharedDomains {
  const { wanted } = index.now();
  const bits = new Uint8Array(bytesForBits(wanted.names.length));
  for (const name of with_) {
    const place = wanted.places.get(name);
    if (place !== undefined) setBit(bits, place);
  }
  return new SharedDomains(wanted, bits);
}

const rootOf = (index: HeldIndex, other: readonly string[]): string =>
  Buffer.from(sharedBy(index, other).root(index.now())).toString("hex");
const inWords = ({ trustDomain, version }: SyncEntry): string =>
  `${trustDomain} ${version.sequence}`;
const among = (held: readonly SyncEntry[], wanted: readonly string[]): readonly SyncEntry[] =>
  held.filter(({ trustDomain }) => wanted.includes(trustDomain));

describe("what two sides compare", () => {
  test("is the root over what one holds of what both want, as it changes", () => {
    fc.assert(
      fc.property(holders, holders, fc.array(holders, { maxLength: 4 }), (ours, theirs, later) => {
        const source = new TestSource(ours.wanted, ours.held);
        const index = new HeldIndex(source);
        const shared = sharedBy(index, theirs.wanted);
        for (const held of [ours.held, ...later.map((each) => among(each.held, ours.wanted))]) {
          source.hold(held);
          const both = among(held, theirs.wanted);
          const now = index.now();
          expect(shared.isOf(now)).toBe(true);
          expect(shared.root(now)).toEqual(referenceRoot(both));
          expect(shared.hashes(now)).toEqual(referenceHashes(both));
          const listed = shared.entries(now);
          expect(listed).toEqual(shared.list(now, ALL_BUCKETS, undefined));
          expect(new Set(listed)).toEqual(new Set(both));
          expect(listed.every(({ trustDomain }) => shared.has(trustDomain))).toBe(true);
        }
      }),
    );
  });

  test("is the same on both sides when they hold the same of it, and only then", () => {
    fc.assert(
      fc.property(holders, holders, (ours, theirs) => {
        const [left, right] = [ours, theirs].map(
          ({ wanted, held }) => new HeldIndex(new TestSource(wanted, held)),
        );
        if (left === undefined || right === undefined) return;
        const held = (mine: typeof ours, other: typeof ours): string[] =>
          among(mine.held, other.wanted).map(inWords).toSorted();
        expect(rootOf(left, theirs.wanted) === rootOf(right, ours.wanted)).toBe(
          held(ours, theirs).join() === held(theirs, ours).join(),
        );
      }),
    );
  });

  test("shows each change of a version, an id and the set", () => {
    const entry = entryOf(nameOf(1));
    const sibling = entryOf(nameOf(1), 2n).recordIds;
    const changes: readonly (readonly SyncEntry[])[] = [
      [entry],
      [],
      [{ ...entry, version: { ...entry.version, epoch: 1 } }],
      [{ ...entry, version: { ...entry.version, rev: 1 } }],
      [{ ...entry, version: { ...entry.version, sequence: 2n } }],
      [{ ...entry, recordIds: sibling }],
      [{ ...entry, recordIds: [...entry.recordIds, ...sibling].sort(compareBytes) }],
    ];
    const source = new TestSource([nameOf(1)], []);
    const index = new HeldIndex(source);
    const shared = sharedBy(index, [nameOf(1)]);
    const roots = changes.map((held) => {
      source.hold(held);
      return Buffer.from(shared.root(index.now())).toString("hex");
    });
    expect(new Set(roots).size).toBe(changes.length);
  });
});

describe("while nothing changes", () => {
  test("nobody is asked, and all that was made is there again", () => {
    const wanted = Array.from({ length: 1_000 }, (_, index) => nameOf(index));
    const source = new TestSource(
      wanted,
      wanted.map((name) => entryOf(name)),
    );
    const index = new HeldIndex(source);
    const shared = new SharedDomains(index.now().wanted, allBits(wanted.length));
    const entries = shared.entries(index.now());
    const root = shared.root(index.now());
    const { asked } = source;
    expect(index.now()).toBe(index.now());
    expect(shared.root(index.now())).toBe(root);
    expect(shared.entries(index.now())).toBe(entries);
    expect(source.asked).toBe(asked);
  });

  test("in a bucket, it is what it was", () => {
    const wanted = Array.from({ length: 1_000 }, (_, index) => nameOf(index));
    const source = new TestSource(
      wanted,
      wanted.map((name) => entryOf(name)),
    );
    const index = new HeldIndex(source);
    const before = index.now();
    source.hold(wanted.map((name, place) => entryOf(name, place === 7 ? 2n : 1n)));
    const after = index.now();
    expect(after.wanted).toBe(before.wanted);
    expect(after.buckets.filter((bucket, at) => bucket !== before.buckets[at])).toHaveLength(1);
  });

  test("in what is wanted, what is shared stands; it does not when that changes", () => {
    const source = new TestSource([nameOf(1), nameOf(2)], []);
    const index = new HeldIndex(source);
    const shared = sharedBy(index, [nameOf(1)]);
    source.want([nameOf(2), nameOf(1)]);
    expect(shared.isOf(index.now())).toBe(true);
    source.want([nameOf(2), nameOf(3)]);
    expect(shared.isOf(index.now())).toBe(false);
  });
});

test("a list goes on behind the name that it is told, and ends at its limit", () => {
  const wanted = Array.from({ length: 3 * SYNC_ENTRIES_MAX }, (_, index) => nameOf(index));
  const source = new TestSource(
    wanted,
    wanted.map((name) => entryOf(name)),
  );
  const now = new HeldIndex(source).now();
  const shared = new SharedDomains(now.wanted, allBits(wanted.length));
  const first = shared.list(now, ALL_BUCKETS, undefined);
  expect(first).toHaveLength(SYNC_ENTRIES_MAX);
  const last = first.at(-1)?.trustDomain;
  const from = syncOrder(last ?? "")[0] ?? 0;
  const second = shared.list(now, ALL_BUCKETS.slice(from), last);
  const both = [...first, ...second].map(({ trustDomain }) => trustDomain);
  expect(both).toEqual(now.wanted.names.slice(0, 2 * SYNC_ENTRIES_MAX));
  expect(shared.list(now, [], undefined)).toEqual([]);
});
