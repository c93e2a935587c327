/**
 * Every authority that is held of a partner has expired: its keys were thrown away and may be anybody's.
 * Newer records are followed beside what is held, and only somebody else's word makes them stand.
 */
import { expect, test } from "vitest";
import { toHex } from "../../../src/core/std/bytes.ts";
import { makeAuthority } from "../../arbitraries/authority.ts";
import {
  NOW_S,
  type Publisher,
  type Svid,
  type TestRecord,
  commitmentTo,
  makeNodeKey,
  makePublisher,
  makeRecord,
  makeRecoveredRecord,
  stateAfter,
  untainted,
} from "../../arbitraries/record.ts";
import type { TestDaemon } from "../mesh/daemon.ts";
import { type Stage, deliver, setStageFor, whatStands } from "./stage.ts";

const DAY_S = 86_400;
const recoveryKeys = [makeNodeKey()];

interface Expired extends Stage {
  readonly vouchers: readonly Publisher[];
  /** Each step is signed under an authority that only the one before it lists. */
  readonly steps: readonly TestRecord[];
  /** With what the first step is signed, whose keys a thief may have by now. */
  readonly stolen: readonly Svid[];
}

/** The holder slept for four days, and the victim rotated each day. */
async function expire(): Promise<Expired> {
  const made = makePublisher("victim.test");
  const cas = [0, 1, 2, 3, 4].map((day) =>
    makeAuthority({
      trustDomain: "victim.test",
      notBeforeS: NOW_S - DAY_S,
      notAfterS: NOW_S + (day === 4 ? 90 : day + 1) * DAY_S,
    }),
  );
  const [first, ...later] = cas;
  if (first === undefined) throw new Error("there is one");
  const { node } = made;
  const genesis = makeRecord(
    {
      ...made.genesis.state,
      x509Authorities: [untainted(first)],
      recovery: commitmentTo(recoveryKeys),
    },
    [{ node, svids: [made.mint(first)] }],
  );
  const steps: TestRecord[] = [];
  const stolen: Svid[] = [];
  let [before, old] = [genesis, first];
  for (const [day, ca] of later.entries()) {
    const state = stateAfter(before, { x509Authorities: [untainted(ca)] });
    const signedAtS = NOW_S + day * DAY_S + DAY_S / 2;
    const svids = [made.mint(old), made.mint(ca)];
    before = makeRecord(state, [{ node, svids, signedAtS }]);
    if (day === 0) stolen.push(...svids);
    old = ca;
    steps.push(before);
  }
  const victim = { ...made, ca: old, svid: made.mint(old), genesis };
  const stage = await setStageFor(victim);
  const { daemon } = stage;
  const vouchers = ["charlie.test", "delta.test"].map((name) => makePublisher(name));
  for (const each of vouchers) expect(daemon.import(each.genesis)).toBe("taken");
  daemon.nowMs += 4 * DAY_S * 1_000;
  daemon.tick(1_000);
  while (daemon.orders.length > 0) daemon.endRow();
  return { ...stage, vouchers, steps, stolen };
}

/** A node says in a round of sync that it holds a record of the victim. */
function vouch(daemon: TestDaemon, { node }: Publisher, { state, id }: TestRecord): void {
  const { trustDomain, version } = state;
  daemon.send({
    kind: "peer-synced",
    node: toHex(node.publicKey),
    entries: [{ trustDomain, version, recordIds: [id] }],
  });
}

const held = ({ daemon, victim }: Stage): string =>
  daemon.slot(victim.trustDomain).held.record.idHex;

function lastOf({ steps }: Expired): TestRecord {
  const last = steps.at(-1);
  if (last === undefined) throw new Error("there are steps");
  return last;
}

test("its next record does not stand by itself: HELD_EXPIRED, and the row stays as it is", async () => {
  const stage = await expire();
  const before = whatStands(stage);
  for (const step of stage.steps) expect(deliver(stage, step)).not.toBe("taken");
  expect(deliver(stage, stage.steps[0] ?? lastOf(stage))).toBe("HELD_EXPIRED");
  expect(whatStands(stage)).toEqual(before);
  expect(stage.daemon.findings).toContain("CONTINUITY_GAP");
});

