/**
 * The connections of the admin socket, so that those who hold one and say nothing keep nobody out.
 *
 *     waiting for its request ── request is whole ──▶ being answered ── read ──▶ closed
 *        │ too many: the oldest goes                     │ not read in time: goes
 */
import type { Server, Socket } from "node:net";
import { Fault } from "../fault.ts";
import type { AdminLimits } from "./limits.ts";

export class Connections {
  readonly #limits: AdminLimits;
  /** Oldest first. */
  readonly #waiting = new Set<Socket>();
  readonly #answered = new Set<Socket>();

  constructor(limits: AdminLimits) {
    this.#limits = limits;
  }

  /** Follows the server's connections from now on. */
  follow(server: Server): void {
    server.on("connection", (socket) => this.#add(socket));
  }

  /** The whole request has arrived. Throws `BUSY` when too much waits to be read already. */
  beginAnswer(socket: Socket): void {
    let unread = 0;
    for (const { writableLength } of this.#answered) unread += writableLength;
    if (unread > this.#limits.unreadBytesMax) {
      throw new Fault("BUSY", "Too many answers wait to be read by others.");
    }
    this.#waiting.delete(socket);
    this.#answered.add(socket);
  }

  /** The whole answer goes out: from now on it is for the caller to read it. */
  endAnswer(socket: Socket): void {
    const timer = setTimeout(() => socket.destroy(), this.#limits.replyDeadlineMs);
    socket.once("close", () => clearTimeout(timer));
  }

  #add(socket: Socket): void {
    socket.once("close", () => {
      this.#waiting.delete(socket);
      this.#answered.delete(socket);
    });
    this.#waiting.add(socket);
    if (this.#waiting.size + this.#answered.size <= this.#limits.connectionsMax) return;
    const [oldest = socket] = this.#waiting;
    this.#waiting.delete(oldest); // It closes later; the next one shall find another.
    oldest.destroy();
  }
}
