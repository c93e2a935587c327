/**
 * Where the admin socket and short-lived SVIDs go: `runtime_dir`, or `data_dir/run` where that
 * cannot be used, as in a container without a writable /run. Falling back is said, never silent.
 */
import { access, constants, stat } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../fault.ts";
import { preparePrivateDirectory } from "../private-files/private-directory.ts";
import type { Config } from "./config.ts";
import { ADMIN_SOCKET_PATH_BYTES_MAX } from "./config-schema.ts";

const SOCKET_NAME = "admin.sock";

export interface RuntimeDirectory {
  /** It exists and only this user can write to it. */
  readonly path: string;
  readonly adminSocketPath: string;
  /** Sentences for the log when `path` is not the configured one. */
  readonly notices: readonly string[];
}

type Paths = Pick<Config, "runtimeDir" | "dataDir" | "admin">;

/**
 * Makes the directory for sockets. Call it once data_dir is known to be ours.
 *
 * @throws {Fault} `CANNOT_CREATE` when neither directory can be used.
 */
export async function resolveRuntimeDirectory(config: Paths): Promise<RuntimeDirectory> {
  const { runtimeDir, dataDir, admin } = config;
  const problem = await problemWith(runtimeDir, "runtime_dir");
  if (problem === undefined) {
    return { path: runtimeDir, adminSocketPath: admin.socketPath, notices: [] };
  }
  const path = join(dataDir, "run");
  const problemThere = await problemWith(path, "data_dir");
  if (problemThere !== undefined) {
    throw new Fault(
      "CANNOT_CREATE",
      `neither ${runtimeDir} nor ${path} can hold sockets: ${problem}; ${problemThere}`,
    );
  }
  const adminSocketPath = isDefaultSocket(config) ? join(path, SOCKET_NAME) : admin.socketPath;
  if (Buffer.byteLength(adminSocketPath) > ADMIN_SOCKET_PATH_BYTES_MAX) {
    throw new Fault("CANNOT_CREATE", `${adminSocketPath} is too long for a Unix socket`, {
      advice: "Set `runtime_dir` or `admin.socket_path` to a short path that this user can write.",
    });
  }
  return { path, adminSocketPath, notices: [`${problem}; ${path} is used instead`] };
}

/** The socket on which a command finds the daemon of this configuration: the fallback if it is there. */
export async function findAdminSocket(config: Paths): Promise<string> {
  const fallback = join(config.dataDir, "run", SOCKET_NAME);
  const { socketPath } = config.admin;
  if (!isDefaultSocket(config) || (await isSocket(socketPath))) return socketPath;
  return (await isSocket(fallback)) ? fallback : socketPath;
}

async function isSocket(path: string): Promise<boolean> {
  return await stat(path).then(
    (found) => found.isSocket(),
    () => false,
  );
}

function isDefaultSocket({ admin, runtimeDir }: Paths): boolean {
  return admin.socketPath === join(runtimeDir, SOCKET_NAME);
}

/** Makes the directory when it is missing. Why it cannot be used, or undefined when it can. */
async function problemWith(path: string, what: string): Promise<string | undefined> {
  try {
    await preparePrivateDirectory(path, what);
    await access(path, constants.W_OK | constants.X_OK);
    return undefined;
  } catch (error) {
    if (error instanceof Fault) return error.message;
    return `${what} ${path} cannot be used: ${(error as NodeJS.ErrnoException).code ?? String(error)}`;
  }
}
