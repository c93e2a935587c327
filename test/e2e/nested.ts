/**
 * A SPIRE Server and one nested below it, each in a directory of its own, in which a daemon may be
 * started beside it. A real nested server gets its identity from an agent of the server above; the
 * embedded one asks above over its socket.
 */
import { X509Certificate } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Agent } from "../../peers/agent.ts";
import { Site, type SiteOptions, findSpire } from "../../peers/site.ts";
import { until } from "./mesh.ts";

const TRUST_DOMAIN = "alpha.test";
const NESTED_PATH = "/nested";
/** The workload that every agent of ours registers. */
const WORKLOAD_PATH = "/workload";

export interface RealSpire {
  readonly server: string;
  readonly agent: string;
}

/** Paths of the real programs; or in one line why they cannot run here. */
export function findRealSpire(): RealSpire | string {
  const server = findSpire("spire-server");
  const agent = findSpire("spire-agent");
  if (server !== undefined && agent !== undefined) return { server, agent };
  return "no spire-server and spire-agent on PATH or in SPIRE_BIN";
}

export interface NestedOptions {
  /** Undefined: both servers are embedded ones. */
  readonly real: RealSpire | undefined;
  /** Of the site below. */
  readonly below?: Pick<SiteOptions, "extraConfig" | "logLevel">;
}

export class Nested {
  readonly above: Site;
  readonly below: Site;
  readonly #directory: string;
  readonly #agent: Agent | undefined;

  private constructor(directory: string, above: Site, below: Site, agent: Agent | undefined) {
    this.#directory = directory;
    this.above = above;
    this.below = below;
    this.#agent = agent;
  }

  /** Resolves once both servers serve; no daemon runs. */
  static async start({ real, below: options }: NestedOptions): Promise<Nested> {
    const directory = await mkdtemp(join(tmpdir(), "nested-"));
    const make = async (name: string, more: Partial<SiteOptions> = {}): Promise<Site> =>
      await Site.make({
        ...more,
        trustDomain: TRUST_DOMAIN,
        directory: join(directory, name),
        spireServer: real?.server,
      });
    const [above, below] = [await make("above"), await make("below", options)];
    const agent = real && new Agent(above, real.agent);
    const nested = new Nested(directory, above, below, agent);
    try {
      await above.startSpire();
      await nestBelow(
        below,
        agent === undefined ? embeddedAddress(above) : await realAddress(above, agent),
      );
      await below.startSpire();
      return nested;
    } catch (error) {
      await nested.stop();
      throw error;
    }
  }

  /** Ends daemons, servers and agent, and removes what they left. */
  async stop(): Promise<void> {
    await this.below.stop();
    await this.#agent?.stop();
    await this.above.stop();
    await rm(this.#directory, { recursive: true, force: true });
  }
}

/** Where the server above is, as `plugin_data` of the `UpstreamAuthority`. */
type UpstreamAddress = Readonly<Record<string, string>>;

function embeddedAddress({ spireSocket }: Site): UpstreamAddress {
  return { server_address: `unix:${spireSocket}` };
}

/** Starts an agent above that knows the nested server, and waits until it vouches for it. */
async function realAddress(above: Site, agent: Agent): Promise<UpstreamAddress> {
  await agent.start([]);
  const { entries } = await above.api.entry.listEntries({});
  const workload = entries.find(({ spiffeId }) => spiffeId?.path === WORKLOAD_PATH);
  if (workload?.parentId === undefined) throw new Error("the agent registered no workload");
  // In its place: a nested server takes the first SVID that the agent has for it.
  await above.api.entry.batchDeleteEntry({ ids: [workload.id] });
  const { parentId, selectors } = workload;
  const spiffeId = { trustDomain: TRUST_DOMAIN, path: NESTED_PATH };
  await above.api.entry.batchCreateEntry({
    entries: [
      {
        spiffeId,
        parentId: { trustDomain: parentId.trustDomain, path: parentId.path },
        selectors: selectors.map(({ type, value }) => ({ type, value })),
        downstream: true,
      },
    ],
  });
  await until("the agent has the nested server's SVID", async () => {
    const files = await agent.fetch("nested");
    if (!("svid" in files)) return false;
    return new X509Certificate(files.svid).subjectAltName?.endsWith(NESTED_PATH) === true;
  });
  const settings = await Promise.all([
    settingOf(above.spireConfig, "bind_port"),
    settingOf(join(above.directory, "agent.conf"), "socket_path"),
  ]);
  const [port, socket] = settings;
  return { server_address: "127.0.0.1", server_port: port, workload_api_socket: socket };
}

async function settingOf(file: string, name: string): Promise<string> {
  const value = new RegExp(`${name} = "(.*)"`).exec(await readFile(file, "utf8"))?.[1];
  if (value === undefined) throw new Error(`no ${name} in ${file}`);
  return value;
}

async function nestBelow({ spireConfig }: Site, address: UpstreamAddress): Promise<void> {
  const lines = Object.entries(address).map(([name, value]) => `${name} = "${value}"`);
  const plugin = `UpstreamAuthority "spire" {\n plugin_data {\n ${lines.join("\n ")}\n }\n }`;
  const alone = await readFile(spireConfig, "utf8");
  await writeFile(spireConfig, alone.replace("plugins {", `plugins {\n ${plugin}`));
}
