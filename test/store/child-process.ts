/** Starts a script of test/store in a process of its own and reads what it says, line by line. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";

export interface Child {
  /** The next line on stdout; undefined when it ended. */
  line(): Promise<string | undefined>;
  /** Kills it as the kernel does, and resolves when it is gone. */
  kill(): Promise<void>;
  readonly pid: number;
}

/** @param options.fileBlocksMax Soft limit of any file that it writes, in blocks of 512 bytes. */
export function startChild(
  script: string,
  args: readonly string[],
  options: { readonly fileBlocksMax?: number } = {},
): Child {
  const path = fileURLToPath(new URL(script, import.meta.url));
  const { fileBlocksMax } = options;
  const limit = fileBlocksMax === undefined ? "" : `ulimit -S -f ${fileBlocksMax}; `;
  const child: ChildProcess = spawn(
    "/bin/sh",
    ["-c", `${limit}exec "$@"`, "sh", process.execPath, path, ...args],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const gone = once(child, "exit");
  const kill = async (): Promise<void> => {
    child.kill("SIGKILL");
    await gone;
  };
  onTestFinished(kill);
  if (child.stdout === null || child.pid === undefined) throw new Error(`${script} did not start`);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    pid: child.pid,
    kill,
    async line() {
      const next = await lines.next();
      return next.done === true ? undefined : next.value;
    },
  };
}
