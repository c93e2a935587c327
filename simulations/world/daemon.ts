/**
 * One core in virtual time, driven by the real loop and signed for by the real keyring. It may die
 * between any two effects. Whoever makes it brings its store and SPIRE Server's side.
 */
import type { Effect } from "../../src/core/mesh/effect.ts";
import {
  type MeshState,
  type Self,
  type Stored,
  newMeshState,
} from "../../src/core/mesh/mesh-state.ts";
import type { RowOrder } from "../../src/core/mesh/row-order.ts";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import { fromHex } from "../../src/core/std/bytes.ts";
import { createPeerEvents } from "../../src/daemon/peer-events.ts";
import { createSyncSource } from "../../src/daemon/sync-source.ts";
import { Publisher } from "../../src/keys/publisher.ts";
import type { SvidCache } from "../../src/keys/svid-cache.ts";
import type { Keyring } from "../../src/ports/keyring.ts";
import type { PeerNetworkEvents, SyncSource } from "../../src/ports/peer-network.ts";
import { MeshLoop } from "../../src/runtime/mesh-loop.ts";
import type { Disk } from "./disk.ts";
import { type Certified, type SigningKey, toSvid } from "./table-proofs.ts";
import type { World } from "./world.ts";

/** SPIRE Server as one daemon has it while it lives; bundles and outcomes go into its loop. */
export interface SpireSide {
  /** A new X509-SVID of the publisher. Rejects with a `Fault`. */
  mint(): Promise<Certified>;
  orderRow(order: RowOrder): void;
  stop(): void;
}

/** What stands when a daemon dies. */
export interface Site {
  readonly trustDomain: TrustDomain;
  /** In the log: its trust domain, and which of its daemons it is. */
  readonly label: string;
  readonly node: SigningKey;
  readonly nodeHex: string;
  readonly disk: Disk;
  svids: SvidCache;
  readonly connect: (daemon: Daemon) => SpireSide;
  /** The host's clock, which its SPIRE Server has too; by how much it is behind the world's. */
  readonly nowMs: () => number;
  behindMs: number;
  daemon: Daemon | undefined;
}

/** Thrown in the midst of effects. */
export class Crash extends Error {}

export class Daemon {
  readonly state: MeshState;
  readonly loop: MeshLoop;
  readonly peers: PeerNetworkEvents;
  readonly source: SyncSource;
  readonly keyring: Keyring;
  /** The host's clock. */
  readonly nowMs: () => number;
  /** Effects and steps until it dies. */
  crashIn = Number.POSITIVE_INFINITY;
  readonly #spire: SpireSide;

  constructor(site: Site, stored: Stored, world: World) {
    const { trustDomain, node: nodeKey, svids: cache, disk: store, nowMs } = site;
    const { timeline, proofs } = world;
    this.nowMs = nowMs;
    const startedAtMs = timeline.nowMs();
    const self: Self = {
      trustDomain,
      nodePublicKey: nodeKey.publicKey,
      role: "publisher",
      unmanaged: new Set(),
    };
    const mint = async () => toSvid(await this.#spire.mint());
    const signAsSvid = proofs.sign;
    this.keyring = new Publisher({ trustDomain, nodeKey, cache, mint, signAsSvid, proofs });
    this.state = newMeshState(self, stored, nowMs());
    this.source = createSyncSource(this.state, store);
    this.loop = new MeshLoop(
      {
        state: this.state,
        proofs,
        store,
        keyring: this.keyring,
        onTrouble: () => undefined,
        nowMs,
      },
      {
        step: (...given) => {
          this.#mayDie();
          return this.#mortal(world.step(site, ...given));
        },
        uptimeMs: () => timeline.nowMs() - startedAtMs,
        every: timeline.every,
        giveWay: async () => undefined,
      },
    );
    this.peers = createPeerEvents(this.loop, fromHex);
    this.#spire = site.connect(this);
    this.loop.failed.catch((error: unknown) => world.onEnd(site, error));
    this.loop.start({
      network: world.network.portOf(site),
      orderRow: (order) => this.#spire.orderRow(order),
      knock: () => undefined,
      onEvent: () => undefined,
    });
  }

  readonly isAlive = (): boolean => this.crashIn >= 0;

  /** Nothing of it comes after. */
  stop(): void {
    this.crashIn = -1;
    this.#spire.stop();
    void this.loop.stop();
  }

  *#mortal(effects: readonly Effect[]): Generator<Effect> {
    for (const effect of effects) {
      this.#mayDie();
      yield effect;
    }
  }

  #mayDie(): void {
    this.crashIn -= 1;
    if (!this.isAlive()) throw new Crash();
  }
}
