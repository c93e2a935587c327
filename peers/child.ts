/** Processes that a site starts, and ends again: only those. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { readFile } from "node:fs/promises";
import process from "node:process";

/** A command that takes longer hangs. */
const COMMAND_DEADLINE_MS = 60_000;
/** A daemon stops within 5 s; then it is killed. */
const STOP_DEADLINE_MS = 8_000;
/** What is asked is done in a second; then it hangs. */
const ANSWER_DEADLINE_MS = 60_000;
const LOG_TAIL_CHARACTERS = 4_000;

export interface Ended {
  /** Exit code, or -1 when a signal ended it. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Child {
  readonly pid: number;
  /** Set once it has ended. */
  readonly ended: { readonly code: number } | undefined;
  /** The end of what it wrote, and where the rest is. */
  log(): Promise<string>;
  /** Sends a message to a process that listens to its parent, and waits for the answer. */
  ask(message: string): Promise<unknown>;
  /** Sends the signal and waits; kills it when it does not end in time. */
  end(signal: "SIGTERM" | "SIGKILL"): Promise<Ended>;
}

/**
 * Starts a process that writes to a log file. Ours end when this one does, however it ended, as
 * their channel to it closes; a real SPIRE program has none and is ended when this one exits.
 */
export function startChild(program: string, args: readonly string[], logFile: string): Child {
  const log = openSync(logFile, "a", 0o600);
  const child = spawn(program, args, { stdio: ["ignore", log, log, "ipc"] });
  closeSync(log);
  child.channel?.unref();
  const exited = new Promise<number>((resolve) => {
    child.once("error", () => resolve(-1));
    child.once("exit", (code) => resolve(code ?? -1));
  });
  let ended: { readonly code: number } | undefined;
  void exited.then((code) => (ended = { code }));
  const reap = (): void => void child.kill("SIGKILL");
  process.once("exit", reap);
  return {
    pid: child.pid ?? -1,
    get ended() {
      return ended;
    },
    log: async () => `The end of ${logFile}:\n${lastLines(await readFile(logFile, "utf8"))}`,
    async ask(message) {
      const answer = once(child, "message", { signal: AbortSignal.timeout(ANSWER_DEADLINE_MS) });
      child.send(message);
      return (await answer)[0];
    },
    async end(signal) {
      child.kill(signal);
      const timer = setTimeout(() => child.kill("SIGKILL"), STOP_DEADLINE_MS);
      const code = await exited;
      clearTimeout(timer);
      process.removeListener("exit", reap);
      return { code, stdout: "", stderr: "" };
    },
  };
}

function lastLines(text: string): string {
  if (text.length <= LOG_TAIL_CHARACTERS) return text;
  const end = text.slice(-LOG_TAIL_CHARACTERS);
  return end.slice(end.indexOf("\n") + 1);
}

/** Runs a command to its end. Rejects when it cannot be started. */
export async function runToEnd(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  const child = spawn(program, args, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...env },
    timeout: COMMAND_DEADLINE_MS,
    killSignal: "SIGKILL",
  });
  const [stdout, stderr] = await Promise.all([
    textOf(child.stdout),
    textOf(child.stderr),
    once(child, "close"), // Rejects when the program cannot be started.
  ]);
  return { code: child.exitCode ?? -1, stdout, stderr };
}

async function textOf(stream: NonNullable<ChildProcess["stdout"]>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8");
}
