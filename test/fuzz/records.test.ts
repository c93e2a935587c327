/** The way in of a record: every refusal code is met, and nothing changes behind one. */
import { expect, test } from "vitest";
import { REFUSALS } from "../../src/core/record/refusal.ts";
import { importTarget, receivedTarget, recordTarget } from "./targets/record.ts";
import { fuzzes } from "./fuzzes.ts";

const met = fuzzes("records", [recordTarget, receivedTarget, importTarget]);

/** RECOVERY_SIGNATURES_NOT_BUILT comes before them. */
const UNREACHED = [
  "RECOVERY_NOT_COMMITTED",
  "RECOVERY_COUNT",
  "RECOVERY_KEY_UNKNOWN",
  "RECOVERY_SIGNATURE_INVALID",
];

test("every refusal code was met", () => {
  expect(Object.keys(REFUSALS).filter((code) => !met.has(code))).toEqual(UNREACHED);
});