test("two others who hold where its steps lead make it stand, over several rotations", async () => {
  const stage = await expire();
  for (const step of stage.steps) deliver(stage, step);
  const before = held(stage);
  for (const voucher of stage.vouchers) {
    expect(held(stage)).toBe(before);
    vouch(stage.daemon, voucher, lastOf(stage));
  }
  expect(held(stage)).toBe(lastOf(stage).idHex);
  expect(stage.daemon.findings).not.toContain("CONTINUITY_GAP");
});

test("two others make the first step stand as well", async () => {
  const stage = await expire();
  const [first] = stage.steps;
  if (first === undefined) throw new Error("there is one");
  deliver(stage, first);
  for (const voucher of stage.vouchers) vouch(stage.daemon, voucher, first);
  expect(held(stage)).toBe(first.idHex);
});

test("the word of one other, twice, is not enough, nor that of its own nodes", async () => {
  const stage = await expire();
  const before = held(stage);
  for (const step of stage.steps) deliver(stage, step);
  const [one] = stage.vouchers;
  if (one === undefined) throw new Error("there is one");
  for (const voucher of [one, stage.victim, one, stage.victim]) {
    vouch(stage.daemon, voucher, lastOf(stage));
  }
  // A stranger's node is nobody's.
  vouch(stage.daemon, makePublisher("stranger.test"), lastOf(stage));
  expect(held(stage)).toBe(before);
});

test("others who hold something else do not make it stand", async () => {
  const stage = await expire();
  const before = held(stage);
  for (const step of stage.steps) deliver(stage, step);
  for (const voucher of stage.vouchers) vouch(stage.daemon, voucher, stage.victim.genesis);
  expect(held(stage)).toBe(before);
});

test("a forged step under the expired keys is named by nobody", async () => {
  const stage = await expire();
  const { victim, daemon } = stage;
  const before = whatStands(stage);
  const thiefsCa = victim.newCa();
  const [first] = stage.steps;
  if (first === undefined) throw new Error("there is one");
  const forged = makeRecord(
    { ...first.state, x509Authorities: [...first.state.x509Authorities, untainted(thiefsCa)] },
    [{ node: victim.node, svids: stage.stolen, signedAtS: NOW_S + DAY_S / 2 }],
  );
  expect(deliver(stage, forged)).not.toBe("taken");
  for (const voucher of stage.vouchers) vouch(daemon, voucher, lastOf(stage));
  expect(whatStands(stage)).toEqual(before);
});

test("a forged step that came first does not keep the true ones out", async () => {
  // Whoever has the node key and one expired CA key makes a step above all true ones: the ladder stands
  // on it from then on, and a pin is the only way left.
  const stage = await expire();
  const { victim, daemon } = stage;
  const version = { epoch: 0, rev: 1_000, sequence: 1n };
  const [first] = stage.steps;
  if (first === undefined) throw new Error("there is one");
  const forged = makeRecord({ ...first.state, version }, [
    { node: victim.node, svids: stage.stolen, signedAtS: NOW_S + DAY_S / 2 },
  ]);
  deliver(stage, forged);
  for (const step of stage.steps) deliver(stage, step);
  for (const voucher of stage.vouchers) vouch(daemon, voucher, lastOf(stage));
  expect(held(stage)).toBe(lastOf(stage).idHex);
});

test("an operator's pin makes it stand without any step", async () => {
  const stage = await expire();
  const last = lastOf(stage);
  expect(stage.daemon.pin(stage.victim.trustDomain, last.idHex)).toBe("done");
  expect(deliver(stage, last)).toBe("taken");
  expect(held(stage)).toBe(last.idHex);
});

test("recovery keys speak whatever has expired", async () => {
  const stage = await expire();
  const { victim } = stage;
  const node = makeNodeKey();
  const ca = victim.newCa();
  const signedAtS = Math.floor(stage.daemon.nowMs / 1_000);
  const recovered = makeRecoveredRecord(
    stateAfter(victim.genesis, {
      version: { epoch: 1, rev: 0, sequence: 1n },
      nodes: [node.publicKey],
      recovery: undefined,
      x509Authorities: [untainted(ca)],
    }),
    [{ node, svids: [victim.mint(ca)], signedAtS }],
    recoveryKeys,
  );
  expect(deliver(stage, recovered)).toBe("taken");
  expect(held(stage)).toBe(recovered.idHex);
});
