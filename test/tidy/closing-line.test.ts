/** The last line of a test run, which CI reads, whatever went wrong in it. */
import { execFile } from "node:child_process";
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ROOT } from "./source.ts";

const IMPORT = 'import { beforeAll, describe, test } from "vitest";';
const PASSES = 'test("passes", () => {});';

describe("the closing line", () => {
  let place = "";
  beforeEach(async () => {
    place = await mkdtemp(join(tmpdir(), "closing-line-"));
    await symlink(join(ROOT, "node_modules"), join(place, "node_modules"));
    await writeFile(join(place, "package.json"), '{ "type": "module" }');
  });
  afterEach(async () => {
    await rm(place, { recursive: true });
  });

  test.each([
    [
      "tests that pass, fail and are skipped",
      `${PASSES} test("f", () => { throw 1; }); test.skip("s");`,
      "1 passed, 1 failed, 1 skipped",
    ],
    [
      "a file that does not load",
      `${PASSES} throw new Error("load");`,
      "0 passed, 1 failed, 0 skipped",
    ],
    [
      "a hook that fails",
      `describe("d", () => { beforeAll(() => { throw 1; }); ${PASSES} });`,
      "0 passed, 1 failed, 1 skipped",
    ],
    [
      "a rejection that nobody handles",
      `test("r", () => { Promise.reject(new Error("late")); });`,
      "1 passed, 1 failed, 0 skipped",
    ],
    [
      "a worker that is killed",
      `test("k", () => process.kill(process.pid, "SIGKILL"));`,
      "0 passed, 2 failed, 0 skipped",
    ],
    ["no test at all", "", "0 passed, 1 failed, 0 skipped"],
  ])("counts %s", async (_what, source, line) => {
    await writeFile(join(place, "a.test.ts"), `${IMPORT}\n${source}\n`);
    const { output, code } = await runTests(place);
    expect(output.trimEnd().split("\n").at(-1)).toBe(line);
    expect(code).not.toBe(0);
  });

  test("is there for a run without failures, which ends with 0", async () => {
    await writeFile(join(place, "a.test.ts"), `${IMPORT}\n${PASSES}\n`);
    const { output, code } = await runTests(place);
    expect(output.trimEnd().split("\n").at(-1)).toBe("1 passed, 0 failed, 0 skipped");
    expect(code).toBe(0);
  });
});

/** Runs the tests of another folder with this project's runner; both outputs in one. */
async function runTests(
  place: string,
): Promise<{ readonly output: string; readonly code: unknown }> {
  const reporter = join(ROOT, "test", "closing-line.ts");
  const runner = join(ROOT, "node_modules", "vitest", "vitest.mjs");
  const options = [
    "--pool=forks",
    "--maxWorkers=1",
    "--reporter=default",
    `--reporter=${reporter}`,
  ];
  return await new Promise((resolve) => {
    execFile(
      process.execPath,
      [runner, "run", "--root", place, ...options],
      { env: { ...process.env, VITEST: undefined } },
      (error, stdout, stderr) => resolve({ output: stderr + stdout, code: error?.code ?? 0 }),
    );
  });
}
