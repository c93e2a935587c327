import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { standingOf } from "../../../src/core/record/standing.ts";
import type { VerifiedBlock, VerifiedRecord } from "../../../src/core/record/verify.ts";
import {
  type Relation,
  type Slot,
  addBlocks,
  addSibling,
  advance,
  envelopeBytes,
  relate,
  startSlot,
} from "../../../src/core/resolver/slot.ts";
import { compareBytes, toHex } from "../../../src/core/std/bytes.ts";
import { BLOCKS_MAX, ENVELOPE_BYTES_MAX } from "../../../src/core/std/limits.ts";
import type { Version } from "../../../src/core/record/state.ts";
import {
  NOW_S,
  type TestRecord,
  makeNodeKey,
  makePublisher,
  stateAfter,
} from "../../arbitraries/record.ts";
import { verified } from "../record/verdict.ts";

const alpha = makePublisher("alpha.test");
const { genesis } = alpha;
const record = verified(genesis);

const newAnchorOf = ({ blocks: [first] }: VerifiedRecord) => first?.newAnchor ?? new Uint8Array();
const fill = (length: number, byte: number): Uint8Array => new Uint8Array(length).fill(byte);

/** Few nodes, anchors, times and signatures, so that pairs, ties and repeats come up in every run. */
const block: fc.Arbitrary<VerifiedBlock> = fc
  .tuple(fc.nat(3), fc.nat(3), fc.nat(2), fc.nat(1))
  .map(([node, anchor, signedAtS, mark]) => ({
    newAnchor: fill(32, anchor),
    block: {
      nodePublicKey: fill(32, node),
      signedAtS,
      chains: [[fill(9, anchor)]],
      svidSignatures: [fill(64, signedAtS)],
      nodeSignature: Uint8Array.of(node, anchor, signedAtS, mark, ...fill(60, 0)),
    },
  }));
const blocks = fc.array(block, { minLength: 1, maxLength: 20 });

function withBlocks(some: readonly VerifiedBlock[]): VerifiedRecord {
  return { ...record, blocks: some };
}

/** What is held when the blocks came in groups that end before these places. */
function heldAfter(arrived: readonly VerifiedBlock[], places: readonly number[]): Slot {
  const ends = [...new Set([...places, arrived.length])].sort((left, right) => left - right);
  const groups = ends
    .filter((end) => end > 0 && end <= arrived.length)
    .map((end, index, all) => arrived.slice(all[index - 1] ?? 0, end));
  const [first = [], ...later] = groups;
  let slot = startSlot(withBlocks(first));
  for (const group of later) slot = addBlocks(slot, withBlocks(group));
  return slot;
}

const hex = (slot: Slot): string => toHex(envelopeBytes(slot.held));
const pair = ({ block: { nodePublicKey }, newAnchor }: VerifiedBlock): string =>
  toHex(nodePublicKey) + toHex(newAnchor);
const someEnds = fc.array(fc.nat(20), { maxLength: 5 });

