import { randomBytes } from "node:crypto";
import type { Ed25519PeerId } from "@libp2p/interface";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Dialer, dialDelayMs } from "../../src/p2p/dialer.ts";
import { peerIdOfNode } from "../../src/p2p/node-identity.ts";

const PEERS = "peers.test";
const OTHERS = "others.test";
/** What the wall clock says as the fake timers begin. */
const EPOCH_MS = Date.UTC(2026, 0);

/** Peers as the dialer sees them: who is wanted, and what comes of an attempt. */
class Peers {
  readonly self = newPeerId();
  readonly wanted = new Set<string>();
  /** By peer id; {@link PEERS} alone when there is nothing else. */
  readonly listedBy = new Map<string, readonly string[]>();
  readonly attempts: { readonly atMs: number; readonly addresses: readonly string[] }[] = [];
  answer: () => Promise<void> = async () => {
    throw new Error("refused");
  };
  room = true;
  /** Who has room also when nobody else has. */
  roomFor: string | undefined;
  /** Whether an attempt reaches somebody before its answer. */
  reaches = false;
  /** Attempts that do not wait, by the trust domain that pays. */
  readonly paid = new Map<string, number>();
  /** How many of those a trust domain has. */
  hurries = Infinity;
  underWay = 0;
  mostUnderWay = 0;

  dialer(configured: readonly string[] = []): Dialer {
    const dialer = new Dialer(
      {
        self: this.self,
        random: () => 0.5,
        wallClockMs: () => EPOCH_MS + Date.now(),
        log: () => {},
      },
      {
        wants: (peerId) => this.wanted.has(peerId.toString()),
        listedBy: (peerId) => this.listedBy.get(peerId.toString()) ?? [PEERS],
        hasRoom: (peerId) => this.room || this.roomFor === peerId.toString(),
        mayHurry: (trustDomains) => {
          const payer = trustDomains.find((each) => (this.paid.get(each) ?? 0) < this.hurries);
          if (payer !== undefined) this.paid.set(payer, (this.paid.get(payer) ?? 0) + 1);
          return payer !== undefined;
        },
        dial: async (dialed, { onReached }) => {
          if (this.reaches) onReached();
          this.attempts.push({ atMs: Date.now(), addresses: dialed.map(String) });
          this.underWay += 1;
          this.mostUnderWay = Math.max(this.mostUnderWay, this.underWay);
          await this.answer().finally(() => (this.underWay -= 1));
        },
      },
    );
    dialer.configure(configured);
    return dialer;
  }
}

function newPeerId(): Ed25519PeerId {
  return peerIdOfNode(randomBytes(32));
}

function addressOf(peerId: Ed25519PeerId, port: number): string {
  return `/ip4/127.0.0.1/tcp/${port}/p2p/${peerId.toString()}`;
}

