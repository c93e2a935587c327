/**
 * Who may begin to connect to us. A peer proves its key by the Noise handshake, which costs us 2 ms
 * and a place among the pending ones; until then all that is known of it is its address.
 *
 * Addresses prove nothing and are shared: behind a NAT or the egress of a cluster are many honest
 * nodes, loopback and private ones included. So members are never counted against their subnet,
 * only who has not proved to be one: handshakes under way, and those that came to nothing. Whoever
 * shares a subnet with an attacker and is refused is still found by our own dialing.
 */
import type { MultiaddrConnection } from "@libp2p/interface";
import { FadingCount } from "../core/std/fading-count.ts";
import { subnetOf } from "./subnet.ts";

/** Inbound connections that have not proved a key yet; for libp2p. Above: refused at once. */
export const INBOUND_PENDING_MAX = 100;
/** Of these, how many may come from one subnet: at 20 to 200 ms each, 160 members a second still do. */
const PENDING_A_SUBNET_MAX = 32;
/**
 * Of these, how many may come from where no member ever connected from. Above: refused, members
 * find room.
 */
const PENDING_UNKNOWN_MAX = 64;
/**
 * Handshakes that came to nothing, a subnet, fading over ten seconds: a burst, then six a second.
 * Above: refused before the handshake, until it has faded.
 */
const FAILED_A_SUBNET_MAX = 64;
const FAILED_FADES_MS = 10_000;
/** Subnets whose failures and members are remembered. Above: the longest known ones are forgotten. */
const SUBNETS_MAX = 4_096;

export class InboundGate {
  readonly #nowMs: () => number;
  /** By subnet; at most {@link INBOUND_PENDING_MAX} in all, as libp2p asks us only below that. */
  readonly #pending = new Map<MultiaddrConnection, string>();
  readonly #failed = new Map<string, FadingCount>();
  /** Subnets that a member connected from. */
  readonly #memberSubnets = new Set<string>();
  /** Connections refused before their handshake. */
  refused = 0;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Whether the connection may begin its handshake. */
  begin(connection: MultiaddrConnection): boolean {
    const subnet = subnetOf(connection.remoteAddr);
    if (!this.#hasRoom(subnet)) {
      this.refused += 1;
      return false;
    }
    this.#pending.set(connection, subnet);
    connection.addEventListener("close", () => this.proved(connection, "nothing"), { once: true });
    return true;
  }

  /** The handshake is over: with a member that is let in, or with nothing that we want. */
  proved(connection: MultiaddrConnection, what: "member" | "nothing"): void {
    const subnet = this.#pending.get(connection);
    if (subnet === undefined) return;
    this.#pending.delete(connection);
    if (what === "member") {
      remember(this.#memberSubnets, subnet);
      return;
    }
    const failed = this.#failed.get(subnet) ?? new FadingCount(FAILED_FADES_MS);
    this.#failed.delete(subnet);
    this.#failed.set(subnet, failed);
    failed.add(1, this.#nowMs());
    forgetOldest(this.#failed);
  }

  #hasRoom(subnet: string): boolean {
    const pending = [...this.#pending.values()];
    const ofSubnet = pending.filter((each) => each === subnet).length;
    const unknown = pending.filter((each) => !this.#memberSubnets.has(each)).length;
    return (
      ofSubnet < PENDING_A_SUBNET_MAX &&
      (unknown < PENDING_UNKNOWN_MAX || this.#memberSubnets.has(subnet)) &&
      (this.#failed.get(subnet)?.at(this.#nowMs()) ?? 0) < FAILED_A_SUBNET_MAX
    );
  }
}

function remember(subnets: Set<string>, subnet: string): void {
  subnets.delete(subnet);
  subnets.add(subnet);
  forgetOldest(subnets);
}

function forgetOldest(known: Map<string, unknown> | Set<string>): void {
  const [oldest] = known.keys();
  if (known.size > SUBNETS_MAX && oldest !== undefined) known.delete(oldest);
}
