import { describe, expect, test } from "vitest";
import { Meter } from "../../../src/core/mesh/meter.ts";
import {
  DOMAIN_RECORDS_AT_ONCE_MAX,
  DOMAIN_RECORDS_A_SECOND_MAX,
  DOMAIN_WORK_AT_ONCE_MAX,
  DOMAIN_WORK_A_SECOND_MAX,
  NODES_MAX,
  NODE_RECORDS_AT_ONCE_MAX,
} from "../../../src/core/std/limits.ts";

/** A trust domain has earned one block by then, a node half a one. */
const SOON_MS = 500;

/** Spends all budgets of a node, and those of its trust domain. */
function spend(meter: Meter, node: string): void {
  for (let take = 0; take <= NODE_RECORDS_AT_ONCE_MAX; take += 1) {
    meter.takes(node, "record", 0);
    meter.takes(node, "block", 0);
    meter.takes(node, "head", 0);
  }
}

describe("a trust domain's meter", () => {
  test("lets it work 1,024 units at once, and then waits until they are earned", () => {
    const meter = new Meter();
    meter.charge(DOMAIN_WORK_AT_ONCE_MAX, [], 0);
    expect(meter.isPaid([], 0), "exactly at the bound").toBe(true);
    meter.charge(1, [], 0);
    expect(meter.isPaid([], 0)).toBe(false);
    expect(meter.isPaid(["relay.test"], 0), "whoever brings it").toBe(false);
  });

  test("earns sixteen a second", () => {
    const meter = new Meter();
    meter.charge(DOMAIN_WORK_AT_ONCE_MAX + DOMAIN_WORK_A_SECOND_MAX, [], 0);
    expect(meter.isPaid([], 999)).toBe(false);
    expect(meter.isPaid([], 1_001)).toBe(true);
  });

  test("forgets who was not heard for the longest time", () => {
    const meter = new Meter();
    for (let node = 0; node < NODES_MAX; node += 1) spend(meter, `${node}`);
    spend(meter, "0"); // Heard again.
    spend(meter, "another");
    expect(meter.takes("0", "block", SOON_MS)).toBe(false);
    expect(meter.takes("1", "block", SOON_MS)).toBe(true);
  });

  test("remembers the budgets of sixteen nodes, and no more", () => {
    const meter = new Meter();
    for (let node = 0; node < NODES_MAX; node += 1) spend(meter, `${node}`);
    spend(meter, "another");
    expect(meter.takes("1", "block", SOON_MS)).toBe(false);
    expect(meter.takes("0", "block", SOON_MS), "it was forgotten, and begins anew").toBe(true);
  });

  test.each(["record", "block", "head"] as const)(
    "lets sixteen nodes together bring twenty of the budget %s, then two a second",
    (budget) => {
      const meter = new Meter();
      const takes = (nowMs: number): number => {
        const all = Array.from({ length: 4 * NODES_MAX }, (_, at) => `${at % NODES_MAX}`);
        return all.filter((node) => meter.takes(node, budget, nowMs)).length;
      };
      expect(takes(0)).toBe(DOMAIN_RECORDS_AT_ONCE_MAX);
      expect(takes(1_000)).toBe(DOMAIN_RECORDS_A_SECOND_MAX);
    },
  );
});

/** Asks for a relay as for a record that it brings, and charges it. */
function relay(meter: Meter, name: string, work: number, nowMs = 0): boolean {
  const isPaid = meter.isPaid([name], nowMs);
  if (isPaid) meter.charge(work, [name], nowMs);
  return isPaid;
}

describe("a relay's share in the work of a trust domain", () => {
  test("is 64 units at once, then one a second", () => {
    const meter = new Meter();
    expect(relay(meter, "a", 64)).toBe(true);
    expect(relay(meter, "a", 1), "exactly at the bound").toBe(true);
    expect(relay(meter, "a", 1)).toBe(false);
    expect(relay(meter, "a", 1, 999)).toBe(false);
    expect(relay(meter, "a", 1, 1_001)).toBe(true);
    expect(relay(meter, "a", 1, 1_999)).toBe(false);
  });

  test("is neither the trust domain's nor another relay's", () => {
    const meter = new Meter();
    for (let time = 0; time < 100; time += 1) relay(meter, "a", 1_000);
    expect(meter.isPaid([], 0)).toBe(true);
    const other = new Meter();
    for (let time = 0; time < 100; time += 1) relay(other, "a", 10);
    expect(relay(other, "b", 1)).toBe(true);
  });

  test("is added to by who lists a foreign node, and not spent", () => {
    const meter = new Meter();
    while (relay(meter, "eve.test", 10));
    expect(meter.isPaid(["eve.test", "bravo.test"], 0)).toBe(true);
    while (meter.isPaid(["eve.test", "bravo.test"], 0)) {
      meter.charge(10, ["eve.test", "bravo.test"], 0);
    }
    expect(meter.isPaid(["bravo.test"], 0)).toBe(false);
  });

  test("is a sixteenth of what all relays have: so many together silence the others", () => {
    const meter = new Meter();
    const spent = (): number =>
      Array.from({ length: 20 }, (_, index) => relay(meter, `${index}`, 64)).filter(
        (isPaid) => isPaid,
      ).length;
    expect(spent()).toBe(17); // The last one at exactly none.
    expect(relay(meter, "honest", 1)).toBe(false);
    expect(meter.isPaid([], 0)).toBe(true);
  });

  test(`is remembered of 32 relays`, () => {
    const meter = new Meter();
    while (relay(meter, "a", 10));
    for (let index = 1; index < 32; index += 1) meter.isPaid([`${index}`], 0);
    expect(meter.isPaid(["a"], 0)).toBe(false);
    for (let index = 0; index < 32; index += 1) meter.isPaid([`${index}`], 0);
    expect(meter.isPaid(["a"], 0), "it begins anew").toBe(true);
  });
});
