import { multiaddr } from "@multiformats/multiaddr";
import type { MultiaddrConnection } from "@libp2p/interface";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { InboundGate } from "../../src/p2p/inbound.ts";
import { subnetOf } from "../../src/p2p/subnet.ts";

/** What the gate sees of a connection; the real ones are in hostile-strangers.test.ts. */
function connectionFrom(address: string): MultiaddrConnection {
  const remoteAddr = multiaddr(address);
  const connection = Object.assign(new EventTarget(), {
    remoteAddr,
    abort: (): boolean => connection.dispatchEvent(new Event("close")),
  });
  return connection as unknown as MultiaddrConnection;
}

const close = (connection: MultiaddrConnection): boolean =>
  connection.dispatchEvent(new Event("close"));

/** A handshake that comes to nothing. False when it was refused. */
function fail(gate: InboundGate, address: string): boolean {
  const connection = connectionFrom(address);
  if (!gate.begin(connection)) return false;
  gate.onHandshake(connection);
  close(connection);
  return true;
}

function comeIn(gate: InboundGate, address: string): void {
  const connection = connectionFrom(address);
  expect(gate.begin(connection)).toBe(true);
  gate.onHandshake(connection);
  gate.proved(connection, "member");
  close(connection);
}

describe("a subnet", () => {
  test.each([
    ["two of one /24", "/ip4/192.0.2.1/tcp/1", "/ip4/192.0.2.255/tcp/2", true],
    ["two /24", "/ip4/192.0.2.1/tcp/1", "/ip4/192.0.3.1/tcp/1", false],
    ["two of one /48", "/ip6/2001:db8:1:2::1/tcp/1", "/ip6/2001:db8:1:ffff::2/tcp/1", true],
    ["two /48", "/ip6/2001:db8:1::1/tcp/1", "/ip6/2001:db8:2::1/tcp/1", false],
    ["IPv4 on a socket for both", "/ip6/::ffff:192.0.2.7/tcp/1", "/ip4/192.0.2.1/tcp/1", true],
    ["IPv6 loopback and mapped IPv4", "/ip6/::1/tcp/1", "/ip6/::ffff:192.0.2.7/tcp/1", false],
    ["a path and a name", "/unix/%2Fa", "/dns4/a.test/tcp/1", true],
  ])("%s", (_, left, right, same) => {
    expect(subnetOf(multiaddr(left)) === subnetOf(multiaddr(right))).toBe(same);
  });
});

