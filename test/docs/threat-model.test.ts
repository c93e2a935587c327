/** The threat model points at tests; each of them is there. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "../..");
const PAGE = readFileSync(join(ROOT, "docs/threat-model.md"), "utf8");
const NAMED = [...PAGE.matchAll(/`(test\/[\w/.-]+\.ts)`: (.+?) \|$/gm)].map(
  ([, file = "", name = ""]) => [file, name] as const,
);

/** Names of tests and groups, and what begins a row of a table of cases: each is a part of one. */
const TEST_NAME =
  /(?:\b(?:test|describe)\(|\.(?:each|skipIf)\b[^;]*?\)\(|^\s*\[)\s*(?:"([^"]+)"|`([^`]+)`)/gm;

function testNames(text: string): readonly string[] {
  return [...text.matchAll(TEST_NAME)].map(([, plain, template]) => plain ?? template ?? "");
}

describe("the threat model", () => {
  test("shows each limit by a test, or says that there is none", () => {
    const rows = PAGE.split("\n").filter((line) => /^\| (?!tries to|what |has )[^-]/.test(line));
    expect(rows.length).toBeGreaterThan(30);
    for (const row of rows) expect(row).toMatch(/`test\/[\w/.-]+\.ts`: .+ \|$|\| – \|$/);
  });

  test.each(NAMED)("%s has: %s", (file, name) => {
    expect(testNames(readFileSync(join(ROOT, file), "utf8"))).toContain(name);
  });

  test("is not satisfied by words that stand anywhere else in a test", () => {
    const text = 'test("is so", () => expect(1, "is said").toBe(1)); // "is told"';
    expect(testNames(text)).toEqual(["is so"]);
  });
});