describe("the blocks of a held record", () => {
  test("are the same whatever the order and grouping in which they came", () => {
    const arrivals = blocks.chain((arrived) =>
      fc.tuple(
        fc.constant(arrived),
        fc.shuffledSubarray(arrived, { minLength: arrived.length }),
        someEnds,
        someEnds,
      ),
    );
    fc.assert(
      fc.property(arrivals, ([here, there, endsHere, endsThere]) => {
        expect(hex(heldAfter(there, endsThere)) === hex(heldAfter(here, endsHere))).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  test("do not change when they come again, and then the slot is the very same", () => {
    fc.assert(
      fc.property(blocks, fc.shuffledSubarray([0, 1, 2, 3, 4, 5, 6, 7]), (arrived, again) => {
        const slot = heldAfter(arrived, []);
        const some = again.flatMap((index) => slot.held.blocks[index] ?? []);
        expect(addBlocks(slot, withBlocks(some)) === slot).toBe(true);
        expect(addBlocks(slot, slot.held) === slot).toBe(true);
      }),
    );
  });

  test("are the smallest eight pairs of node and anchor, each as signed last", () => {
    fc.assert(
      fc.property(blocks, (arrived) => {
        const { held } = heldAfter(arrived, []);
        const pairs = [...new Set(arrived.map(pair))].sort().slice(0, BLOCKS_MAX);
        expect(held.blocks.map(pair)).toEqual(pairs);
        for (const kept of held.blocks) {
          const times = arrived.filter((each) => pair(each) === pair(kept));
          const last = Math.max(...times.map(({ block: { signedAtS } }) => signedAtS));
          expect(kept.block.signedAtS).toBe(last);
        }
      }),
    );
  });

  test("never make an envelope above 128 KiB", () => {
    const certificates = Array.from({ length: 4 }, () => fill(8_192, 7));
    const wide = [1, 2, 3, 4, 5].map((node): VerifiedBlock => {
      const nodeSignature = fill(64, node);
      const chains = [certificates];
      const parts = { nodePublicKey: fill(32, node), signedAtS: 1, svidSignatures: [fill(64, 1)] };
      return { newAnchor: fill(32, 1), block: { ...parts, chains, nodeSignature } };
    });
    const { held } = heldAfter(wide, [1, 2, 3, 4]);
    expect(held.blocks).toHaveLength(3);
    expect(envelopeBytes(held).length).toBeLessThanOrEqual(ENVELOPE_BYTES_MAX);
    expect(hex(heldAfter(wide, []))).toBe(hex(heldAfter(wide, [1, 2, 3, 4])));
  });
});

function at(version: Partial<Version>, change = {}): VerifiedRecord {
  const state = stateAfter(genesis, change);
  const whole = { epoch: 0, rev: 1, sequence: 5n, ...version };
  return verified(alpha.next(genesis, { ...state, version: whole }), record);
}

const sibling = (): VerifiedRecord => at({}, { removed: [makeNodeKey().publicKey] });

describe("a record", () => {
  const slot = advance(startSlot(record), at({}), NOW_S);
  const other = makePublisher("alpha.test");

  test.each<readonly [string, Relation, () => VerifiedRecord]>([
    ["of a higher sequence", "newer", () => at({ sequence: 6n })],
    ["of a higher rev and a lower sequence", "newer", () => at({ rev: 2, sequence: 1n })],
    ["of a lower rev and a higher sequence", "older", () => at({ rev: 0, sequence: 9n })],
    ["of a lower sequence", "older", () => at({ sequence: 4n })],
    ["before it", "older", () => record],
    ["with the same content", "same", () => at({})],
    ["with other content", "fork", () => sibling()],
    ["of another lineage", "other-lineage", () => verified(other.genesis)],
  ])("%s is %s", (_, relation, make) => {
    expect(relate(slot, make().record)).toBe(relation);
  });

  const anchors = [newAnchorOf(record)];

  test("that starts a slot stands alone", () => {
    expect(startSlot(record)).toEqual({
      held: record,
      sibling: undefined,
      effective: standingOf(record),
      base: undefined,
      anchors,
      gone: [],
    });
  });

  test("that is newer has what stood before as its base, and ends a fork", () => {
    const forked = addSibling(slot, sibling());
    const next = at({ sequence: 6n });
    expect(advance(forked, next, NOW_S)).toEqual({
      held: next,
      sibling: undefined,
      effective: standingOf(next),
      base: forked.effective,
      anchors,
      gone: [],
    });
  });

  test("beside two siblings is kept where its id is among the two smallest, whatever the order", () => {
    const all = [slot.held, sibling(), sibling(), sibling()];
    const byId = all.toSorted((one, other) => compareBytes(one.record.id, other.record.id));
    const order = fc.shuffledSubarray([1, 2, 3], { minLength: 3 });
    fc.assert(
      fc.property(order, (places) => {
        let forked = slot;
        for (const place of places) forked = addSibling(forked, all[place] ?? slot.held);
        expect([forked.held, forked.sibling]).toEqual(byId.slice(0, 2));
        expect(addSibling(forked, all[places[0] ?? 1] ?? slot.held)).toBe(forked);
      }),
    );
  });
});

const rank = ({ rev, sequence }: Version): bigint => BigInt(rev) * 100n + sequence;

describe("the held version", () => {
  test("never falls, whatever comes in", () => {
    const versions = fc.array(fc.tuple(fc.nat(2), fc.bigInt(1n, 4n), fc.boolean()), {
      maxLength: 6,
    });
    const known = new Map<string, TestRecord>();
    fc.assert(
      fc.property(versions, (arrived) => {
        let slot = startSlot(record);
        for (const [rev, sequence, sibling] of arrived) {
          const key = `${rev} ${sequence} ${sibling}`;
          const removed = sibling ? [fill(32, 1)] : [];
          const version = { epoch: 0, rev, sequence };
          const made = known.get(key) ?? alpha.next(genesis, { version, removed });
          known.set(key, made);
          const incoming = verified(made, record);
          const before = slot.held.record.state.version;
          const relation = relate(slot, incoming.record);
          if (relation === "newer") slot = advance(slot, incoming, NOW_S);
          if (relation === "same") slot = addBlocks(slot, incoming);
          if (relation === "fork") slot = addSibling(slot, incoming);
          const after = slot.held.record.state.version;
          expect(rank(after) >= rank(before)).toBe(true);
          expect(relation === "newer").toBe(rank(after) > rank(before));
        }
      }),
      { numRuns: 40 },
    );
  });
});
