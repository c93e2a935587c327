/** Files are short, named by the noun they own, and hold nothing that belongs to one machine. */
import { posix } from "node:path";
import { parseSync, Visitor } from "oxc-parser";
import { describe, expect, test } from "vitest";
import {
  lineOf,
  repositoryFiles,
  repositoryPaths,
  ROOT,
  type SourceFile,
  writtenCode,
} from "./source.ts";

/** What fits in a head at one sitting. */
const LINES_MAX = 350;
/** Files that may be longer, each with its reason. */
const LONG_FILES: Readonly<Record<string, string>> = {
  "src/core/std/limit-table.ts": "one table, six lines a limit",
};

const BARE_NAMES = /\/(?:index|utils?|helpers?|types|common|misc)\.\w+$/;
const KEBAB_CASE = /\/[a-z0-9]+(?:-[a-z0-9]+)*(?:\.(?:test|config))?\.(?:ts|js)$/;

/** Paths of a checkout or a home, and the hosts that packages come from. */
const OF_ONE_MACHINE = /\/(?:work|root|home\/\w+)\/|\/\/registry\.|\bnpmjs\.(?:org|com)/;

const SUPPRESSION =
  /@ts-(?:ignore|nocheck|expect-error)|(?:oxlint|eslint|biome|prettier|oxfmt)-(?:disable|ignore)|(?:v8|istanbul|c8) ignore/;

