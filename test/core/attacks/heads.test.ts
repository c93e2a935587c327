/** What heads may say and what silence does: a head claims freshness, and changes nothing that is held. */
import { describe, expect, test } from "vitest";
import { toHex } from "../../../src/core/std/bytes.ts";
import { type Publisher, bundleOf, makeNodeKey, makePublisher } from "../../arbitraries/record.ts";
import { TestDaemon } from "../mesh/daemon.ts";
import { type Stage, deliver, headOf, hear, setStage, whatStands } from "./stage.ts";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;

/** A head of the victim's node as it is now, or otherwise. */
function say(stage: Stage, change: Parameters<typeof headOf>[3] = {}): string {
  const { daemon, victim } = stage;
  return hear(stage, headOf(victim.node, victim.genesis, daemon.nowMs, change));
}

describe("a head", () => {
  test("is heard once: the same again, or one of a lower counter, is HEAD_STALE", async () => {
    const stage = await setStage();
    const { daemon, victim } = stage;
    const before = whatStands(stage);
    const first = headOf(victim.node, victim.genesis, daemon.nowMs);
    expect(hear(stage, first)).toBe("heard");
    expect(hear(stage, first)).toBe("HEAD_STALE");
    expect(say(stage, { counter: BigInt(daemon.nowMs) - 1n })).toBe("HEAD_STALE");
    expect(say(stage, { counter: BigInt(daemon.nowMs) + 1n })).toBe("heard");
    expect(whatStands(stage)).toEqual(before);
  });

  test.each<readonly [string, string, (stage: Stage) => string]>([
    [
      "with a counter that no clock has reached",
      "HEAD_IN_FUTURE",
      (stage) => say(stage, { counter: BigInt(stage.daemon.nowMs + 300 * SECOND + 1) }),
    ],
    [
      "with the greatest counter there is",
      "HEAD_IN_FUTURE",
      (stage) => say(stage, { counter: 2n ** 64n - 1n }),
    ],
    [
      "issued in the future",
      "HEAD_IN_FUTURE",
      (stage) => say(stage, { issuedAtMs: stage.daemon.nowMs + 300 * SECOND + 1 }),
    ],
    [
      "that was kept back for more than 300 s",
      "HEAD_STALE",
      (stage) => say(stage, { issuedAtMs: stage.daemon.nowMs - 300 * SECOND - 1 }),
    ],
    [
      "of another lineage",
      "WRONG_LINEAGE",
      (stage) => say(stage, { lineage: new Uint8Array(32).fill(1) }),
    ],
    [
      "of a node that is not listed",
      "NODE_NOT_LISTED",
      (stage) => hear(stage, headOf(makeNodeKey(), stage.victim.genesis, stage.daemon.nowMs)),
    ],
    [
      "that its node did not sign",
      "HEAD_SIGNATURE_INVALID",
      (stage) => {
        const { publicKey } = stage.victim.node;
        const forged = { publicKey, privateKey: makeNodeKey().privateKey };
        return hear(stage, headOf(forged, stage.victim.genesis, stage.daemon.nowMs));
      },
    ],
    [
      "of a trust domain that nobody approved",
      "TRUST_DOMAIN_UNKNOWN",
      (stage) => {
        const stranger = makePublisher("stranger.test");
        return hear(stage, headOf(stranger.node, stranger.genesis, stage.daemon.nowMs));
      },
    ],
    ["that is none", "HEAD_MALFORMED", (stage) => hear(stage, new Uint8Array(1_025))],
  ])("%s is %s, and the true one after it is heard", async (_, code, attack) => {
    const stage = await setStage();
    const before = whatStands(stage);
    expect(attack(stage)).toBe(code);
    expect(say(stage)).toBe("heard");
    expect(whatStands(stage)).toEqual(before);
    expect(stage.daemon.findings).toEqual([]);
  });

  test("of a stolen node key does not change what is held, whatever it claims", async () => {
    const stage = await setStage();
    const before = whatStands(stage);
    const version = { epoch: 9, rev: 9, sequence: 9n };
    expect(say(stage, { version, recordId: new Uint8Array(32).fill(9) })).toBe("heard");
    expect(whatStands(stage)).toEqual(before);
    stage.daemon.wait(5);
    expect(whatStands(stage)).toEqual(before);
  });

  test("costs its node a budget: a flood of them is OVER_BUDGET, and records come in as before", async () => {
    const stage = await setStage();
    const { daemon, victim } = stage;
    const answers = Array.from({ length: 40 }, (_, at) =>
      say(stage, { counter: BigInt(daemon.nowMs + at) }),
    );
    expect(answers).toContain("OVER_BUDGET");
    expect(
      daemon.receive(victim.next(victim.genesis), "gossip", toHex(victim.node.publicKey)),
    ).toBe("taken");
  });
});

async function published(): Promise<{ readonly daemon: TestDaemon; readonly own: Publisher }> {
  const own = makePublisher("bravo.test");
  const daemon = await TestDaemon.start(own);
  daemon.sync();
  daemon.exportOwn(bundleOf(own.genesis.state));
  return { daemon, own };
}

function ownHead(daemon: TestDaemon, own: Publisher, counter: bigint): Uint8Array {
  const record = daemon.state.own.slot?.held.record;
  if (record === undefined) throw new Error("it has published");
  return headOf(own.node, { ...own.genesis, ...record }, daemon.nowMs, { counter });
}

