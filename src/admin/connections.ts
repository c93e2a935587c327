/**
 * The connections of the admin socket, from the first byte of a request to the last of its answer.
 *
 *     waiting for its request ── request is whole ──▶ being answered ── read ──▶ closed
 *        │ too many: the oldest goes                     │ not read in time: goes
 */
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { Fault } from "../fault.ts";
import { WaitingConnections } from "../telemetry/waiting-connections.ts";
import type { AdminLimits } from "./limits.ts";

export class Connections {
  readonly #limits: AdminLimits;
  readonly #waiting: WaitingConnections;
  readonly #answered = new Set<Socket>();

  constructor(limits: AdminLimits) {
    this.#limits = limits;
    this.#waiting = new WaitingConnections(limits.connectionsMax);
  }

  add(connection: Duplex): void {
    this.#waiting.add(connection);
  }

  /** The whole request has arrived. Throws `BUSY` when too much waits to be read already. */
  beginAnswer(socket: Socket): void {
    if (socket.destroyed) return; // The caller is gone: no `close` would end what begins here.
    let unread = 0;
    for (const { writableLength } of this.#answered) unread += writableLength;
    if (unread > this.#limits.unreadBytesMax) {
      throw new Fault("BUSY", "Too many answers wait to be read by others.");
    }
    this.#waiting.onRequest(socket);
    this.#answered.add(socket);
    socket.once("close", () => this.#answered.delete(socket));
  }

  /**
   * The whole answer goes out: from now on it is for the caller to read it. A daemon that stops does
   * not wait for that.
   */
  endAnswer(socket: Socket): void {
    if (socket.destroyed) return;
    const timer = setTimeout(() => socket.destroy(), this.#limits.replyDeadlineMs).unref();
    socket.once("close", () => clearTimeout(timer));
  }
}
