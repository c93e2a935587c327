/**
 * Every pair of daemons with a queue between them that loses, repeats and reorders. Gossip floods:
 * whoever accepts a record passes it on. Sync is the core's anti-entropy, its frames left out.
 */
import type { SyncEntry } from "../../src/core/mesh/sync-entry.ts";
import { sha256Hex } from "../../src/core/std/sha256.ts";
import type { Daemon, Site } from "./daemon.ts";
import type { Timeline } from "./timeline.ts";

/** How often daemons look for each other. */
const DIAL_MS = 1_000;
/** Fetches in one round of sync: a record that was refused is not asked for again and again. */
const FETCHES_MAX = 3;

export class Network {
  /** Percent of messages lost, and sent twice. */
  lost = 0;
  doubled = 0;
  latencyMs = 50;
  /** Pairs `from to` on which nothing arrives. */
  readonly blocked = new Set<string>();
  readonly #connected = new Set<string>();
  readonly #sites: readonly Site[];
  readonly #timeline: Timeline;

  constructor(sites: readonly Site[], timeline: Timeline) {
    this.#sites = sites;
    this.#timeline = timeline;
    timeline.every(DIAL_MS, () => {
      for (const [index, left] of sites.entries()) {
        for (const right of sites.slice(index + 1)) this.#meet(left, right);
      }
      return true;
    });
  }

  peersOf(site: Site): readonly Site[] {
    return this.#sites.filter((peer) => this.#connected.has(pair(site, peer)));
  }

  /** Its connections end with its daemon. */
  leave(site: Site): void {
    for (const peer of this.peersOf(site)) this.#disconnect(site, peer);
  }

  gossip(from: Site, envelope: Uint8Array, except?: Site): void {
    for (const peer of this.peersOf(from)) {
      if (peer !== except) this.push(from, peer, envelope);
    }
  }

  /** One message of gossip, which the peer passes on if it accepts it. */
  push(from: Site, to: Site, envelope: Uint8Array): void {
    this.#send(from, to, async (daemon) => {
      const id = sha256Hex(envelope);
      if (daemon.heard.has(id)) return;
      daemon.heard.add(id);
      const answer = await daemon.ask((ticket) => ({
        kind: "record-received",
        envelope,
        carrier: "gossip",
        from: from.nodeHex,
        ticket,
      }));
      if (answer?.kind === "taken") this.gossip(to, envelope, from);
    });
  }

  syncWith(site: Site, who: "all" | "one"): void {
    const peers = this.peersOf(site);
    const peer = this.#timeline.oneOf(peers);
    for (const each of who === "all" || peer === undefined ? peers : [peer]) this.#sync(site, each);
  }

  /** One round: what do you hold of what I want, then records until nothing is missing. */
  #sync(asker: Site, peer: Site): void {
    const wanted = asker.daemon?.source.wanted() ?? [];
    this.#send(asker, peer, async (answering) => {
      const entries = answering.source.entries(wanted);
      this.#send(peer, asker, async (daemon) => this.#fetch(daemon, asker, peer, entries, 0));
    });
  }

  #fetch(
    daemon: Daemon,
    asker: Site,
    peer: Site,
    entries: readonly SyncEntry[],
    tries: number,
  ): void {
    const wants = daemon.source.missing(entries);
    if (wants.length === 0 || tries === FETCHES_MAX) {
      daemon.put({ kind: "peer-synced", node: peer.nodeHex, entries });
      return;
    }
    this.#send(asker, peer, async (answering) => {
      const envelopes = await answering.source.records(wants);
      this.#send(peer, asker, async (daemon) => {
        for (const envelope of envelopes) {
          const from = peer.nodeHex;
          const carrier = "sync";
          await daemon.ask((ticket) => ({
            kind: "record-received",
            envelope,
            carrier,
            from,
            ticket,
          }));
        }
        this.#fetch(daemon, asker, peer, entries, tries + 1);
      });
    });
  }

  #send(from: Site, to: Site, arrive: (daemon: Daemon) => Promise<void>): void {
    if (this.#timeline.happens(this.lost)) return;
    if (this.#timeline.happens(this.doubled)) this.#carry(from, to, arrive);
    this.#carry(from, to, arrive);
  }

  #carry(from: Site, to: Site, arrive: (daemon: Daemon) => Promise<void>): void {
    this.#timeline.after(this.#timeline.between(1, this.latencyMs), () => {
      const isThrough = this.#connected.has(pair(from, to)) && !this.blocked.has(way(from, to));
      if (isThrough && to.daemon !== undefined) void arrive(to.daemon);
    });
  }

  /** Connects two that admit each other, and parts those that cannot hear each other any more. */
  #meet(left: Site, right: Site): void {
    const isBlocked = this.blocked.has(way(left, right)) && this.blocked.has(way(right, left));
    const may = admits(left, right) && admits(right, left) && !isBlocked;
    if (may === this.#connected.has(pair(left, right))) return;
    if (!may) {
      this.#disconnect(left, right);
      return;
    }
    this.#connected.add(pair(left, right));
    left.daemon?.put({ kind: "peer-connected", node: right.nodeHex });
    right.daemon?.put({ kind: "peer-connected", node: left.nodeHex });
    this.#sync(left, right);
    this.#sync(right, left);
  }

  #disconnect(left: Site, right: Site): void {
    this.#connected.delete(pair(left, right));
    left.daemon?.put({ kind: "peer-lost", node: right.nodeHex });
    right.daemon?.put({ kind: "peer-lost", node: left.nodeHex });
  }
}

export function way(from: Site, to: Site): string {
  return `${from.trustDomain} ${to.trustDomain}`;
}

function pair(left: Site, right: Site): string {
  return left.trustDomain < right.trustDomain ? way(left, right) : way(right, left);
}

function admits(one: Site, other: Site): boolean {
  return one.daemon?.admitted.has(other.nodeHex) === true;
}
