/** Whoever has only the npm package can follow the links of its pages. */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join, posix } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { ROOT } from "./source.ts";

/** Of a checkout only, and named as such by the page that links to them. */
const CHECKOUT_ONLY = new Set([
  "README.md: bench/README.md",
  "README.md: CONTRIBUTING.md",
  "README.md: src/fault.ts",
]);

describe("the pages in the package", () => {
  test("link to what is in the package", async () => {
    const paths = await packedPaths();
    const pages = paths.filter((path) => path.endsWith(".md"));
    expect(pages).toContain("SECURITY.md");
    const links = await Promise.all(pages.map(async (page) => await linksOf(page)));
    const dead = links
      .flat()
      .filter(
        ({ target }) => !paths.some((path) => path === target || path.startsWith(`${target}/`)),
      );
    expect(new Set(dead.map(({ page, target }) => `${page}: ${target}`))).toEqual(CHECKOUT_ONLY);
  });
});

/** What `npm pack` would take, but for dist/, which it builds first. */
async function packedPaths(): Promise<readonly string[]> {
  const { stdout } = await promisify(execFile)(
    "npm",
    ["pack", "--dry-run", "--ignore-scripts", "--json"],
    { cwd: ROOT },
  );
  const [packed] = JSON.parse(stdout) as { files: { path: string }[] }[];
  return (packed?.files ?? []).map(({ path }) => path);
}

async function linksOf(page: string): Promise<readonly { page: string; target: string }[]> {
  const text = await readFile(join(ROOT, page), "utf8");
  const prose = text.replaceAll(/^```[^]*?^```|`[^`\n]*`/gm, "");
  return [...prose.matchAll(/\]\((?![a-z]+:|#)([^)\s#]+)/g)].map(([, link = ""]) => ({
    page,
    target: posix.normalize(posix.join(posix.dirname(page), link)),
  }));
}
