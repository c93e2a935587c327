/** Who may reach data_dir: on a real file system, with real modes and owners. */
import { chmod, chown, mkdir, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { describe, expect, test } from "vitest";
import { prepareDataDirectory } from "../../src/store/data-directory.ts";
import { temporaryDirectory } from "./temporary-directory.ts";

const SOMEBODY_ELSE = 65_534;

describe("a data directory", () => {
  test("is made for its owner alone, whatever the umask", async () => {
    const path = join(await temporaryDirectory(), "made", "here");
    const umask = process.umask(0);
    await prepareDataDirectory(path);
    process.umask(umask);
    expect((await stat(path)).mode & 0o777).toBe(0o700);
    await prepareDataDirectory(path);
  });

  test.each<[string, string, (path: string) => Promise<void>]>([
    ["is a file", "CANNOT_CREATE", async (path) => await writeFile(path, "")],
    [
      "is a symbolic link",
      "NOT_ALLOWED",
      async (path) => {
        await mkdir(`${path}-target`, { mode: 0o700 });
        await symlink(`${path}-target`, path);
      },
    ],
    [
      "is a dangling symbolic link",
      "CANNOT_CREATE",
      async (path) => await symlink(`${path}-target`, path),
    ],
    ["is readable by its group", "NOT_ALLOWED", async (path) => await mkdirMode(path, 0o740)],
    ["is open to the world", "NOT_ALLOWED", async (path) => await mkdirMode(path, 0o701)],
  ])("is refused when it %s", async (_, code, make) => {
    const path = join(await temporaryDirectory(), "data");
    await make(path);
    await expect(prepareDataDirectory(path)).rejects.toMatchObject({ code });
  });

  test("is refused when its parent is a file", async () => {
    const parent = join(await temporaryDirectory(), "parent");
    await writeFile(parent, "");
    const path = join(parent, "data");
    await expect(prepareDataDirectory(path)).rejects.toMatchObject({ code: "CANNOT_CREATE" });
  });

  // Skipped: only root can give a directory to somebody else.
  test.skipIf(process.geteuid?.() !== 0)("is refused when it belongs to another user", async () => {
    const path = join(await temporaryDirectory(), "data");
    await mkdirMode(path, 0o700);
    await chown(path, SOMEBODY_ELSE, SOMEBODY_ELSE);
    await expect(prepareDataDirectory(path)).rejects.toMatchObject({
      code: "NOT_ALLOWED",
      advice: expect.stringContaining("inside it"),
    });
  });
});

async function mkdirMode(path: string, mode: number): Promise<void> {
  await mkdir(path);
  await chmod(path, mode);
}
