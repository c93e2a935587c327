/** The command line as a real process, against an admin server in this one. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { AdminServer } from "../../src/admin/admin-server.ts";
import type { Operations } from "../../src/admin/operations.ts";

export const MAIN = fileURLToPath(new URL("../../src/main.ts", import.meta.url));

export interface Ended {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs one command to its end. */
export async function spireMesh(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  stdin: Uint8Array = new Uint8Array(),
): Promise<Ended> {
  const child = startSpireMesh(args, environment, "pipe");
  child.stdin?.on("error", () => undefined); // Who has read enough closes it.
  child.stdin?.end(stdin);
  const [stdout, stderr] = await Promise.all([textOf(child.stdout), textOf(child.stderr)]);
  return { exitCode: await exitOf(child), stdout, stderr };
}

/** Starts one command; the caller ends it. */
export function startSpireMesh(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  stdin: "ignore" | "pipe" = "ignore",
): ChildProcess {
  const { SPIRE_MESH_ADMIN_SOCKET: _, ...inherited } = process.env;
  return spawn(process.execPath, [MAIN, ...args], {
    stdio: [stdin, "pipe", "pipe"],
    env: { ...inherited, ...environment },
  });
}

/** The exit code, or null when a signal ended the process. */
export async function exitOf(child: ChildProcess): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  return child.exitCode;
}

/** All that a process writes there, when the last one that can has ended. */
export async function textOf(stream: NodeJS.ReadableStream | null): Promise<string> {
  return stream === null ? "" : await text(stream);
}

/** An admin server in a directory of its own. */
export interface Room {
  readonly directory: string;
  readonly socketPath: string;
  /** Stops the server and removes the directory; again does nothing. */
  close(): Promise<void>;
}

export async function openRoom(operations: Operations): Promise<Room> {
  const directory = await mkdtemp(join(tmpdir(), "spire-mesh-cli-"));
  const socketPath = join(directory, "admin.sock");
  const server = new AdminServer({ socketPath }, { operations, onDefect: () => undefined });
  await server.start();
  return {
    directory,
    socketPath,
    close: async () => {
      await server.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
