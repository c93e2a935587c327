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
