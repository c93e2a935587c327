/** Files of recovery: nothing that lies there is touched, and nothing is left half done. */
import { execFileSync } from "node:child_process";
import { chmod, mkdir, readFile, readdir, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { Fault } from "../../src/fault.ts";
import {
  checkNewDirectory,
  checkNewFile,
  readTextFile,
  writeNewDirectory,
  writeNewFile,
} from "../../src/keys/recovery-files.ts";
import { temporaryDirectory } from "../store/temporary-directory.ts";

let directory: string;
beforeEach(async () => {
  directory = await temporaryDirectory();
});

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "none";
  } catch (error) {
    if (error instanceof Fault) return error.code;
    throw error;
  }
}

const modeOf = async (path: string): Promise<number> => (await stat(path)).mode & 0o7777;

describe("a new file", () => {
  test("is this user's alone, whatever the umask", async () => {
    const umask = process.umask(0);
    try {
      await writeNewFile(join(directory, "a"), "text");
      await writeNewDirectory(join(directory, "new"), new Map([["b", "text"]]));
    } finally {
      process.umask(umask);
    }
    expect(await modeOf(join(directory, "a"))).toBe(0o600);
    expect(await modeOf(join(directory, "new"))).toBe(0o700);
    expect(await modeOf(join(directory, "new", "b"))).toBe(0o600);
    expect(await readFile(join(directory, "new", "b"), "utf8")).toBe("text");
  });

  test("takes the place of nothing, be it a file, a directory or a link", async () => {
    const path = (name: string): string => join(directory, name);
    await writeFile(path("file"), "kept");
    await mkdir(path("directory"));
    await symlink(path("nowhere"), path("link"));
    for (const name of ["file", "directory", "link"]) {
      expect(await codeOf(checkNewFile(path(name)))).toBe("CANNOT_CREATE");
      expect(await codeOf(writeNewFile(path(name), "new"))).toBe("CANNOT_CREATE");
    }
    expect(await readFile(path("file"), "utf8")).toBe("kept");
    expect((await readdir(directory)).toSorted()).toEqual(["directory", "file", "link"]);
    expect(await codeOf(checkNewFile(path("no/such/file")))).toBe("CANNOT_CREATE");
    expect(await codeOf(writeNewFile(path("no/such/file"), "new"))).toBe("CANNOT_CREATE");
    expect(await codeOf(checkNewFile(path("other")))).toBe("none");
  });
});

describe("a new directory", () => {
  const files = new Map([
    ["one", "1"],
    ["two", "2"],
  ]);

  test("may be there when it is empty, and is left alone when it is not", async () => {
    const path = join(directory, "keys");
    await mkdir(path, { mode: 0o700 });
    await writeNewDirectory(path, files);
    expect((await readdir(path)).toSorted()).toEqual(["one", "two"]);
    await writeFile(join(path, "one"), "kept");
    expect(await codeOf(checkNewDirectory(path))).toBe("CANNOT_CREATE");
    expect(await codeOf(writeNewDirectory(path, files))).toBe("CANNOT_CREATE");
    expect(await readFile(join(path, "one"), "utf8")).toBe("kept");
    expect(await codeOf(checkNewDirectory(join(path, "one")))).toBe("CANNOT_CREATE");
    expect(await codeOf(checkNewDirectory(join(directory, "other")))).toBe("none");
  });

  test("gets all files or none", async () => {
    const path = join(directory, "keys");
    const withBad = new Map([...files, ["no/such/file", "3"]]);
    expect(await codeOf(writeNewDirectory(path, withBad))).toBe("CANNOT_CREATE");
    expect(await readdir(path)).toEqual([]);
  });

  test("is none where others can write", async () => {
    const path = join(directory, "shared");
    await mkdir(path);
    await chmod(path, 0o777);
    expect(await codeOf(writeNewDirectory(path, files))).toBe("NOT_ALLOWED");
    expect(await readdir(path)).toEqual([]);
  });
});

describe("a file that is read", () => {
  test("has text, up to a bound", async () => {
    const path = join(directory, "file");
    await writeFile(path, "x".repeat(1_024), { mode: 0o644 }); // As a stick may have it.
    expect(await readTextFile(path, 1_024)).toHaveLength(1_024);
    expect(await codeOf(readTextFile(path, 1_023))).toBe("RECOVERY_FILE_DAMAGED");
    await writeFile(path, "");
    expect(await codeOf(readTextFile(path, 1_024))).toBe("RECOVERY_FILE_DAMAGED");
  });

  test("is a file, and there", async () => {
    const pipe = join(directory, "pipe");
    execFileSync("mkfifo", [pipe]);
    expect(await codeOf(readTextFile(pipe, 1_024))).toBe("RECOVERY_FILE_KIND");
    expect(await codeOf(readTextFile(directory, 1_024))).toBe("RECOVERY_FILE_KIND");
    expect(await codeOf(readTextFile(join(directory, "none"), 1_024))).toBe("DATA_INVALID");
  });
});
