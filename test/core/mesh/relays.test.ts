/**
 * Who brings records of others: it may be late, leave steps out and repeat itself, and pays for what
 * that makes us do. Laws first; the shares by themselves are meter.test.ts's.
 */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compareBytes, toHex } from "../../../src/core/std/bytes.ts";
import {
  NOW_S,
  type TestRecord,
  makeNodeKey,
  makePublisher,
  makeRecord,
  untainted,
} from "../../arbitraries/record.ts";
import { TestDaemon } from "./daemon.ts";

const alpha = makePublisher("alpha.test");
const bravo = makePublisher("bravo.test");
const charlie = makePublisher("charlie.test");
const delta = makePublisher("delta.test");
const { genesis, trustDomain, node, svid } = alpha;

/** So many rotations of alpha: each record stands on the one before and on none else. */
function rotations(count: number): readonly TestRecord[] {
  const records = [genesis];
  let [before, ca, kept] = [genesis, alpha.ca, svid];
  for (let rotation = 0; rotation < count; rotation += 1) {
    const next = alpha.newCa();
    const both = { x509Authorities: [untainted(ca), untainted(next)] };
    const prepared = alpha.next(before, both, [kept]);
    const minted = alpha.mint(next);
    const revoked = alpha.next(prepared, { x509Authorities: [untainted(next)] }, [kept, minted]);
    records.push(prepared, revoked);
    [before, ca, kept] = [revoked, next, minted];
  }
  return records;
}

const steps = rotations(4);
/** The newest record with as many blocks as fit, each signed by the node. */
const dear = makeRecord(
  steps.at(-1)?.state ?? genesis.state,
  Array.from({ length: 8 }, (_, index) => ({
    node,
    svids: [svid, alpha.mint(alpha.newCa())],
    signedAtS: NOW_S - index,
  })),
);
/** A block of the held record that loses to the one that is held. */
const earlier = makeRecord(genesis.state, [{ node, svids: [svid], signedAtS: NOW_S - 60 }]);
const carried: readonly TestRecord[] = [...steps, dear, earlier];

const own = toHex(node.publicKey);
/** A partner's node, one that two partners list, and one that nobody lists any more. */
const shared = makeNodeKey();
const nodes = [shared.publicKey, charlie.node.publicKey].sort(compareBytes);
const charlies = makeRecord({ ...charlie.genesis.state, nodes }, [
  { node: charlie.node, svids: [charlie.svid] },
]);
const deltas = makeRecord(
  { ...delta.genesis.state, nodes: [shared.publicKey, delta.node.publicKey].sort(compareBytes) },
  [{ node: delta.node, svids: [delta.svid] }],
);
const RELAYS = [toHex(charlie.node.publicKey), toHex(shared.publicKey), "f0".repeat(32)];

async function holding(): Promise<TestDaemon> {
  const daemon = await TestDaemon.start(bravo);
  for (const first of [genesis, charlies, deltas]) expect(daemon.import(first)).toBe("taken");
  return daemon;
}

/** Alpha's own node brings what follows on the held record. */
function catchUp(daemon: TestDaemon): void {
  const held = daemon.stored(trustDomain)?.held.recordId;
  const from = steps.findIndex(({ idHex }) => idHex === held);
  for (const step of steps.slice(from + 1)) expect(daemon.receive(step, "sync", own)).toBe("taken");
}

describe("whatever relays bring of a trust domain by sync", () => {
  test("its own next steps are verified as soon as a node of its own brings them", async () => {
    const bring = fc.record({
      record: fc.nat(carried.length - 1),
      relay: fc.nat(RELAYS.length - 1),
      times: fc.constantFrom(1, 3, 300),
      waitMs: fc.constantFrom(0, 100, 5_000),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(bring, { maxLength: 3 }), async (brought) => {
        const daemon = await holding();
        for (const { record, relay, times, waitMs } of brought) {
          daemon.nowMs += waitMs;
          for (let time = 0; time < times; time += 1) {
            daemon.receive(carried[record] ?? genesis, "sync", RELAYS[relay]);
          }
        }
        catchUp(daemon);
      }),
      { numRuns: 12, examples: [[[{ record: 8, relay: 0, times: 300, waitMs: 0 }]]] },
    );
  });

  test("another relay may bring it meanwhile, step by step", async () => {
    const daemon = await holding();
    for (let time = 0; time < 100; time += 1) daemon.receive(dear, "sync", RELAYS[0]);
    for (const step of steps.slice(1)) {
      expect(daemon.receive(step, "sync", toHex(delta.node.publicKey))).toBe("taken");
    }
  });
});

/** A relay gave out of order what it had of alpha, until that was not looked at any more. */
async function spent(): Promise<TestDaemon> {
  const daemon = await holding();
  while (daemon.receive(dear, "sync", RELAYS[0]) !== "OVER_BUDGET");
  return daemon;
}

describe("a relay whose share of one trust domain is spent", () => {
  test("is heard of it again as soon as it has earned something", async () => {
    const daemon = await spent();
    expect(daemon.receive(steps[1] ?? genesis, "sync", RELAYS[0])).toBe("OVER_BUDGET");
    daemon.nowMs += 60_000;
    expect(daemon.receive(steps[1] ?? genesis, "sync", RELAYS[0])).toBe("taken");
  });

  test("brings what others publish, and its own, as before: nobody is silenced by what one forked", async () => {
    const daemon = await spent();
    const next = delta.next(deltas);
    expect(daemon.receive(next, "sync", RELAYS[0])).toBe("taken");
    expect(daemon.receive(charlie.next(charlies), "sync", RELAYS[0])).toBe("taken");
  });

  test("is not charged for a file, nor for what an operator imports", async () => {
    const daemon = await spent();
    expect(daemon.import(steps[1] ?? genesis)).toBe("taken");
  });
});
