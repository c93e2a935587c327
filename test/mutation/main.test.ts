/** `npm run mutate`: what was started wrongly mutates nothing and says how to start it. */
import process from "node:process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { runToEnd } from "../../peers/child.ts";

const MAIN = fileURLToPath(new URL("main.ts", import.meta.url));

test.each([["--help"], ["src/core/std", "--minutes"], []])(
  "%s %s ends with 64 and one line",
  async (...args) => {
    const { code, stdout, stderr } = await runToEnd(process.execPath, [MAIN, ...args]);
    expect({ code, stdout }).toEqual({ code: 64, stdout: "" });
    expect(stderr).toMatch(/^USAGE: .* Next: npm run mutate -- .*\n$/);
  },
);
