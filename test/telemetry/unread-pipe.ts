/** A pipe between a process and whoever reads its log, who may take their time. */
import { execFileSync } from "node:child_process";
import { closeSync, constants, openSync } from "node:fs";
import { Socket } from "node:net";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { temporaryDirectory } from "../store/temporary-directory.ts";

export interface UnreadPipe {
  /** For a process to write to; the caller closes it once that has started. */
  readonly writeFd: number;
  /** From now on it is read, until the socket is destroyed. A later call is the next reader. */
  readonly read: () => Socket;
}

/** A pipe of 64 KiB that nobody reads yet. */
export async function unreadPipe(): Promise<UnreadPipe> {
  const path = join(await temporaryDirectory(), "pipe");
  execFileSync("mkfifo", [path]);
  const openReader = (): number => openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const fds = [openReader()];
  const writeFd = openSync(path, constants.O_WRONLY);
  const sockets: Socket[] = [];
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    for (const fd of fds) closeSync(fd);
  });
  const read = (): Socket => {
    const fd = fds.pop() ?? openReader();
    const socket = new Socket({ fd, readable: true, writable: false });
    sockets.push(socket);
    return socket;
  };
  return { writeFd, read };
}
