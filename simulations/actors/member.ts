/** A trust domain: SPIRE's datastore and, for each server on it, a daemon with a disk. */
import type { Slot } from "../../src/core/resolver/slot.ts";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import { type Version, compareVersions } from "../../src/core/record/state.ts";
import { has } from "../../src/core/record/step.ts";
import type { Daemon, Site } from "../world/daemon.ts";
import type { World } from "../world/world.ts";
import { Datastore } from "./datastore.ts";
import { FullDisk } from "./full-disk.ts";
import { Spire } from "./spire.ts";
import { connectSpire } from "./spire-rooms.ts";

/** One server of a trust domain, and the daemon beside it. */
export class Replica {
  readonly site: Site;
  readonly spire: Spire;
  readonly disk = new FullDisk();
  /** It never comes back: its disk and its node key are lost, or its operator put it away. */
  isGone = false;
  /** Its operator wants it removed, and puts it away then. */
  isLeaving = false;
  readonly #world: World;

  constructor({ trustDomain, datastore, replicas }: Member, world: World) {
    const { timeline, proofs } = world;
    const spire = new Spire(datastore, timeline, proofs);
    this.#world = world;
    this.spire = spire;
    const label = replicas.length === 0 ? trustDomain : `${trustDomain}/${replicas.length}`;
    const connect = (daemon: Daemon) => connectSpire(spire, daemon, timeline);
    this.site = world.add(trustDomain, connect, this.disk, label);
  }

  get daemon(): Daemon | undefined {
    return this.site.daemon;
  }

  /** The own trust domain as its daemon holds it. */
  get slot(): Slot | undefined {
    return this.daemon?.state.own.slot;
  }

  boot(): void {
    if (!this.isGone) void this.#world.boot(this.site);
  }

  die(): void {
    this.#world.kill(this.site);
  }
}

export class Member {
  readonly trustDomain: TrustDomain;
  readonly datastore: Datastore;
  /** Gone ones included, as their nodes may be listed yet. */
  readonly replicas: Replica[] = [];
  /** Partners that the operator wants, and those that were forgotten. */
  readonly approved = new Set<TrustDomain>();
  readonly forgotten = new Set<TrustDomain>();
  readonly first: Replica;
  /** How often the operator had to name a partner's record. */
  pins = 0;
  /** How often a replica that stood on a record had to be given another. */
  adoptions = 0;
  /** How often nothing that it found told the operator so. */
  unsaid = 0;
  /** Since when a replica does not stand on what the newest of them does. */
  readonly apartSinceMs = new Map<Replica, number>();
  readonly #world: World;

  constructor(name: string, world: World, replicas = 1) {
    this.#world = world;
    this.trustDomain = name as TrustDomain;
    this.datastore = new Datastore(this.trustDomain, world.timeline);
    this.first = this.join();
    while (this.replicas.length < replicas) this.join();
  }

  /** Another server on the datastore, with a daemon of a new node key that is not started yet. */
  join(): Replica {
    const replica = new Replica(this, this.#world);
    this.replicas.push(replica);
    return replica;
  }

  /** Those that are there, in the order in which they came. */
  get staying(): readonly Replica[] {
    return this.replicas.filter(({ isGone }) => !isGone);
  }

  /** Those that run and whose own record lists them. */
  get publishers(): readonly Replica[] {
    return this.staying.filter(({ slot, site }) => slot && isListed(slot, site));
  }

  /** Where the operator goes on when they do not agree: the highest version that most of them hold. */
  get leading(): Replica | undefined {
    const { publishers } = this;
    const holders = ({ slot }: Replica): number =>
      publishers.filter((each) => each.slot?.held.record.idHex === slot?.held.record.idHex).length;
    const [leading] = publishers.toSorted(
      (one, other) =>
        compareVersions(versionOf(other), versionOf(one)) || holders(other) - holders(one),
    );
    return leading;
  }

  rotate({ spire }: Replica): void {
    spire.rotate(this.staying.flatMap((each) => (each.spire === spire ? [] : [each.spire])));
  }
}

export function isListed({ effective }: Slot, { node }: Site): boolean {
  return has(effective.state.nodes, node.publicKey);
}

function versionOf({ slot }: Replica): Version {
  return slot?.held.record.state.version ?? { epoch: 0, rev: 0, sequence: -1n };
}
