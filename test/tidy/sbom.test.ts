/** The bill of materials says what ships, no more, and the same each time. */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { promisify } from "node:util";
import { Ajv } from "ajv";
import formats from "ajv-formats";
import { beforeAll, describe, expect, test } from "vitest";
import lock from "../../package-lock.json" with { type: "json" };
import manifest from "../../package.json" with { type: "json" };
import { ROOT } from "./source.ts";

/** CycloneDX's own schemas come with its library for JavaScript; only that file of it is used. */
const SCHEMAS = {
  package: "@cyclonedx/cyclonedx-library@10.3.0",
  integrity:
    "sha512-RIT28sp1U0PCHaaeF3yNRwk6Jig/XJ8UsYAVOMYaHQ+0VVOvsjcp0PTWQFLUqJFF8XMud+Kdq6G+wtDAh+QJFA==",
};

/** Where CycloneDX's schemas look for each other. Nothing is loaded from there. */
const BASE = "http://cyclonedx.org/schema/";

interface Bom {
  readonly specVersion: string;
  readonly metadata: { readonly component: { readonly purl: string; readonly name: string } };
  readonly components: readonly { readonly purl: string }[];
}

const execute = promisify(execFile);
const packages: Readonly<Record<string, { readonly version: string; readonly dev?: boolean }>> =
  lock.packages;

describe("the bill of materials", () => {
  let text = "";
  let bom: Bom;

  beforeAll(async () => {
    text = await print();
    bom = JSON.parse(text) as Bom;
  });

  test("names each package that ships with its version, and no other", () => {
    const shipped = Object.entries(packages)
      .filter(([path, { dev }]) => path !== "" && dev !== true)
      .map(
        ([path, { version }]) => `${path.slice(path.lastIndexOf("node_modules/") + 13)}@${version}`,
      );
    expect(shipped.length).toBeGreaterThan(100);
    const named = bom.components.map(({ purl }) =>
      decodeURIComponent(purl).slice("pkg:npm/".length),
    );
    expect(named.toSorted()).toEqual([...new Set(shipped)].toSorted());
  });

  test("is of this package", () => {
    const { name, purl } = bom.metadata.component;
    expect(name).toBe(manifest.name);
    expect(purl).toBe(`pkg:npm/${manifest.name}@${manifest.version}`);
  });

  test("is the same each time, and says nothing of the machine", async () => {
    expect(await print()).toBe(text);
    expect(text).not.toContain(ROOT.slice(0, -1));
    expect(text).not.toMatch(/file:|\/\/registry\.|"timestamp"|"serialNumber"/);
  });

  test("is valid by CycloneDX's own schema", async (context) => {
    const place = await mkdtemp(join(tmpdir(), "schema-"));
    try {
      const tarball = await fetchSchemas(place);
      if (tarball === undefined) return context.skip(`${SCHEMAS.package} cannot be had here`);
      await execute("tar", ["-xzf", tarball, "-C", place]);
      const folder = join(place, "package/res/schema");
      const read = async (name: string): Promise<object> =>
        JSON.parse(await readFile(join(folder, `${name}.SNAPSHOT.schema.json`), "utf8")) as object;
      const ajv = new Ajv({
        strict: false,
        schemas: {
          [`${BASE}spdx.SNAPSHOT.schema.json`]: await read("spdx"),
          [`${BASE}jsf-0.82.SNAPSHOT.schema.json`]: await read("jsf-0.82"),
        },
        // Of RFC 3987 and RFC 6531, which ajv-formats does not know: addresses and mail in any script.
        formats: { "iri-reference": true, "idn-email": true },
      });
      formats.default(ajv);
      const isValid = ajv.compile(await read(`bom-${bom.specVersion}`));
      expect([isValid(bom), isValid.errors]).toEqual([true, null]);
      expect(isValid({ ...bom, components: [{ name: "no type" }] })).toBe(false);
    } finally {
      await rm(place, { recursive: true });
    }
  });
});

/** `npm run sbom`, without npm's own lines. */
async function print(): Promise<string> {
  const { stdout } = await execute(process.execPath, [join(ROOT, "deploy/sbom.ts")], {
    maxBuffer: 16 * 1024 * 1024,
  });
  return stdout;
}

/** The package as npm loads it, checked against its hash; undefined where no registry has it. */
async function fetchSchemas(place: string): Promise<string | undefined> {
  const quiet = ["--prefer-offline", "--fetch-retries=0", "--json", "--pack-destination", place];
  const packed = await execute("npm", ["pack", SCHEMAS.package, ...quiet], { cwd: place }).catch(
    () => undefined,
  );
  if (packed === undefined) return undefined;
  const [found] = JSON.parse(packed.stdout) as { filename: string; integrity: string }[];
  expect(found?.integrity).toBe(SCHEMAS.integrity);
  return join(place, found?.filename ?? "");
}
