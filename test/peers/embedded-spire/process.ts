/**
 * Starts SPIRE Servers for tests: ours, or a real one where there is one. Each is a process of its
 * own and ends with this one: ours when the IPC channel closes, the real one when it is killed.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { on } from "node:events";
import { mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { setTimeout as sleep } from "node:timers/promises";
import type { Faults } from "../../../peers/embedded-spire/fault-switch.ts";
import type { FaultOrder, Notice } from "../../../peers/embedded-spire/run.ts";
import { freePort } from "../../../peers/site.ts";
import { type SpireApi, spireApi } from "../../../src/spire-api/client.ts";

const MAIN = fileURLToPath(new URL("../../../peers/embedded-spire/main.ts", import.meta.url));
const END_WITH_LAUNCHER = new URL("../../../bin/end-with-launcher.js", import.meta.url).href;
/** Both start in less than a second; a busy machine may take longer. */
const START_DEADLINE_MS = 10_000;
/** Both stop at once; whoever does not is killed, and its test says so by the exit. */
const STOP_DEADLINE_MS = 5_000;
const POLL_MS = 20;

export interface SpireOptions {
  readonly trustDomain: string;
  /** Made if missing; what is in it is kept. A short path: a socket's path ends at 107 bytes. */
  readonly directory: string;
  /** `memory` unless given: each start makes new authorities. */
  readonly keyManager?: "memory" | "disk";
  /** A Go duration, `24h` unless given. */
  readonly caTtl?: string;
}

export interface SpireProcess {
  readonly socketPath: string;
  readonly pid: number;
  /** Resolves with the exit code, or the signal's name. */
  readonly exited: Promise<number | string>;
  kill(signal: NodeJS.Signals): void;
  /** SIGTERM, and waits for the end. */
  stop(): Promise<void>;
  /** Everything it logged. */
  log(): string;
}

export interface EmbeddedSpire extends SpireProcess {
  /** Switches faults on and off; resolves when they are in force. */
  setFaults(faults: Faults): Promise<void>;
}

/** Resolves once the server answers, and rejects with its log when it ends before. */
export async function startEmbeddedSpire(options: SpireOptions): Promise<EmbeddedSpire> {
  const { directory } = options;
  const { configPath, socketPath } = await configure(options);
  const args = ["--import", END_WITH_LAUNCHER, MAIN, "run", "-config", configPath];
  const child = start(process.execPath, args, directory, "ipc");
  const server = await follow(child, socketPath, directory);
  return {
    ...server,
    async setFaults(faults) {
      const order: FaultOrder = { faults };
      const set = noticed(child, "faults-set");
      child.send(order);
      await set;
    },
  };
}

/** Resolves with this notice; the one that says `ready` may still be on its way. */
async function noticed(child: ChildProcess, wanted: Notice): Promise<void> {
  for await (const [notice] of on(child, "message")) {
    if (notice === wanted) return;
  }
}

/** The same for a real server, whose program is at `program`, with the same server.conf. */
export async function startRealSpire(
  program: string,
  options: SpireOptions,
): Promise<SpireProcess> {
  const { directory } = options;
  const { configPath, socketPath } = await configure(options);
  const child = start(program, ["run", "-config", configPath], directory);
  return await follow(child, socketPath, directory);
}

async function configure(
  options: SpireOptions,
): Promise<{ readonly configPath: string; readonly socketPath: string }> {
  const { directory } = options;
  const socketPath = join(directory, "private", "api.sock");
  const configPath = join(directory, "server.conf");
  mkdirSync(join(directory, "data"), { recursive: true });
  writeFileSync(configPath, serverConf(options, socketPath, await freePort()));
  return { configPath, socketPath };
}

function start(
  program: string,
  args: readonly string[],
  directory: string,
  channel?: "ipc",
): ChildProcess {
  const log = openSync(join(directory, "spire.log"), "a");
  return spawn(program, args, { stdio: ["ignore", log, log, channel ?? "ignore"] });
}

async function follow(
  child: ChildProcess,
  socketPath: string,
  directory: string,
): Promise<SpireProcess> {
  const log = (): string => readFileSync(join(directory, "spire.log"), "utf8");
  const reap = (): void => void child.kill("SIGKILL");
  process.once("exit", reap);
  const exited = new Promise<number | string>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("exit", (code, signal) => {
      process.removeListener("exit", reap);
      resolve(code ?? signal ?? "unknown");
    });
  });
  const ended = exited.then((how) => {
    throw new Error(`SPIRE Server ended at its start (${how}):\n${log()}`);
  });
  const api = spireApi({ socketPath, deadlineMs: 500 });
  try {
    await Promise.race([untilHealthy(api), ended]);
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  } finally {
    api.close();
    ended.catch(() => undefined); // It may end as it likes from here on.
  }
  return {
    socketPath,
    pid: child.pid ?? -1,
    exited,
    log,
    kill: (signal) => void child.kill(signal),
    async stop() {
      child.kill("SIGTERM");
      const timer = setTimeout(reap, STOP_DEADLINE_MS);
      await exited;
      clearTimeout(timer);
    },
  };
}

async function untilHealthy(api: SpireApi): Promise<void> {
  const deadlineMs = performance.now() + START_DEADLINE_MS;
  for (;;) {
    try {
      await api.health.check({ service: "" });
      return;
    } catch (error) {
      if (performance.now() > deadlineMs) throw error;
    }
    await sleep(POLL_MS);
  }
}

function serverConf(options: SpireOptions, socketPath: string, port: number): string {
  const { trustDomain, directory, keyManager = "memory", caTtl = "24h" } = options;
  const data = join(directory, "data");
  const keys = keyManager === "disk" ? `keys_path = "${join(data, "keys.json")}"` : "";
  return `server {
  bind_address = "127.0.0.1"
  bind_port = "${port}"
  socket_path = "${socketPath}"
  trust_domain = "${trustDomain}"
  data_dir = "${data}"
  log_level = "DEBUG"
  ca_ttl = "${caTtl}"
}
plugins {
  DataStore "sql" {
    plugin_data {
      database_type = "sqlite3"
      connection_string = "${join(data, "datastore.sqlite3")}"
    }
  }
  KeyManager "${keyManager}" { plugin_data { ${keys} } }
  NodeAttestor "join_token" { plugin_data {} }
}
`;
}
