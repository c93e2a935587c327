/** What may lie in the place of a small file of ours: made on a real file system. */
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { chmod, chown, link, mkdir, open, rename, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import process from "node:process";
import { onTestFinished } from "vitest";

const SOMEBODY_ELSE = 65_534;
const GIB = 1024 ** 3;
// Only root makes devices and gives files away; others are spared those two.
const IS_ROOT = process.geteuid?.() === 0;

export interface Impostor {
  readonly is: string;
  /** Puts it at `path`, where a good file lies or nothing. */
  readonly make: (path: string) => Promise<void>;
}

const byRoot: readonly Impostor[] = [
  {
    is: "a device",
    make: async (path) => {
      await aside(path);
      execFileSync("mknod", ["-m", "600", path, "c", "1", "5"]); // As /dev/zero: it has no end.
    },
  },
  {
    is: "another user's file",
    make: async (path) => {
      await chmod(path, 0o600);
      await chown(path, SOMEBODY_ELSE, SOMEBODY_ELSE);
    },
  },
];

/** Each stands where `path` was a good file of mode 600. */
export const IMPOSTORS: readonly Impostor[] = [
  {
    is: "a symbolic link to the good file",
    make: async (path) => await symlink(await aside(path), path),
  },
  {
    is: "a pipe that nobody writes to",
    make: async (path) => {
      await aside(path);
      execFileSync("mkfifo", ["-m", "600", path]);
    },
  },
  {
    is: "a directory",
    make: async (path) => {
      await aside(path);
      await mkdir(path, { mode: 0o600 });
    },
  },
  {
    is: "a socket",
    make: async (path) => {
      await aside(path);
      const server = createServer().listen(path);
      await once(server, "listening");
      onTestFinished(() => void server.close());
    },
  },
  { is: "a file with a second name", make: async (path) => await link(path, `${path}.second`) },
  ...(IS_ROOT ? byRoot : []),
];

/** A file that is right in all but what stands in it. */
export const STRANGE_CONTENTS: readonly Impostor[] = [
  { is: "an empty file", make: async (path) => await writeFile(path, "") },
  {
    is: "a file of 1 GiB",
    make: async (path) => {
      await using file = await open(path, "r+");
      await file.truncate(GIB); // Sparse: it takes no room on the disk.
    },
  },
];

async function aside(path: string): Promise<string> {
  await rename(path, `${path}.aside`);
  return `${path}.aside`;
}
