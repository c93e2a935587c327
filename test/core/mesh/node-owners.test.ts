import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Listed, NodeOwners, listedBy } from "../../../src/core/mesh/node-owners.ts";
import { startSlot } from "../../../src/core/resolver/slot.ts";
import type { TrustDomain } from "../../../src/core/spiffe/trust-domain.ts";
import { compareBytes, toHex } from "../../../src/core/std/bytes.ts";
import {
  type NodeKey,
  type Publisher,
  makeNodeKey,
  makePublisher,
  makeRecord,
} from "../../arbitraries/record.ts";
import { verified } from "../record/verdict.ts";
import { TestDaemon, TestDisk, ofKind } from "./daemon.ts";

/** Who has which node keys: bravo two, the others one. Whoever has the key can sign with it. */
const bravo = makePublisher("bravo.test");
const charlie = makePublisher("charlie.test");
const eve = makePublisher("eve.test");
const replica = makeNodeKey();
const publishers = [bravo, charlie, eve];
const KEYS: readonly (readonly [Publisher, NodeKey])[] = [
  [bravo, bravo.node],
  [bravo, replica],
  [charlie, charlie.node],
  [eve, eve.node],
];
const hexOf = ({ publicKey }: NodeKey): string => toHex(publicKey);

/** The first record of a publisher that lists these keys, signed by those of its own that `signs` names. */
function listing(publisher: Publisher, lists: number, signs: number): Listed | undefined {
  const listed = KEYS.filter((_, index) => (lists >> index) % 2 === 1);
  const signers = listed.filter(
    ([owner], index) => owner === publisher && (signs >> index) % 2 === 1,
  );
  if (signers.length === 0) return undefined; // Not held then.
  const nodes = listed.map(([, { publicKey }]) => publicKey).sort(compareBytes);
  const blocks = signers.map(([, node]) => ({ node, svids: [publisher.svid] }));
  return listedBy(startSlot(verified(makeRecord({ ...publisher.genesis.state, nodes }, blocks))));
}

const change = fc.record({
  publisher: fc.constantFrom(...publishers),
  lists: fc.nat(15),
  signs: fc.nat(15),
});

/** The rule as it is written, over all that is held. */
function ownerByRule(held: ReadonlyMap<TrustDomain, Listed>, node: string) {
  const isAmong = (nodes: readonly Uint8Array[]) => nodes.some((each) => toHex(each) === node);
  const listers = [...held].filter(([, { nodes }]) => isAmong(nodes));
  const signedFor = listers.filter(([, { signers }]) => isAmong(signers));
  if (listers.length === 1) return listers[0]?.[0];
  return signedFor.length === 1 ? signedFor[0]?.[0] : undefined;
}

describe("whose a node is", () => {
  test("follows the rule through any history, and those whom a change touches are named", () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 8 }), (changes) => {
        const owners = new NodeOwners();
        const held = new Map<TrustDomain, Listed>();
        const foreign = () => publishers.map((each) => owners.foreignNodeOf(each.trustDomain));
        for (const { publisher, lists, signs } of changes) {
          const { trustDomain } = publisher;
          const record = listing(publisher, lists, signs);
          const before = foreign();
          const touched = owners.hold(trustDomain, record);
          if (record === undefined) held.delete(trustDomain);
          else held.set(trustDomain, record);
          for (const [, key] of KEYS) {
            expect(owners.ownerOf(hexOf(key))).toBe(ownerByRule(held, hexOf(key)));
          }
          for (const [index, each] of foreign().entries()) {
            const is = publishers[index]?.trustDomain;
            if (is !== undefined && !touched.has(is)) expect(each).toBe(before[index]);
          }
        }
      }),
    );
  });

  test("is never changed by what another trust domain lists, once the node signed", () => {
    const changes = fc.array(change, { maxLength: 8 });
    fc.assert(
      fc.property(changes, changes, fc.nat(15), (before, after, lists) => {
        const owners = new NodeOwners();
        const hold = ({ publisher, lists: listed, signs }: (typeof before)[number]): void => {
          if (publisher === bravo) return;
          owners.hold(publisher.trustDomain, listing(publisher, listed, signs));
        };
        before.forEach(hold);
        owners.hold(bravo.trustDomain, listing(bravo, lists | 1, 1));
        for (const each of after) {
          hold(each);
          expect(owners.ownerOf(hexOf(bravo.node))).toBe(bravo.trustDomain);
        }
      }),
    );
  });

  const BRAVOS = 0b0011;
  const EVES = 0b1000;
  test.each([
    ["that one lists", { bravo: BRAVOS }, replica, "bravo.test"],
    [
      "that two list and one signed for",
      { bravo: BRAVOS, eve: EVES | 1 },
      bravo.node,
      "bravo.test",
    ],
    ["that two list and neither signed for", { bravo: BRAVOS, eve: EVES | 2 }, replica, undefined],
    ["that nobody lists", { bravo: 1 }, eve.node, undefined],
  ])("%s", (_, { bravo: bravos, eve: eves = 0 }: { bravo: number; eve?: number }, node, owner) => {
    const owners = new NodeOwners();
    owners.hold(eve.trustDomain, listing(eve, eves, 0b1110));
    owners.hold(bravo.trustDomain, listing(bravo, bravos, 1));
    expect(owners.ownerOf(hexOf(node))).toBe(owner);
  });
});

