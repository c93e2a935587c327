/** Two real daemons on one data or runtime directory: the second does nothing but say so. */
import type { ChildProcess } from "node:child_process";
import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { describe, expect, onTestFinished, test } from "vitest";
import { sha256Hex } from "../../src/core/std/sha256.ts";
import { toUtf8 } from "../../src/core/std/bytes.ts";
import { exitOf, spireMesh, startSpireMesh } from "../cli/spire-mesh.ts";
import { type LoneDaemon, answers, configuredIn, newLoneDaemon } from "./lone-daemon.ts";

/** The daemon's own process, without a launcher; killed when the test ends. */
async function running(daemon: LoneDaemon): Promise<ChildProcess> {
  const child = startSpireMesh(["run", "-config", daemon.config, "-logLevel", "error"]);
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await exitOf(child);
  });
  await answers(daemon);
  return child;
}

/** Every file with what stands in it. */
async function contents(directory: string): Promise<Readonly<Record<string, string>>> {
  const found = await readdir(directory, { recursive: true, withFileTypes: true });
  const paths = found
    .filter((each) => each.isFile())
    .map(({ parentPath, name }) => join(parentPath, name));
  const entries = paths.map(
    async (path) => [path, (await readFile(path)).toString("base64")] as const,
  );
  return Object.fromEntries(await Promise.all(entries));
}

describe("a second daemon", () => {
  test.skipIf(process.platform !== "linux")(
    "is refused before it touches anything, though LOCK was deleted and its runtime_dir is another",
    async () => {
      const first = await newLoneDaemon();
      const child = await running(first);
      await rm(join(first.dataDir, "store", "LOCK"));
      const before = await contents(first.dataDir);
      const second = await configuredIn(first.directory, "run-2");
      const { exitCode, stderr } = await spireMesh(["run", "-config", second.config]);
      expect(stderr).toMatch(/^ALREADY_RUNNING: .* Next: /m);
      expect(exitCode).toBe(73);
      expect(await contents(first.dataDir)).toEqual(before);
      expect(await readdir(first.directory)).not.toContain("run-2");
      await answers(first);
      child.kill("SIGTERM");
      expect(await exitOf(child)).toBe(0);
      await running(first); // What the first one wrote is all there, or this would not start.
    },
  );

  test.each(["memory", "disk"])(
    "leaves the first one's kept X509-SVIDs in their runtime_dir, though its own go to %s",
    async (policy) => {
      const first = await newLoneDaemon();
      await running(first);
      const kept = join(first.runtimeDir, "svids");
      const name = `${sha256Hex(toUtf8("alpha.test")).slice(0, 32)}-${"0".repeat(32)}.pem`;
      await mkdir(kept, { recursive: true, mode: 0o700 });
      await writeFile(join(kept, name), "kept", { mode: 0o600 });
      const second = await newLoneDaemon();
      const settings = (await readFile(second.config, "utf8")).replace(
        "runtime_dir: run",
        `runtime_dir: ${first.runtimeDir}\nsvid_cache: ${policy}`,
      );
      await writeFile(second.config, settings);
      const { exitCode, stderr } = await spireMesh(["run", "-config", second.config]);
      expect(stderr).toMatch(/^ALREADY_RUNNING: .* Next: /m);
      expect(exitCode).toBe(73);
      expect(await readFile(join(kept, name), "utf8")).toBe("kept");
      await answers(first);
    },
  );
});

describe("a daemon that was killed", () => {
  test("starts again at once, and with another runtime_dir as well", async () => {
    const first = await newLoneDaemon();
    const child = await running(first);
    child.kill("SIGKILL");
    await exitOf(child);
    const again = await running(first);
    again.kill("SIGKILL");
    await exitOf(again);
    await running(await configuredIn(first.directory, "run-2"));
  });
});
