/** `npm run fuzz` in CI: what was started wrongly is not taken for a run without findings. */
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { temporaryDirectory } from "../store/temporary-directory.ts";

const MAIN = fileURLToPath(new URL("main.ts", import.meta.url));

/** The exit code, and all that was printed. */
async function run(...args: readonly string[]): Promise<readonly [unknown, string]> {
  const { promise, resolve } = Promise.withResolvers<readonly [unknown, string]>();
  execFile(process.execPath, [MAIN, ...args], (error, stdout, stderr) => {
    resolve([error === null ? 0 : error.code, stdout + stderr]);
  });
  return await promise;
}

test.each([
  ["--minutes", "x"],
  ["--minutes", "0"],
  ["--minute", "1"],
])("%s %s ends with 64 and one line", async (...args) => {
  expect(await run(...args)).toEqual([64, expect.stringMatching(/^USAGE: .* Next: .*\n$/)]);
});

test.each(["missing\n.json", "."])(
  "a replay of %j, which cannot be read, ends with 66 and one line",
  async (name) => {
    const path = join(await temporaryDirectory(), name);
    expect(await run("--replay", path)).toEqual([
      66,
      expect.stringMatching(/^NO_INPUT: .* cannot be read: .* Next: .*\n$/),
    ]);
  },
);

test.each(["# Hello\n", '{"target":"marker"}'])(
  "a replay of a file with %j, which no run kept, ends with 65 and one line",
  async (content) => {
    const path = join(await temporaryDirectory(), "kept.json");
    await writeFile(path, content);
    expect(await run("--replay", path)).toEqual([
      65,
      expect.stringMatching(/^DATA_INVALID: .* Next: .*\n$/),
    ]);
  },
);
