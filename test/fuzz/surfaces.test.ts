/** What reads through a file or a stream, and the inputs that once went wrong. */
import { describe, expect, test } from "vitest";
import { replay, seeds } from "./fuzzing.ts";
import { TARGETS } from "./targets/all.ts";
import { adminTarget } from "./targets/admin.ts";
import { fileTargets } from "./targets/files.ts";
import { syncTargets } from "./targets/sync.ts";
import { fuzzes } from "./fuzzes.ts";

/** Of one run of all targets. */
const ALL_INPUTS = 200_000;
const INPUTS_MIN = 2_000;

fuzzes("surfaces", [...fileTargets, ...syncTargets, adminTarget]);

test("all targets together get 200,000 inputs, and none is left out", () => {
  const inputs = TARGETS.map((target) => target.inputs);
  expect(inputs.reduce((sum, each) => sum + each, 0)).toBe(ALL_INPUTS);
  expect(Math.min(...inputs)).toBeGreaterThanOrEqual(INPUTS_MIN);
});

describe("inputs that once went wrong", () => {
  test.each([...seeds()])("%s", async (_, kept) => {
    const source = TARGETS.find(({ name }) => name === kept.target);
    expect(source, `no target ${kept.target}`).toBeDefined();
    const problem = source && (await replay(source, kept));
    // An open one goes wrong until it is mended; then `open` goes.
    expect(problem === undefined, problem ?? "it is mended").toBe(kept.open === undefined);
  });
});
