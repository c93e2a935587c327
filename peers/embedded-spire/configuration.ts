/** What one embedded server needs to know: from options, or from a SPIRE `server.conf`. */
import { readFileSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { type OptionKinds, type Options, readDuration } from "./arguments.ts";
import type { DatastoreOptions } from "./datastore.ts";
import { type HclBlock, isBlock, readHcl } from "./hcl.ts";
import { type LogLevel, readLogLevel } from "./log.ts";
import { readTrustDomainName } from "./spiffe-id.ts";

export const DEFAULT_SOCKET_PATH = "/tmp/spire-server/private/api.sock";
const DEFAULT_CA_TTL = "24h";
const DEFAULT_SVID_TTL = "1h";

/** As `spire-server run`; `-keyManager` and `-caTTL` stand in its file only. */
export const RUN_OPTIONS = {
  config: "text",
  trustDomain: "text",
  dataDir: "text",
  socketPath: "text",
  keyManager: "text",
  caTTL: "text",
  logLevel: "text",
} as const satisfies OptionKinds;

export interface Configuration {
  readonly trustDomain: string;
  readonly dataDir: string;
  readonly socketPath: string;
  readonly keyManager: "memory" | "disk";
  /**
   * Where key manager `disk` keeps the keys. Undefined is key manager `memory`, which loses them with
   * the process, so that each start makes new authorities.
   */
  readonly keysPath: string | undefined;
  /** API socket of the server above, which makes this one nested. */
  readonly upstreamSocketPath: string | undefined;
  /** Two servers with one datastore are replicas of each other. */
  readonly datastore: DatastoreOptions;
  readonly caTtlMs: number;
  readonly svidTtlMs: number;
  readonly logLevel: LogLevel;
  /** Settings of the file that a real server would follow and this one does not have. */
  readonly withoutEffect: readonly string[];
}

const SERVER_SETTINGS = new Set([
  "trust_domain",
  "data_dir",
  "socket_path",
  "ca_ttl",
  "default_x509_svid_ttl",
  "log_level",
]);
const PLUGINS = new Set(["DataStore", "KeyManager", "UpstreamAuthority"]);
const UNIX_SCHEME = "unix:";

/** Options win over the file. Throws an Error that names the setting. */
export function readConfiguration(options: Options<typeof RUN_OPTIONS>): Configuration {
  const file = options.config === undefined ? {} : readHcl(readFileSync(options.config, "utf8"));
  const server = blockAt(file, "server");
  const plugins = blockAt(file, "plugins");
  const trustDomain = options.trustDomain ?? textAt(server, "trust_domain");
  const dataDir = options.dataDir ?? textAt(server, "data_dir");
  if (trustDomain === undefined) throw new Error("trust_domain must be configured");
  if (dataDir === undefined) throw new Error("data_dir must be configured");
  const keyManager =
    options.keyManager ?? Object.keys(blockAt(plugins, "KeyManager"))[0] ?? "memory";
  if (keyManager !== "memory" && keyManager !== "disk") {
    throw new Error(`key manager "${keyManager}" is not here: use memory or disk`);
  }
  const logLevel = options.logLevel ?? textAt(server, "log_level") ?? "info";
  const level = readLogLevel(logLevel);
  if (level === undefined) throw new Error(`not a valid log level: "${logLevel}"`);
  return {
    trustDomain: readTrustDomainName(trustDomain),
    dataDir,
    socketPath: options.socketPath ?? textAt(server, "socket_path") ?? DEFAULT_SOCKET_PATH,
    keyManager,
    keysPath: keyManager === "disk" ? readKeysPath(plugins, dataDir) : undefined,
    upstreamSocketPath: readUpstream(plugins),
    datastore: readDatastore(plugins, dataDir),
    caTtlMs: readDuration(options.caTTL ?? textAt(server, "ca_ttl") ?? DEFAULT_CA_TTL),
    svidTtlMs: readDuration(textAt(server, "default_x509_svid_ttl") ?? DEFAULT_SVID_TTL),
    logLevel: level,
    withoutEffect: [
      ...Object.keys(server).filter((key) => !SERVER_SETTINGS.has(key)),
      ...Object.keys(plugins).filter((key) => !PLUGINS.has(key)),
    ],
  };
}

function readKeysPath(plugins: HclBlock, dataDir: string): string {
  const disk = blockAt(blockAt(plugins, "KeyManager"), "disk");
  return textAt(blockAt(disk, "plugin_data"), "keys_path") ?? join(dataDir, "keys.json");
}

/** The server above, by its API socket: there is no agent here to give a nested server its identity. */
function readUpstream(plugins: HclBlock): string | undefined {
  const [kind] = Object.keys(blockAt(plugins, "UpstreamAuthority"));
  if (kind === undefined) return undefined;
  if (kind !== "spire") throw new Error(`upstream authority "${kind}" is not here: use spire`);
  const spire = blockAt(blockAt(plugins, "UpstreamAuthority"), kind);
  const address = textAt(blockAt(spire, "plugin_data"), "server_address");
  if (address?.startsWith(UNIX_SCHEME) === true) return address.slice(UNIX_SCHEME.length);
  throw new Error("server_address: write unix: and the path of the API socket");
}

/** The file of `DataStore "sql"`, also where a real server would go to a PostgreSQL. */
function readDatastore(plugins: HclBlock, dataDir: string): DatastoreOptions {
  const data = blockAt(blockAt(blockAt(plugins, "DataStore"), "sql"), "plugin_data");
  const databaseType = textAt(data, "database_type") ?? "sqlite3";
  const path = textAt(data, "connection_string");
  if (databaseType !== "sqlite3" && databaseType !== "postgres") {
    throw new Error(`database_type "${databaseType}" is not here: use sqlite3 or postgres`);
  }
  if (path?.startsWith("file:") || (databaseType === "postgres" && !isAbsolute(path ?? ""))) {
    throw new Error("connection_string: write the path of a file");
  }
  return { databaseType, path: path ?? join(dataDir, "datastore.sqlite3") };
}

function blockAt(block: HclBlock, key: string): HclBlock {
  const value = block[key];
  return isBlock(value) ? value : {};
}

function textAt(block: HclBlock, key: string): string | undefined {
  const value = block[key];
  if (value === undefined || typeof value === "string") return value;
  throw new Error(`${key}: write a text in quotes`);
}
