/** The threat model points at tests; each of them is there. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "../..");
const PAGE = readFileSync(join(ROOT, "docs/threat-model.md"), "utf8");
const NAMED = [...PAGE.matchAll(/`(test\/[\w/.-]+\.ts)`: (.+?) \|$/gm)].map(
  ([, file = "", name = ""]) => [file, name] as const,
);

describe("the threat model", () => {
  test("shows each limit by a test, or says that there is none", () => {
    const rows = PAGE.split("\n").filter((line) => /^\| (?!tries to|what |has )[^-]/.test(line));
    expect(rows.length).toBeGreaterThan(30);
    for (const row of rows) expect(row).toMatch(/`test\/[\w/.-]+\.ts`: .+ \|$|\| – \|$/);
  });

  test.each(NAMED)("%s has: %s", (file, name) => {
    expect(readFileSync(join(ROOT, file), "utf8")).toContain(name);
  });
});
