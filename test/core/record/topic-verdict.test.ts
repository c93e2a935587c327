import { expect, test } from "vitest";
import { REFUSALS } from "../../../src/core/record/refusal.ts";

test("only what every honest node refuses without context costs the forwarder", () => {
  const rejected = Object.entries(REFUSALS).filter(([, verdict]) => verdict === "reject");
  expect(rejected.map(([code]) => code)).toEqual([
    "ENVELOPE_MALFORMED",
    "PAYLOAD_MALFORMED",
    "BLOCK_COUNT",
    "SIGNATURE_ENCODING",
    "NODE_SIGNATURE_INVALID",
    "HEAD_MALFORMED",
    "HEAD_SIGNATURE_INVALID",
  ]);
  const ignored = Object.entries(REFUSALS).filter(([, verdict]) => verdict === "ignore");
  expect(rejected.length + ignored.length).toBe(Object.keys(REFUSALS).length);
});
