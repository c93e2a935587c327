/**
 * The place of a Unix socket in the file system. A socket file stays behind when its daemon is
 * killed: it is replaced when nobody answers on it, and never when somebody does. Nothing else than
 * that, and the socket that was put there, is ever deleted.
 *
 *     listen on path.new ── link(2), which replaces nothing ──▶ path ── stop ──▶ gone
 *
 * libuv deletes the name that it listened on when it closes, whatever lies there by then; so it gets
 * one that is gone at once, and a fixed one, so that the next start clears away what a killed one
 * left. What keeps two daemons from one data_dir is the store's lock.
 */
import { once } from "node:events";
import { link, lstat, unlink } from "node:fs/promises";
import { type Server, connect } from "node:net";
import { Fault } from "../fault.ts";
import { makeWay } from "../private-files/private-directory.ts";
import { UNFINISHED } from "../private-files/private-file.ts";

/**
 * `sun_path` of unix(7), less the byte that ends it and the unfinished name's ending. A longer path
 * would be cut off silently.
 */
const SOCKET_PATH_BYTES_MAX = 107 - UNFINISHED.length;
/**
 * A live daemon's kernel answers at once. Who does not, as with a full backlog, is alive: the start
 * is refused.
 */
const PROBE_DEADLINE_MS = 1_000;
/** A socket is born 0600: whoever can open it may change trust. */
const UMASK = 0o177;

/**
 * For what must not be touched while another daemon runs, long before this one can `listen`. Throws
 * what that would: `ALREADY_RUNNING` when somebody listens there, `CANNOT_CREATE`. Two that start in
 * the same moment both pass; `listen` decides between them.
 */
export async function checkNobodyListens(path: string): Promise<void> {
  try {
    await isStale(path);
  } catch (error) {
    throw error instanceof Fault ? error : cannotCreate(path, error);
  }
}

export class SocketPath {
  readonly #path: string;
  /** Tells the socket that was put there from anything that took its place. */
  #inode: string | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /**
   * Makes the directory (0700 when it is new), clears a stale socket away, and lets the server listen
   * there. Throws `ALREADY_RUNNING` when somebody listens there, `NOT_ALLOWED` where others could put
   * a socket of theirs in its place, `CANNOT_CREATE` for anything else.
   */
  async listen(server: Server): Promise<void> {
    const path = this.#path;
    const unfinished = `${path}${UNFINISHED}`;
    if (Buffer.byteLength(path) > SOCKET_PATH_BYTES_MAX) {
      const advice = "Set `admin.socket_path` to a shorter path.";
      const message = `${path} is longer than the ${SOCKET_PATH_BYTES_MAX} bytes of a socket's path.`;
      throw new Fault("CANNOT_CREATE", message, { advice });
    }
    try {
      await makeWay(path, "admin.socket_path");
      for (const each of [path, unfinished]) if (await isStale(each)) await unlink(each);
      await listenPrivately(server, unfinished);
      this.#inode = await inodeOf(unfinished);
      await rename(unfinished, path);
    } catch (error) {
      server.close();
      throw error instanceof Fault ? error : cannotCreate(path, error);
    }
  }

  /** Deletes the socket; nothing when something else lies there by now. Call it before the close. */
  async remove(): Promise<void> {
    if (this.#inode === undefined) return;
    // While the server listens, no other file can get its inode.
    if ((await inodeOf(this.#path)) !== this.#inode) return;
    await unlink(this.#path).catch(() => undefined); // What stays is replaced by the next start.
  }
}

async function listenPrivately(server: Server, path: string): Promise<void> {
  // Node binds a path within this call, so no other code runs under the changed umask; a chmod
  // afterwards would leave a moment in which others may connect.
  const umask = process.umask(UMASK);
  try {
    server.listen(path);
  } finally {
    process.umask(umask);
  }
  await once(server, "listening");
}

/** Replaces nothing, which Node's `rename` would do. */
async function rename(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } finally {
    await unlink(from);
  }
}

/** Undefined when nothing lies there. */
async function inodeOf(path: string): Promise<string | undefined> {
  const found = await lstat(path, { bigint: true }).catch(() => undefined);
  return found && `${found.dev}:${found.ino}`;
}

function cannotCreate(path: string, cause: unknown): Fault {
  const code = errorCode(cause);
  const taken = ["EADDRINUSE", "EEXIST"]; // Another daemon was quicker by a moment.
  if (taken.includes(code)) return alreadyRunning(path);
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
