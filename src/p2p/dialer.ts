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
import { DialAddresses } from "./dial-addresses.ts";
import type { DialFailure } from "../ports/peer-network.ts";
import type { PeerNetworkLog } from "./log.ts";

/**
 * Three addresses at the connection manager's limit each, and time in its queue. Then: tried again
 * later.
 */
const DIAL_DEADLINE_MS = 15_000;
/** Spread of a first attempt: two daemons that learn of each other at once shall not both dial. */
const FIRST_DELAY_MS = 250;
const RETRY_FROM_MS = 500;
const RETRY_TO_MS = 15_000;
/**
 * Of what is said of a failed attempt, in characters: three addresses' worth. One is kept for each
 * admitted node, so 10,000 partners of sixteen nodes take 32 MB of Latin letters at the worst. Above: cut off.
 */
const REASON_LENGTH_MAX = 200;
/** So many in vain, and the wait is the longest. */
const ATTEMPTS_OF_LONGEST_WAIT = 6;

export interface DialerOptions {
  readonly self: PeerId;
  /** From 0 up to 1. */
  readonly random: () => number;
  /** The time of day, for people: milliseconds of Unix time. */
  readonly wallClockMs: () => number;
  readonly log: PeerNetworkLog;
}

export interface DialerPorts {
  /** Whether the peer is admitted and not connected. */
  wants(peerId: PeerId): boolean;
  /** The trust domains that list the peer. */
  listedBy(peerId: PeerId): readonly string[];
  /** Whether one more connection of our own making, with this peer, is within bounds. */
  hasRoom(peerId: PeerId): boolean;
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

interface Failure {
  readonly addresses: readonly Multiaddr[];
  readonly atMs: number;
  readonly reason: string;
}

interface Target {
  readonly peerId: Ed25519PeerId;
  /** Since the peer last proved that it admits us. */
  attempts: number;
  timer: NodeJS.Timeout | undefined;
  dialing: boolean;
  /** The last attempt reached somebody who hung up on us. */
  hungUp: boolean;
  /** Of the last attempt, if it failed and the peer has not proved since that it admits us. */
  failure: Failure | undefined;
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
  readonly #addresses: DialAddresses;

  constructor(options: DialerOptions, ports: DialerPorts) {
    this.#options = options;
    this.#ports = ports;
    this.#addresses = new DialAddresses(options);
  }

  /** Replaces the addresses that the operator wrote down, which are for peers of any trust domain. */
  configure(addresses: readonly string[]): void {
    for (const target of this.#targetsOf(this.#addresses.configure(addresses))) {
      this.#restart(target);
    }
  }

  /** Remembers addresses that came from a trust domain. What is not an address is left out. */
  hint(trustDomain: string, addresses: readonly string[]): void {
    for (const target of this.#targetsOf(this.#addresses.hint(trustDomain, addresses))) {
      if (this.#ports.listedBy(target.peerId).includes(trustDomain))
        this.#hurry(target, [trustDomain]);
    }
  }

  /** The trust domain lists no node any more. */
  forget(trustDomain: string): void {
    this.#addresses.forget(trustDomain);
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
    if (target === undefined) return;
    target.attempts = 0;
    target.failure = undefined;
  }

  failures(): readonly DialFailure[] {
    return [...this.#targets.values()].flatMap((target) => {
      if (target.failure === undefined || !this.#isDialable(target)) return [];
      const { atMs, reason } = target.failure;
      const peerId = target.peerId.toString();
      const trustDomains = this.#ports.listedBy(target.peerId);
      return {
        peerId,
        trustDomains,
        addresses: target.failure.addresses.map(String),
        atMs,
        reason,
      };
    });
  }

  stop(): void {
    this.#stopping.abort(new Error("stopping"));
    for (const { timer } of this.#targets.values()) clearTimeout(timer);
  }

  #targetsOf(ids: ReadonlySet<string>): readonly Target[] {
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
      if (this.#ports.hasRoom(target.peerId)) {
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
      // Who came to us meanwhile may have proved itself already.
      target.failure = this.#ports.wants(target.peerId)
        ? { addresses, atMs: this.#options.wallClockMs(), reason }
        : undefined;
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

  #addressesOf({ peerId, attempts }: Target): readonly Multiaddr[] {
    return this.#addresses.forAttempt(peerId, this.#ports.listedBy(peerId), attempts);
  }
}

/** What went wrong at each address: libp2p's own sentence about several says nothing. */
function reasonOf(error: unknown): string {
  const errors: readonly unknown[] = error instanceof AggregateError ? error.errors : [error];
  const reasons = errors.map((each) => (each instanceof Error ? each.message : String(each)));
  const cut = [...new Set(reasons)].join("; ").slice(0, REASON_LENGTH_MAX);
  return Buffer.from(cut).toString(); // A copy: V8 keeps the whole of what it cut this from.
}
