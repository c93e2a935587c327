/**
 * One daemon in virtual time: core, loop, keyring and the rooms beside SPIRE as they are, with a
 * made-up disk, network and SPIRE Server. It may die between any two effects.
 */
import type { Effect } from "../../src/core/mesh/effect.ts";
import { type MeshState, type Stored, newMeshState } from "../../src/core/mesh/mesh-state.ts";
import { step } from "../../src/core/mesh/step.ts";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import { fromHex, toHex } from "../../src/core/std/bytes.ts";
import { createPeerEvents } from "../../src/daemon/peer-events.ts";
import { createSyncSource } from "../../src/daemon/sync-source.ts";
import { Publisher } from "../../src/keys/publisher.ts";
import { SvidCache } from "../../src/keys/svid-cache.ts";
import type { PeerNetworkEvents, SyncSource } from "../../src/ports/peer-network.ts";
import { MeshLoop } from "../../src/runtime/mesh-loop.ts";
import { BundleWatcher } from "../../src/spire/bundle-watcher.ts";
import { RowWatcher } from "../../src/spire/row-watcher.ts";
import { RowWriter } from "../../src/spire/row-writer.ts";
import { heldBy } from "../checkers/invariants.ts";
import { Disk } from "./disk.ts";
import { Spire } from "./spire.ts";
import { type SigningKey, toSvid } from "./table-proofs.ts";
import type { World } from "./world.ts";

/** What of a trust domain stands when its daemon dies. */
export class Site {
  readonly trustDomain: TrustDomain;
  readonly spire: Spire;
  readonly node: SigningKey;
  readonly nodeHex: string;
  readonly disk = new Disk();
  readonly svids = new SvidCache(undefined);
  /** Partners that the operator wants, and those that were forgotten. */
  readonly approved = new Set<TrustDomain>();
  readonly forgotten = new Set<TrustDomain>();
  daemon: Daemon | undefined;

  constructor(index: number, { timeline, proofs }: World) {
    this.trustDomain = `td${index}.example` as TrustDomain;
    this.spire = new Spire(this.trustDomain, timeline, proofs);
    this.node = proofs.newKey("ed25519");
    this.nodeHex = toHex(this.node.publicKey);
  }
}

/** Thrown in the midst of effects. */
export class Crash extends Error {}

/** The polls of SPIRE's bundle are slower than a daemon's, which saves three events in four. */
const POLL_MS = 1_000;
const MINT_CHECK_MS = 10_000;

export class Daemon {
  readonly state: MeshState;
  readonly loop: MeshLoop;
  readonly peers: PeerNetworkEvents;
  readonly spire: ReturnType<Spire["connect"]>;
  readonly source: SyncSource;
  /** Effects and steps until it dies. */
  crashIn = Number.POSITIVE_INFINITY;
  readonly #isAlive = (): boolean => this.crashIn >= 0;
  readonly #rooms: readonly (RowWriter | RowWatcher | BundleWatcher)[];

  constructor(site: Site, stored: Stored, world: World) {
    const { trustDomain, node, svids, disk } = site;
    const { timeline: pace, proofs } = world;
    const { nowMs } = pace;
    const self = { trustDomain, nodePublicKey: node.publicKey, unmanaged: new Set<TrustDomain>() };
    this.state = newMeshState(self, stored, nowMs());
    this.source = createSyncSource(this.state, disk);
    const spire = site.spire.connect(this.#isAlive);
    this.spire = spire;
    const keyring = new Publisher({
      trustDomain,
      nodeKey: node,
      cache: svids,
      mint: async () => toSvid(await spire.mint()),
      signAsSvid: proofs.sign,
      proofs,
    });
    const every = (intervalMs: number, happen: () => void): (() => void) => {
      pace.every(intervalMs, () => {
        if (this.#isAlive()) happen();
        return this.#isAlive();
      });
      return () => undefined;
    };
    const mintAhead = (): void => void keyring.mintAhead(nowMs()).catch(() => undefined);
    const loop = new MeshLoop(
      {
        state: this.state,
        proofs,
        store: disk,
        keyring,
        network: () => world.network.portOf(site),
        orderRow: (order) => writer.order(order),
        onEvent: () => undefined,
        onTrouble: () => undefined,
        nowMs,
      },
      {
        step: (state, input, ...given) => {
          this.#mayDie();
          const before = heldBy(state);
          const effects = step(state, input, ...given);
          world.onStep(site, input, effects, before);
          return this.#mortal(effects);
        },
        every,
        giveWay: async () => undefined,
      },
    );
    this.loop = loop;
    loop.failed.catch((error: unknown) => world.onEnd(site, error));
    this.peers = createPeerEvents(loop, fromHex);
    const rows = new RowWatcher({ pace }, spire, {
      onRowsRead: (rows) => loop.put({ kind: "rows-read", rows, relationships: [] }),
      onRowsUnread: ({ message: reason }) => loop.put({ kind: "rows-unread", reason }),
    });
    const writer = new RowWriter({ pace }, spire, {
      onRowOutcome: (order, outcome) => loop.put({ kind: "row-ended", order, outcome }),
      onWritesDelayed: () => undefined,
    });
    const bundles = new BundleWatcher({ pollIntervalMs: POLL_MS, pace }, spire, {
      onBundleRead: (bundle) => loop.put({ kind: "local-bundle-read", bundle }),
      onSpireAway: ({ message: reason }) => loop.put({ kind: "spire-away", reason }),
      onSpireBack: () => {
        loop.put({ kind: "spire-back" });
        rows.readNow();
        mintAhead();
      },
    });
    this.#rooms = [writer, rows, bundles];
    every(MINT_CHECK_MS, mintAhead);
  }

  start(): void {
    for (const room of [...this.#rooms, this.loop]) room.start();
  }

  /** Nothing of it comes after. */
  stop(): void {
    this.crashIn = -1;
    for (const room of [...this.#rooms, this.loop]) void room.stop();
  }

  *#mortal(effects: readonly Effect[]): Generator<Effect> {
    for (const effect of effects) {
      this.#mayDie();
      yield effect;
    }
  }

  #mayDie(): void {
    this.crashIn -= 1;
    if (!this.#isAlive()) throw new Crash();
  }
}