describe("dialer", () => {
  beforeEach(() => vi.useFakeTimers({ now: 0 }));
  afterEach(() => vi.useRealTimers());

  const bravo = newPeerId();
  const id = bravo.toString();

  test("waits longer after each attempt in vain, never above 15 s nor below half of it", () => {
    fc.assert(
      fc.property(
        fc.nat({ max: 2_000 }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (attempts, random) => {
          const delayMs = dialDelayMs(attempts, random);
          const fullMs = attempts === 0 ? 250 : Math.min(15_000, 500 * 2 ** (attempts - 1));
          expect(delayMs).toBeLessThanOrEqual(fullMs);
          expect(delayMs).toBeGreaterThanOrEqual(attempts === 0 ? 0 : fullMs / 2);
        },
      ),
    );
  });

  test("keeps trying a wanted peer, and one attempt at a time", async () => {
    const peers = new Peers();
    const dialer = peers.dialer();
    peers.wanted.add(id);
    dialer.hint(PEERS, [addressOf(bravo, 1)]);
    dialer.admitted(bravo);
    dialer.lost(bravo);
    await vi.advanceTimersByTimeAsync(60_000);
    dialer.stop();
    const waits = peers.attempts.map(
      ({ atMs }, index) => atMs - (peers.attempts[index - 1]?.atMs ?? 0),
    );
    expect(waits).toEqual([125, 375, 750, 1_500, 3_000, 6_000, 11_250, 11_250, 11_250, 11_250]);
    expect(peers.mostUnderWay).toBe(1);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(peers.attempts).toHaveLength(waits.length);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("never dials a peer twice at once, whatever is told meanwhile", async () => {
    const peers = new Peers();
    peers.answer = async () => await new Promise((resolve) => setTimeout(resolve, 5_000));
    const dialer = peers.dialer([addressOf(bravo, 1)]);
    peers.wanted.add(id);
    dialer.admitted(bravo);
    for (let second = 0; second < 30; second += 1) {
      await vi.advanceTimersByTimeAsync(1_000);
      dialer.lost(bravo);
      dialer.hint(PEERS, [addressOf(bravo, 100 + second)]);
      dialer.admitted(bravo);
    }
    expect(peers.attempts.length).toBeGreaterThan(3);
    expect(peers.mostUnderWay).toBe(1);
    dialer.stop();
  });

  test("does not dial who is not admitted, but remembers the hint until it is", async () => {
    const peers = new Peers();
    const dialer = peers.dialer();
    dialer.hint(PEERS, [addressOf(bravo, 1)]);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(peers.attempts).toEqual([]);
    peers.wanted.add(id);
    dialer.admitted(bravo);
    await vi.advanceTimersByTimeAsync(250);
    expect(peers.attempts).toMatchObject([{ addresses: [addressOf(bravo, 1)] }]);
    dialer.stop();
  });

  test.each([
    ["that proved to admit us at once", true, 125],
    ["that never did only after the back-off", false, 375],
  ])("tries a lost peer again %s", async (_, proven, waitMs) => {
    const peers = new Peers();
    peers.answer = async () => {
      peers.wanted.delete(id);
    };
    const dialer = peers.dialer([addressOf(bravo, 1)]);
    peers.wanted.add(id);
    dialer.admitted(bravo);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(peers.attempts).toHaveLength(1);
    if (proven) dialer.proven(bravo);
    peers.wanted.add(id);
    dialer.lost(bravo);
    await vi.advanceTimersByTimeAsync(waitMs - 1);
    expect(peers.attempts).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(peers.attempts).toHaveLength(2);
    dialer.stop();
  });

  test("a new address is tried at once, however often the old ones failed", async () => {
    const peers = new Peers();
    const dialer = peers.dialer([addressOf(bravo, 1)]);
    peers.wanted.add(id);
    dialer.admitted(bravo);
    await vi.advanceTimersByTimeAsync(60_000);
    const before = peers.attempts.length;
    dialer.hint(PEERS, [addressOf(bravo, 2)]);
    await vi.advanceTimersByTimeAsync(250);
    expect(peers.attempts).toHaveLength(before + 1);
    dialer.hint(PEERS, [addressOf(bravo, 2)]);
    await vi.advanceTimersByTimeAsync(200);
    expect(peers.attempts).toHaveLength(before + 1);
    dialer.stop();
  });

  test("takes at most three addresses an attempt, and all of them in turn", async () => {
    const peers = new Peers();
    const configured = [1, 2].map((port) => addressOf(bravo, port));
    const dialer = peers.dialer(configured);
    peers.wanted.add(id);
    const hints = Array.from({ length: 10 }, (_, index) => addressOf(bravo, 100 + index));
    dialer.hint(PEERS, hints);
    dialer.admitted(bravo);
    await vi.advanceTimersByTimeAsync(60_000);
    dialer.stop();
    expect(peers.attempts.length).toBeGreaterThan(3);
    for (const { addresses } of peers.attempts) expect(addresses).toHaveLength(3);
    const tried = new Set(peers.attempts.flatMap(({ addresses }) => addresses));
    expect(tried).toEqual(new Set([...configured, ...hints.slice(0, 8)])); // Eight hints are kept.
  });

  test("without room nobody is dialed, until there is room", async () => {
    const peers = new Peers();
    peers.room = false;
    const dialer = peers.dialer([addressOf(bravo, 1)]);
    peers.wanted.add(id);
    dialer.admitted(bravo);
    await vi.advanceTimersByTimeAsync(30_000);
    expect(peers.attempts).toEqual([]);
    peers.room = true;
    await vi.advanceTimersByTimeAsync(15_000);
    expect(peers.attempts.length).toBeGreaterThan(0);
    dialer.stop();
  });

  test("room that there is for one peer alone is for nobody else", async () => {
    const peers = new Peers();
    const charlie = newPeerId();
    peers.room = false;
    peers.roomFor = charlie.toString();
    const dialer = peers.dialer([addressOf(bravo, 1), addressOf(charlie, 2)]);
    for (const peerId of [bravo, charlie]) {
      peers.wanted.add(peerId.toString());
      dialer.admitted(peerId);
    }
    await vi.advanceTimersByTimeAsync(30_000);
    dialer.stop();
    const tried = new Set(peers.attempts.flatMap(({ addresses }) => addresses));
    expect(tried).toEqual(new Set([addressOf(charlie, 2)]));
  });

  test("hints of one trust domain push out none of another's, and each gets its turns", async () => {
    const peers = new Peers();
    const dialer = peers.dialer();
    peers.listedBy.set(id, [PEERS, OTHERS]);
    peers.wanted.add(id);
    dialer.admitted(bravo);
    dialer.hint(PEERS, [addressOf(bravo, 1)]);
    for (let port = 100; port < 200; port += 1) dialer.hint(OTHERS, [addressOf(bravo, port)]);
    await vi.advanceTimersByTimeAsync(60_000);
    dialer.stop();
    const tried = peers.attempts.slice(1).flatMap(({ addresses }) => addresses);
    const theirs = Array.from({ length: 8 }, (_, index) => addressOf(bravo, 192 + index));
    expect(new Set(tried)).toEqual(new Set([addressOf(bravo, 1), ...theirs]));
    expect(peers.attempts.at(-1)?.addresses).toHaveLength(3);
  });

  test("hints of a trust domain are for the nodes that it lists, as long as it does", async () => {
    const peers = new Peers();
    const dialer = peers.dialer();
    peers.wanted.add(id);
    peers.listedBy.set(id, []);
    dialer.hint(OTHERS, [addressOf(bravo, 1)]);
    dialer.admitted(bravo);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(peers.attempts).toEqual([]);
    peers.listedBy.set(id, [OTHERS]);
    dialer.admitted(bravo);
    await vi.advanceTimersByTimeAsync(250);
    expect(peers.attempts).toHaveLength(1);
    dialer.forget(OTHERS);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(peers.attempts).toHaveLength(1);
    dialer.stop();
  });

  test("64 hints of a trust domain are remembered, for a node eight: the newest", async () => {
    const peers = new Peers();
    const dialer = peers.dialer();
    const nodes = Array.from({ length: 20 }, newPeerId);
    dialer.hint(
      PEERS,
      nodes.flatMap((peerId) => [1, 2, 3, 4].map((port) => addressOf(peerId, port))),
    );
    for (const peerId of nodes) {
      peers.wanted.add(peerId.toString());
      dialer.admitted(peerId);
    }
    await vi.advanceTimersByTimeAsync(60_000);
    dialer.stop();
    const tried = peers.attempts.flatMap(({ addresses }) => addresses);
    const known = nodes
      .slice(0, 16)
      .flatMap((peerId) => [1, 2, 3, 4].map((port) => addressOf(peerId, port)));
    expect(new Set(tried)).toEqual(new Set(known));
  });

  test("hints that lead elsewhere make us dial 600 addresses in the first minute, then six a second", async () => {
    const peers = new Peers();
    peers.reaches = true; // Somebody is there and hangs up, which is tried again soonest.
    peers.hurries = 32;
    const dialer = peers.dialer();
    const nodes = Array.from({ length: 16 }, newPeerId);
    for (const peerId of nodes) peers.wanted.add(peerId.toString());
    dialer.hint(
      PEERS,
      nodes.flatMap((peerId) => [1, 2, 3, 4].map((port) => addressOf(peerId, port))),
    );
    for (const peerId of nodes) dialer.admitted(peerId);
    const dialedIn = async (seconds: number): Promise<number> => {
      const before = peers.attempts.length;
      for (let second = 0; second < seconds; second += 1) {
        peers.hurries += 0.5; // As the account of a trust domain.
        await vi.advanceTimersByTimeAsync(1_000);
      }
      return peers.attempts.slice(before).flatMap(({ addresses }) => addresses).length;
    };
    const firstMinute = await dialedIn(60);
    expect(firstMinute).toBeGreaterThan(64);
    expect(firstMinute).toBeLessThan(600);
    expect(await dialedIn(600)).toBeLessThan(600 * 6);
    dialer.stop();
  });

  test("addresses of the configuration are replaced by new ones", async () => {
    const peers = new Peers();
    const dialer = peers.dialer([addressOf(bravo, 1)]);
    peers.wanted.add(id);
    dialer.admitted(bravo);
    await vi.advanceTimersByTimeAsync(250);
    dialer.configure([addressOf(bravo, 2)]);
    await vi.advanceTimersByTimeAsync(250);
    expect(peers.attempts.map(({ addresses }) => addresses)).toEqual([
      [addressOf(bravo, 1)],
      [addressOf(bravo, 2)],
    ]);
    dialer.stop();
  });

  test("who is no longer admitted is left alone, and tried at once when it is again", async () => {
    const peers = new Peers();
    const dialer = peers.dialer([addressOf(bravo, 1)]);
    peers.wanted.add(id);
    dialer.admitted(bravo);
    await vi.advanceTimersByTimeAsync(60_000);
    const before = peers.attempts.length;
    dialer.removed(bravo);
    expect(vi.getTimerCount()).toBe(0);
    dialer.admitted(bravo);
    await vi.advanceTimersByTimeAsync(250);
    expect(peers.attempts).toHaveLength(before + 1);
    dialer.stop();
  });

  test("who is there but hangs up is tried again soon, as long as its trust domain can pay", async () => {
    const peers = new Peers();
    peers.reaches = true;
    peers.hurries = 10;
    const dialer = peers.dialer([addressOf(bravo, 1)]);
    peers.wanted.add(id);
    dialer.admitted(bravo);
    await vi.advanceTimersByTimeAsync(60_000);
    dialer.stop();
    const waits = peers.attempts.map(
      ({ atMs }, index) => atMs - (peers.attempts[index - 1]?.atMs ?? 0),
    );
    expect(waits.slice(0, 10)).toEqual([125, ...Array.from({ length: 9 }, () => 375)]);
    expect(new Set(waits.slice(10))).toEqual(new Set([11_250]));
    expect(peers.paid).toEqual(new Map([[PEERS, 10]]));
  });

  test("a peer that is not there is not tried sooner, whoever could pay", async () => {
    const peers = new Peers();
    const dialer = peers.dialer([addressOf(bravo, 1)]);
    peers.wanted.add(id);
    dialer.admitted(bravo);
    await vi.advanceTimersByTimeAsync(60_000);
    dialer.stop();
    expect(peers.attempts).toHaveLength(10);
    expect(peers.paid).toEqual(new Map([[PEERS, 1]]));
  });

  test.each([
    ["the same nodes in turns", false],
    ["new ones each time", true],
  ])("a trust domain that lists %s makes us dial no more than it can pay", async (_, fresh) => {
    const peers = new Peers();
    peers.hurries = 32;
    const dialer = peers.dialer();
    let nodes = Array.from({ length: 15 }, newPeerId);
    for (let second = 0; second < 120; second += 1) {
      for (const peerId of nodes) {
        peers.wanted.delete(peerId.toString());
        dialer.removed(peerId);
      }
      if (fresh) nodes = nodes.map(newPeerId);
      dialer.hint(
        PEERS,
        nodes.map((peerId) => addressOf(peerId, 1)),
      );
      for (const peerId of nodes) {
        peers.wanted.add(peerId.toString());
        dialer.admitted(peerId);
      }
      await vi.advanceTimersByTimeAsync(1_000);
    }
    const listed = peers.attempts.length;
    expect(listed).toBeGreaterThanOrEqual(32);
    expect(listed).toBeLessThan(32 * 3); // Of each, what back-off makes of its one second.
    await vi.advanceTimersByTimeAsync(15_000);
    expect(peers.attempts.length).toBeGreaterThan(listed); // Who stays is tried.
    dialer.stop();
  });

  test("hints of a trust domain spend nothing for nodes that it does not list", async () => {
    const peers = new Peers();
    const dialer = peers.dialer([addressOf(bravo, 1)]);
    peers.wanted.add(id);
    dialer.admitted(bravo);
    await vi.advanceTimersByTimeAsync(60_000);
    const before = peers.attempts.length;
    dialer.hint(OTHERS, [addressOf(bravo, 2)]);
    await vi.advanceTimersByTimeAsync(500);
    expect(peers.attempts).toHaveLength(before);
    expect(peers.paid).toEqual(new Map([[PEERS, 1]]));
    dialer.stop();
  });

  test("tells of the last attempt that failed, when, where and why, until one succeeds", async () => {
    const peers = new Peers();
    const dialer = peers.dialer([addressOf(bravo, 1)]);
    peers.wanted.add(id);
    peers.answer = async () => {
      throw new AggregateError([new Error("refused"), new Error("refused"), new Error("timeout")]);
    };
    expect(dialer.failures()).toEqual([]);
    dialer.admitted(bravo);
    await vi.advanceTimersByTimeAsync(500);
    const failure = {
      peerId: id,
      trustDomains: [PEERS],
      addresses: [addressOf(bravo, 1)],
      atMs: EPOCH_MS + (peers.attempts.at(-1)?.atMs ?? 0),
      reason: "refused; timeout",
    };
    expect(dialer.failures()).toEqual([failure]);
    peers.wanted.delete(id); // It connected to us.
    expect(dialer.failures()).toEqual([]);
    peers.wanted.add(id);
    peers.answer = async () => {};
    dialer.hint(PEERS, [addressOf(bravo, 2)]);
    await vi.advanceTimersByTimeAsync(125);
    expect(peers.attempts.at(-1)?.addresses).toContain(addressOf(bravo, 2));
    expect(dialer.failures()).toEqual([]);
    dialer.stop();
  });

  test("tells of no attempt from before the peer proved that it admits us", async () => {
    const peers = new Peers();
    const dialer = peers.dialer([addressOf(bravo, 1)]);
    peers.wanted.add(id);
    dialer.admitted(bravo);
    await vi.advanceTimersByTimeAsync(500);
    expect(dialer.failures()).toHaveLength(1);
    peers.wanted.delete(id); // It connected to us.
    dialer.proven(bravo);
    peers.wanted.add(id);
    expect(dialer.failures()).toEqual([]);
    dialer.stop();
  });

  test("tells of no attempt that fails when the peer has come to us", async () => {
    const peers = new Peers();
    const dialer = peers.dialer([addressOf(bravo, 1)]);
    peers.wanted.add(id);
    peers.answer = async () => {
      peers.wanted.delete(id);
      dialer.proven(bravo);
      throw new Error("refused");
    };
    dialer.admitted(bravo);
    await vi.advanceTimersByTimeAsync(500);
    peers.wanted.add(id);
    expect(dialer.failures()).toEqual([]);
    dialer.stop();
  });

  test("tells of no attempt to reach a peer that no address is left of", async () => {
    const peers = new Peers();
    const dialer = peers.dialer([addressOf(bravo, 1)]);
    peers.wanted.add(id);
    dialer.admitted(bravo);
    await vi.advanceTimersByTimeAsync(500);
    expect(dialer.failures()).toHaveLength(1);
    dialer.configure([]);
    expect(dialer.failures()).toEqual([]);
    dialer.hint(PEERS, [addressOf(bravo, 2)]);
    await vi.advanceTimersByTimeAsync(125);
    expect(dialer.failures()).toMatchObject([{ addresses: [addressOf(bravo, 2)] }]);
    dialer.stop();
  });

  test("keeps 200 characters of what a peer may have said, and nothing of one that is removed", async () => {
    const peers = new Peers();
    const dialer = peers.dialer([addressOf(bravo, 1)]);
    peers.wanted.add(id);
    peers.answer = async () => {
      throw new Error("x".repeat(100_000));
    };
    dialer.admitted(bravo);
    await vi.advanceTimersByTimeAsync(500);
    expect(dialer.failures()).toMatchObject([{ reason: "x".repeat(200) }]);
    dialer.removed(bravo);
    expect(dialer.failures()).toEqual([]);
    dialer.stop();
  });

  test("what is no address of a peer, and our own, is left out", async () => {
    const peers = new Peers();
    const dialer = peers.dialer([addressOf(peers.self, 1)]);
    peers.wanted.add(id).add(peers.self.toString());
    dialer.admitted(peers.self);
    dialer.hint(PEERS, [
      "",
      "bravo.test:7843",
      "/ip4/127.0.0.1/tcp/1",
      `/ip4/127.0.0.1/udp/1/quic-v1/p2p/${id}`,
      `/dnsaddr/bravo.test/p2p/${id}`,
      `/ip4/127.0.0.1/tcp/1/p2p/${id}/p2p-circuit`,
      "/ip4/127.0.0.1/tcp/1/p2p/QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N",
      `/dns4/${"x".repeat(500)}/tcp/1/p2p/${id}`,
      addressOf(peers.self, 2),
    ]);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(peers.attempts).toEqual([]);
    dialer.stop();
  });
});
