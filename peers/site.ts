/**
 * One site on this machine: a SPIRE Server and the daemon beside it, each a process of its own.
 * Used by the demo, the end-to-end tests and the benchmarks, so that all of them run what a user
 * runs: the commands, with the files of one directory.
 *
 *     DIR/server.conf      spire.sock   spire-data/        SPIRE Server, real or embedded
 *     DIR/spire-mesh.yaml  admin.sock   data/   run/       the daemon
 */
import { mkdir, writeFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { createServer } from "node:net";
import { delimiter, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { type Child, type Ended, runToEnd, startChild } from "./child.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const MAIN = join(ROOT, "src/main.ts");
const EMBEDDED_SPIRE = join(ROOT, "peers/embedded-spire/main.ts");

/** A real SPIRE Server starts in 0.1 s (measured); two cores may be busy with two others. */
const START_DEADLINE_MS = 20_000;
const POLL_MS = 50;

export interface SiteOptions {
  readonly trustDomain: string;
  /** Made if missing; a short path, as Unix socket paths end at 107 bytes. */
  readonly directory: string;
  /** Path of a real `spire-server`; without one the embedded SPIRE Server is used. */
  readonly spireServer?: string | undefined;
  /** `memory`: each start of SPIRE makes new authorities that sign at once. */
  readonly keyManager?: "memory" | "disk";
  readonly logLevel?: "debug" | "info" | "warn";
  /** Lines added to the daemon's configuration. */
  readonly extraConfig?: string;
  /** Lines added to the server block of SPIRE's configuration. */
  readonly extraSpireConfig?: string;
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

  private constructor(options: SiteOptions) {
    this.#options = options;
    this.trustDomain = options.trustDomain;
    this.directory = options.directory;
    this.spireSocket = join(options.directory, "spire.sock");
    this.adminSocket = join(options.directory, "admin.sock");
  }

  /** Makes the directory with both configurations; nothing runs yet. */
  static async make(options: SiteOptions): Promise<Site> {
    const site = new Site(options);
    await mkdir(options.directory, { recursive: true, mode: 0o700 });
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
    return join(this.directory, "spire-mesh.yaml");
  }

  async startSpire(): Promise<void> {
    const args = ["run", "-config", join(this.directory, "server.conf")];
    const [program, ...before] = this.#spireCommand();
    this.#spire = startChild(program, [...before, ...args], join(this.directory, "spire.log"));
    await this.#until("SPIRE Server", this.#spire, async () => {
      return (await this.spireServer(["healthcheck"])).code === 0;
    });
  }

  async startDaemon(): Promise<void> {
    const args = [MAIN, "run", "-config", this.daemonConfig];
    this.#daemon = startChild(process.execPath, args, join(this.directory, "daemon.log"));
    await this.#until("the daemon", this.#daemon, async () => {
      return existsSync(this.adminSocket) && (await this.mesh(["healthcheck"])).code === 0;
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
    await writeFile(join(this.directory, "server.conf"), text, { mode: 0o600 });
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

  async #until(what: string, child: Child, isReady: () => Promise<boolean>): Promise<void> {
    const deadlineMs = performance.now() + START_DEADLINE_MS;
    while (!(await isReady())) {
      if (child.ended !== undefined) {
        throw new Error(`${what} of ${this.trustDomain} ended at its start:\n${await child.log()}`);
      }
      if (performance.now() > deadlineMs) {
        throw new Error(`${what} of ${this.trustDomain} is not ready:\n${await child.log()}`);
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }
}

/** A port that was free a moment ago, so that a restarted program keeps its address. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}
