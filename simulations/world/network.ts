/**
 * Every pair of daemons with messages between them that are lost, repeated and reordered. Gossip
 * floods: whoever accepts a record passes it on. Sync is the core's anti-entropy without its frames.
 */
import { toHex } from "../../src/core/std/bytes.ts";
import type { LoopNetwork } from "../../src/runtime/mesh-loop.ts";
import type { Daemon, Site } from "./daemon.ts";
import type { Timeline } from "./timeline.ts";

/** How often daemons look for each other, and ask one what it holds. */
const DIAL_MS = 1_000;
const SYNC_MS = 10_000;

export class Network {
  /** Percent of messages lost, and sent twice. */
  lost = 0;
  doubled = 0;
  /** Each message takes from 1 ms to this, so they overtake one another. */
  latencyMs = 50;
  /** Each {@link way} on which nothing arrives. */
  readonly blocked = new Set<string>();
  readonly #connected = new Set<string>();
  /** Nodes in hex that a running daemon admits, by trust domain. */
  readonly #admitted = new Map<Site, Map<string, readonly string[]>>();
  readonly #sites: readonly Site[];
  readonly #timeline: Timeline;

  constructor(sites: readonly Site[], timeline: Timeline) {
    this.#sites = sites;
    this.#timeline = timeline;
    timeline.every(DIAL_MS, () => {
      for (const from of sites) for (const to of sites) if (from !== to) this.#meet(from, to);
    });
    timeline.every(SYNC_MS, () => {
      for (const site of sites) void this.#sync(site, timeline.oneOf(this.peersOf(site)));
    });
  }

  peersOf(site: Site): readonly Site[] {
    return this.#sites.filter((peer) => this.#connected.has(way(site, peer)));
  }

  /** The network as one daemon has it. */
  portOf(site: Site): LoopNetwork {
    return {
      publish: async (envelope) => this.#gossip(site, envelope),
      publishHead: async (envelope) => this.#gossipHead(site, envelope),
      admit: (trustDomain, nodes) => {
        const admitted = this.#admitted.get(site) ?? new Map<string, readonly string[]>();
        this.#admitted.set(site, admitted.set(trustDomain, nodes.map(toHex)));
      },
      dial: () => undefined,
      connections: () => this.peersOf(site).map(({ nodeHex: peerId }) => ({ peerId })),
      syncNow: async (peerId) => {
        const isPeer = ({ nodeHex }: Site) => nodeHex === peerId;
        void this.#sync(site, this.#sites.find(isPeer));
      },
    };
  }

  /** Its connections end with its daemon. */
  leave(site: Site): void {
    this.#admitted.delete(site);
    for (const peer of this.#sites) this.#part(site, peer);
  }

  /** One message of gossip, which the peer passes on if it accepts it. */
  push(from: Site, to: Site, envelope: Uint8Array): void {
    this.#send(from, to, async ({ peers }) => {
      const verdict = await peers.onGossip(envelope, from.nodeHex);
      if (verdict === "accept") this.#gossip(to, envelope);
    });
  }

  #gossip(from: Site, envelope: Uint8Array): void {
    for (const peer of this.peersOf(from)) this.push(from, peer, envelope);
  }

  #gossipHead(from: Site, envelope: Uint8Array): void {
    for (const peer of this.peersOf(from)) {
      this.#send(from, peer, async ({ peers }) => {
        const verdict = await peers.onGossipHead(envelope, from.nodeHex);
        if (verdict === "accept") this.#gossipHead(peer, envelope);
      });
    }
  }

  /** One round: what do you hold of what I want, then the records that are missing. */
  async #sync(asker: Site, peer: Site | undefined): Promise<void> {
    const { daemon } = asker;
    if (daemon === undefined || peer === undefined) return;
    const { source, peers } = daemon;
    const wanted = source.wanted();
    const entries = await this.#ask(asker, peer, async (other) => other.source.entries(wanted));
    const wants = source.missing(entries);
    if (wants.length > 0) {
      const ask = async (other: Daemon) => await other.source.records(wants);
      await peers.onSyncRecords(await this.#ask(asker, peer, ask), peer.nodeHex);
    }
    peers.onSynced(peer.nodeHex, entries);
  }

  /** A question and its answer. Never resolves when one of the two is lost. */
  async #ask<Value>(from: Site, to: Site, answer: (daemon: Daemon) => Promise<Value>) {
    const { promise, resolve } = Promise.withResolvers<Value>();
    this.#send(from, to, async (daemon) => {
      const value = await answer(daemon);
      this.#send(to, from, async () => resolve(value));
    });
    return await promise;
  }

  #send(from: Site, to: Site, arrive: (daemon: Daemon) => Promise<void>): void {
    const copies = this.#timeline.happens(this.doubled) ? 2 : 1;
    for (let copy = 0; copy < copies; copy += 1) {
      if (this.#timeline.happens(this.lost)) continue;
      this.#timeline.after(this.#timeline.between(1, this.latencyMs), () => {
        const isThrough = this.#connected.has(way(from, to)) && !this.blocked.has(way(from, to));
        if (isThrough && to.daemon !== undefined) void arrive(to.daemon);
      });
    }
  }

  /** Connects two that admit each other, and parts those that cannot hear each other any more. */
  #meet(from: Site, to: Site): void {
    const isDeaf = this.blocked.has(way(from, to)) && this.blocked.has(way(to, from));
    if (isDeaf || !this.#admits(from, to) || !this.#admits(to, from)) {
      this.#part(from, to);
    } else if (!this.#connected.has(way(from, to))) {
      this.#connected.add(way(from, to));
      from.daemon?.peers.onPeerConnected(to.nodeHex);
      void this.#sync(from, to);
    }
  }

  #part(left: Site, right: Site): void {
    for (const [from, to] of [
      [left, right],
      [right, left],
    ] as const) {
      if (this.#connected.delete(way(from, to))) from.daemon?.peers.onPeerLost(to.nodeHex);
    }
  }

  #admits(site: Site, { nodeHex }: Site): boolean {
    const admitted = this.#admitted.get(site)?.values() ?? [];
    return [...admitted].some((nodes) => nodes.includes(nodeHex));
  }
}

export function way(from: Site, to: Site): string {
  return `${from.nodeHex} ${to.nodeHex}`;
}
