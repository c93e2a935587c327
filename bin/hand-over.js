/**
 * Runs a child in this process's place: same terminal, same signals, same end.
 *
 * The child watches the IPC channel: when this process is killed, the channel closes and the child
 * stops too. A terminal's Ctrl-C reaches the whole process group by itself, so it is not sent twice.
 */
import { spawn } from "node:child_process";
import { constants } from "node:os";
import process from "node:process";

const EXIT_SIGNAL_BASE = 128;

/**
 * @param {string} command Path of the program.
 * @param {string[]} args Its arguments.
 * @returns {void} The process ends as the child ended.
 */
export function handOver(command, args) {
  const child = spawn(command, args, { stdio: ["inherit", "inherit", "inherit", "ipc"] });
  const passOn = (signal) => child.kill(signal);
  for (const signal of ["SIGTERM", "SIGHUP", "SIGUSR2"]) process.on(signal, passOn);
  process.on("SIGINT", () => {
    if (!process.stdin.isTTY) passOn("SIGINT");
  });
  child.on("error", (error) => {
    process.stderr.write(
      `START_FAILED: ${error.message}. Next: check that ${command} can be run.\n`,
    );
    process.exit(70);
  });
  child.on("exit", (code, signal) => {
    process.exit(code ?? EXIT_SIGNAL_BASE + (constants.signals[signal ?? "SIGKILL"] ?? 0));
  });
}
