/** Small files of this user alone: what is read as one, and what a writer leaves. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, chown, mkdir, readFile, readdir, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { text } from "node:stream/consumers";
import { beforeEach, describe, expect, test } from "vitest";
import {
  readPrivateFile,
  replaceFile,
  writePrivateFile,
} from "../../src/private-files/private-file.ts";
import { temporaryDirectory } from "../store/temporary-directory.ts";
import { readingLittle } from "./bytes-read.ts";
import { IMPOSTORS, STRANGE_CONTENTS } from "./impostors.ts";

const BYTES_MAX = 4_096;
const OWN_GROUP = process.getegid?.() ?? 0;
const OTHER_GROUP = 54_321;
const IS_ROOT = process.geteuid?.() === 0;

let directory: string;
let path: string;

beforeEach(async () => {
  directory = await temporaryDirectory();
  path = join(directory, "file");
  await writePrivateFile(path, "good");
});

async function kindNow(): Promise<string> {
  // Whoever waited for a pipe's writer would wait for ever.
  const { kind } = await readingLittle(async () => await readPrivateFile(path, BYTES_MAX));
  return kind;
}

describe("a private file", () => {
  test("is read as it was written, or is missing", async () => {
    expect(await readPrivateFile(path, BYTES_MAX)).toEqual({ kind: "read", text: "good" });
    expect(await readPrivateFile(join(directory, "none"), BYTES_MAX)).toEqual({ kind: "missing" });
  });

  test.each(IMPOSTORS)("is not read from $is", async ({ make }) => {
    await make(path);
    expect(await kindNow()).toBe("exposed");
  });

  test.each(STRANGE_CONTENTS)("is not read from $is", async ({ make }) => {
    await make(path);
    expect(await kindNow()).toBe("damaged");
  });

  test.each([0o400, 0o640, 0o644, 0o660, 0o602, 0o700, 0o4600, 0o2660])(
    "is not read with mode %o",
    async (mode) => {
      await chmod(path, mode);
      expect(await kindNow()).toBe("exposed");
    },
  );

  test.each([0o600, 0o640, 0o660])(
    "is read with mode %o in a volume for our fsGroup, whose mode Kubernetes widens",
    async (mode) => {
      await chown(directory, process.geteuid?.() ?? 0, OWN_GROUP);
      await chmod(directory, 0o2770);
      await chmod(path, mode);
      expect(await kindNow()).toBe("read");
      await chmod(path, mode | 0o004);
      expect(await kindNow()).toBe("exposed");
    },
  );

  test.skipIf(!IS_ROOT)("is not read from a volume for a group that is not ours", async () => {
    await chown(directory, process.geteuid?.() ?? 0, OTHER_GROUP);
    await chmod(directory, 0o2770);
    await chown(path, process.geteuid?.() ?? 0, OTHER_GROUP);
    await chmod(path, 0o660);
    expect(await kindNow()).toBe("exposed");
  });
});

describe("a write", () => {
  test.each([0o000, 0o022, 0o077])(
    "leaves mode 600 and nothing else under umask %o",
    async (umask) => {
      const before = process.umask(umask);
      try {
        await writePrivateFile(path, "new");
        await writePrivateFile(`${path}2`, "new");
      } finally {
        process.umask(before);
      }
      for (const each of [path, `${path}2`]) expect((await stat(each)).mode & 0o7777).toBe(0o600);
      expect((await readdir(directory)).toSorted()).toEqual(["file", "file2"]);
    },
  );

  test("never has another mode than 0600, seen by a process that looks all the time", async () => {
    const look = `
      const { lstatSync, readdirSync } = require("node:fs");
      const seen = new Set();
      process.stdout.write("looking\\n");
      const end = Date.now() + 20_000;
      while (!seen.has("end") && Date.now() < end) {
        for (const name of readdirSync(process.argv[1])) {
          if (name === "end") { seen.add(name); continue; }
          const found = lstatSync(process.argv[1] + "/" + name, { throwIfNoEntry: false });
          if (found !== undefined) seen.add((found.mode & 0o7777).toString(8));
        }
      }
      process.stdout.write([...seen].join());`;
    const watcher = spawn(process.execPath, ["-e", look, directory], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(watcher.stdout, "data");
    const seen = text(watcher.stdout);
    const before = process.umask(0);
    try {
      for (let round = 0; round < 100; round += 1) await writePrivateFile(path, `${round}`);
    } finally {
      process.umask(before);
    }
    await mkdir(join(directory, "end"));
    expect((await seen).split(",").toSorted()).toEqual(["600", "end"]);
  });

  test("does not go through a link that waits where it will write", async () => {
    const victim = join(directory, "victim");
    await writeFile(victim, "precious");
    await symlink(victim, `${path}.new`);
    await writePrivateFile(path, "new");
    expect(await readFile(victim, "utf8")).toBe("precious");
    expect(await readFile(path, "utf8")).toBe("new");
    await symlink(victim, `${path}.named`);
    await expect(
      replaceFile(path, "newer", { mode: 0o644, unfinished: `${path}.named` }),
    ).rejects.toThrow("EEXIST");
    expect(await readFile(victim, "utf8")).toBe("precious");
  });

  test("in the place of a link replaces the link, not what it leads to", async () => {
    const victim = join(directory, "victim");
    await writeFile(victim, "precious");
    await symlink(victim, join(directory, "link"));
    await writePrivateFile(join(directory, "link"), "new");
    expect(await readFile(victim, "utf8")).toBe("precious");
    expect(await readFile(join(directory, "link"), "utf8")).toBe("new");
  });

  test("that fails leaves nothing behind", async () => {
    await mkdir(join(directory, "taken"));
    await writeFile(join(directory, "taken", "x"), "");
    await expect(writePrivateFile(join(directory, "taken"), "new")).rejects.toThrow();
    expect((await readdir(directory)).toSorted()).toEqual(["file", "taken"]);
  });
});
