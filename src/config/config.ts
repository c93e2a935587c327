/**
 * The configuration of one daemon: a YAML file in, typed values with units out, or every problem of
 * the file at once, each with `file:line:column`.
 */
import { constants, open } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import type { TrustDomain } from "../core/spiffe/trust-domain.ts";
import { Fault } from "../fault.ts";
import { type ConfigFile, configSchema } from "./config-schema.ts";
import { YamlFile } from "./yaml-file.ts";

export interface Config {
  readonly trustDomain: TrustDomain;
  /** Absolute, like all paths here. */
  readonly dataDir: string;
  readonly runtimeDir: string;
  readonly logLevel: "debug" | "info" | "warn" | "error";
  readonly logFormat: "text" | "json";
  readonly spire: { readonly socketPath: string; readonly pollIntervalMs: number };
  readonly svidCache: "memory" | "runtime_dir" | "disk";
  /** Multiaddrs. Checked by form only. */
  readonly listen: readonly string[];
  readonly announce: readonly string[];
  /** With `/p2p/…`. */
  readonly peers: readonly string[];
  readonly admin: { readonly socketPath: string };
  readonly policy: { readonly unmanaged: readonly TrustDomain[] };
  /** Undefined: off. */
  readonly prometheus: { readonly host: string; readonly port: number } | undefined;
  readonly healthChecks: { readonly host: string; readonly port: number } | undefined;
}

export interface LoadOptions {
  /** Replaces `$NAME` and `${NAME}` in values; a variable that is not set is a problem. */
  readonly expandEnv?: boolean;
  readonly environment?: Readonly<Record<string, string | undefined>>;
}

/**
 * Hand-written files have some KiB. The largest that makes sense lists 10,000 `unmanaged` domains,
 * with 40 letters each, and 256 peers; YAML takes a second for it (measured). What is larger is refused
 * unread: CONFIG_INVALID.
 */
const FILE_BYTES_MAX = 512 * 1024;
const NAME_A_FILE = { advice: "Name a file that this user may read with -config." } as const;
const ADMIN_SOCKET_VARIABLE = "SPIRE_MESH_ADMIN_SOCKET";

/** @throws {Fault} `CONFIG_INVALID` with one line for each problem. */
export async function loadConfig(path: string, options: LoadOptions = {}): Promise<Config> {
  const environment = options.environment ?? process.env;
  const file = new YamlFile(path, await readText(path));
  if (options.expandEnv === true) file.expand(environment);
  const schema = configSchema(dirname(resolve(path)));
  return configOf(file.validate(schema), environment[ADMIN_SOCKET_VARIABLE]);
}

async function readText(path: string): Promise<string> {
  try {
    // Links are followed: a ConfigMap's files are links. A pipe's writer is not waited for.
    await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const found = await file.stat();
    if (!found.isFile()) throw new Fault("CONFIG_INVALID", `${path} is not a file`, NAME_A_FILE);
    const chunks: Buffer[] = [];
    for await (const chunk of file.createReadStream({ end: FILE_BYTES_MAX })) {
      chunks.push(chunk as Buffer);
    }
    const bytes = Buffer.concat(chunks);
    if (bytes.length <= FILE_BYTES_MAX) return bytes.toString("utf8");
  } catch (cause) {
    if (cause instanceof Fault) throw cause;
    const code = (cause as NodeJS.ErrnoException).code ?? "unknown error";
    throw new Fault("CONFIG_INVALID", `${path} cannot be read: ${code}`, { cause, ...NAME_A_FILE });
  }
  throw new Fault("CONFIG_INVALID", `${path} is larger than ${FILE_BYTES_MAX} bytes`);
}

/** What has only one built value (`role`, `spire.write`, …) was checked and says nothing more. */
function configOf(file: ConfigFile, adminSocketVariable: string | undefined): Config {
  const { prometheus } = file.telemetry;
  const health = file.health_checks;
  const variable = adminSocketVariable === "" ? undefined : adminSocketVariable;
  return {
    trustDomain: file.trust_domain,
    dataDir: file.data_dir,
    runtimeDir: file.runtime_dir,
    logLevel: file.log_level,
    logFormat: file.log_format,
    spire: { socketPath: file.spire.socket_path, pollIntervalMs: file.spire.poll_interval },
    svidCache: file.svid_cache,
    listen: file.listen,
    announce: file.announce,
    peers: file.peers,
    admin: {
      socketPath:
        file.admin.socket_path ??
        (variable === undefined ? join(file.runtime_dir, "admin.sock") : resolve(variable)),
    },
    policy: { unmanaged: file.policy.unmanaged },
    prometheus,
    healthChecks: health && { host: health.bind_address, port: health.bind_port },
  };
}