describe("the own node key heard elsewhere", () => {
  test("with a higher counter is CLONE: nothing more is published, and partners' records come in", async () => {
    const { daemon, own } = await published();
    const partner = makePublisher("partner.test");
    expect(daemon.import(partner.genesis)).toBe("taken");
    const higher = daemon.state.own.headCounter + 1n;
    expect(hear({ daemon }, ownHead(daemon, own, higher))).toBe("done");
    expect(daemon.findings).toContain("CLONE");
    const before = daemon.effects.length;
    const x509Authorities = [...own.genesis.state.x509Authorities];
    const next = { ...bundleOf(own.genesis.state), sequenceNumber: 9n, x509Authorities };
    daemon.readBundle({ ...next, jwtAuthorities: [] });
    daemon.wait(90);
    const later = daemon.effects.slice(before).map(({ kind }) => kind);
    for (const kind of ["sign-record", "publish-record", "announce-head"]) {
      expect(later).not.toContain(kind);
    }
    expect(
      daemon.receive(partner.next(partner.genesis), "sync", toHex(partner.node.publicKey)),
    ).toBe("taken");
    expect(daemon.orders.length).toBeGreaterThan(0);
  });

  test("as it was sent is no clone: one of ours comes back to us", async () => {
    const { daemon, own } = await published();
    hear({ daemon }, ownHead(daemon, own, daemon.state.own.headCounter));
    expect(daemon.findings).not.toContain("CLONE");
  });

  test("from before the start is no clone: it still travels, and the disk is older than it", async () => {
    const { daemon, own } = await published();
    const head = ownHead(daemon, own, daemon.state.own.headCounter + 1n);
    Object.assign(daemon.state, { startedAtMs: daemon.nowMs + 1 });
    hear({ daemon }, head);
    expect(daemon.findings).not.toContain("CLONE");
  });
});

describe("clocks", () => {
  const NAMES = ["charlie.test", "delta.test", "echo.test"];

  async function heardOff(offsMs: readonly number[]): Promise<TestDaemon> {
    const { daemon } = await setStage();
    for (const [at, offMs] of offsMs.entries()) {
      const partner = makePublisher(NAMES[at] ?? "");
      expect(daemon.import(partner.genesis)).toBe("taken");
      const atMs = daemon.nowMs + offMs;
      hear({ daemon }, headOf(partner.node, partner.genesis, atMs));
    }
    daemon.wait(6);
    return daemon;
  }

  test("of three trust domains that differ from ours the same way are CLOCK", async () => {
    const ahead = await heardOff([301_000, 400_000, 999_000]);
    expect(ahead.findings).toEqual(["CLOCK"]);
    const behind = await heardOff([-310_000, -400_000, -999_000]);
    expect(behind.findings).toEqual(["CLOCK"]);
  });

  test("of two, of three in two directions, or within 300 s are theirs", async () => {
    expect((await heardOff([400_000, 400_000])).findings).toEqual([]);
    expect((await heardOff([400_000, -400_000, 400_000])).findings).toEqual([]);
    expect((await heardOff([290_000, 290_000, 290_000])).findings).toEqual([]);
  });
});

/** Time passes, and the bystander is heard each minute; the victim while it speaks. */
function pass(stage: Stage, minutes: number, speaks: boolean): void {
  const { daemon, bystander } = stage;
  for (let minute = 0; minute < minutes; minute += 1) {
    daemon.nowMs += MINUTE;
    daemon.tick(MINUTE);
    hear(stage, headOf(bystander.node, bystander.genesis, daemon.nowMs));
    if (speaks) say(stage);
  }
}

describe("silence", () => {
  test("of one for 15 min while another is heard is FROZEN, until it speaks", async () => {
    const stage = await setStage();
    pass(stage, 2, true);
    const before = whatStands(stage);
    pass(stage, 14, false);
    expect(stage.daemon.findings).toEqual([]);
    pass(stage, 3, false);
    expect(stage.daemon.findings).toEqual(["FROZEN"]);
    expect(whatStands(stage)).toEqual(before);
    pass(stage, 1, true);
    stage.daemon.wait(6);
    expect(stage.daemon.findings).toEqual([]);
  });

  test("that is filled with the heads of before is silence all the same", async () => {
    const stage = await setStage();
    pass(stage, 2, true);
    const kept = headOf(stage.victim.node, stage.victim.genesis, stage.daemon.nowMs);
    for (let minute = 0; minute < 18; minute += 1) {
      pass(stage, 1, false);
      expect(hear(stage, kept)).toBe("HEAD_STALE");
    }
    expect(stage.daemon.findings).toEqual(["FROZEN"]);
  });

  test("is not measured by a clock that somebody sets", async () => {
    const stage = await setStage();
    pass(stage, 2, true);
    stage.daemon.nowMs += 60 * MINUTE;
    stage.daemon.tick(6 * SECOND);
    expect(stage.daemon.findings).toEqual([]);
  });

  test("of all is our own network's, and nobody is FROZEN", async () => {
    const stage = await setStage();
    pass(stage, 2, true);
    for (let minute = 0; minute < 20; minute += 1) {
      stage.daemon.nowMs += MINUTE;
      stage.daemon.tick(MINUTE);
    }
    expect(stage.daemon.findings).toEqual([]);
  });
});

describe("a version that is heard of and not to be had", () => {
  test("is ECLIPSED after two rounds of sync, until the record comes", async () => {
    const stage = await setStage();
    const { daemon, victim } = stage;
    const second = victim.next(victim.genesis);
    const before = whatStands(stage);
    expect(hear(stage, headOf(victim.node, second, daemon.nowMs))).toBe("heard");
    daemon.wait(6);
    for (let round = 0; round < 3; round += 1) {
      daemon.sync();
      daemon.wait(12);
    }
    expect(daemon.findings).toEqual(["ECLIPSED"]);
    expect(whatStands(stage)).toEqual(before);
    expect(deliver(stage, second)).toBe("taken");
    expect(daemon.findings).toEqual([]);
  });
});
