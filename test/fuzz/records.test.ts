/** The way in of a record: every refusal code is met, and nothing changes behind one. */
import { expect, test } from "vitest";
import { REFUSALS } from "../../src/core/record/refusal.ts";
import { importTarget, receivedTarget, recordTarget } from "./targets/record.ts";
import { fuzzes } from "./fuzzes.ts";

const met = fuzzes("records", [recordTarget, receivedTarget, importTarget]);

/** But for those of heads: test/core/mesh/heads.test.ts. */
test("every refusal code was met", () => {
  const ofRecords = Object.keys(REFUSALS).filter((code) => !code.startsWith("HEAD_"));
  expect(ofRecords.filter((code) => !met.has(code))).toEqual([]);
});
