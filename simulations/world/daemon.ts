/**
 * One daemon in virtual time: the core and the rooms beside SPIRE as they are, with a made-up disk,
 * keyring and network. It carries effects out as src/runtime/mesh-loop.ts does, and may die between
 * any two of them.
 */
import type { Answer, Effect } from "../../src/core/mesh/effect.ts";
import type { Input, Ticket } from "../../src/core/mesh/input.ts";
import { type MeshState, type Stored, newMeshState } from "../../src/core/mesh/mesh-state.ts";
import { start, step } from "../../src/core/mesh/step.ts";
import type { SigningOrder } from "../../src/core/record/signing.ts";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import { toHex } from "../../src/core/std/bytes.ts";
import { createSyncSource } from "../../src/daemon/sync-source.ts";
import { Fault } from "../../src/fault.ts";
import type { SyncSource } from "../../src/ports/peer-network.ts";
import { InputQueue } from "../../src/runtime/input-queue.ts";
import { toStoredDomain } from "../../src/runtime/stored-slot.ts";
import { BundleWatcher } from "../../src/spire/bundle-watcher.ts";
import { RowWatcher } from "../../src/spire/row-watcher.ts";
import { RowWriter } from "../../src/spire/row-writer.ts";
import type { Disk } from "./disk.ts";
import type { Network } from "./network.ts";
import { createSigner } from "./signer.ts";
import type { Spire } from "./spire.ts";
import type { Certified, SigningKey, TableProofs } from "./table-proofs.ts";
import type { Timeline } from "./timeline.ts";

/** What of a trust domain stands when its daemon dies. */
export interface Site {
  readonly trustDomain: TrustDomain;
  readonly spire: Spire;
  readonly disk: Disk;
  readonly node: SigningKey;
  readonly nodeHex: string;
  readonly svids: Map<string, Certified>;
  /** Partners that the operator was told are approved, or forgotten. */
  readonly approved: Set<TrustDomain>;
  readonly forgotten: Set<TrustDomain>;
  daemon: Daemon | undefined;
}

export interface DaemonPorts {
  readonly timeline: Timeline;
  readonly network: Network;
  readonly proofs: TableProofs;
  /** One step of the core, and what was held before it. */
  readonly onStep: (site: Site, input: Input, effects: readonly Effect[], before: unknown) => void;
  /** It died, or broke one of its own rules. */
  readonly onEnd: (site: Site, error: unknown) => void;
}

/** Thrown in the midst of effects. */
export class Crash extends Error {}

/** The polls of SPIRE's bundle are slower than a daemon's, which saves three events in four. */
const POLL_MS = 1_000;
const TICK_MS = 1_000;
const MINT_CHECK_MS = 10_000;
const SYNC_MS = 10_000;

export class Daemon {
  readonly state: MeshState;
  source: SyncSource;
  readonly spire: ReturnType<Spire["connect"]>;
  readonly admitted = new Set<string>();
  /** Hashes of what was gossiped here. */
  readonly heard = new Set<string>();
  /** Effects and steps until it dies. */
  crashIn = Number.POSITIVE_INFINITY;
  isAlive = true;
  readonly #site: Site;
  readonly #ports: DaemonPorts;
  readonly #queue = new InputQueue();
  readonly #waiting = new Map<Ticket, (answer: Answer | undefined) => void>();
  readonly #keyring: ReturnType<typeof createSigner>;
  readonly #rooms: readonly [RowWriter, RowWatcher, BundleWatcher];
  #lastTicket = 0;

  constructor(site: Site, stored: Stored, ports: DaemonPorts) {
    const { trustDomain, node, svids, disk } = site;
    const { timeline: pace, proofs } = ports;
    this.#site = site;
    this.#ports = ports;
    const self = { trustDomain, nodePublicKey: node.publicKey, unmanaged: new Set<TrustDomain>() };
    this.state = newMeshState(self, stored, pace.nowMs());
    this.source = createSyncSource(this.state, disk);
    this.spire = site.spire.connect(() => this.isAlive);
    this.#keyring = createSigner({ trustDomain, node, svids, mint: this.spire.mint, proofs });
    const rows = new RowWatcher({ pace }, this.spire, {
      onRowsRead: (rows) => this.put({ kind: "rows-read", rows, relationships: [] }),
      onRowsUnread: () => undefined,
    });
    const writer = new RowWriter({ pace }, this.spire, {
      onRowOutcome: (order, outcome) => this.put({ kind: "row-ended", order, outcome }),
      onWritesDelayed: () => undefined,
    });
    const bundles = new BundleWatcher({ pollIntervalMs: POLL_MS, pace }, this.spire, {
      onBundleRead: (bundle) => this.put({ kind: "local-bundle-read", bundle }),
      onSpireAway: ({ message: reason }) => this.put({ kind: "spire-away", reason }),
      onSpireBack: () => {
        this.put({ kind: "spire-back" });
        rows.readNow();
        this.#mintAhead();
      },
    });
    this.#rooms = [writer, rows, bundles];
  }

