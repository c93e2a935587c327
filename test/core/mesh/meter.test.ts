import { describe, expect, test } from "vitest";
import { Meter } from "../../../src/core/mesh/meter.ts";
import {
  DOMAIN_WORK_AT_ONCE_MAX,
  DOMAIN_WORK_A_SECOND_MAX,
  NODES_MAX,
} from "../../../src/core/std/limits.ts";

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
    const spend = (node: string): void => {
      while (meter.takes(node, "record", 0)) meter.takes(node, "block", 0);
    };
    for (let node = 0; node < NODES_MAX; node += 1) spend(`${node}`);
    for (const budget of ["record", "block"] as const) meter.takes("0", budget, 0); // Heard again.
    spend("another");
    expect(meter.takes("0", "record", 0)).toBe(false);
    expect(meter.takes("1", "record", 0)).toBe(true);
  });

  test("remembers both budgets of sixteen nodes, and no more", () => {
    const meter = new Meter();
    const spend = (node: string): void => {
      while (meter.takes(node, "record", 0)) meter.takes(node, "block", 0);
    };
    for (let node = 0; node < NODES_MAX; node += 1) spend(`${node}`);
    spend("another");
    expect(meter.takes("1", "record", 0)).toBe(false);
    expect(meter.takes("0", "record", 0), "it was forgotten, and begins anew").toBe(true);
  });
});