const code = writtenCode();
const product = code.filter(({ path }) => /^(?:src|peers|bin)\//.test(path));
const source = (text: string): SourceFile => ({ path: "test/a.test.ts", text });

describe("files", () => {
  test(`hold at most ${LINES_MAX} lines`, () => {
    const long = product
      .map(({ path, text }) => ({ path, lines: text.trimEnd().split("\n").length }))
      .filter(({ lines }) => lines > LINES_MAX);
    expect(long.filter(({ path }) => LONG_FILES[path] === undefined)).toEqual([]);
    expect(
      Object.keys(LONG_FILES).filter((path) => !long.some((file) => file.path === path)),
    ).toEqual([]);
  });

  test("are named in kebab-case by what they own", () => {
    const paths = code.map(({ path }) => `/${path}`);
    expect(paths.filter((path) => !KEBAB_CASE.test(path) || BARE_NAMES.test(path))).toEqual([]);
  });

  test("begin with a comment that says what they are", () => {
    const silent = product.filter(({ text }) => !/^(?:#!.*\n)?\/\*\*/.test(text));
    expect(silent.map(({ path }) => path)).toEqual([]);
  });

  test("name no path of one machine and no package registry", () => {
    expect(repositoryFiles(/./).flatMap(machineNames)).toEqual([]);
  });

  test.each([
    [`see ${["", "work", "main"].join("/")}`, 1], // Joined, as this file is searched too.
    [["", "home", "anna", "spire-mesh"].join("/"), 1],
    [`https://${["registry", "example", "org"].join(".")}/level.tgz`, 1],
    [`${ROOT}src/fault.ts`, 1],
    ["/tmp/spire-server/private/api.sock", 0],
    ["a peer does the work/rest", 0],
  ])("`%s` names one machine %i times", (text, count) => {
    expect(machineNames(source(text))).toHaveLength(count);
  });
});

describe("checks", () => {
  test("are never switched off", () => {
    expect(code.flatMap(suppressions)).toEqual([]);
  });

  test.each([
    ["// @ts-ignore\nrun();", 1],
    ["/* oxlint-disable no-console */", 1],
    ["// oxfmt-ignore\nrun();", 1],
    ['const text = "@ts-ignore";', 0],
  ])("`%s` switches off %i", (text, count) => {
    expect(suppressions(source(text))).toHaveLength(count);
  });
});

describe("tests", () => {
  test("are skipped only with a reason in the title, and never left alone", () => {
    const tests = code.filter(({ path }) => path.endsWith(".test.ts"));
    expect(tests.length).toBeGreaterThan(0);
    expect(tests.flatMap(leftOut)).toEqual([]);
  });

  test.each([
    ['test.only("a", run);', 1],
    ['test.only("skipped: why", run);', 1],
    ['test.skip("a", run);', 1],
    ['describe.skip("a", run);', 1],
    ['test.todo("a");', 1],
    ['test.skip("skipped: no SPIRE Server on this machine", run);', 0],
    ['test.skipIf(isRoot)("a", run);', 0],
    ["context.skip();", 0],
  ])("`%s` leaves out %i", (text, count) => {
    expect(leftOut(source(text))).toHaveLength(count);
  });
});

describe("links between pages", () => {
  const paths = new Set(repositoryPaths());
  const pages = repositoryFiles(/\.md$/);

  test("lead to a file and a heading that are there", () => {
    expect(pages.flatMap((page) => deadLinks(page, pages, paths))).toEqual([]);
  });

  test.each([
    ["[a](b.md)", 1],
    ["[a](../README.md#no-such-heading)", 1],
    ["[a](https://example.org/b.md) and `[a](b.md)`", 0],
    ["```\n[a](b.md)\n```\n[a](page.md#here-we-are)\n# Here: we are", 0],
  ])("`%s` has %i dead links", (text, count) => {
    const page = { path: "docs/page.md", text };
    expect(deadLinks(page, [page], new Set(["docs/page.md"]))).toHaveLength(count);
  });
});

function machineNames({ path, text }: SourceFile): readonly string[] {
  return text
    .split("\n")
    .flatMap((line, place) =>
      OF_ONE_MACHINE.test(line) || line.includes(ROOT)
        ? [`${path}:${place + 1} ${line.trim()}`]
        : [],
    );
}

function suppressions({ path, text }: SourceFile): readonly string[] {
  return parseSync(path, text)
    .comments.filter(({ value }) => SUPPRESSION.test(value))
    .map(({ start, value }) => `${path}:${lineOf(text, start)} ${value.trim()}`);
}

/**
 * Tests marked with `only`, or with `skip`, `todo`, `fails` and a title that does not say why
 * (`skipped: …`). `skipIf` and `runIf` carry their reason as the condition.
 */
function leftOut({ path, text }: SourceFile): readonly string[] {
  const found: string[] = [];
  new Visitor({
    MemberExpression({ start, end, object, property }) {
      if (object.type !== "Identifier" || property.type !== "Identifier") return;
      if (!["test", "it", "describe", "suite"].includes(object.name)) return;
      if (!["only", "skip", "todo", "fails"].includes(property.name)) return;
      const hasReason = /^\(\s*["'`]skipped: \S/.test(text.slice(end));
      if (hasReason && property.name !== "only") return;
      found.push(`${path}:${lineOf(text, start)} ${object.name}.${property.name}`);
    },
  }).visit(parseSync(path, text).program);
  return found;
}

function deadLinks(
  { path, text }: SourceFile,
  pages: readonly SourceFile[],
  paths: ReadonlySet<string>,
): readonly string[] {
  const prose = text.replaceAll(/^```[^]*?^```|`[^`\n]*`/gm, "");
  return [...prose.matchAll(/\]\((?![a-z]+:)([^)\s#]*)(?:#([^)\s]*))?\)/g)].flatMap(
    ([link, file = "", anchor]) => {
      const target = file === "" ? path : posix.normalize(posix.join(posix.dirname(path), file));
      const isThere =
        paths.has(target) || [...paths].some((known) => known.startsWith(`${target}/`));
      const page = pages.find((candidate) => candidate.path === target);
      const hasHeading = anchor === undefined || headings(page?.text ?? "").includes(anchor);
      return isThere && hasHeading ? [] : [`${path} links to ${link.slice(2, -1)}`];
    },
  );
}

/** The anchors of a page as GitHub makes them: lower case, no punctuation, dashes for spaces. */
function headings(text: string): readonly string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, title = ""]) =>
    title
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
      .trim()
      .replaceAll(" ", "-"),
  );
}
