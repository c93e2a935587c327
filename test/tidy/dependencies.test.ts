/** Every dependency has a reason, an exact version, a licence that fits, and a place in the lock. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import satisfies from "spdx-satisfies";
import { describe, expect, test } from "vitest";
import lock from "../../package-lock.json" with { type: "json" };
import manifest from "../../package.json" with { type: "json" };
import { ROOMS } from "./rooms.ts";
import { ROOT } from "./source.ts";

/** What a lock file says of one package. */
interface Locked {
  readonly version: string;
  readonly license?: string;
  readonly integrity?: string;
  readonly resolved?: string;
  readonly link?: boolean;
  readonly hasInstallScript?: boolean;
  readonly dev?: boolean;
  readonly devOptional?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** Licences under which code may be part of an Apache-2.0 program without terms of their own for it. */
const FITTING_LICENCES =
  "Apache-2.0 MIT ISC BSD-2-Clause BSD-3-Clause 0BSD BlueOak-1.0.0 CC0-1.0 Unlicense".split(" ");
/** Also good for what only builds and tests, each with its reason. */
const DEVELOPMENT_LICENCES = {
  "MPL-2.0": "lightningcss, which vitest loads: unmodified, and never shipped",
  "CC-BY-4.0": "caniuse-lite, which stryker loads: a table of browsers, never shipped",
  "CC-BY-3.0": "SPDX's own lists, which judge the licences here: named, unmodified, never shipped",
};
/** Packages whose lock entry states no licence, with what their own LICENSE file says. */
const LICENCES_READ: Readonly<Record<string, string>> = {};

const page = readFileSync(join(ROOT, "docs/decisions/0001-dependencies.md"), "utf8");
const runTime = { ...manifest.dependencies, ...manifest.optionalDependencies };
const named: Readonly<Record<string, string>> = { ...runTime, ...manifest.devDependencies };
const packages: Readonly<Record<string, Locked>> = lock.packages;
const locked = new Map(Object.entries(packages).filter(([path]) => path !== ""));
const isShipped = ({ dev, devOptional }: Locked): boolean => dev !== true && devOptional !== true;
const shipped = [...locked].filter(([, entry]) => isShipped(entry));
const development = [...locked].filter(([, entry]) => !isShipped(entry));

describe("the page on dependencies", () => {
  const rows = [
    ...page.matchAll(/^\| `(.+?)` \| (.+?) \| (.+?) \| (.+?) \| (.+?) \| (.+?) \|$/gm),
  ].map(([, name = "", version, licence, room]) => ({ name, version, licence, room }));

  test("names each dependency once, with its version", () => {
    const versions = rows.map(({ name, version }) => `${name} ${version}`).toSorted();
    expect(versions).toEqual(
      Object.entries(named)
        .map((pair) => pair.join(" "))
        .toSorted(),
    );
  });

  test("gives each the licence that its package states", () => {
    expect(rows.map(({ name, licence }) => `${name} ${licence}`)).toEqual(
      rows.map(({ name }) => `${name} ${locked.get(`node_modules/${name}`)?.license}`),
    );
  });

  test("gives each to the room that owns it", () => {
    const ofProduct = rows.filter(({ name }) => name in manifest.dependencies);
    expect(ofProduct.map(({ name, room }) => `${name} ${room}`)).toEqual(
      ofProduct.map(
        ({ name }) => `${name} ${ROOMS.find(({ packages }) => packages.includes(name))?.name}`,
      ),
    );
  });
});

describe("the lock file", () => {
  test("has a SHA-512 hash for each package, and no address to load it from", () => {
    expect(locked.size).toBeGreaterThan(100);
    const odd = [...locked].filter(
      ([, { integrity, resolved }]) =>
        !/^sha512-[\w+/]{86}==$/.test(integrity ?? "") || resolved !== undefined,
    );
    expect(odd.map(([path]) => path)).toEqual([]);
    expect(readFileSync(join(ROOT, ".npmrc"), "utf8")).toContain(
      "omit-lockfile-registry-resolved=true",
    );
  });

  test("has packages of the registry only: no folder, no git repository, no address", () => {
    const strange = [...locked].filter(
      ([, { version, link }]) => link === true || !/^\d+\.\d+\.\d+(?:-[\w.]+)?$/.test(version),
    );
    expect(strange.map(([path]) => path)).toEqual([]);
    const elsewhere = [...locked].flatMap(([path, { dependencies, optionalDependencies }]) =>
      Object.entries({ ...dependencies, ...optionalDependencies })
        .filter(([, wanted]) => /[:/]/.test(wanted))
        .map(([name, wanted]) => `${path} wants ${name} from ${wanted}`),
    );
    expect(elsewhere).toEqual([]);
  });

  test("has install scripts only in packages whose scripts are switched off", () => {
    const names = [...locked]
      .filter(([, { hasInstallScript }]) => hasInstallScript === true)
      .map(([path]) => path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length));
    expect(new Set(names)).toEqual(new Set(Object.keys(manifest.allowScripts)));
    expect(Object.values(manifest.allowScripts).every((isAllowed) => !isAllowed)).toBe(true);
  });

  test("has the packages of every platform, or `npm ci` refuses it", () => {
    const missing = [...locked].flatMap(([path, { dependencies, optionalDependencies }]) =>
      Object.keys({ ...dependencies, ...optionalDependencies })
        .filter((name) => !placesToLook(path).some((place) => locked.has(`${place}${name}`)))
        .map((name) => `${path} needs ${name}`),
    );
    expect(missing).toEqual([]);
  });

  test("is asked for exact versions", () => {
    expect(Object.entries(named).filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual(
      [],
    );
  });
});

describe("licences", () => {
  test("of everything that ships fit Apache-2.0", () => {
    expect(shipped.length).toBeGreaterThan(100);
    expect(misfits(shipped, FITTING_LICENCES)).toEqual([]);
  });

  test("of what only builds and tests fit too, but for those that are named here", () => {
    const allowed = [...FITTING_LICENCES, ...Object.keys(DEVELOPMENT_LICENCES)];
    expect(misfits(development, allowed)).toEqual([]);
  });

  test("that are allowed by exception are in use", () => {
    const inUse = development.map(([, { license = "" }]) => license).join(" ");
    expect(Object.keys(DEVELOPMENT_LICENCES).filter((name) => !inUse.includes(name))).toEqual([]);
    expect(Object.keys(LICENCES_READ).filter((path) => locked.get(path)?.license)).toEqual([]);
  });

  test.each([
    ["MIT", true],
    ["(BSD-3-Clause OR GPL-2.0)", true],
    ["(Apache-2.0 AND BSD-3-Clause)", true],
    ["(MIT AND (GPL-3.0 OR ISC))", true],
    ["(MIT AND GPL-3.0)", false],
    ["Apache-2.0 WITH LLVM-exception", false],
    ["AGPL-3.0", false],
    ["MIT-like", false],
    ["none stated", false],
  ])("%s fits: %s", (licence, isFitting) => {
    expect(fits(licence, FITTING_LICENCES)).toBe(isFitting);
  });
});

/** The packages whose licence does not fit, with what it says. */
function misfits(packages: typeof shipped, allowed: readonly string[]): readonly string[] {
  return packages
    .map(([path, { license }]) => ({ path, licence: license ?? LICENCES_READ[path] }))
    .filter(({ licence }) => !fits(licence ?? "none stated", allowed))
    .map(({ path, licence }) => `${path}: ${licence}`);
}

/** Whether an SPDX expression can be met by these licences. What is no SPDX expression cannot. */
function fits(licence: string, allowed: readonly string[]): boolean {
  try {
    return satisfies(licence, [...allowed]);
  } catch {
    return false;
  }
}

/** Where Node looks for a package that `path` needs: its own node_modules, then each one outside. */
function placesToLook(path: string): readonly string[] {
  const parts = `${path}/node_modules/`.split("node_modules/").slice(0, -1);
  return parts.map(
    (_, depth) => `${parts.slice(0, parts.length - depth).join("node_modules/")}node_modules/`,
  );
}
