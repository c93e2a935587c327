/**
 * Where admitted nodes may be dialed: what the operator wrote down, and hints by the trust domain that
 * they came from, so that none pushes out another's. All of them take turns, and so do those whom they
 * came from.
 */
import type { PeerId } from "@libp2p/interface";
import type { Multiaddr } from "@multiformats/multiaddr";
import { type PeerAddress, readPeerAddress } from "./address.ts";
import { ADDRESS_HINTS_MAX } from "../core/std/limits.ts";
import type { PeerNetworkLog } from "./log.ts";

/** Hints kept of one trust domain for one of its nodes. Above: the oldest go. */
const HINTS_A_PEER_MAX = 8;
/** Addresses in one attempt; the next attempt goes on with the following ones. */
const ADDRESSES_A_DIAL_MAX = 3;

export interface DialAddressesOptions {
  readonly self: PeerId;
  readonly log: PeerNetworkLog;
}

export class DialAddresses {
  readonly #options: DialAddressesOptions;
  #configured: readonly PeerAddress[] = [];
  /** By the trust domain that they came from, the newest first. */
  readonly #hints = new Map<string, readonly PeerAddress[]>();

  constructor(options: DialAddressesOptions) {
    this.#options = options;
  }

  /**
   * Replaces the addresses that the operator wrote down, which are for peers of any trust domain. What
   * is not an address is left out.
   * @returns The peers that have one now that they had not before, by peer id text.
   */
  configure(addresses: readonly string[]): ReadonlySet<string> {
    const before = this.#configured;
    this.#configured = this.#read(addresses);
    return peersWithNew(this.#configured, before);
  }

  /**
   * Remembers addresses that came from a trust domain. What is not an address is left out.
   * @returns The peers that have one now that they had not before, by peer id text.
   */
  hint(trustDomain: string, addresses: readonly string[]): ReadonlySet<string> {
    const before = this.#hints.get(trustDomain) ?? [];
    const hints = newestOf([...this.#read(addresses), ...before]);
    this.#hints.set(trustDomain, hints);
    return peersWithNew(hints, before);
  }

  /** The trust domain lists no node any more. */
  forget(trustDomain: string): void {
    this.#hints.delete(trustDomain);
  }

  /**
   * The addresses of one attempt.
   * @param listedBy The trust domains that list the peer: whose hints count.
   * @param attempts How many were made before it.
   */
  forAttempt(peerId: PeerId, listedBy: readonly string[], attempts: number): readonly Multiaddr[] {
    const hints = listedBy.map((name) => this.#hints.get(name) ?? []);
    const all = interleaved([this.#configured, ...hints].map((each) => forPeer(each, peerId)));
    const start = (attempts * ADDRESSES_A_DIAL_MAX) % Math.max(all.length, 1);
    return [...all.slice(start), ...all.slice(0, start)].slice(0, ADDRESSES_A_DIAL_MAX);
  }

  #read(addresses: readonly string[]): readonly PeerAddress[] {
    return addresses.flatMap((text) => {
      const read = readPeerAddress(text);
      if (read.ok) return read.value.peerId.equals(this.#options.self) ? [] : read.value;
      this.#options.log("info", "dialer: address left out", { reason: read.reason });
      return [];
    });
  }
}

function peersWithNew(
  addresses: readonly PeerAddress[],
  before: readonly PeerAddress[],
): ReadonlySet<string> {
  const known = new Set(before.map(({ address }) => address.toString()));
  const news = addresses.filter(({ address }) => !known.has(address.toString()));
  return new Set(news.map(({ peerId }) => peerId.toString()));
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
