/** Every dependency has a reason, an exact version, a licence that fits, and a place in the lock. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
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
  readonly dev?: boolean;
  readonly devOptional?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** Licences under which code may be part of an Apache-2.0 program without terms of their own for it. */
const FITTING_LICENCES = new Set(
  "Apache-2.0 MIT ISC BSD-2-Clause BSD-3-Clause 0BSD BlueOak-1.0.0 CC0-1.0 Unlicense".split(" "),
);

const page = readFileSync(join(ROOT, "docs/decisions/0001-dependencies.md"), "utf8");
const runTime = { ...manifest.dependencies, ...manifest.optionalDependencies };
const named: Readonly<Record<string, string>> = { ...runTime, ...manifest.devDependencies };
const packages: Readonly<Record<string, Locked>> = lock.packages;
const locked = new Map(Object.entries(packages).filter(([path]) => path !== ""));
const shipped = [...locked].filter(
  ([, { dev, devOptional }]) => dev !== true && devOptional !== true,
);

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
  test("has an integrity hash for each package, and no address to load it from", () => {
    expect(locked.size).toBeGreaterThan(100);
    const odd = [...locked].filter(
      ([, { integrity, resolved }]) => integrity === undefined || resolved !== undefined,
    );
    expect(odd.map(([path]) => path)).toEqual([]);
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
    expect(
      shipped
        .filter(([, { license }]) => !fits(license ?? "none stated"))
        .map(([path, { license }]) => `${path}: ${license}`),
    ).toEqual([]);
  });

  test.each([
    ["MIT", true],
    ["(BSD-3-Clause OR GPL-2.0)", true],
    ["(Apache-2.0 AND BSD-3-Clause)", true],
    ["(MIT AND GPL-3.0)", false],
    ["AGPL-3.0", false],
    ["none stated", false],
  ])("%s fits: %s", (licence, isFitting) => {
    expect(fits(licence)).toBe(isFitting);
  });
});

/** An SPDX expression with one kind of operator: one of an OR is enough, an AND needs all. */
function fits(licence: string): boolean {
  const expression = licence.replaceAll(/[()]/g, "");
  return expression
    .split(" OR ")
    .some((choice) => choice.split(" AND ").every((name) => FITTING_LICENCES.has(name)));
}

/** Where Node looks for a package that `path` needs: its own node_modules, then each one outside. */
function placesToLook(path: string): readonly string[] {
  const parts = `${path}/node_modules/`.split("node_modules/").slice(0, -1);
  return parts.map(
    (_, depth) => `${parts.slice(0, parts.length - depth).join("node_modules/")}node_modules/`,
  );
}
