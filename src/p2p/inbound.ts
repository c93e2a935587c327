/**
 * Who may begin to connect to us. A peer proves its key by the Noise handshake, which costs us 6 ms
 * and a place among the pending ones; until then all that is known of it is its address.
 *
 * Addresses prove nothing and are shared: behind a NAT or the egress of a cluster are many honest
 * nodes, loopback and private ones included. So members are never counted against their subnet,
 * only who has not proved to be one: connections that wait, and handshakes that came to nothing. What
 * ended before its handshake cost us nothing and counts for nothing.
 *
 * Whoever shares a subnet with an attacker has a share of the handshakes that are begun there in
 * spite of that. Who dials tries again at once meanwhile (dialer.ts), from both ends.
 */
import type { MessageStream, MultiaddrConnection } from "@libp2p/interface";
import { BoundedMap } from "../core/std/bounded-map.ts";
import { FadingCount } from "../core/std/fading-count.ts";
import { PENDING_A_SUBNET_MAX } from "../core/std/limits.ts";
import { type Rate, TokenBucket } from "../core/std/token-bucket.ts";
import { subnetOf } from "./subnet.ts";

/**
 * An honest peer asks for Noise after one round trip. Who has not by then is closed as soon as
 * somebody else of its subnet needs the place.
 */
const SILENT_MS = 500;
/**
 * Connections that have not proved a key yet, from where no member ever connected from. Above: refused,
 * members find room.
 */
const PENDING_UNKNOWN_MAX = 64;
/**
 * Handshakes that came to nothing, a subnet, fading over ten seconds: a burst, then six a second.
 * Above: refused before the handshake, until it has faded, but for the spare ones.
 */
const FAILED_A_SUBNET_MAX = 64;
const FAILED_FADES_MS = 10_000;
/**
 * Handshakes that are begun all the same, so that a member behind the address of a flood gets its
 * turn: of 150 connections a second one in seven. For all subnets together where members came from, and
 * as many for all others, as after a restart nobody has come yet: each is 12 % of a core at 6 ms
 * (measured). Above: refused.
 */
const SPARE_RATE: Rate = { perSecond: 20, burst: 20 };
/** Subnets whose failures and members are remembered. Above: the longest known ones are forgotten. */
const SUBNETS_MAX = 4_096;

interface Pending {
  readonly subnet: string;
  readonly sinceMs: number;
  /** Its handshake has begun. */
  costs: boolean;
}

export class InboundGate {
  readonly #nowMs: () => number;
  /** Connections that have not proved a key yet: INBOUND_PENDING_MAX, as libp2p asks us only below. */
  readonly #pending = new Map<MessageStream, Pending>();
  readonly #failed = new BoundedMap<string, FadingCount>(SUBNETS_MAX);
  /** Subnets where a member proved its key, whoever dialed. */
  readonly #memberSubnets = new BoundedMap<string, true>(SUBNETS_MAX);
  readonly #spareForMembers: TokenBucket;
  readonly #spareForUnknown: TokenBucket;
  /** Connections refused before their handshake. */
  refused = 0;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
    this.#spareForMembers = new TokenBucket(SPARE_RATE, nowMs());
    this.#spareForUnknown = new TokenBucket(SPARE_RATE, nowMs());
  }

  /** Whether the connection may begin its handshake. */
  begin(connection: MultiaddrConnection): boolean {
    const subnet = subnetOf(connection.remoteAddr);
    if (this.#isFull(subnet)) this.#closeSilent(subnet);
    if (this.#isFull(subnet) || !this.#hasRoom(subnet) || !this.#mayCost(subnet)) {
      this.refused += 1;
      return false;
    }
    this.#pending.set(connection, { subnet, sinceMs: this.#nowMs(), costs: false });
    connection.addEventListener("close", () => this.proved(connection, "nothing"), { once: true });
    return true;
  }

  /** The peer asked for Noise: from now on it costs us. */
  onHandshake(connection: MessageStream): void {
    const pending = this.#pending.get(connection);
    if (pending !== undefined) pending.costs = true;
  }

  /** The handshake is over: with a member that is let in, or with nothing that we want. */
  proved(connection: MultiaddrConnection, what: "member" | "nothing"): void {
    const pending = this.#pending.get(connection);
    if (pending === undefined) return;
    this.#pending.delete(connection);
    if (what === "member") this.onMemberAt(connection);
    else if (pending.costs) this.#failedAt(pending.subnet);
  }

  /** A member has proved its key at the other end. */
  onMemberAt({ remoteAddr }: MultiaddrConnection): void {
    this.#memberSubnets.set(subnetOf(remoteAddr), true);
  }

  #failedAt(subnet: string): void {
    const failed = this.#failed.get(subnet) ?? new FadingCount(FAILED_FADES_MS);
    failed.add(1, this.#nowMs());
    this.#failed.set(subnet, failed);
  }

  #isFull(subnet: string): boolean {
    const ofSubnet = [...this.#pending.values()].filter((each) => each.subnet === subnet);
    return ofSubnet.length >= PENDING_A_SUBNET_MAX;
  }

  /** Closes the connection of the subnet that has been silent for longest, if any was too long. */
  #closeSilent(subnet: string): void {
    const latestMs = this.#nowMs() - SILENT_MS;
    for (const [connection, pending] of this.#pending) {
      if (pending.subnet !== subnet || pending.costs || pending.sinceMs > latestMs) continue;
      this.#pending.delete(connection);
      connection.abort(new Error("silent, and others wait"));
      return;
    }
  }

  #hasRoom(subnet: string): boolean {
    if (this.#memberSubnets.has(subnet)) return true;
    const pending = [...this.#pending.values()];
    const unknown = pending.filter((each) => !this.#memberSubnets.has(each.subnet));
    return unknown.length < PENDING_UNKNOWN_MAX;
  }

  #mayCost(subnet: string): boolean {
    const failed = this.#failed.get(subnet)?.at(this.#nowMs()) ?? 0;
    if (failed < FAILED_A_SUBNET_MAX) return true;
    const isKnown = this.#memberSubnets.has(subnet);
    return (isKnown ? this.#spareForMembers : this.#spareForUnknown).take(this.#nowMs());
  }
}
