/**
 * The other daemons. The network decides who may connect and what is small enough to look at; it
 * knows no trust. Records it receives go to `onGossip` and `onSyncRecords`, whose verdicts come back
 * later.
 */
import type { SyncEntry, SyncWant } from "../core/mesh/sync-entry.ts";
import type { TrustDomain } from "../core/spiffe/trust-domain.ts";

/**
 * What gossipsub does with a message and with the forwarder's score, and what a record cost that sync
 * brought. `unjudged`: not looked at, for reasons of our own; another copy is taken, and the forwarder
 * is asked for a round of sync.
 */
export type Verdict = "accept" | "ignore" | "reject" | "unjudged";

export interface PeerConnection {
  readonly peerId: string;
  readonly addresses: readonly string[];
  readonly connectedSinceMs: number;
  readonly direction: "inbound" | "outbound";
  readonly latencyMs: number | undefined;
  /** Messages of this peer that got the verdict reject. */
  readonly rejected: number;
  /** Messages of this peer beyond its budget, that were not looked at. */
  readonly overBudget: number;
  /** Its gossip is not looked at now, because of what it sent; sync goes on. */
  readonly graylisted: boolean;
}

/** An attempt to connect that failed at each of its addresses. */
export interface DialFailure {
  readonly peerId: string;
  /** Those that list the peer. */
  readonly trustDomains: readonly string[];
  readonly addresses: readonly string[];
  readonly atMs: number;
  /** In the words of the system or of Noise, which may quote the peer. At most 200 characters. */
  readonly reason: string;
}

export interface PeerNetworkEvents {
  /** A record of at most 128 KiB from gossip. Resolves with the verdict; never rejects. */
  onGossip(envelope: Uint8Array, peerId: string): Promise<Verdict>;
  /** A head of at most 1 KiB from gossip. Resolves with the verdict; never rejects. */
  onGossipHead(envelope: Uint8Array, peerId: string): Promise<Verdict>;
  /** Records from a sync round, in the order the peer sent them. Resolves with a verdict for each. */
  onSyncRecords(envelopes: readonly Uint8Array[], peerId: string): Promise<readonly Verdict[]>;
  /**
   * Somebody whom nobody admits gave us this record, of at most 128 KiB, at the recovery door, which is
   * open once a second. Resolves with whether it was taken; never rejects.
   */
  onDoor(envelope: Uint8Array): Promise<boolean>;
  /** A peer answered a sync round with what it holds of the domains that both want, in no order. */
  onSynced(peerId: string, entries: readonly SyncEntry[]): void;
  onPeerConnected(peerId: string): void;
  onPeerLost(peerId: string): void;
}

/** What sync serves and asks, from the mesh state; `records` reads the store. */
export interface SyncSource {
  /** Another number after each change of what `wanted` or `entries` say; until then neither is asked. */
  revision(): number;
  /** Domains we want from peers: the own one and every pinned one. */
  wanted(): readonly TrustDomain[];
  /** What we hold of these domains. */
  entries(wanted: readonly string[]): readonly SyncEntry[];
  /** Which of a peer's entries we are missing. */
  missing(entries: readonly SyncEntry[]): readonly SyncWant[];
  /** Envelopes for a peer's wants, in version order, at most 64 and 1 MiB. */
  records(wants: readonly SyncWant[]): Promise<readonly Uint8Array[]>;
}

export interface PeerNetwork {
  /** This node's id and the multiaddrs it can be dialed at, with `/p2p/…`. */
  readonly peerId: string;
  addresses(): readonly string[];
  start(): Promise<void>;
  /** Closes every connection. Resolves within 2 s. */
  stop(): Promise<void>;
  /** Gossips one envelope. Never rejects: whoever misses it is repaired by sync. */
  publish(envelope: Uint8Array): Promise<void>;
  /** Gossips one head, of at most 1 KiB. Never rejects: whoever misses it hears the next one. */
  publishHead(envelope: Uint8Array): Promise<void>;
  /**
   * Replaces the nodes (public keys of 32 bytes, at most 16) that may stay connected for a trust
   * domain; others are dropped after 10 s. What they may make us do is counted for it as a whole, and
   * stays counted when its nodes change.
   */
  admit(trustDomain: string, nodes: readonly Uint8Array[]): void;
  /**
   * Addresses to keep trying, with back-off, while their peer is not connected. They came from a trust
   * domain and prove nothing: only those of nodes that it lists are tried, and when it lists no node
   * any more, they are forgotten.
   */
  dial(trustDomain: string, addresses: readonly string[]): void;
  connections(): readonly PeerConnection[];
  /** The last attempt for each admitted peer that is not connected, where it failed. */
  dialFailures(): readonly DialFailure[];
  /**
   * Gives a record, of at most 128 KiB, at the recovery door of a peer that may not admit us, at a
   * multiaddr that ends in `/p2p/…`. Resolves within 15 s with whether it was taken: false, too, when the
   * peer was not reached, or admits us and has no door for us. Never rejects.
   */
  knock(address: string, envelope: Uint8Array): Promise<boolean>;
  /** One sync round with this peer now, besides those on connect and every 10 s. */
  syncNow(peerId: string): Promise<void>;
}
