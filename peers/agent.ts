/** A real SPIRE Agent beside a site's real SPIRE Server, and what a workload gets from it. */
import { mkdir, readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { type Child, type Ended, runToEnd, startChild } from "./child.ts";
import type { Site } from "./site.ts";

/** The workload that every agent here knows: whatever runs as this user. */
const SELECTOR = `unix:uid:${process.getuid?.() ?? 0}`;

export interface WorkloadFiles {
  /** The workload's X509-SVID, leaf first, PEM. */
  readonly svid: string;
  /** Bundles of other trust domains, one PEM file each. */
  readonly federated: readonly string[];
}

export class Agent {
  readonly #site: Site;
  readonly #program: string;
  readonly #socket: string;
  #child: Child | undefined;

  constructor(site: Site, program: string) {
    this.#site = site;
    this.#program = program;
    this.#socket = join(site.directory, "agent.sock");
  }

  /**
   * Starts the agent and registers the workload.
   * @param federatesWith Trust domain names whose bundles the workload gets.
   */
  async start(federatesWith: readonly string[]): Promise<void> {
    const { trustDomain, directory } = this.#site;
    const node = `spiffe://${trustDomain}/node`;
    const token = await this.#server(["token", "generate", "-spiffeID", node]);
    const joinToken = /Token: (\S+)/.exec(token.stdout)?.[1];
    if (joinToken === undefined) throw new Error(`no join token: ${token.stderr}`);
    const federation = federatesWith.flatMap((name) => ["-federatesWith", `spiffe://${name}`]);
    const workload = ["-spiffeID", `spiffe://${trustDomain}/workload`, "-parentID", node];
    await this.#server(["entry", "create", ...workload, "-selector", SELECTOR, ...federation]);
    await writeFile(join(directory, "agent.conf"), await this.#configuration());
    const args = ["run", "-config", join(directory, "agent.conf"), "-joinToken", joinToken];
    this.#child = startChild(this.#program, args, join(directory, "agent.log"));
  }

  async stop(): Promise<void> {
    await this.#child?.end("SIGTERM");
  }

  /** What a workload of this user gets over the Workload API, or why it gets nothing. */
  async fetch(name: string): Promise<WorkloadFiles | Ended> {
    const directory = join(this.#site.directory, name);
    await mkdir(directory, { recursive: true });
    const words = ["api", "fetch", "x509", "-write", directory, "-socketPath", this.#socket];
    const ended = await runToEnd(this.#program, words);
    if (ended.code !== 0) return ended;
    const files = await readdir(directory);
    const read = async (file: string): Promise<string> =>
      await readFile(join(directory, file), "utf8");
    const federated = files.filter((file) => file.startsWith("federated_bundle"));
    return { svid: await read("svid.0.pem"), federated: await Promise.all(federated.map(read)) };
  }

  async #server(args: readonly string[]): Promise<Ended> {
    const ended = await this.#site.spireServer(args);
    if (ended.code !== 0) throw new Error(`spire-server ${args.join(" ")}: ${ended.stderr}`);
    return ended;
  }

  async #configuration(): Promise<string> {
    const { trustDomain, directory } = this.#site;
    const bundle = join(directory, "bootstrap.pem");
    const serverConf = await readFile(join(directory, "server.conf"), "utf8");
    const port = /bind_port = "(\d+)"/.exec(serverConf)?.[1] ?? "";
    const { stdout } = await this.#server(["bundle", "show"]);
    await writeFile(bundle, stdout);
    return `agent {
    data_dir = "${join(directory, "agent-data")}"
    server_address = "127.0.0.1"
    server_port = "${port}"
    socket_path = "${this.#socket}"
    trust_bundle_path = "${bundle}"
    trust_domain = "${trustDomain}"
    log_level = "INFO"
}
plugins {
    NodeAttestor "join_token" { plugin_data {} }
    KeyManager "memory" { plugin_data {} }
    WorkloadAttestor "unix" { plugin_data {} }
}
`;
  }
}
