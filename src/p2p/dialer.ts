/**
 * Keeps trying to connect to every admitted node that we know an address of.
 *
 *     idle ── admitted, address known ──▶ waiting ── its time ──▶ dialing ──▶ connected
 *                                           ▲                        │            │ lost
 *                                           └──────── failed ────────┴────────────┘
 *
 * The wait doubles with every attempt until the peer proves that it admits us, so a partner that
 * has not imported us yet is asked ever less often, and one that restarted is found at once.
 *
 * Who is there but hangs up before it has proved a key may be flooded, and takes in one of so many
 * (inbound.ts): it is tried again soon. Hints may lead to somebody else, and a record lists new nodes
 * for nothing, so all that does not wait is paid by the trust domain that lists the node.
 */
import type { Ed25519PeerId, PeerId } from "@libp2p/interface";
import type { Multiaddr } from "@multiformats/multiaddr";
import { type PeerAddress, readPeerAddress } from "./address.ts";
import type { DialFailure } from "../ports/peer-network.ts";
import { ADDRESS_HINTS_MAX } from "../core/std/limits.ts";
import type { PeerNetworkLog } from "./log.ts";

/** Hints kept of one trust domain for one of its nodes. Above: the oldest go. */
const HINTS_A_PEER_MAX = 8;
/** Addresses in one attempt; the next attempt goes on with the following ones. */
const ADDRESSES_A_DIAL_MAX = 3;
/**
 * Three addresses at the connection manager's limit each, and time in its queue. Then: tried again
 * later.
 */
const DIAL_DEADLINE_MS = 15_000;
/** Spread of a first attempt: two daemons that learn of each other at once shall not both dial. */
const FIRST_DELAY_MS = 250;
const RETRY_FROM_MS = 500;
const RETRY_TO_MS = 15_000;
/** Of what is said of a failed attempt, in characters. Above: cut off. */
const REASON_LENGTH_MAX = 500;
/** So many in vain, and the wait is the longest. */
const ATTEMPTS_OF_LONGEST_WAIT = 6;

export interface DialerOptions {
  readonly self: PeerId;
  /** From 0 up to 1. */
  readonly random: () => number;
  readonly log: PeerNetworkLog;
}

export interface DialerPorts {
  /** Whether the peer is admitted and not connected. */
  wants(peerId: PeerId): boolean;
  /** The trust domains that list the peer. */
  listedBy(peerId: PeerId): readonly string[];
  /** Whether one more connection of our own making is within bounds. */
  hasRoom(): boolean;
  /** Whether one of the trust domains has an attempt left that does not wait; takes it. */
  mayHurry(trustDomains: readonly string[]): boolean;
  /** Resolves when connected. */
  dial(addresses: readonly Multiaddr[], options: DialOptions): Promise<unknown>;
}

export interface DialOptions {
  readonly signal: AbortSignal;
  /** Somebody took our connection, who has proved nothing yet. */
  readonly onReached: () => void;
}

interface Target {
  readonly peerId: Ed25519PeerId;
  /** Since the peer last proved that it admits us. */
  attempts: number;
  timer: NodeJS.Timeout | undefined;
  dialing: boolean;
  /** The last attempt reached somebody who hung up on us. */
  hungUp: boolean;
  /** Of the last attempt, if it failed. */
  failure: Pick<DialFailure, "addresses" | "atMs" | "reason"> | undefined;
}

/**
 * How long to wait before an attempt, in milliseconds.
 * @param attempts How many were made in vain: 0 is the first.
 * @param random From 0 up to 1.
 */
export function dialDelayMs(attempts: number, random: number): number {
  if (attempts === 0) return random * FIRST_DELAY_MS;
  const fullMs = Math.min(RETRY_TO_MS, RETRY_FROM_MS * 2 ** (attempts - 1));
  return fullMs * (0.5 + random / 2);
}

export class Dialer {
  readonly #options: DialerOptions;
  readonly #ports: DialerPorts;
  /** Admitted peers, by peer id text. */
  readonly #targets = new Map<string, Target>();
  readonly #stopping = new AbortController();
  #configured: readonly PeerAddress[] = [];
  /** By the trust domain that they came from, the newest first: none pushes out another's. */
  readonly #hints = new Map<string, readonly PeerAddress[]>();

