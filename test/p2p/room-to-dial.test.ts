/**
 * Who dials us takes no room from those whom we dial, and a second node of a trust domain none from the
 * first of another.
 */
import { describe, expect, test } from "vitest";
import { hasRoomToDial } from "../../src/p2p/libp2p-node.ts";

const of = (inbound: number, outbound: number): { direction: "inbound" | "outbound" }[] => [
  ...Array.from({ length: inbound }, () => ({ direction: "inbound" }) as const),
  ...Array.from({ length: outbound }, () => ({ direction: "outbound" }) as const),
];

describe("one more peer is dialed", () => {
  test.each([
    [0, 127, true],
    [300, 127, true],
    [0, 128, false],
    [512, 0, false],
  ])(
    "of a trust domain with a node connected beside %d who dialed us and %d whom we dialed: %s",
    (inbound, outbound, may) => {
      expect(hasRoomToDial(of(inbound, outbound), false)).toBe(may);
    },
  );

  test.each([
    [0, 0, true],
    [256, 0, true], // Eleven trust domains may come with as many.
    [256, 255, true],
    [511, 0, true],
    [0, 255, true],
    [0, 256, false],
    [10, 256, false],
    [512, 0, false],
    [300, 212, false],
  ])("beside %d who dialed us and %d whom we dialed: %s", (inbound, outbound, may) => {
    expect(hasRoomToDial(of(inbound, outbound), true)).toBe(may);
  });
});
