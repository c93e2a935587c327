/** Imports go in one direction, each npm package has one owner, and the core stays pure. */
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import manifest from "../../package.json" with { type: "json" };
import { forbiddenImports, permissionsUsed, roomOf } from "./imports.ts";
import { impurities } from "./purity.ts";
import { NODE_EVERYWHERE, ROOMS, SHARED_PACKAGES } from "./rooms.ts";
import { repositoryFiles, ROOT, type SourceFile } from "./source.ts";

const files = repositoryFiles(/^(?:src|peers|simulations)\/.*\.(?:ts|js)$/);
const source = (path: string, text: string): SourceFile => ({ path, text });

describe("rooms", () => {
  test("no file imports what its room may not", () => {
    expect(files.flatMap(forbiddenImports)).toEqual([]);
  });

  test("a room imports only rooms that stand above it", () => {
    const names = ROOMS.map(({ name }) => name);
    const upward = ROOMS.flatMap((room, place) =>
      room.imports
        .filter((name) => !names.slice(0, place).includes(name))
        .map((name) => `${room.name} imports ${name}`),
    );
    expect(upward).toEqual([]);
  });

  test("every room has a file", () => {
    const inhabited = new Set(files.map(({ path }) => roomOf(path)?.name));
    expect(ROOMS.map(({ name }) => name).filter((name) => !inhabited.has(name))).toEqual([]);
  });

  test("each package that the product needs has one owner", () => {
    const owned = ROOMS.flatMap(({ packages }) => packages);
    expect(owned.filter((name, place) => owned.indexOf(name) !== place)).toEqual([]);
    expect(Object.keys(manifest.dependencies).filter((name) => !owned.includes(name))).toEqual([]);
    expect(Object.keys(SHARED_PACKAGES).filter((name) => !owned.includes(name))).toEqual([]);
  });

  test("nothing is allowed that nobody imports", () => {
    const used = new Set(
      files.flatMap((file) =>
        permissionsUsed(file).map((each) => `${roomOf(file.path)?.name} ${each}`),
      ),
    );
    const allowed = ROOMS.flatMap(({ name, imports, packages, node }) =>
      [...imports, ...packages, ...node].map((each) => `${name} ${each}`),
    );
    const shared = Object.entries(SHARED_PACKAGES).flatMap(([each, { rooms }]) =>
      rooms.map((name) => `${name} ${each}`),
    );
    expect([...allowed, ...shared].filter((each) => !used.has(each))).toEqual([]);
    const anywhere = new Set(files.flatMap(permissionsUsed));
    expect(NODE_EVERYWHERE.filter((each) => !anywhere.has(each))).toEqual([]);
  });

  test("the page on architecture shows the table; `npm test -- test/tidy -u` writes it", async () => {
    const [page] = repositoryFiles(/^docs\/architecture\.md$/);
    const shown = page?.text.replace(/(?<=<!-- rooms -->\n)[^]*(?=<!-- end of rooms -->)/, () =>
      tableOfRooms(),
    );
    await expect(shown).toMatchFileSnapshot(join(ROOT, "docs/architecture.md"));
  });

  test.each([
    ["src/core/std/a.ts", 'import { x } from "../record/b.ts";', 1],
    ["src/core/record/a.ts", 'import { x } from "../std/b.ts";', 0],
    ["src/core/record/a.ts", '\nexport { x } from "../../fault.ts";', 1],
    ["src/core/record/a.ts", 'import type { X } from "zod";', 1],
    ["src/core/std/a.ts", 'import { hash } from "node:crypto";', 0],
    ["src/core/std/a.ts", 'import { hash, randomBytes } from "node:crypto";', 1],
    ["src/core/std/a.ts", 'import * as crypto from "node:crypto";', 1],
    ["src/core/std/a.ts", 'import "node:crypto";', 1],
    ["src/core/record/a.ts", 'import { readFileSync } from "node:fs";', 1],
    ["src/p2p/a.ts", 'import { x } from "../store/b.ts";', 1],
    ["src/p2p/a.ts", 'import { x } from "libp2p/sub/path";', 0],
    ["src/cli/status.ts", 'const { x } = await import("../daemon/daemon.ts");', 1],
    ["src/cli/run.ts", 'const { x } = await import("../daemon/daemon.ts");', 0],
    ["src/cli/status.ts", "const x = await import(name);", 1],
    ["src/daemon/a.ts", 'import { x } from "../../peers/demo/b.ts";', 1],
    ["src/daemon/a.ts", 'import { x } from "../../simulations/world/b.ts";', 1],
    ["simulations/world/a.ts", 'import { x } from "../../src/runtime/b.ts";', 0],
    ["simulations/world/a.ts", 'import { x } from "../../src/p2p/b.ts";', 1],
    ["src/attic/a.ts", "export const x = 1;", 1],
  ])("%s with `%s` breaks the rules %i times", (path, text, count) => {
    expect(forbiddenImports(source(path, text))).toHaveLength(count);
  });

  test("a forbidden import is named with its file, line and room", () => {
    const [problem] = forbiddenImports(
      source("src/core/std/a.ts", '\n\nimport { x } from "../mesh/step.ts";'),
    );
    expect(problem).toBe("src/core/std/a.ts:3 imports ../mesh/step.ts, but room core/std may not");
  });
});

describe("the core", () => {
  test("uses no clock, timer, randomness, process, locale or promise", () => {
    const core = files.filter(({ path }) => path.startsWith("src/core/"));
    expect(core.length).toBeGreaterThan(0);
    expect(core.flatMap(impurities)).toEqual([]);
  });

  test.each([
    ["const now = Date.now();", 1],
    ["const at = new Date(ms);", 1],
    ["const dice = Math.random();", 1],
    ["const { random } = Math;", 1],
    ["process.exit(1);", 1],
    ["setTimeout(run, 1);", 1],
    ["async function run() {}", 1],
    ["const run = async () => 1;", 1],
    ["type Later = Promise<number>;", 1],
    ["const f = import.meta.url;", 1],
    ["names.sort((a, b) => a.localeCompare(b));", 1],
    ["const process1 = { process: 1, Date: 2 }; use(process1.process, process1.Date);", 0],
    ["const most = Math.max(1, 2);", 0],
  ])("`%s` is impure %i times", (text, count) => {
    expect(impurities(source("src/core/std/a.ts", text))).toHaveLength(count);
  });
});

/** The rooms as a table of Markdown. */
function tableOfRooms(): string {
  const rows = ROOMS.map(({ name, holds, imports, packages, node }) =>
    [name, holds, imports.join(", "), packages.join(", "), node.join(", ")].join(" | "),
  );
  const head = [
    "room | holds | may import | npm packages | `node:` modules",
    "--- | --- | --- | --- | ---",
  ];
  return `${[...head, ...rows].map((row) => `| ${row} |`).join("\n")}\n`;
}