describe("a trust domain that lists a node of another", () => {
  const greedy = makeRecord(
    {
      ...eve.genesis.state,
      nodes: [eve.node.publicKey, bravo.node.publicKey].sort(compareBytes),
    },
    [{ node: eve.node, svids: [eve.svid] }],
  );
  const honest = eve.next(greedy, {
    nodes: [eve.node.publicKey],
    version: { epoch: 0, rev: 1, sequence: 1n },
  });

  async function holding(disk = new TestDisk()): Promise<TestDaemon> {
    const daemon = await TestDaemon.start(charlie, { disk });
    for (const first of [greedy, bravo.genesis]) expect(daemon.import(first)).toBe("taken");
    return daemon;
  }

  test("is shown, until it lists its own alone", async () => {
    const disk = new TestDisk();
    const daemon = await holding(disk);
    const said = [...daemon.state.findings.values()];
    expect(said).toMatchObject([
      { code: "NODE_LISTED_TWICE", severity: "warning", trustDomain: "eve.test" },
    ]);
    expect(said[0]?.message).toBe(
      `eve.test and bravo.test list one node key, which signs for bravo.test: ${hexOf(bravo.node)}`,
    );
    const again = await TestDaemon.start(charlie, { disk });
    expect(again.findings, "after a restart as well").toEqual(["NODE_LISTED_TWICE"]);
    expect(daemon.receive(honest)).toBe("taken");
    expect(daemon.findings).toEqual([]);
  });

  test("is shown no longer when the other is forgotten", async () => {
    const daemon = await holding();
    daemon.readRows();
    daemon.endRow();
    daemon.forget(bravo.trustDomain);
    while (daemon.orders.length > 0) daemon.endRow();
    expect(daemon.state.partners.has(bravo.trustDomain)).toBe(false);
    expect(daemon.findings).toEqual([]);
  });

  test("is not heard through it, and holds nothing of ours through it", async () => {
    const daemon = await holding();
    const { version } = charlie.genesis.state;
    const { trustDomain } = charlie;
    const entries = [{ trustDomain, version, recordIds: [charlie.genesis.id] }];
    daemon.send({ kind: "peer-synced", node: hexOf(bravo.node), entries });
    expect(daemon.partner(bravo.trustDomain)).toMatchObject({
      lastHeardAtMs: daemon.nowMs,
      holdsOurs: { recordId: charlie.genesis.idHex },
    });
    expect(daemon.partner(eve.trustDomain)).toMatchObject({
      lastHeardAtMs: undefined,
      holdsOurs: undefined,
    });
  });

  test("has no gap by what that node brings of it", async () => {
    const daemon = await holding();
    const other = eve.newCa();
    const gap = eve.next(honest, {}, [eve.mint(other)]);
    expect(daemon.receive(gap, "sync", hexOf(bravo.node))).toBe("OLD_AUTHORITY_MISSING");
    expect(daemon.findings).toEqual(["NODE_LISTED_TWICE"]);
    expect(daemon.receive(gap, "sync", hexOf(eve.node))).toBe("OLD_AUTHORITY_MISSING");
    expect(daemon.findings).toEqual(["CONTINUITY_GAP", "NODE_LISTED_TWICE"]);
  });

  test("may list the node of this daemon: that is shown as well", async () => {
    const daemon = await TestDaemon.start(bravo);
    expect(daemon.import(greedy)).toBe("taken");
    expect(daemon.findings).toEqual([]);
    daemon.exportOwn({
      trustDomain: bravo.trustDomain,
      sequenceNumber: 1n,
      x509Authorities: bravo.genesis.state.x509Authorities,
      jwtAuthorities: [],
    });
    expect(daemon.findings).toEqual(["NODE_LISTED_TWICE"]);
    expect(ofKind(daemon.effects, "tell").at(-1)?.event.kind).toBe("finding-raised");
  });
});
