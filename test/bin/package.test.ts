/** What a user gets: the packed package, installed by the machine's npm under the machine's Node. */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import manifest from "../../package.json" with { type: "json" };
import { machineEnvironment } from "./machine-node.ts";

/** A build, a pack and an install of 200 packages from npm's cache: 25 s on two cores that do nothing else. */
const INSTALL_MS_MAX = 240_000;

const root = fileURLToPath(new URL("../..", import.meta.url));
const execute = promisify(execFile);

interface Output {
  readonly stdout: string;
}

describe("the installed package", () => {
  let place = "";
  const installed = (...path: readonly string[]): string => join(place, "node_modules", ...path);
  const spireMesh = async (...args: readonly string[]): Promise<Output> =>
    await execute(installed(".bin", "spire-mesh"), args, { cwd: place, env: machineEnvironment });

  beforeAll(async () => {
    place = await mkdtemp(join(tmpdir(), "package-"));
    await mkdir(join(place, "packed"));
    await npm(root, "pack", "--pack-destination", join(place, "packed"));
    await writeFile(join(place, "package.json"), '{ "private": true }');
    const [tarball = ""] = await readdir(join(place, "packed"));
    const quiet = ["--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund"];
    await npm(place, "install", ...quiet, join(place, "packed", tarball));
  }, INSTALL_MS_MAX);
  afterAll(async () => {
    await rm(place, { recursive: true });
  });

  test("says its version", async () => {
    expect((await spireMesh("--version")).stdout).toContain(manifest.version);
  });

  test("says what it can do", async () => {
    expect((await spireMesh("-h")).stdout).toMatch(/^Usage: spire-mesh/);
  });

  test("knows a wrong command from a right one", async () => {
    await expect(spireMesh("no-such-command")).rejects.toMatchObject({ code: 64 });
  });

  test("holds the program, its pages and nothing else", async () => {
    const files = await readdir(installed("spire-mesh"), { recursive: true, withFileTypes: true });
    const paths = files
      .filter((file) => file.isFile())
      .map((file) => join(file.parentPath, file.name).slice(installed("spire-mesh/").length))
      .filter((path) => !path.startsWith("node_modules/"));
    expect(paths).toContain("LICENSE");
    expect(paths).toContain("dist/spire-api/generated/bundle_pb.js");
    const strange =
      /^(?!(?:bin|dist)\/.*\.js$|docs\/.*\.md$|deploy\/spire-server\/policy\.rego$|peers\/.*\.yaml$|(?:README|CHANGELOG|SECURITY)\.md$|LICENSE$|package\.json$)|^bin\/task\.js$/;
    expect(paths.filter((path) => strange.test(path))).toEqual([]);
  });
});

/** Runs npm on the machine. What it says stands in the error when it fails. */
async function npm(cwd: string, ...args: readonly string[]): Promise<void> {
  await execute("npm", [...args, "--loglevel=error"], { cwd, env: machineEnvironment });
}
