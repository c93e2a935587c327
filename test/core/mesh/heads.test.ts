/** What a daemon makes of heads: who is heard, and why a head is refused. */
import { describe, expect, test } from "vitest";
import { REFUSALS, type RefusalCode } from "../../../src/core/record/refusal.ts";
import { toHex } from "../../../src/core/std/bytes.ts";
import { NODE_RECORDS_AT_ONCE_MAX } from "../../../src/core/std/limits.ts";
import { type HeadOptions, makeHead } from "../../arbitraries/head.ts";
import {
  NOW_S,
  bundleOf,
  makeNodeKey,
  makePublisher,
  untainted,
} from "../../arbitraries/record.ts";
import { TestDaemon, ofKind, told } from "./daemon.ts";

const alpha = makePublisher("alpha.test");
const bravo = makePublisher("bravo.test");
const charlie = makePublisher("charlie.test");
const { genesis, trustDomain } = alpha;
const NOW_MS = NOW_S * 1_000;
const NODE = toHex(alpha.node.publicKey);

const head = (change: HeadOptions = {}): Uint8Array => makeHead(alpha, change);
const flipped = (signature: Uint8Array): Uint8Array =>
  signature.map((byte, index) => (index === 5 ? byte ^ 1 : byte));

/** Bravo's daemon, which published and approved alpha. */
async function holding(): Promise<TestDaemon> {
  const daemon = await TestDaemon.start(bravo);
  daemon.exportOwn(bundleOf(bravo.genesis.state));
  expect(daemon.import(genesis)).toBe("taken");
  daemon.endRow();
  return daemon;
}

type HeadRefusal = Extract<RefusalCode, `HEAD_${string}`>;

/** One way to each refusal that heads alone have, and to those that they share with records. */
const REFUSED: Readonly<Record<HeadRefusal, () => Uint8Array>> &
  Partial<Record<RefusalCode, () => Uint8Array>> = {
  HEAD_MALFORMED: () => Uint8Array.of(0x80),
  HEAD_SIGNATURE_INVALID: () => head({ counter: 99n, signature: flipped }),
  HEAD_STALE: () => head({ counter: 1n }),
  HEAD_IN_FUTURE: () => head({ counter: BigInt(NOW_MS) + 300_001n }),
  TRUST_DOMAIN_UNKNOWN: () => makeHead(charlie),
  WRONG_LINEAGE: () => head({ lineage: new Uint8Array(32).fill(7) }),
  NODE_NOT_LISTED: () => head({ node: makeNodeKey() }),
};

describe("a head", () => {
  test.each(Object.entries(REFUSED))(
    "that is %s changes nothing that is held",
    async (code, make) => {
      const daemon = await holding();
      expect(daemon.hear(head({ counter: 10n }))).toBe("heard");
      const { heads } = daemon.partner(trustDomain);
      const before = { state: daemon.snapshot(), count: daemon.effects.length };
      expect(daemon.hear(make())).toBe(code);
      expect(daemon.snapshot()).toEqual(before.state);
      expect(heads.get(NODE)?.counter).toBe(10n);
      const effects = daemon.effects.slice(before.count);
      // Each head comes by several ways, of which one is the first: that is no event.
      const isTold = code !== "HEAD_STALE";
      expect(effects.map(({ kind }) => kind)).toEqual(isTold ? ["answer", "tell"] : ["answer"]);
      expect(told(effects)).toEqual(isTold ? ["record-refused"] : []);
      expect(daemon.hear(head({ counter: 11n })), "an honest one afterwards").toBe("heard");
    },
  );

  test("costs its forwarder nothing unless no honest node would have forwarded it", () => {
    const rejected = Object.keys(REFUSED).filter(
      (code) => REFUSALS[code as RefusalCode] === "reject",
    );
    expect(rejected).toEqual(["HEAD_MALFORMED", "HEAD_SIGNATURE_INVALID"]);
  });

  test.each([
    [300, "heard"],
    [301, "HEAD_STALE"],
    [-300, "heard"],
    [-301, "HEAD_IN_FUTURE"],
  ])("issued %i s ago by this clock is %s", async (agoS, said) => {
    const daemon = await holding();
    expect(daemon.hear(head({ counter: 1n, issuedAtMs: NOW_MS - agoS * 1_000 }))).toBe(said);
  });

  test("is verified ten times at once for a node, and records and blocks have their own budget", async () => {
    const daemon = await holding();
    for (let counter = 1n; counter <= NODE_RECORDS_AT_ONCE_MAX; counter += 1n) {
      expect(daemon.hear(head({ counter }))).toBe("heard");
    }
    expect(daemon.hear(head({ counter: 99n }))).toBe("OVER_BUDGET");
    expect(daemon.receive(alpha.next(genesis), "gossip")).toBe("taken");
    daemon.nowMs += 1_000;
    expect(daemon.hear(head({ counter: 99n }))).toBe("heard");
  });

  test("is heard again from a lower counter when a record is pinned that starts anew", async () => {
    const daemon = await holding();
    daemon.hear(head({ counter: 10n }));
    const anew = makePublisher("alpha.test");
    daemon.pin(trustDomain, anew.genesis.idHex);
    expect(daemon.receive(anew.genesis)).toBe("taken");
    expect(daemon.hear(head({ counter: 11n })), "of the lineage that was left").toBe(
      "WRONG_LINEAGE",
    );
    expect(daemon.hear(makeHead(anew, { counter: 1n }))).toBe("heard");
  });

  test("of a replica that stands on a newer record has that asked for at once", async () => {
    const replica = makeNodeKey();
    const both = bravo.next(bravo.genesis, {
      version: { epoch: 0, rev: 1, sequence: 1n },
      nodes: [bravo.node.publicKey, replica.publicKey],
    });
    const daemon = await holding();
    expect(daemon.receive(both)).toBe("taken");
    const before = daemon.effects.length;
    const newer = bravo.next(both);
    expect(daemon.hear(makeHead(bravo, { node: replica }, newer))).toBe("heard");
    expect(ofKind(daemon.effects.slice(before), "sync-soon")).toHaveLength(1);
  });
});

describe("a head with this daemon's own node key", () => {
  test("is a clone's when its counter is above what was sent, and nothing is published any more", async () => {
    const daemon = await holding();
    const { headCounter } = daemon.state.own;
    const own = (counter: bigint): Uint8Array => makeHead(bravo, { counter });
    expect(daemon.hear(own(headCounter)), "the last one that was sent").toBe("done");
    expect(daemon.findings).toEqual([]);
    expect(daemon.hear(own(headCounter + 1n))).toBe("done");
    expect(daemon.findings).toEqual(["CLONE"]);
    const x509Authorities = [untainted(bravo.ca), untainted(bravo.newCa())];
    daemon.readBundle(bundleOf(bravo.next(bravo.genesis, { x509Authorities }).state));
    expect(ofKind(daemon.wait(120), "announce-head")).toEqual([]);
    expect(daemon.signing).toEqual([]);
    const second = alpha.next(genesis, {
      x509Authorities: [untainted(alpha.ca), untainted(alpha.newCa())],
    });
    expect(daemon.receive(second), "it receives and writes as before").toBe("taken");
    expect(daemon.orders).toHaveLength(1);
  });
});