describe("the gate for inbound connections", () => {
  const subnets = ["192.0.2", "198.51.100", "203.0.113", "10.0.0", "127.0.0"];
  const events = fc.array(
    fc.record({
      subnet: fc.constantFrom(...subnets),
      what: fc.constantFrom("begin", "begin", "begin", "member", "nothing", "close"),
      waitMs: fc.nat({ max: 200 }),
    }),
    { maxLength: 400 },
  );

  test("never lets more wait than its bounds, and a place that is given back is there again", () => {
    fc.assert(
      fc.property(events, (history) => {
        let nowMs = 0;
        const gate = new InboundGate(() => nowMs);
        const pending = new Map<MultiaddrConnection, string>();
        const members = new Set<string>();
        for (const { subnet, what, waitMs } of history) {
          nowMs += waitMs;
          if (what === "begin") {
            const connection = connectionFrom(`/ip4/${subnet}.1/tcp/1`);
            if (gate.begin(connection)) pending.set(connection, subnet);
            connection.addEventListener("close", () => pending.delete(connection));
          } else {
            const [connection, from] = [...pending].find(([, each]) => each === subnet) ?? [];
            if (connection === undefined || from === undefined) continue;
            pending.delete(connection);
            if (what === "close") close(connection);
            else gate.proved(connection, what);
            close(connection);
            if (what === "member") members.add(from);
          }
          const ofSubnet = [...pending.values()].filter((each) => each === subnet).length;
          const unknown = [...pending.values()].filter((each) => !members.has(each)).length;
          expect(ofSubnet).toBeLessThanOrEqual(32);
          expect(unknown).toBeLessThanOrEqual(64);
        }
        for (const connection of pending.keys()) close(connection);
        nowMs += 600_000;
        expect(gate.begin(connectionFrom("/ip4/192.0.2.1/tcp/1"))).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  test("a hundred members behind one address come in as fast as they can prove it", () => {
    const gate = new InboundGate(() => 0);
    for (let member = 0; member < 100; member += 1) {
      const connection = connectionFrom("/ip4/10.0.0.1/tcp/1");
      expect(gate.begin(connection)).toBe(true);
      gate.proved(connection, "member");
      close(connection);
    }
    expect(gate.refused).toBe(0);
  });

  test("who only fails is soon refused before the handshake, others are not", () => {
    let nowMs = 0;
    const gate = new InboundGate(() => nowMs);
    let begun = 0;
    for (let attempt = 0; attempt < 1_000; attempt += 1) {
      if (fail(gate, "/ip4/192.0.2.1/tcp/1")) begun += 1;
    }
    expect(begun).toBe(64 + 20);
    expect(gate.begin(connectionFrom("/ip4/198.51.100.1/tcp/1"))).toBe(true);
    nowMs = 5_000;
    expect(gate.begin(connectionFrom("/ip4/192.0.2.1/tcp/1"))).toBe(true);
  });

  test("what ends before its handshake keeps nobody out", () => {
    const gate = new InboundGate(() => 0);
    for (let attempt = 0; attempt < 1_000; attempt += 1) {
      const connection = connectionFrom("/ip4/192.0.2.1/tcp/1");
      expect(gate.begin(connection)).toBe(true);
      close(connection);
    }
  });

  test("who says nothing for half a second makes place for others of its subnet", () => {
    let nowMs = 0;
    const gate = new InboundGate(() => nowMs);
    const begin = (): boolean => gate.begin(connectionFrom("/ip4/10.0.0.1/tcp/1"));
    const busy = connectionFrom("/ip4/10.0.0.1/tcp/1");
    gate.begin(busy);
    gate.onHandshake(busy);
    let closed = false;
    busy.addEventListener("close", () => (closed = true));
    for (let silent = 0; silent < 31; silent += 1) expect(begin()).toBe(true);
    expect(begin()).toBe(false);
    nowMs = 499;
    expect(begin()).toBe(false);
    nowMs = 500;
    for (let other = 0; other < 31; other += 1) expect(begin()).toBe(true);
    expect(begin()).toBe(false);
    expect(closed).toBe(false);
  });

  test("begins twenty handshakes a second where members came from, however many fail there", () => {
    let nowMs = 0;
    const gate = new InboundGate(() => nowMs);
    const flooded = ["10.0.0", "192.0.2", "198.51.100"];
    for (const subnet of flooded.slice(1)) comeIn(gate, `/ip4/${subnet}.1/tcp/1`);
    const flood = (seconds: number, perSecond: number): number[] => {
      const begun = flooded.map(() => 0);
      for (let tick = 0; tick < seconds * perSecond; tick += 1) {
        nowMs += 1_000 / perSecond;
        for (const [index, subnet] of flooded.entries()) {
          if (fail(gate, `/ip4/${subnet}.7/tcp/1`)) begun[index] = (begun[index] ?? 0) + 1;
        }
      }
      return begun.map((each) => each / seconds);
    };
    flood(30, 500);
    const [unknown = 0, one = 0, another = 0] = flood(60, 500);
    expect(unknown).toBeCloseTo(20, 0);
    // For all their subnets together, beside what fades in each.
    expect(one + another).toBeGreaterThan(20);
    expect(one + another).toBeLessThan(20 + 2 * 6.5);
  });

  test("knows where a member is that we dialed", () => {
    const gate = new InboundGate(() => 0);
    gate.onMemberAt(connectionFrom("/ip4/10.0.0.1/tcp/1"));
    for (let index = 0; index < 64; index += 1) {
      expect(gate.begin(connectionFrom(`/ip4/192.0.${index}.1/tcp/1`))).toBe(true);
    }
    expect(gate.begin(connectionFrom("/ip4/198.51.100.1/tcp/1"))).toBe(false);
    expect(gate.begin(connectionFrom("/ip4/10.0.0.2/tcp/1"))).toBe(true);
  });

  test("a flood from everywhere leaves room where members came from", () => {
    const gate = new InboundGate(() => 0);
    const member = connectionFrom("/ip4/10.0.0.1/tcp/1");
    expect(gate.begin(member)).toBe(true);
    gate.proved(member, "member");
    const flood = Array.from({ length: 200 }, (_, index) =>
      gate.begin(connectionFrom(`/ip4/192.0.${index}.1/tcp/1`)),
    );
    expect(flood.filter(Boolean)).toHaveLength(64);
    expect(gate.begin(connectionFrom("/ip4/10.0.0.2/tcp/1"))).toBe(true);
  });
});
