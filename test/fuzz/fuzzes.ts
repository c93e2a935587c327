/** How the test files of this folder run targets: their share of a CI run, with a seed of its own. */
import process from "node:process";
import { describe, expect, test } from "vitest";
import { type Report, fuzz } from "./fuzzing.ts";
import type { Outcome, TargetSource } from "./target.ts";

/** Against hanging, not a figure: a machine may be busy with much else. */
const DEADLINE_MS = 300_000;
const SHOWN_MAX = 5;

/** Fresh in each run; what fails is kept in found/ with the command that judges it again. */
const seed = process.env["FUZZ_SEED"] ?? String(Date.now());

/** One test a target. Returns the outcomes that were met, by the time the tests are over. */
export function fuzzes(title: string, sources: readonly TargetSource[]): ReadonlySet<Outcome> {
  const met = new Set<Outcome>();
  describe(`${title}, seed ${seed}`, () => {
    test.each(sources.map((source) => [source.name, source.inputs, source] as const))(
      "%s: %i inputs, each with an expected outcome",
      async (_, inputs, source) => {
        const report = await fuzz(source, seed, 0, inputs);
        expect(shown(report)).toEqual([]);
        expect(report.unmet).toEqual([]);
        for (const outcome of report.made.keys()) met.add(outcome);
      },
      DEADLINE_MS,
    );
  });
  return met;
}

function shown({ failures }: Report): readonly string[] {
  return failures
    .slice(0, SHOWN_MAX)
    .map(({ maker, problem, file }) => `${maker}: ${problem}\nnpm run fuzz -- --replay ${file}`);
}
