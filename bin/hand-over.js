/**
 * Runs a program in this process's place: same terminal, same signals, same end. When this process
 * is killed, the program stops too (end-with-launcher.js).
 */
import { spawn } from "node:child_process";
import { constants } from "node:os";
import process from "node:process";
import { fileURLToPath } from "node:url";

const EXIT_SIGNAL_BASE = 128; // A shell's exit code for a child that a signal ended.
const EXIT_SOFTWARE = 70; // sysexits.h
const endWithLauncher = fileURLToPath(new URL("end-with-launcher.js", import.meta.url));

/**
 * Node's options for our own programs. The young generation is kept at 4 MB: at V8's own 16 MB and
 * more an idle daemon holds 44 MB of garbage, and takes no less CPU (measured). SIGUSR1 would open a
 * debugger on a port that asks nobody who they are: any local user could read the node key with it.
 */
const nodeOptions = ["--max-semi-space-size=4", "--disable-sigusr1", "--import", endWithLauncher];

/**
 * What glibc's malloc (mallopt(3)) is told where nobody told it otherwise. With an arena for each thread,
 * and a bound above which memory is given back that moves up to 32 MiB, what a daemon had to hold once
 * stays with it: it held 14 MB more, and grew for longer (measured).
 */
const mallocSettings = { MALLOC_ARENA_MAX: "1", MALLOC_MMAP_THRESHOLD_: "131072" };

/**
 * What Node (node.1, ENVIRONMENT) and libraries take from the environment that brings in code or a
 * debugger, or lines that no escaping of ours has seen. Our own programs do without; whoever debugs
 * one starts it with Node itself. NODE_NAME and such are left for `-expandEnv`.
 */
const droppedVariables = [
  "NODE_OPTIONS",
  "NODE_PATH",
  "NODE_COMPILE_CACHE",
  "NODE_V8_COVERAGE",
  "NODE_DEBUG",
  "NODE_DEBUG_NATIVE",
  "NODE_PENDING_DEPRECATION",
  "NODE_REDIRECT_WARNINGS",
  "OPENSSL_CONF",
  "OPENSSL_MODULES",
  "OPENSSL_ENGINES",
  "DEBUG", // libp2p
  "LOG_STREAM", // yaml
  "LOG_TOKENS", // yaml
  // node-gyp-build, which finds classic-level's native code
  "CLASSIC_LEVEL_PREBUILD",
  "PREBUILDS_ONLY",
  "LIBC",
  "ARM_VERSION",
  "npm_config_arch",
  "npm_config_platform",
  "DUMP_SESSION_KEYS", // libp2p-noise: the private keys of connections, into its log
];

// NODE_OPTIONS has reached this process already: its debugger is as open to every local user.
if (process.features.inspector) (await import("node:inspector")).close();

/**
 * Hands over to one of our own programs.
 * @param {string} node Path of the Node.js that runs it.
 * @param {string} entry Path of its first file.
 * @param {string[]} args Its arguments.
 */
export function handOverToProgram(node, entry, args) {
  for (const name of droppedVariables) delete process.env[name];
  for (const [name, value] of Object.entries(mallocSettings)) process.env[name] ??= value;
  handOver(node, [...nodeOptions, entry, ...args]);
}

/**
 * Hands over to any program. This process ends as that one does.
 * @param {string} command Path of the program.
 * @param {string[]} args Its arguments.
 */
export function handOver(command, args) {
  const child = spawn(command, args, { stdio: ["inherit", "inherit", "inherit", "ipc"] });
  const passOn = (signal) => child.kill(signal);
  for (const signal of ["SIGTERM", "SIGHUP", "SIGUSR2"]) process.on(signal, passOn);
  process.on("SIGUSR1", () => {}); // Else Node opens its debugger.
  process.on("SIGINT", () => {
    // A terminal's Ctrl-C reaches the whole process group by itself, so it is not sent twice.
    if (!process.stdin.isTTY) passOn("SIGINT");
  });
  child.on("error", (error) => {
    process.stderr.write(
      `START_FAILED: ${error.message}. Next: check that ${command} can be run.\n`,
    );
    process.exit(EXIT_SOFTWARE);
  });
  child.on("exit", (code, signal) => {
    process.exit(code ?? EXIT_SIGNAL_BASE + (constants.signals[signal ?? "SIGKILL"] ?? 0));
  });
}
