/** A core dump has all keys in it, and only who starts the daemon can forbid it: so each page does. */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ROOT } from "../tidy/source.ts";

const PAGES = globSync(["*.md", "docs/**/*.md"], { cwd: ROOT }).map((path) => ({
  path,
  text: readFileSync(join(ROOT, path), "utf8"),
}));

test("each way of starting the daemon as a service that a page shows leaves no core dump", () => {
  const blocks = PAGES.flatMap(({ text }) => text.match(/^```[^]*?^```$/gm) ?? []);
  const starts = blocks.filter((block) => /^docker run |^\[Service\]$/m.test(block));
  expect(starts.length).toBeGreaterThan(0);
  for (const start of starts) expect(start).toMatch(/ --ulimit core=0 |^LimitCORE=0$/m);
});

test("who writes a unit is told so as well", () => {
  const security = PAGES.find(({ path }) => path === "SECURITY.md");
  expect(security?.text).toContain("`LimitCORE=0`");
});
