/**
 * One daemon at a time for a data directory, whatever becomes of the files in it: an abstract Unix
 * socket (unix(7)) whose name is the directory's device and inode. The kernel gives such a name to
 * one process, takes it back when that ends, however it ends, and there is no file to delete.
 *
 * Its reach is one network namespace. LevelDB's own lock stands behind it everywhere, as
 * long as nobody deletes `store/LOCK`: LevelDB would then open a store that is in use, and break it.
 */
import { once } from "node:events";
import { stat } from "node:fs/promises";
import { type Server, createServer } from "node:net";
import { Fault } from "../fault.ts";

/** Any user of the host may call an abstract socket: whoever does is closed at once. */
const CONNECTIONS_MAX = 0;

export class DirectoryLock {
  readonly #socket: Server;

  private constructor(socket: Server) {
    this.#socket = socket;
  }

  /** Takes the lock of a directory that exists. Throws `ALREADY_RUNNING` or `CANNOT_CREATE`. */
  static async take(directory: string): Promise<DirectoryLock> {
    const socket = createServer().unref();
    socket.maxConnections = CONNECTIONS_MAX;
    const { dev, ino } = await stat(directory, { bigint: true });
    socket.listen(`\0spire-mesh/${dev}:${ino}`);
    await once(socket, "listening").catch((cause: unknown) => {
      throw notTaken(directory, cause);
    });
    socket.on("error", () => undefined); // A caller that could not even be hung up on.
    return new DirectoryLock(socket);
  }

  /** Gives it back. The end of the process does so as well. */
  async release(): Promise<void> {
    if (!this.#socket.listening) return;
    this.#socket.close();
    await once(this.#socket, "close");
  }
}

function notTaken(directory: string, cause: unknown): Fault {
  const { code = "unknown error" } = cause as NodeJS.ErrnoException;
  if (code !== "EADDRINUSE") {
    return new Fault("CANNOT_CREATE", `${directory} cannot be locked: ${code}`, { cause });
  }
  const advice =
    "Stop the other daemon, or give this one a data_dir of its own. `sudo ss -xlp` lists who holds " +
    "the lock, as @spire-mesh/…: another user of this host can take its name while no daemon runs.";
  return new Fault("ALREADY_RUNNING", `${directory} is in use by another daemon`, { advice });
}
