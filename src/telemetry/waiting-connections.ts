/**
 * The connections of an HTTP server, so that those who hold one and say nothing keep nobody out: one
 * too many pushes out the oldest that has not sent its whole request.
 */
import type { Duplex } from "node:stream";

export class WaitingConnections {
  readonly #connectionsMax: number;
  /** Oldest first. */
  readonly #waiting = new Set<Duplex>();
  readonly #open = new Set<Duplex>();

  constructor(connectionsMax: number) {
    this.#connectionsMax = connectionsMax;
  }

  /** The whole request is there, and the connection stays until it was answered. */
  onRequest(socket: Duplex): void {
    this.#waiting.delete(socket);
  }

  add(socket: Duplex): void {
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