  start(): void {
    for (const room of this.#rooms) room.start();
    this.#every(TICK_MS, () => this.put({ kind: "tick" }));
    this.#every(MINT_CHECK_MS, () => this.#mintAhead());
    this.#every(SYNC_MS, () => this.#ports.network.syncWith(this.#site, "one"));
    this.#run().catch((error: unknown) => this.#ports.onEnd(this.#site, error));
  }

  /** Nothing of it comes after; who waits for an answer gets none. */
  stop(): void {
    this.isAlive = false;
    this.#queue.close();
    for (const room of this.#rooms) void room.stop();
    for (const ticket of this.#waiting.keys()) this.#answer(ticket, undefined);
  }

  put(input: Input): void {
    this.#queue.put(input);
  }

  async ask(makeInput: (ticket: Ticket) => Input): Promise<Answer | undefined> {
    const ticket = (this.#lastTicket += 1);
    const { promise, resolve } = Promise.withResolvers<Answer | undefined>();
    this.#waiting.set(ticket, resolve);
    if (!this.#queue.put(makeInput(ticket))) this.#answer(ticket, undefined);
    return await promise;
  }

  #answer(ticket: Ticket | undefined, answer: Answer | undefined): void {
    if (ticket === undefined) return;
    this.#waiting.get(ticket)?.(answer);
    this.#waiting.delete(ticket);
  }

  #every(intervalMs: number, happen: () => void): void {
    this.#ports.timeline.every(intervalMs, () => {
      if (this.isAlive) happen();
      return this.isAlive;
    });
  }

  async #run(): Promise<void> {
    await this.#carryOut(start(this.state));
    for (let input = await this.#queue.take(); input !== undefined;) {
      for (let next: Input | undefined = input; next !== undefined;) {
        next = await this.#carryOut(this.#step(next));
      }
      input = await this.#queue.take();
    }
  }

  #step(input: Input): readonly Effect[] {
    const { timeline, proofs, onStep } = this.#ports;
    this.#mayCrash();
    const before = heldBy(this.state);
    const effects = step(this.state, input, timeline.nowMs(), proofs);
    onStep(this.#site, input, effects, before);
    return effects;
  }

  async #carryOut(effects: readonly Effect[]): Promise<Input | undefined> {
    let next: Input | undefined;
    for (const effect of effects) {
      this.#mayCrash();
      next = (await this.#perform(effect)) ?? next;
    }
    return next;
  }

  async #perform(effect: Effect): Promise<Input | undefined> {
    const { disk } = this.#site;
    switch (effect.kind) {
      case "store-domain": {
        const { domain } = effect;
        const stored = disk.accept(toStoredDomain(domain), domain.pin);
        return await outcomeOf(stored, { kind: "domain-stored" });
      }
      case "remove-domain":
        return await outcomeOf(disk.remove(effect.trustDomain), { kind: "domain-removed" });
      case "sign-record":
        void this.#sign(effect.order);
        return undefined;
      case "mint-ahead":
        this.#mintAhead();
        return undefined;
      case "publish-record":
        this.#ports.network.gossip(this.#site, effect.envelope);
        return undefined;
      case "order-row":
        this.#rooms[0].order(effect.order);
        return undefined;
      case "admit-nodes":
        this.admitted.clear();
        for (const node of effect.nodes) this.admitted.add(toHex(node));
        return undefined;
      case "sync-soon":
        this.#ports.network.syncWith(this.#site, "all");
        return undefined;
      case "answer":
        this.#answer(effect.ticket, effect.answer);
        return undefined;
      case "wake-parked":
        this.put({ kind: "parked-woken", trustDomain: effect.trustDomain });
        return undefined;
      case "dial":
      case "tell":
        return undefined;
    }
  }

  async #sign(order: SigningOrder): Promise<void> {
    const outcome = await this.#keyring
      .sign(order, this.#ports.timeline.nowMs())
      .catch((error: unknown) => ({ kind: "spire-away" as const, problem: String(error) }));
    this.put({ kind: "record-signed", outcome });
  }

  #mintAhead(): void {
    this.#keyring.mintAhead(this.#ports.timeline.nowMs()).catch(() => undefined); // Tried again.
  }

  #mayCrash(): void {
    this.crashIn -= 1;
    if (this.crashIn < 0 || !this.isAlive) throw new Crash();
  }
}

/** All that a refused record must leave as it was. Slots and pins are values. */
export function heldBy({ own, partners }: MeshState): unknown {
  const rows = [...partners.values()].map(({ pin, slot, row }) => [pin, slot, { ...row }]);
  return [own.slot, own.signing, own.settled, rows];
}

async function outcomeOf(work: Promise<void>, done: Input): Promise<Input> {
  try {
    await work;
    return done;
  } catch (error) {
    if (error instanceof Fault) return { kind: "store-failed", message: error.message };
    throw error;
  }
}
