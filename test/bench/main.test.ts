/** `npm run bench`: what was started wrongly measures nothing and says how to start it. */
import process from "node:process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { runToEnd } from "../../peers/child.ts";

const MAIN = fileURLToPath(new URL("../../bench/main.ts", import.meta.url));

test.each([
  ["--help"],
  ["--minute", "1"],
  ["soak", "--minutes", "0"],
  ["start", "--runs", "x"],
  ["no-such-part"],
])("%s %s %s ends with 64 and one line", async (...args) => {
  const { code, stdout, stderr } = await runToEnd(process.execPath, [MAIN, ...args]);
  expect({ code, stdout }).toEqual({ code: 64, stdout: "" });
  expect(stderr).toMatch(/^USAGE: .* Next: npm run bench -- .*\n$/);
});
