import { multiaddr } from "@multiformats/multiaddr";
import type { MultiaddrConnection } from "@libp2p/interface";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { InboundGate } from "../../src/p2p/inbound.ts";
import { subnetOf } from "../../src/p2p/subnet.ts";

/** What the gate sees of a connection; the real ones are in hostile.test.ts. */
function connectionFrom(address: string): MultiaddrConnection {
  const remoteAddr = multiaddr(address);
  return Object.assign(new EventTarget(), { remoteAddr }) as unknown as MultiaddrConnection;
}

const close = (connection: MultiaddrConnection): boolean =>
  connection.dispatchEvent(new Event("close"));

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
      const connection = connectionFrom("/ip4/192.0.2.1/tcp/1");
      if (gate.begin(connection)) begun += 1;
      close(connection);
    }
    expect(begun).toBe(64);
    expect(gate.begin(connectionFrom("/ip4/198.51.100.1/tcp/1"))).toBe(true);
    nowMs = 5_000;
    expect(gate.begin(connectionFrom("/ip4/192.0.2.1/tcp/1"))).toBe(true);
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
