/** Where the admin socket goes, on a real file system. */
import { chmod, chown, mkdir, stat, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { once } from "node:events";
import { join } from "node:path";
import process from "node:process";
import { describe, expect, onTestFinished, test } from "vitest";
import { findAdminSocket, resolveRuntimeDirectory } from "../../src/config/runtime-directory.ts";
import { temporaryDirectory } from "../store/temporary-directory.ts";

async function pathsBelow(directory: string, socket?: string) {
  const runtimeDir = join(directory, "runtime");
  const dataDir = join(directory, "data");
  return { runtimeDir, dataDir, admin: { socketPath: socket ?? join(runtimeDir, "admin.sock") } };
}

describe("the runtime directory", () => {
  test("is made for its owner alone, and nothing needs to be said", async () => {
    const paths = await pathsBelow(await temporaryDirectory());
    expect(await resolveRuntimeDirectory(paths)).toEqual({
      path: paths.runtimeDir,
      adminSocketPath: paths.admin.socketPath,
      notices: [],
    });
    expect((await stat(paths.runtimeDir)).mode & 0o777).toBe(0o700);
  });

  test.each<[string, (path: string) => Promise<void>]>([
    ["is a file", async (path) => await writeFile(path, "")],
    ["is a symbolic link", async (path) => await symlink(".", path)],
    [
      "can be written by others",
      async (path) => {
        await mkdir(path);
        await chmod(path, 0o777);
      },
    ],
  ])("is data_dir/run when the configured one %s, and says so", async (_, make) => {
    const paths = await pathsBelow(await temporaryDirectory());
    await make(paths.runtimeDir);
    const resolved = await resolveRuntimeDirectory(paths);
    expect(resolved.path).toBe(join(paths.dataDir, "run"));
    expect(resolved.adminSocketPath).toBe(join(paths.dataDir, "run", "admin.sock"));
    expect(resolved.notices).toEqual([expect.stringContaining(paths.runtimeDir)]);
    expect((await stat(resolved.path)).mode & 0o777).toBe(0o700);
  });

  // Skipped: only root can give a directory to somebody else.
  test.skipIf(process.geteuid?.() !== 0)(
    "is data_dir/run when the configured one belongs to another user",
    async () => {
      const paths = await pathsBelow(await temporaryDirectory());
      await mkdir(paths.runtimeDir, { mode: 0o700 });
      await chown(paths.runtimeDir, 65_534, 65_534);
      expect((await resolveRuntimeDirectory(paths)).path).toBe(join(paths.dataDir, "run"));
    },
  );

  test.each([
    ["as RuntimeDirectory of systemd makes it", 0o755],
    ["as Kubernetes leaves it in a volume for our fsGroup", 0o2770],
  ])("may be %s", async (_, mode) => {
    const paths = await pathsBelow(await temporaryDirectory());
    await mkdir(paths.runtimeDir);
    await chown(paths.runtimeDir, process.geteuid?.() ?? 0, process.getegid?.() ?? 0);
    await chmod(paths.runtimeDir, mode);
    expect(await resolveRuntimeDirectory(paths)).toMatchObject({
      path: paths.runtimeDir,
      notices: [],
    });
  });

  test("is data_dir/run where others could replace it, and says which directory is to blame", async () => {
    const directory = await temporaryDirectory();
    await mkdir(join(directory, "open"));
    await chmod(join(directory, "open"), 0o777);
    const runtimeDir = join(directory, "open", "runtime");
    const admin = { socketPath: join(runtimeDir, "admin.sock") };
    const paths = { runtimeDir, dataDir: join(directory, "data"), admin };
    const { path, notices } = await resolveRuntimeDirectory(paths);
    expect(path).toBe(join(paths.dataDir, "run"));
    expect(notices).toEqual([expect.stringContaining(`${join(directory, "open")} has mode 777`)]);
  });

  test("leaves a socket where the operator put it", async () => {
    const directory = await temporaryDirectory();
    const paths = await pathsBelow(directory, join(directory, "own.sock"));
    await writeFile(paths.runtimeDir, "");
    const { adminSocketPath } = await resolveRuntimeDirectory(paths);
    expect(adminSocketPath).toBe(join(directory, "own.sock"));
  });

  test("is CANNOT_CREATE when no place is left, or its path is too long for a socket", async () => {
    const directory = await temporaryDirectory();
    const paths = await pathsBelow(directory);
    await writeFile(paths.runtimeDir, "");
    const long = { ...paths, dataDir: join(directory, "d".repeat(80)) };
    await expect(resolveRuntimeDirectory(long)).rejects.toMatchObject({ code: "CANNOT_CREATE" });
    await writeFile(paths.dataDir, "");
    await expect(resolveRuntimeDirectory(paths)).rejects.toMatchObject({ code: "CANNOT_CREATE" });
  });
});

describe("a command that has the configuration file", () => {
  test("finds the socket at its usual place, or at the fallback when only that is there", async () => {
    const paths = await pathsBelow(await temporaryDirectory());
    expect(await findAdminSocket(paths)).toBe(paths.admin.socketPath);
    const fallback = join(paths.dataDir, "run", "admin.sock");
    await listenOn(fallback);
    expect(await findAdminSocket(paths)).toBe(fallback);
    await listenOn(paths.admin.socketPath);
    expect(await findAdminSocket(paths)).toBe(paths.admin.socketPath);
  });
});

async function listenOn(path: string): Promise<void> {
  await mkdir(join(path, ".."), { recursive: true });
  const server = createServer().listen(path);
  await once(server, "listening");
  onTestFinished(() => void server.close());
}
