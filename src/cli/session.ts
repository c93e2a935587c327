/** Which daemon a command talks to, and in which form it answers. */
import type { OutputFormat } from "./output.ts";

export interface Session {
  readonly socketPath: string;
  readonly format: OutputFormat;
}

/** The options that every command has that talks to the daemon. */
export interface SessionOptions {
  readonly socketPath?: string;
  readonly config?: string;
  readonly expandEnv?: boolean;
  readonly output: OutputFormat;
}

const SOCKET_PATH_VARIABLE = "SPIRE_MESH_ADMIN_SOCKET";
const SOCKET_PATH_DEFAULT = "/run/spire-mesh/admin.sock";

/** The socket by option, then by configuration file, then by environment, then the usual one. */
export async function openSession(options: SessionOptions): Promise<Session> {
  return { socketPath: await findSocketPath(options), format: options.output };
}

async function findSocketPath({ socketPath, config, expandEnv }: SessionOptions): Promise<string> {
  if (socketPath !== undefined) return socketPath;
  if (config === undefined) return process.env[SOCKET_PATH_VARIABLE] || SOCKET_PATH_DEFAULT;
  const { loadConfig } = await import("../config/config.ts");
  const { findAdminSocket } = await import("../config/runtime-directory.ts");
  return await findAdminSocket(await loadConfig(config, { expandEnv: expandEnv === true }));
}
