/** `npm run fuzz` in CI: what was started wrongly is not taken for a run without findings. */
import { execFile } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const MAIN = fileURLToPath(new URL("main.ts", import.meta.url));

test.each([
  ["--minutes", "x"],
  ["--minutes", "0"],
  ["--minute", "1"],
])("%s %s ends with 64 and one line", async (...args) => {
  const { promise, resolve } = Promise.withResolvers<readonly [unknown, string]>();
  execFile(process.execPath, [MAIN, ...args], (error, stdout, stderr) => {
    resolve([error === null ? 0 : error.code, stdout + stderr]);
  });
  const [code, output] = await promise;
  expect([code, output]).toEqual([64, expect.stringMatching(/^USAGE: .* Next: .*\n$/)]);
});
