import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Admission, type Member } from "../../src/p2p/admission.ts";
import { BARRED_MS } from "../../src/p2p/conduct.ts";
import { nodePrivateKey, peerIdOfNode } from "../../src/p2p/node-identity.ts";

const SELF = peerIdOfNode(await keyOf(0));
const NODES = await Promise.all(Array.from({ length: 40 }, async (_, index) => await keyOf(index)));
const [, ...OTHERS] = NODES;
const HOSTILE = "hostile.test";
const HONEST = "honest.test";

async function keyOf(index: number): Promise<Uint8Array> {
  return (await nodePrivateKey(new Uint8Array(32).fill(index))).publicKey.raw;
}

function memberOf(admission: Admission, node: Uint8Array | undefined): Member {
  const member = node && admission.member(peerIdOfNode(node));
  if (member === undefined) throw new Error("not admitted");
  return member;
}

/** Far beyond what any honest node does. */
const FLOOD = 1_000_000;

describe("the admission", () => {
  test("admits what any trust domain lists, and tells each change once", () => {
    const lists = fc.subarray(NODES.slice(0, 5));
    const steps = fc.array(fc.tuple(fc.constantFrom("a.test", "b.test", "c.test"), lists));
    fc.assert(
      fc.property(steps, (changes) => {
        const admission = new Admission(SELF, () => 0);
        const listed = new Map<string, readonly Uint8Array[]>();
        const told = new Set<string>();
        for (const [trustDomain, nodes] of changes) {
          const { added, removed } = admission.admit(trustDomain, nodes);
          listed.set(trustDomain, nodes);
          for (const { peerId } of added) told.add(peerId.toString());
          for (const { peerId } of removed) expect(told.delete(peerId.toString())).toBe(true);
          const all = [...listed.values()].flat().map((node) => peerIdOfNode(node).toString());
          const expected = new Set(all.filter((id) => id !== SELF.toString()));
          const admitted = [...admission.members()].map(({ peerId }) => peerId.toString());
          expect(new Set(admitted)).toEqual(expected);
          expect(told).toEqual(expected);
        }
      }),
    );
  });
});

describe("what a trust domain may make us do", () => {
  test("is no more for sixteen nodes than for one", () => {
    const admission = new Admission(SELF, () => 0);
    admission.admit(HOSTILE, OTHERS.slice(0, 16));
    const taken = OTHERS.slice(0, 16).map((node) => {
      const { gossipBudget } = memberOf(admission, node);
      let messages = 0;
      while (gossipBudget.take(0)) messages += 1;
      return messages;
    });
    expect(taken).toEqual([100, ...Array.from({ length: 15 }, () => 0)]);
  });

  test.each([
    ["other nodes", [OTHERS.slice(16, 32)]],
    ["no node, and other nodes", [[], OTHERS.slice(16, 32)]],
    ["no node, and the same again", [[], OTHERS.slice(0, 16)]],
  ])("stays used up, and it barred and graylisted, when it lists %s", (_, lists) => {
    let nowMs = 0;
    const admission = new Admission(SELF, () => nowMs);
    admission.admit(HOSTILE, OTHERS.slice(0, 16));
    const { conduct, uselessBudget } = memberOf(admission, OTHERS[3]);
    expect(uselessBudget.take(0, 512)).toBe(true);
    conduct.onWork(FLOOD, 0);
    for (let message = 0; message < 9; message += 1) conduct.onInvalid(0);
    for (const nodes of lists) admission.admit(HOSTILE, nodes);
    const members = [...admission.members()];
    expect(members).toHaveLength(16);
    expect(members.every((each) => each.conduct.barred(0))).toBe(true);
    expect(members.every((each) => each.conduct.graylisted(0))).toBe(true);
    expect(members.some((each) => each.uselessBudget.take(0))).toBe(false);
    nowMs = BARRED_MS;
    expect(members.some((each) => each.conduct.barred(nowMs))).toBe(false);
  });

  test("is forgotten no sooner than its bar is over, once it lists no node", () => {
    let nowMs = 0;
    const admission = new Admission(SELF, () => nowMs);
    const again = (): Member => {
      admission.admit(HOSTILE, OTHERS.slice(0, 1));
      return memberOf(admission, OTHERS[0]);
    };
    const [before] = again().accounts.values();
    admission.admit(HOSTILE, []);
    nowMs = BARRED_MS - 1;
    expect(again().accounts.get(HOSTILE)).toBe(before);
    admission.admit(HOSTILE, []);
    nowMs += BARRED_MS;
    expect(again().accounts.get(HOSTILE)).not.toBe(before);
  });
});

describe("a node that two trust domains list", () => {
  test.each([
    ["before", [HOSTILE, HONEST]],
    ["after", [HONEST, HOSTILE]],
  ])("is not spoiled by the one that listed it %s its own", (_, order) => {
    const admission = new Admission(SELF, () => 0);
    const [node, rogue] = OTHERS;
    for (const trustDomain of order) {
      const more = trustDomain === HOSTILE && rogue !== undefined ? [rogue] : [];
      admission.admit(trustDomain, [...(node === undefined ? [] : [node]), ...more]);
    }
    const { conduct, gossipBudget } = memberOf(admission, rogue);
    while (gossipBudget.take(0)) continue;
    for (let message = 0; message < 9; message += 1) conduct.onInvalid(0);
    const victim = memberOf(admission, node);
    expect(victim.conduct.graylisted(0)).toBe(false);
    conduct.onWork(FLOOD, 0);
    expect(conduct.barred(0)).toBe(true);
    expect(victim.conduct.barred(0)).toBe(false);
    expect(victim.gossipBudget.take(0, 100)).toBe(true);
    expect(victim.gossipBudget.take(0)).toBe(false);
  });

  test("is barred once both are", () => {
    const admission = new Admission(SELF, () => 0);
    for (const trustDomain of [HOSTILE, HONEST]) {
      admission.admit(trustDomain, OTHERS.slice(0, 1));
    }
    const member = memberOf(admission, OTHERS[0]);
    member.conduct.onWork(FLOOD, 0);
    expect(member.conduct.barred(0)).toBe(false);
    member.conduct.onWork(FLOOD, 0);
    expect(member.conduct.barred(0)).toBe(true);
  });

  test("stays admitted while one of them lists it", () => {
    const admission = new Admission(SELF, () => 0);
    const [node = new Uint8Array()] = OTHERS;
    admission.admit(HOSTILE, [node]);
    admission.admit(HONEST, [node]);
    expect(admission.admit(HOSTILE, [])).toEqual({ added: [], removed: [] });
    expect([...memberOf(admission, node).accounts.keys()]).toEqual([HONEST]);
    expect(admission.admit(HONEST, []).removed).toHaveLength(1);
    expect(admission.admits(peerIdOfNode(node))).toBe(false);
  });
});
