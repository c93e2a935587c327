/**
 * The place of a Unix socket in the file system. A socket file stays behind when its daemon is
 * killed: it is replaced when nobody answers on it, and never when somebody does. Nothing else than
 * a socket is ever deleted. What keeps two daemons apart for certain is the lock on data_dir.
 */
import { once } from "node:events";
import { lstat, mkdir, unlink } from "node:fs/promises";
import { connect } from "node:net";
import { dirname } from "node:path";
import { Fault } from "../fault.ts";
import { checkWay } from "../private-files/private-directory.ts";

/** `sun_path` of unix(7), less the byte that ends it. A longer path would be cut off silently. */
const SOCKET_PATH_BYTES_MAX = 107;
/** A live daemon's kernel answers at once; a full backlog counts as alive. */
const PROBE_DEADLINE_MS = 1_000;

/**
 * Makes the directory (0700 when it is new) and clears a stale socket away.
 * Throws `ALREADY_RUNNING` when somebody listens there, `NOT_ALLOWED` where others could put a socket
 * of theirs in its place, `CANNOT_CREATE` for anything else.
 */
export async function claimSocketPath(path: string): Promise<void> {
  if (Buffer.byteLength(path) > SOCKET_PATH_BYTES_MAX) {
    const advice = "Set `admin.socket_path` to a shorter path.";
    const message = `${path} is longer than the ${SOCKET_PATH_BYTES_MAX} bytes of a socket's path.`;
    throw new Fault("CANNOT_CREATE", message, { advice });
  }
  try {
    await checkWay(path, "admin.socket_path");
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    if (await isStale(path)) await unlink(path);
  } catch (error) {
    throw error instanceof Fault ? error : cannotCreate(path, error);
  }
}

/** Why a socket could not be made at `path`. */
export function cannotCreate(path: string, cause: unknown): Fault {
  const code = errorCode(cause);
  if (code === "EADDRINUSE") return alreadyRunning(path);
  return new Fault("CANNOT_CREATE", `The socket ${path} cannot be made: ${code}.`, { cause });
}

/** Whether a socket lies there on which nobody listens; false when nothing lies there. */
async function isStale(path: string): Promise<boolean> {
  const found = await lstat(path).catch((error: unknown) => {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  });
  if (found === undefined) return false;
  if (!found.isSocket()) {
    const advice = "Move the file away, or set `admin.socket_path` to another path.";
    throw new Fault("CANNOT_CREATE", `${path} is there and is not a socket.`, { advice });
  }
  const code = await probe(path);
  if (code === "ECONNREFUSED") return true;
  if (code === "ENOENT") return false; // Its daemon stopped just now.
  if (code === "EACCES" || code === "EPERM") {
    throw new Fault("CANNOT_CREATE", `The socket ${path} belongs to another user.`);
  }
  throw alreadyRunning(path);
}

function alreadyRunning(path: string): Fault {
  const advice = "Stop the other daemon, or set `admin.socket_path` to another path.";
  return new Fault("ALREADY_RUNNING", `Another daemon listens on ${path}.`, { advice });
}

/** The error code of connecting, or undefined when somebody took the connection or may yet. */
async function probe(path: string): Promise<string | undefined> {
  const socket = connect({ path });
  try {
    await once(socket, "connect", { signal: AbortSignal.timeout(PROBE_DEADLINE_MS) });
    return undefined;
  } catch (error) {
    return errorCode(error);
  } finally {
    socket.destroy();
  }
}

function errorCode(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}