  constructor(options: DialerOptions, ports: DialerPorts) {
    this.#options = options;
    this.#ports = ports;
  }

  /** Replaces the addresses that the operator wrote down, which are for peers of any trust domain. */
  configure(addresses: readonly string[]): void {
    const before = this.#configured;
    this.#configured = this.#read(addresses);
    for (const target of this.#withNew(this.#configured, before)) this.#restart(target);
  }

  /** Remembers addresses that came from a trust domain. What is not an address is left out. */
  hint(trustDomain: string, addresses: readonly string[]): void {
    const before = this.#hints.get(trustDomain) ?? [];
    const hints = newestOf([...this.#read(addresses), ...before]);
    this.#hints.set(trustDomain, hints);
    for (const target of this.#withNew(hints, before)) {
      if (this.#ports.listedBy(target.peerId).includes(trustDomain))
        this.#hurry(target, [trustDomain]);
    }
  }

  /** The trust domain lists no node any more. */
  forget(trustDomain: string): void {
    this.#hints.delete(trustDomain);
  }

  /** The peer was admitted: tries at once, whatever happened before, or after the longest wait. */
  admitted(peerId: Ed25519PeerId): void {
    const id = peerId.toString();
    const target = this.#targets.get(id) ?? {
      peerId,
      attempts: 0,
      timer: undefined,
      dialing: false,
      hungUp: false,
      failure: undefined,
    };
    this.#targets.set(id, target);
    this.#hurry(target, this.#ports.listedBy(peerId));
  }

  /** The peer is not admitted any more. */
  removed(peerId: PeerId): void {
    clearTimeout(this.#targets.get(peerId.toString())?.timer);
    this.#targets.delete(peerId.toString());
  }

  /** The peer was lost: tries again if it is still wanted. */
  lost(peerId: PeerId): void {
    const target = this.#targets.get(peerId.toString());
    if (target !== undefined) this.#schedule(target);
  }

  /** The peer proved that it admits us: when it is lost, it is tried again at once. */
  proven(peerId: PeerId): void {
    const target = this.#targets.get(peerId.toString());
    if (target !== undefined) target.attempts = 0;
  }

  failures(): readonly DialFailure[] {
    return [...this.#targets.values()].flatMap(({ peerId, failure }) => {
      if (failure === undefined || !this.#ports.wants(peerId)) return [];
      const { addresses, atMs, reason } = failure;
      const trustDomains = this.#ports.listedBy(peerId);
      return { peerId: peerId.toString(), trustDomains, addresses, atMs, reason };
    });
  }

  stop(): void {
    this.#stopping.abort(new Error("stopping"));
    for (const { timer } of this.#targets.values()) clearTimeout(timer);
  }

  #read(addresses: readonly string[]): readonly PeerAddress[] {
    return addresses.flatMap((text) => {
      const read = readPeerAddress(text);
      if (read.ok) return read.value.peerId.equals(this.#options.self) ? [] : read.value;
      this.#options.log("info", "dialer: address left out", { reason: read.reason });
      return [];
    });
  }

  /** Peers that have an address now that they had not before. */
  #withNew(addresses: readonly PeerAddress[], before: readonly PeerAddress[]): readonly Target[] {
    const known = new Set(before.map(({ address }) => address.toString()));
    const news = addresses.filter(({ address }) => !known.has(address.toString()));
    const ids = new Set(news.map(({ peerId }) => peerId.toString()));
    return [...ids].flatMap((id) => this.#targets.get(id) ?? []);
  }

  /** Tries at once if one of the trust domains pays for it, else when its time comes. */
  #hurry(target: Target, payers: readonly string[]): void {
    if (!this.#isDialable(target)) return;
    if (this.#ports.mayHurry(payers)) {
      this.#restart(target);
      return;
    }
    if (target.attempts === 0) target.attempts = ATTEMPTS_OF_LONGEST_WAIT;
    this.#schedule(target);
  }

  #restart(target: Target): void {
    clearTimeout(target.timer);
    target.timer = undefined;
    target.attempts = 0;
    target.hungUp = false;
    this.#schedule(target);
  }

  #schedule(target: Target): void {
    if (this.#stopping.signal.aborted || target.dialing || target.timer !== undefined) return;
    if (!this.#isDialable(target)) return;
    target.timer = setTimeout(
      () => {
        target.timer = undefined;
        void this.#attempt(target);
      },
      dialDelayMs(target.hungUp ? 1 : target.attempts, this.#options.random()),
    );
  }

  async #attempt(target: Target): Promise<void> {
    const addresses = this.#addressesOf(target);
    if (!this.#isDialable(target)) return;
    target.attempts += 1;
    target.dialing = true;
    target.hungUp = false;
    let reached = false;
    try {
      if (this.#ports.hasRoom()) {
        const deadline = AbortSignal.timeout(DIAL_DEADLINE_MS);
        await this.#ports.dial(addresses, {
          signal: AbortSignal.any([this.#stopping.signal, deadline]),
          onReached: () => {
            reached = true;
          },
        });
        target.failure = undefined;
      }
    } catch (error) {
      const reason = reasonOf(error);
      target.failure = { addresses: addresses.map(String), atMs: Date.now(), reason };
      target.hungUp = reached && this.#ports.mayHurry(this.#ports.listedBy(target.peerId));
      this.#options.log("debug", "dialer: attempt failed", {
        peer_id: target.peerId.toString(),
        attempts: target.attempts,
        reason,
      });
    } finally {
      target.dialing = false;
    }
    this.#schedule(target); // Also when connected and lost in the same breath.
  }
  /** Admitted, not connected, and we know where it may be. */
  #isDialable(target: Target): boolean {
    const { peerId } = target;
    const isTarget = this.#targets.get(peerId.toString()) === target;
    return isTarget && this.#ports.wants(peerId) && this.#addressesOf(target).length > 0;
  }

  /** The addresses of this attempt: all of them take turns, and so do those whom they came from. */
  #addressesOf({ peerId, attempts }: Target): readonly Multiaddr[] {
    const hints = this.#ports.listedBy(peerId).map((name) => this.#hints.get(name) ?? []);
    const all = interleaved([this.#configured, ...hints].map((each) => forPeer(each, peerId)));
    const start = (attempts * ADDRESSES_A_DIAL_MAX) % Math.max(all.length, 1);
    return [...all.slice(start), ...all.slice(0, start)].slice(0, ADDRESSES_A_DIAL_MAX);
  }
}

/** What went wrong at each address: libp2p's own sentence about several says nothing. */
function reasonOf(error: unknown): string {
  const errors: readonly unknown[] = error instanceof AggregateError ? error.errors : [error];
  const reasons = errors.map((each) => (each instanceof Error ? each.message : String(each)));
  return [...new Set(reasons)].join("; ").slice(0, REASON_LENGTH_MAX);
}

/** The addresses without repetition, as many as are kept of one trust domain. */
function newestOf(addresses: readonly PeerAddress[]): readonly PeerAddress[] {
  const kept = new Map<string, PeerAddress>();
  const ofPeer = new Map<string, number>();
  for (const each of addresses) {
    const id = each.peerId.toString();
    const count = ofPeer.get(id) ?? 0;
    if (kept.has(each.address.toString()) || count === HINTS_A_PEER_MAX) continue;
    if (kept.size === ADDRESS_HINTS_MAX) break;
    kept.set(each.address.toString(), each);
    ofPeer.set(id, count + 1);
  }
  return [...kept.values()];
}

function forPeer(addresses: readonly PeerAddress[], peerId: PeerId): readonly Multiaddr[] {
  return addresses.filter((each) => each.peerId.equals(peerId)).map(({ address }) => address);
}

/** The first of each list, then the second of each, and so on. */
function interleaved<Item>(lists: readonly (readonly Item[])[]): readonly Item[] {
  const longest = Math.max(0, ...lists.map(({ length }) => length));
  return Array.from({ length: longest }, (_, index) =>
    lists.flatMap((list) => list.slice(index, index + 1)),
  ).flat();
}
