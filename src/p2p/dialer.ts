/**
 * Keeps trying to connect to every admitted node that we know an address of.
 *
 *     idle ── admitted, address known ──▶ waiting ── its time ──▶ dialing ──▶ connected
 *                                           ▲                        │            │ lost
 *                                           └──────── failed ────────┴────────────┘
 *
 * The wait doubles with every attempt until the peer proves that it admits us, so a partner that
 * has not imported us yet is asked ever less often, and one that restarted is found at once.
 */
import type { Ed25519PeerId, PeerId } from "@libp2p/interface";
import type { Multiaddr } from "@multiformats/multiaddr";
import { type PeerAddress, readPeerAddress } from "./address.ts";
import type { PeerNetworkLog } from "./log.ts";

/** Hints kept for one peer; a newer one replaces the oldest. Configured addresses are not counted. */
const HINTS_A_PEER_MAX = 8;
/** Hints kept in all: two for each of 10,000 partners. Above: new peers are not remembered. */
const HINTS_MAX = 20_000;
/** Addresses in one attempt; the next attempt goes on with the following ones. */
const ADDRESSES_A_DIAL_MAX = 3;
/** Three addresses at the connection manager's limit each, and time in its queue. */
const DIAL_DEADLINE_MS = 15_000;
/** Spread of a first attempt: two daemons that learn of each other at once shall not both dial. */
const FIRST_DELAY_MS = 250;
const RETRY_FROM_MS = 500;
const RETRY_TO_MS = 15_000;

export interface DialerOptions {
  readonly self: PeerId;
  /** Addresses from the configuration; never forgotten. */
  readonly configured: readonly PeerAddress[];
  /** From 0 up to 1. */
  readonly random: () => number;
  readonly log: PeerNetworkLog;
}

export interface DialerPorts {
  /** Whether the peer is admitted and not connected. */
  wants(peerId: PeerId): boolean;
  /** Whether one more connection of our own making is within bounds. */
  hasRoom(): boolean;
  /** Resolves when connected. */
  dial(addresses: readonly Multiaddr[], signal: AbortSignal): Promise<void>;
}

interface Target {
  readonly peerId: Ed25519PeerId;
  readonly configured: Multiaddr[];
  /** By text; the oldest first. */
  readonly hints: Map<string, Multiaddr>;
  /** Since the peer last proved that it admits us. */
  attempts: number;
  timer: NodeJS.Timeout | undefined;
  dialing: boolean;
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
  /** By peer id text. */
  readonly #targets = new Map<string, Target>();
  readonly #stopping = new AbortController();
  #hints = 0;

  constructor(options: DialerOptions, ports: DialerPorts) {
    this.#options = options;
    this.#ports = ports;
    for (const { peerId, address } of options.configured) {
      if (!peerId.equals(options.self)) this.#target(peerId).configured.push(address);
    }
  }

  /** Remembers addresses that a file or a peer gave us. What is not an address is left out. */
  hint(addresses: readonly string[]): void {
    for (const text of addresses) {
      const read = readPeerAddress(text);
      if (read.ok) this.#remember(read.value);
      else this.#options.log("info", "dialer: hint left out", { reason: read.reason });
    }
  }

  /** The peer was admitted: tries at once, whatever happened before. */
  admitted(peerId: PeerId): void {
    const target = this.#targets.get(peerId.toString());
    if (target !== undefined) this.#restart(target);
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

  stop(): void {
    this.#stopping.abort(new Error("stopping"));
    for (const { timer } of this.#targets.values()) clearTimeout(timer);
  }

  #target(peerId: Ed25519PeerId): Target {
    const known = this.#targets.get(peerId.toString());
    if (known !== undefined) return known;
    const target: Target = {
      peerId,
      configured: [],
      hints: new Map(),
      attempts: 0,
      timer: undefined,
      dialing: false,
    };
    this.#targets.set(peerId.toString(), target);
    return target;
  }

  #remember({ peerId, address }: PeerAddress): void {
    if (peerId.equals(this.#options.self)) return;
    const key = address.toString();
    const hints = this.#targets.get(peerId.toString())?.hints ?? new Map<string, Multiaddr>();
    if (hints.has(key)) return;
    const [oldest] = hints.keys();
    if (oldest !== undefined && hints.size === HINTS_A_PEER_MAX) {
      hints.delete(oldest);
    } else if (this.#hints < HINTS_MAX) {
      this.#hints += 1;
    } else {
      this.#options.log("warn", "dialer: too many address hints", { hints: this.#hints });
      return;
    }
    const target = this.#target(peerId);
    target.hints.set(key, address);
    this.#restart(target);
  }

  #restart(target: Target): void {
    clearTimeout(target.timer);
    target.timer = undefined;
    target.attempts = 0;
    this.#schedule(target);
  }

  #schedule(target: Target): void {
    if (this.#stopping.signal.aborted || target.dialing || target.timer !== undefined) return;
    if (!this.#ports.wants(target.peerId)) return;
    target.timer = setTimeout(
      () => {
        target.timer = undefined;
        void this.#attempt(target);
      },
      dialDelayMs(target.attempts, this.#options.random()),
    );
  }

  async #attempt(target: Target): Promise<void> {
    if (!this.#ports.wants(target.peerId)) return;
    const addresses = addressesOf(target);
    target.attempts += 1;
    target.dialing = true;
    try {
      if (this.#ports.hasRoom()) {
        const { signal } = this.#stopping;
        await this.#ports.dial(
          addresses,
          AbortSignal.any([signal, AbortSignal.timeout(DIAL_DEADLINE_MS)]),
        );
      }
    } catch (error) {
      this.#options.log("debug", "dialer: attempt failed", {
        peer_id: target.peerId.toString(),
        attempts: target.attempts,
        reason: String(error),
      });
    } finally {
      target.dialing = false;
    }
    this.#schedule(target); // Also when connected and lost in the same breath.
  }
}

/** The addresses of this attempt: all of them take turns. */
function addressesOf({ configured, hints, attempts }: Target): readonly Multiaddr[] {
  const all = [...configured, ...[...hints.values()].reverse()];
  const start = (attempts * ADDRESSES_A_DIAL_MAX) % Math.max(all.length, 1);
  return [...all.slice(start), ...all.slice(0, start)].slice(0, ADDRESSES_A_DIAL_MAX);
}
