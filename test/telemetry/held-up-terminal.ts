/** A pseudo-terminal that nobody reads, as behind ^S or a container's `tty: true`. Needs script(1). */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, openSync } from "node:fs";
import process from "node:process";
import { onTestFinished } from "vitest";

export const HAS_TERMINALS = process.platform === "linux" && existsSync("/usr/bin/script");

export interface HeldUpTerminal {
  /** For a process to write to; the caller closes it once that has started. */
  readonly writeFd: number;
  /** From now on it is read: gets all text that came and comes. */
  readonly read: (onText: (text: string) => void) => void;
}

/** Text goes through it unchanged. */
export async function heldUpTerminal(): Promise<HeldUpTerminal> {
  const inside = "stty raw; tty; exec sleep infinity";
  const script = spawn("script", ["-qec", inside, "/dev/null"], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const exit = once(script, "exit");
  onTestFinished(async () => {
    script.kill("SIGKILL"); // The terminal hangs up on what runs inside.
    await exit;
  });
  const [path] = await once(script.stdout, "data");
  script.kill("SIGSTOP");
  const read = (onText: (text: string) => void): void => {
    script.stdout.on("data", (chunk: Buffer) => onText(chunk.toString()));
    script.kill("SIGCONT");
  };
  return { writeFd: openSync(String(path).trim(), "w"), read };
}
