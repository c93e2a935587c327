/**
 * The connections of an HTTP server, so that those who hold one and say nothing keep nobody out: one
 * too many pushes out the oldest that has not sent its whole request.
 */
import type { Server, Socket } from "node:net";

export class WaitingConnections {
  readonly #connectionsMax: number;
  /** Oldest first. */
  readonly #waiting = new Set<Socket>();
  readonly #open = new Set<Socket>();

  constructor(connectionsMax: number) {
    this.#connectionsMax = connectionsMax;
  }

  /** Follows the server's connections from now on. */
  follow(server: Server): void {
    server.on("connection", (socket) => this.#add(socket));
  }

  /** The whole request is there, and the connection stays until it was answered. */
  onRequest(socket: Socket): void {
    this.#waiting.delete(socket);
  }

  #add(socket: Socket): void {
    socket.once("close", () => {
      this.#waiting.delete(socket);
      this.#open.delete(socket);
    });
    this.#open.add(socket);
    this.#waiting.add(socket);
    if (this.#open.size <= this.#connectionsMax) return;
    const [oldest = socket] = this.#waiting;
    this.#waiting.delete(oldest); // It closes later; the next one shall find another.
    this.#open.delete(oldest);
    oldest.destroy();
  }
}
