/**
 * Connections whose peer is not admitted. Each is cut after a while: long enough for identify and
 * ping, and for an operator who is just importing the partner.
 */
import type { Connection, PeerId } from "@libp2p/interface";
import type { Multiaddr } from "@multiformats/multiaddr";
import { STRANGERS_MAX } from "../core/std/limits.ts";
import { subnetOf } from "./subnet.ts";

/**
 * Of all strangers, from one subnet. Above: refused, so that one holder of addresses keeps no new partner
 * out.
 */
const STRANGERS_A_SUBNET_MAX = 16;

export class Strangers {
  readonly #keptMs: number;
  readonly #timers = new Map<Connection, NodeJS.Timeout>();

  constructor(keptMs: number) {
    this.#keptMs = keptMs;
  }

  hasRoom(address: Multiaddr): boolean {
    const subnet = subnetOf(address);
    const connections = [...this.#timers.keys()];
    const nearby = connections.filter(({ remoteAddr }) => subnetOf(remoteAddr) === subnet);
    return connections.length < STRANGERS_MAX && nearby.length < STRANGERS_A_SUBNET_MAX;
  }

  /** Cuts the connection when its time is over. */
  watch(connection: Connection): void {
    const cut = (): void => connection.abort(new Error("not admitted"));
    this.#timers.set(connection, setTimeout(cut, this.#keptMs));
  }

  /** The connection is closed. */
  forget(connection: Connection): void {
    clearTimeout(this.#timers.get(connection));
    this.#timers.delete(connection);
  }

  /** The peer was admitted: its connections stay. */
  release(peerId: PeerId): void {
    for (const connection of this.#timers.keys()) {
      if (connection.remotePeer.equals(peerId)) this.forget(connection);
    }
  }

  stop(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }
}
