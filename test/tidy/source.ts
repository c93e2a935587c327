/** The files of this repository as the tidy tests see them: tracked, or new and not ignored. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export interface SourceFile {
  /** Relative to the repository, with `/`. */
  readonly path: string;
  readonly text: string;
}

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** Generated code: checked where it is generated, not where it is read. */
const GENERATED = /_pb\.(?:js|d\.ts)$/;

/** Paths of all files, sorted. Throws when there is no git checkout. */
export function repositoryPaths(): readonly string[] {
  const listed = execFileSync("git", ["ls-files", "-z", "-co", "--exclude-standard"], {
    cwd: ROOT,
    encoding: "utf8",
  });
  return [...new Set(listed.split("\0"))].filter((path) => existsSync(join(ROOT, path))).sort();
}

/** The files whose path fits. Throws when there is none: a check that reads nothing says nothing. */
export function repositoryFiles(fits: RegExp): readonly SourceFile[] {
  const files = repositoryPaths()
    .filter((path) => fits.test(path))
    .map((path) => ({ path, text: readFileSync(join(ROOT, path), "utf8") }));
  if (files.length === 0) throw new Error(`no file fits ${fits}`);
  return files;
}

/** TypeScript and JavaScript that somebody here wrote. */
export function writtenCode(): readonly SourceFile[] {
  return repositoryFiles(/\.(?:ts|js)$/).filter(({ path }) => !GENERATED.test(path));
}

/** The line, from 1, on which a character of a text stands. */
export function lineOf(text: string, offset: number): number {
  return text.slice(0, offset).split("\n").length;
}
