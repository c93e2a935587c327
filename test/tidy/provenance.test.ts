/** The page on the supply chain knows each package that the product asks for, and what comes with it. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import lock from "../../package-lock.json" with { type: "json" };
import manifest from "../../package.json" with { type: "json" };
import { ROOT } from "./source.ts";

interface Locked {
  readonly version: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const page = readFileSync(join(ROOT, "docs/decisions/0007-supply-chain.md"), "utf8");
const rows = [...page.matchAll(/^\| `(.+?)` \| (.+?) \| (.+?) \| (\d+) \| (\d+) \|$/gm)].map(
  ([, name = "", , source = "", brings, alone]) => ({
    name,
    source,
    brings: Number(brings),
    alone: Number(alone),
  }),
);
const packages: Readonly<Record<string, Locked>> = lock.packages;
const names = Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies });

describe("the table of provenance", () => {
  test("has a row for each package that the product asks for", () => {
    expect(rows.map(({ name }) => name).toSorted()).toEqual(names.toSorted());
  });

  test("counts what each brings, and what goes when it goes", () => {
    expect(rows.map(({ name, brings, alone }) => ({ name, brings, alone }))).toEqual(
      rows.map(({ name }) => ({ name, brings: broughtBy([name]).size, alone: aloneBy(name) })),
    );
  });

  test("names the repository that each package names itself", () => {
    const installed = rows.filter(({ name }) => existsSync(manifestPath(name)));
    expect(installed.length).toBeGreaterThan(20);
    expect(installed.map(({ name, source }) => `${name} ${source.toLowerCase()}`)).toEqual(
      installed.map(({ name }) => `${name} ${repositoryOf(name)}`),
    );
  });
});

/** Paths in the lock of all packages that these need, themselves left out. */
function broughtBy(roots: readonly string[]): ReadonlySet<string> {
  const found = new Set<string>();
  const waiting = roots.map((name) => `node_modules/${name}`);
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    const { dependencies, optionalDependencies } = packages[path] ?? {};
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) {
      const needed = resolve(path, name);
      if (!found.has(needed)) waiting.push(needed);
      found.add(needed);
    }
  }
  for (const name of roots) found.delete(`node_modules/${name}`);
  return found;
}

function aloneBy(name: string): number {
  const others = names.filter((other) => other !== name);
  const kept = broughtBy(others);
  return [...broughtBy([name])].filter(
    (path) => !kept.has(path) && !others.some((other) => path === `node_modules/${other}`),
  ).length;
}

/** Where Node finds a package from another one's folder: its own node_modules, then each one outside. */
function resolve(from: string, name: string): string {
  for (let base = `${from}/`; ; base = base.slice(0, base.lastIndexOf("node_modules/"))) {
    const path = `${base}node_modules/${name}`;
    if (path in packages) return path;
    if (base === "") throw new Error(`${from} needs ${name}, which the lock has not`);
  }
}

function manifestPath(name: string): string {
  return join(ROOT, "node_modules", name, "package.json");
}

/** `owner/name` at GitHub, in lower case; the forms that npm allows are many. */
function repositoryOf(name: string): string | undefined {
  const { repository } = JSON.parse(readFileSync(manifestPath(name), "utf8")) as {
    readonly repository?: string | { readonly url: string };
  };
  const address = typeof repository === "string" ? repository : repository?.url;
  return /github(?:\.com)?[/:](.+?\/.+?)(?:\.git)?$/.exec(address ?? "")?.[1]?.toLowerCase();
}
