/**
 * Another user of the host who is quicker than we are, in a directory that everybody may write to:
 * what they do falls between our look at the way and the directory that we make.
 */
import { execFileSync } from "node:child_process";
import { chmod, mkdir, stat } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { preparePrivateDirectory } from "../../src/private-files/private-directory.ts";
import { temporaryDirectory } from "../store/temporary-directory.ts";

const SOMEBODY_ELSE = 65_534;
// Only root can act as somebody else.
const IS_ROOT = process.geteuid?.() === 0;

/** What they do right before and right after our next mkdir(2). */
const quick = vi.hoisted(() => ({ before: () => {}, after: () => {} }));

vi.mock(import("node:fs/promises"), async (importOriginal) => {
  const real = await importOriginal();
  const raced = async (...[path, options]: Parameters<typeof real.mkdir>): Promise<undefined> => {
    const { before, after } = quick;
    Object.assign(quick, { before: () => {}, after: () => {} });
    before();
    await real.mkdir(path, options);
    after();
  };
  return { ...real, mkdir: raced };
});

let shared: string;

function asSomebodyElse(command: string, ...args: readonly string[]): void {
  execFileSync(command, args, { uid: SOMEBODY_ELSE, gid: SOMEBODY_ELSE });
}

async function prepare(): Promise<void> {
  await preparePrivateDirectory(join(shared, "a", "b"), "data_dir");
}

beforeEach(async () => {
  const around = await temporaryDirectory();
  await chmod(around, 0o755);
  shared = join(around, "shared");
  await mkdir(shared);
  await chmod(shared, 0o1777);
});

describe.skipIf(!IS_ROOT)("another user in a sticky directory", () => {
  test("does nothing: the directory is made", async () => {
    await prepare();
    expect((await stat(join(shared, "a"))).mode & 0o7777).toBe(0o700);
  });

  test("whose directory is closed to us: refused as not allowed, with what to do", async () => {
    await mkdir(join(shared, "a"), { mode: 0o700 });
    process.seteuid?.(SOMEBODY_ELSE);
    try {
      await expect(prepare()).rejects.toMatchObject({
        code: "NOT_ALLOWED",
        advice: expect.stringMatching(/^Run it as the user/),
      });
    } finally {
      process.seteuid?.(0);
    }
  });

  test("who makes a directory of the way before we do could swap what is in it: refused", async () => {
    quick.before = () => asSomebodyElse("mkdir", "-m", "777", join(shared, "a"));
    await expect(prepare()).rejects.toMatchObject({
      code: "NOT_ALLOWED",
      message: expect.stringContaining(`belongs to user id ${SOMEBODY_ELSE}`),
    });
    await expect(stat(join(shared, "a", "b"))).rejects.toThrow("ENOENT");
  });

  test("who makes a link of the way before we do leads us nowhere: refused", async () => {
    asSomebodyElse("mkdir", join(shared, "theirs"));
    quick.before = () => asSomebodyElse("ln", "-s", "theirs", join(shared, "a"));
    await expect(prepare()).rejects.toMatchObject({ code: "NOT_ALLOWED" });
  });

  test("who takes their directory away again after that is waited for by nobody", async () => {
    quick.before = () => asSomebodyElse("mkdir", "-m", "777", join(shared, "a"));
    quick.after = () => asSomebodyElse("mv", join(shared, "a"), join(shared, "aside"));
    await expect(prepare()).rejects.toMatchObject({ code: "CANNOT_CREATE" });
  });
});
