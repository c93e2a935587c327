import { describe, expect, test } from "vitest";
import { Meter } from "../../../src/core/mesh/meter.ts";
import {
  DOMAIN_WORK_AT_ONCE_MAX,
  DOMAIN_WORK_A_SECOND_MAX,
  NODES_MAX,
  NODE_RECORDS_AT_ONCE_MAX,
} from "../../../src/core/std/limits.ts";

/** Spends both budgets of a node. */
function spend(meter: Meter, node: string): void {
  for (let take = 0; take <= NODE_RECORDS_AT_ONCE_MAX; take += 1) {
    meter.takes(node, "record", 0);
    meter.takes(node, "block", 0);
  }
}

describe("a trust domain's meter", () => {
  test("lets it work 1,024 units at once, and then waits until they are earned", () => {
    const meter = new Meter();
    expect(meter.isPaid(0)).toBe(true);
    meter.charge(DOMAIN_WORK_AT_ONCE_MAX);
    expect(meter.isPaid(0), "exactly at the bound").toBe(true);
    meter.charge(1);
    expect(meter.isPaid(0)).toBe(false);
  });

  test("earns sixteen a second", () => {
    const meter = new Meter();
    expect(meter.isPaid(0)).toBe(true);
    meter.charge(DOMAIN_WORK_AT_ONCE_MAX + DOMAIN_WORK_A_SECOND_MAX);
    expect(meter.isPaid(999)).toBe(false);
    expect(meter.isPaid(1_001)).toBe(true);
  });

  test("forgets who was not heard for the longest time", () => {
    const meter = new Meter();
    for (let node = 0; node < NODES_MAX; node += 1) spend(meter, `${node}`);
    spend(meter, "0"); // Heard again.
    spend(meter, "another");
    expect(meter.takes("0", "block", 0)).toBe(false);
    expect(meter.takes("1", "block", 0)).toBe(true);
  });

  test("remembers both budgets of sixteen nodes, and no more", () => {
    const meter = new Meter();
    for (let node = 0; node < NODES_MAX; node += 1) spend(meter, `${node}`);
    spend(meter, "another");
    expect(meter.takes("1", "block", 0)).toBe(false);
    expect(meter.takes("0", "block", 0), "it was forgotten, and begins anew").toBe(true);
  });
});
