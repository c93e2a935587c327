/**
 * Mutation testing with StrykerJS; docs/decisions/0009-mutation-testing.md says why each setting.
 * test/mutation/main.ts says which files are mutated and which tests run.
 */
import process from "node:process";

/** As in `core/std`. */
const room = process.env.MUTATED_ROOM;

export default {
  testRunner: "vitest",
  vitest: { configFile: "test/mutation/vitest.config.ts", pool: "forks", related: false },
  plugins: ["@stryker-mutator/vitest-runner", "./test/mutation/fixed-texts.js"],
  ignorers: ["fixed-texts"],
  coverageAnalysis: "perTest",
  concurrency: 1,
  // On a machine busy with much else, Stryker's 5 s count what lives as killed by a timeout.
  timeoutMS: 20_000,
  // No such file: Stryker rewrites it through an API that TypeScript 7 does not have.
  tsconfigFile: "none",
  // Only type comments: Node strips types and checks none.
  disableTypeChecks: false,
  ignorePatterns: ["dist", "bench", "docs", "peers", "deploy"],
  reporters: ["progress-append-only", "clear-text", "json"],
  jsonReporter: { fileName: `reports/mutation/${room?.replaceAll("/", "-")}.json` },
  clearTextReporter: { allowColor: false, allowEmojis: false, reportTests: false },
  tempDirName: ".stryker-tmp",
  thresholds: { high: 95, low: 85, break: 85 },
};
