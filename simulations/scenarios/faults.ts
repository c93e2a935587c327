/** Everything that may happen to a mesh, one at a time; most of it ends after a while. */
import type { Backup } from "../actors/datastore.ts";
import type { Member, Replica } from "../actors/member.ts";
import { type Slots, WELL } from "../actors/spire.ts";
import type { DiskCopy } from "../world/disk.ts";
import { way } from "../world/network.ts";
import type { Mesh } from "./mesh.ts";

/** How long one fault lasts at most. */
const FAULT_MS_MAX = 20_000;
/** Servers of one trust domain: three are what the protocol was modelled with. */
const REPLICAS_MAX = 3;
/** Ahead partners take a signature at most 300 s before its time; behind hardly matters for how long. */
const AHEAD_MS_MAX = 250_000;
const BEHIND_MS_MAX = 900_000;

interface DatastoreBackup {
  readonly backup: Backup;
  readonly slots: ReadonlyMap<Replica, Slots>;
}

export class Faults {
  readonly #mesh: Mesh;
  /** Members whose CAs are stolen: their datastores are not restored, as that would trust these again. */
  readonly #robbed: ReadonlySet<Member>;
  readonly #backups = new Map<Member, DatastoreBackup[]>();
  readonly #copies = new Map<Replica, DiskCopy>();

  constructor(mesh: Mesh, robbed: ReadonlySet<Member>) {
    this.#mesh = mesh;
    this.#robbed = robbed;
  }

  /** @param chosen Whom it happens to; by chance when nobody is named. */
  strike(chosen?: Member): void {
    const { timeline } = this.#mesh.world;
    const member = chosen ?? timeline.oneOf(this.#mesh.members);
    const replica = timeline.oneOf(member?.staying ?? []);
    if (member === undefined || replica === undefined) return;
    timeline.oneOf([
      ...this.#ofSpire(member, replica),
      ...this.#ofHost(member, replica),
      ...this.#ofNetwork(replica),
      ...this.#ofOperator(member, replica),
    ])?.();
  }

  /** All that was done to the world is undone, but for who is gone. */
  heal(): void {
    const { world, replicas } = this.#mesh;
    Object.assign(world.network, { lost: 0, doubled: 0, latencyMs: 50 });
    world.network.blocked.clear();
    for (const { spire, disk, site, daemon } of replicas) {
      spire.ills = WELL;
      disk.isFull = false;
      site.behindMs = 0;
      if (daemon !== undefined) daemon.crashIn = Number.POSITIVE_INFINITY;
    }
    for (const replica of replicas) replica.boot();
  }

  #ofSpire(member: Member, { spire }: Replica): (() => void)[] {
    const { timeline } = this.#mesh.world;
    const ail = (ills: Partial<typeof spire.ills>): void => {
      spire.ills = { ...spire.ills, ...ills };
      this.#later(() => (spire.ills = WELL));
    };
    const rotate = (): void => {
      const at = timeline.oneOf(member.staying) ?? member.first;
      for (let count = timeline.between(1, 4); count > 0; count -= 1) member.rotate(at);
    };
    return [
      rotate,
      rotate,
      rotate,
      () => spire.restart(),
      () => ail({ isDown: true }),
      () => ail({ latencyMs: 3_000 }),
      () => ail({ isStale: true }),
      () => ail({ lostReplies: 30, refusals: 30 }),
      () => this.#backUp(member),
      () => this.#restore(member),
    ];
  }

  #ofHost({ forgotten }: Member, replica: Replica): (() => void)[] {
    const { timeline } = this.#mesh.world;
    const { site, disk, daemon } = replica;
    const down = (work: () => void): void => {
      replica.die();
      work();
      this.#later(() => replica.boot());
    };
    return [
      () => {
        if (daemon !== undefined) daemon.crashIn = timeline.between(0, 9);
        this.#later(() => replica.boot());
      },
      () => {
        disk.isFull = true;
        this.#later(() => (disk.isFull = false));
      },
      () => down(() => undefined),
      () => {
        const hasBegun = disk.domains.has(site.trustDomain); // Else it would begin another lineage.
        if (hasBegun) this.#copies.set(replica, disk.copy());
      },
      () => down(() => disk.lose()),
      () => {
        const copy = this.#copies.get(replica);
        if (copy === undefined) return;
        forgotten.clear(); // With the disk come partners that are to be forgotten again.
        down(() => disk.restore(copy, timeline.happens(50)));
      },
      () => {
        site.behindMs = timeline.between(-AHEAD_MS_MAX, BEHIND_MS_MAX);
        this.#later(() => (site.behindMs = 0));
      },
    ];
  }

  #ofNetwork({ site }: Replica): (() => void)[] {
    const { timeline, network, sites } = this.#mesh.world;
    const other = timeline.oneOf(sites) ?? site;
    const half = sites.filter(() => timeline.happens(50));
    const block = (...ways: readonly string[]): void => {
      for (const each of ways) network.blocked.add(each);
      this.#later(() => ways.forEach((each) => network.blocked.delete(each)));
    };
    return [
      () => Object.assign(network, { lost: timeline.between(0, 50), doubled: 20 }),
      () => (network.latencyMs = timeline.between(1, 5_000)),
      () => block(way(site, other)),
      () => block(way(site, other), way(other, site)),
      () => block(...sites.flatMap((each) => [way(site, each), way(each, site)])),
      () => {
        const rest = sites.filter((each) => !half.includes(each));
        block(...half.flatMap((one) => rest.flatMap((two) => [way(one, two), way(two, one)])));
      },
    ];
  }

  #ofOperator(member: Member, replica: Replica): (() => void)[] {
    const { timeline } = this.#mesh.world;
    const { approved, staying, publishers } = member;
    const other = timeline.oneOf(this.#mesh.members);
    // The lowest node removes others.
    const isSpare =
      publishers.some(({ site }) => site.nodeHex < replica.site.nodeHex) &&
      !this.#robbed.has(member);
    return [
      () => {
        if (other === undefined || !approved.delete(other.trustDomain)) return; // Itself, or forgotten.
        this.#later(() => approved.add(other.trustDomain));
      },
      () => {
        if (staying.length < REPLICAS_MAX && !this.#robbed.has(member)) member.join().boot();
      },
      () => {
        if (isSpare) replica.isLeaving = true;
      },
    ];
  }

  /** For good, of one of several. */
  loseOne(): void {
    const { timeline } = this.#mesh.world;
    const members = this.#mesh.members.filter(({ publishers }) => publishers.length > 1);
    const replica = timeline.oneOf(timeline.oneOf(members)?.publishers ?? []);
    if (replica === undefined) return;
    replica.die();
    replica.isGone = true;
  }

  #backUp(member: Member): void {
    const slots = new Map(member.staying.map((each) => [each, each.spire.slots]));
    const backups = this.#backups.get(member) ?? [];
    this.#backups.set(member, [...backups, { backup: member.datastore.backUp(), slots }]);
  }

  /** Servers go on with the CAs that they had, where they still have their keys. */
  #restore(member: Member): void {
    const { timeline } = this.#mesh.world;
    const chosen = timeline.oneOf(this.#backups.get(member) ?? []);
    if (chosen === undefined || this.#robbed.has(member)) return;
    member.datastore.restore(chosen.backup);
    for (const each of member.staying) {
      each.spire.restartWith(timeline.happens(50) ? chosen.slots.get(each) : undefined);
    }
  }

  #later(undo: () => void): void {
    const { timeline } = this.#mesh.world;
    timeline.after(timeline.between(0, FAULT_MS_MAX), undo);
  }
}
