import { describe, expect, test } from "vitest";
import { FINDINGS } from "../../../src/core/mesh/finding.ts";
import { REFUSALS } from "../../../src/core/record/refusal.ts";
import { repositoryFiles } from "../../tidy/source.ts";

const core = repositoryFiles(/^src\/core\/.*\.ts$/).filter(
  ({ path }) => !/\/(?:refusal|finding)\.ts$/.test(path),
);

describe("a code", () => {
  test.each([...Object.keys(REFUSALS), ...Object.keys(FINDINGS)])(
    "%s is given somewhere",
    (code) => {
      expect(core.some(({ text }) => text.includes(`"${code}"`))).toBe(true);
    },
  );
});

test("only what every honest node refuses without context costs the forwarder", () => {
  const rejected = Object.entries(REFUSALS).filter(([, verdict]) => verdict === "reject");
  expect(rejected.map(([code]) => code)).toEqual([
    "ENVELOPE_MALFORMED",
    "PAYLOAD_MALFORMED",
    "BLOCK_COUNT",
    "SIGNATURE_ENCODING",
    "NODE_SIGNATURE_INVALID",
  ]);
});
