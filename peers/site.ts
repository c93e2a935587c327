/**
 * One site on this machine: a SPIRE Server and the daemon beside it, each a process of its own.
 * Used by the demo, the end-to-end tests and the benchmarks, so that all of them run what a user
 * runs: the commands, with the files of one directory.
 *
 *     DIR/server.conf      spire.sock   spire-data/        spire.log    SPIRE Server, real or embedded
 *     DIR/spire-mesh.yaml  admin.sock   data/   run/       daemon.log   the daemon
 */
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { type Server, createServer } from "node:net";
import { delimiter, join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { callAdmin } from "../src/admin-contract/client.ts";
import { type SpireApi, spireApi } from "../src/spire-api/client.ts";
import { Code, ConnectError, ServingStatus } from "../src/spire-api/services.ts";
import { type Child, type Ended, runToEnd, startChild } from "./child.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const MAIN = join(ROOT, "src/main.ts");
const EMBEDDED_SPIRE = join(ROOT, "peers/embedded-spire/main.ts");
/** As bin/hand-over.js starts our programs: they stop when this process is gone, however it went. */
const NODE_OPTIONS = [
  "--max-semi-space-size=4",
  "--disable-sigusr1",
  "--import",
  join(ROOT, "bin/end-with-launcher.js"),
];

/** Both are ready within two seconds on a calm machine; a busy one is waited for. */
const START_DEADLINE_MS = 60_000;
const POLL_MS = 50;

export interface SiteOptions {
  readonly trustDomain: string;
  /** Made if missing; a short path, as Unix socket paths end at 107 bytes. */
  readonly directory: string;
  /**
   * Directory of a server.conf and a spire-mesh.yaml that are there already and name the sockets of
   * the picture above; without one both files are written to `directory`, with free ports.
   */
  readonly configDirectory?: string;
  /** Path of a real `spire-server`; without one the embedded SPIRE Server is used. */
  readonly spireServer?: string | undefined;
  /** `memory`: each start of SPIRE makes new authorities that sign at once. */
  readonly keyManager?: "memory" | "disk";
  readonly logLevel?: "debug" | "info" | "warn";
  /** Lines added to the daemon's configuration. */
  readonly extraConfig?: string;
  /** Lines added to the server block of SPIRE's configuration. */
  readonly extraSpireConfig?: string;
  /** Options of Node for the daemon, besides those that every one has. */
  readonly nodeOptions?: readonly string[];
}

/** Where a real SPIRE program is: in the directory SPIRE_BIN, else on PATH. */
export function findSpire(program: "spire-server" | "spire-agent"): string | undefined {
  const directories = [process.env["SPIRE_BIN"], ...(process.env["PATH"] ?? "").split(delimiter)];
  return directories
    .filter((directory) => directory !== undefined && directory !== "")
    .map((directory) => join(directory ?? "", program))
    .find((path) => existsSync(path));
}

export class Site {
  readonly trustDomain: string;
  readonly directory: string;
  readonly spireSocket: string;
  readonly adminSocket: string;
  readonly #options: SiteOptions;
  #spire: Child | undefined;
  #daemon: Child | undefined;
  #api: SpireApi | undefined;

  private constructor(options: SiteOptions) {
    this.#options = options;
    this.trustDomain = options.trustDomain;
    this.directory = options.directory;
    this.spireSocket = join(options.directory, "spire.sock");
    this.adminSocket = join(options.directory, "admin.sock");
  }

  /** Makes the directory, and the configurations unless they are there; nothing runs yet. */
  static async make(options: SiteOptions): Promise<Site> {
    const site = new Site(options);
    await mkdir(options.directory, { recursive: true, mode: 0o700 });
    if (options.configDirectory !== undefined) return site;
    await site.#writeSpireConfig();
    await site.#writeDaemonConfig();
    return site;
  }

  /** The running daemon's process; undefined while it is stopped. */
  get daemon(): Child | undefined {
    return this.#daemon;
  }

  get spire(): Child | undefined {
    return this.#spire;
  }

  get daemonConfig(): string {
    return join(this.#options.configDirectory ?? this.directory, "spire-mesh.yaml");
  }

  get spireConfig(): string {
    return join(this.#options.configDirectory ?? this.directory, "server.conf");
  }

  /** SPIRE Server's API over its socket, until `stop`. */
  get api(): SpireApi {
    this.#api ??= spireApi({ socketPath: this.spireSocket });
    return this.#api;
  }

  async startSpire(): Promise<void> {
    const args = ["run", "-config", this.spireConfig];
    const [program, ...before] = this.#spireCommand();
    this.#spire = startChild(program, [...before, ...args], join(this.directory, "spire.log"));
    await this.#until("SPIRE Server", this.#spire, async () => {
      try {
        const { status } = await this.api.health.check({ service: "" });
        return status === ServingStatus.SERVING;
      } catch (error) {
        // A server whose policy denies us even that has judged the call: it serves.
        return error instanceof ConnectError && error.code === Code.PermissionDenied;
      }
    });
  }

  async startDaemon(): Promise<void> {
    const { nodeOptions = [] } = this.#options;
    const args = [...NODE_OPTIONS, ...nodeOptions, MAIN, "run", "-config", this.daemonConfig];
    this.#daemon = startChild(process.execPath, args, join(this.directory, "daemon.log"));
    await this.#until("the daemon", this.#daemon, async () => {
      return (await callAdmin(this.adminSocket, "healthcheck", {})).ready;
    });
  }

  /** Ends the daemon and waits until it is gone. */
  async stopDaemon(signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<Ended | undefined> {
    const ended = await this.#daemon?.end(signal);
    this.#daemon = undefined;
    return ended;
  }

  async stopSpire(signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<Ended | undefined> {
    const ended = await this.#spire?.end(signal);
    this.#spire = undefined;
    return ended;
  }

  async stop(): Promise<void> {
    this.#api?.close();
    this.#api = undefined;
    await this.stopDaemon();
    await this.stopSpire();
  }

  /** Runs `spire-mesh` against this site's daemon. */
  async mesh(args: readonly string[]): Promise<Ended> {
    const env = { SPIRE_MESH_ADMIN_SOCKET: this.adminSocket };
    return await runToEnd(process.execPath, [MAIN, ...args], env);
  }

  /** Runs `spire-server` against this site's SPIRE Server. */
  async spireServer(args: readonly string[]): Promise<Ended> {
    const [program, ...before] = this.#spireCommand();
    return await runToEnd(program, [...before, ...args, "-socketPath", this.spireSocket]);
  }

  #spireCommand(): readonly [string, ...string[]] {
    const { spireServer } = this.#options;
    return spireServer === undefined ? [process.execPath, EMBEDDED_SPIRE] : [spireServer];
  }

  async #writeSpireConfig(): Promise<void> {
    const { keyManager = "disk", extraSpireConfig = "" } = this.#options;
    const data = join(this.directory, "spire-data");
    await mkdir(data, { recursive: true, mode: 0o700 });
    const keys = keyManager === "disk" ? `keys_path = "${join(data, "keys.json")}"` : "";
    const text = `server {
    bind_address = "127.0.0.1"
    bind_port = "${await freePort()}"
    socket_path = "${this.spireSocket}"
    trust_domain = "${this.trustDomain}"
    data_dir = "${data}"
    log_level = "INFO"
    ca_ttl = "24h"
    ${extraSpireConfig}
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
    await writeFile(this.spireConfig, text, { mode: 0o600 });
  }

  async #writeDaemonConfig(): Promise<void> {
    const { logLevel = "info", extraConfig = "" } = this.#options;
    const text = `trust_domain: ${this.trustDomain}
data_dir: data
runtime_dir: run
svid_cache: disk
log_level: ${logLevel}
spire:
  socket_path: ${this.spireSocket}
listen: ["/ip4/127.0.0.1/tcp/${await freePort()}"]
admin: { socket_path: ${this.adminSocket} }
${extraConfig}`;
    await writeFile(this.daemonConfig, text, { mode: 0o600 });
  }

  /** A call that fails, as nobody listens yet, counts as not ready. */
  async #until(what: string, child: Child, isReady: () => Promise<boolean>): Promise<void> {
    const deadlineMs = performance.now() + START_DEADLINE_MS;
    while (!(await isReady().catch(() => false))) {
      if (child.ended !== undefined) {
        const end = `ended at its start with exit code ${child.ended.code}`;
        throw new Error(`${what} of ${this.trustDomain} ${end}.\n${await child.log()}`);
      }
      if (performance.now() > deadlineMs) {
        const wait = `is not ready after ${START_DEADLINE_MS / 1_000} s`;
        throw new Error(`${what} of ${this.trustDomain} ${wait}.\n${await child.log()}`);
      }
      await sleep(POLL_MS);
    }
  }
}

/** A port that was free a moment ago, so that a restarted program keeps its address. */
export async function freePort(): Promise<number> {
  const server = await listenOn(0);
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

/** Whether nobody listens on this port of 127.0.0.1. */
export async function isPortFree(port: number): Promise<boolean> {
  const server = await listenOn(port).catch(() => undefined);
  if (server === undefined) return false;
  await new Promise((resolve) => server.close(resolve));
  return true;
}

async function listenOn(port: number): Promise<Server> {
  const server = createServer().listen(port, "127.0.0.1");
  await once(server, "listening"); // Rejects with the error when there is one.
  return server;
}
