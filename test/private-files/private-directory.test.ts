/** Who may reach a directory of ours: on a real file system, with real modes, owners and links. */
import { chmod, chown, mkdir, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { beforeEach, describe, expect, test } from "vitest";
import { preparePrivateDirectory } from "../../src/private-files/private-directory.ts";
import { temporaryDirectory } from "../store/temporary-directory.ts";

const SOMEBODY_ELSE = 65_534;
/** A group that this process is not in. */
const OTHER_GROUP = 54_321;
const OWN_GROUP = process.getegid?.() ?? 0;
// Skipped where it says so: only root can give a directory to somebody else.
const IS_ROOT = process.geteuid?.() === 0;

let around: string;
let path: string;

beforeEach(async () => {
  around = await temporaryDirectory();
  path = join(around, "data");
});

async function prepare(): Promise<void> {
  await preparePrivateDirectory(path, "data_dir");
}

async function mkdirMode(directory: string, mode: number, gid = OWN_GROUP): Promise<void> {
  await mkdir(directory);
  await chown(directory, process.geteuid?.() ?? 0, gid);
  await chmod(directory, mode); // Last: chown clears the setgid bit.
}

describe("a private directory", () => {
  test.each([0o000, 0o077, 0o027])("is made for its owner alone under umask %o", async (umask) => {
    path = join(around, "made", "here");
    const before = process.umask(umask);
    try {
      await prepare();
    } finally {
      process.umask(before);
    }
    expect((await stat(path)).mode & 0o7777).toBe(0o700);
    expect((await stat(join(around, "made"))).mode & 0o7777).toBe(0o700);
    await prepare();
  });

  test.each<[string, string, () => Promise<void>]>([
    ["is a file", "CANNOT_CREATE", async () => await writeFile(path, "")],
    [
      "is a symbolic link",
      "NOT_ALLOWED",
      async () => {
        await mkdir(`${path}-target`, { mode: 0o700 });
        await symlink(`${path}-target`, path);
      },
    ],
    [
      "is a dangling symbolic link",
      "NOT_ALLOWED",
      async () => await symlink(`${path}-target`, path),
    ],
    ["can be written by its group", "NOT_ALLOWED", async () => await mkdirMode(path, 0o770)],
    ["can be written by the world", "NOT_ALLOWED", async () => await mkdirMode(path, 0o707)],
    [
      "is sticky, as others may still add files",
      "NOT_ALLOWED",
      async () => await mkdirMode(path, 0o1777),
    ],
    ["is setgid and the world's", "NOT_ALLOWED", async () => await mkdirMode(path, 0o2777)],
  ])("is refused when it %s", async (_, code, make) => {
    await make();
    await expect(prepare()).rejects.toMatchObject({ code });
  });

  test("is refused when its parent is a file", async () => {
    await writeFile(join(around, "parent"), "");
    path = join(around, "parent", "data");
    await expect(prepare()).rejects.toMatchObject({ code: "CANNOT_CREATE" });
  });

  test.skipIf(!IS_ROOT)("is refused when it belongs to another user", async () => {
    await mkdirMode(path, 0o700);
    await chown(path, SOMEBODY_ELSE, SOMEBODY_ELSE);
    await expect(prepare()).rejects.toMatchObject({
      code: "NOT_ALLOWED",
      advice: expect.stringContaining("inside it"),
    });
  });

  test.each([
    ["0700, as it is made", 0o700],
    ["0750, by StateDirectoryMode of systemd", 0o750],
    ["0755, the default of StateDirectory", 0o755],
    ["2700, made in a volume for a fsGroup", 0o2700],
    ["2770, the same after the next mount", 0o2770],
  ])("may have mode %s", async (_, mode) => {
    await mkdirMode(path, mode);
    await prepare();
    expect((await stat(path)).mode & 0o7777).toBe(mode);
  });

  test.skipIf(!IS_ROOT)("is refused when its setgid group is not ours", async () => {
    await mkdirMode(path, 0o2770, OTHER_GROUP);
    await expect(prepare()).rejects.toMatchObject({ code: "NOT_ALLOWED" });
  });
});

describe("the way to it", () => {
  beforeEach(() => {
    path = join(around, "way", "data");
  });

  test.each([
    ["only root and we can write", 0o755, OWN_GROUP],
    ["sticky, as /tmp", 0o1777, OWN_GROUP],
    ["an emptyDir or volume for a fsGroup", 0o2777, OWN_GROUP],
    ["a volume for a fsGroup", 0o2775, OWN_GROUP],
  ])("may be %s", async (_, mode, gid) => {
    await mkdirMode(join(around, "way"), mode, gid);
    await prepare();
  });

  test.each([
    ["its group, as its umask was 002", 0o775, OTHER_GROUP],
    ["everybody", 0o777, OWN_GROUP],
    ["a setgid group that we are not in", 0o2775, OTHER_GROUP],
  ])("is refused where it can be swapped by %s", async (_, mode, gid) => {
    if (!IS_ROOT && gid === OTHER_GROUP) return; // Nobody else may give a file to such a group.
    await mkdirMode(join(around, "way"), mode, gid);
    await expect(prepare()).rejects.toMatchObject({
      code: "NOT_ALLOWED",
      message: expect.stringContaining(join(around, "way")),
      advice: expect.stringMatching(/^`chmod go-w \S+`, or `chmod \+t`/),
    });
    await expect(stat(path)).rejects.toThrow("ENOENT");
  });

  test("is looked at all the way up, and behind each link", async () => {
    await mkdirMode(join(around, "open"), 0o777);
    await mkdir(join(around, "open", "inner"), { mode: 0o700 });
    path = join(around, "open", "inner", "data");
    await expect(prepare()).rejects.toMatchObject({ code: "NOT_ALLOWED" });
    await symlink("open/inner", join(around, "way"));
    path = join(around, "way", "data");
    await expect(prepare()).rejects.toMatchObject({ code: "NOT_ALLOWED" });
    await chmod(join(around, "open"), 0o755);
    await prepare();
  });

  test.skipIf(!IS_ROOT)("is refused where a link or directory is another user's", async () => {
    await mkdir(join(around, "real"), { mode: 0o700 });
    await symlink("real", join(around, "way"));
    await prepare();
    const { lchown } = await import("node:fs/promises");
    await lchown(join(around, "way"), SOMEBODY_ELSE, SOMEBODY_ELSE);
    await expect(prepare()).rejects.toMatchObject({ code: "NOT_ALLOWED" });
    await chown(join(around, "real"), SOMEBODY_ELSE, SOMEBODY_ELSE);
    path = join(around, "real", "other");
    await expect(prepare()).rejects.toMatchObject({
      code: "NOT_ALLOWED",
      message: expect.stringContaining(`belongs to user id ${SOMEBODY_ELSE}`),
    });
  });

  test("ends at a ring of links", async () => {
    await symlink("other", join(around, "way"));
    await symlink("way", join(around, "other"));
    await expect(prepare()).rejects.toMatchObject({ code: "CANNOT_CREATE" });
  });
});
