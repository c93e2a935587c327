/**
 * Everybody approves everybody, a minute of rotations and of every fault the world has, then all is
 * healed and must become well.
 */
import { Rogue } from "../actors/rogue.ts";
import { WELL } from "../actors/spire.ts";
import { way } from "../world/network.ts";
import type { Mesh } from "./mesh.ts";

const STORM_MS = 60_000;
const FAULT_EVERY_MS = 1_000;
/** How long one fault lasts at most. */
const FAULT_MS_MAX = 20_000;
const LOOK_EVERY_MS = 1_000;
/**
 * After the last fault each daemon holds each partner's newest record, and its row says the same:
 * half within 3 s, all of 2,450 seeds within 45 s (measured).
 */
const WELL_WITHIN_MS = 90_000;

export interface Outcome {
  /** From the last fault until all was well. */
  readonly healedMs: number;
  /** What is not as it should be after {@link WELL_WITHIN_MS}. */
  readonly unwell: string | undefined;
}

/** Trust domains: 2 to 6, by seed. */
export function sizeOf(seed: number): number {
  return 2 + (seed % 5);
}

/** Throws when a law is broken. Of even seeds the first member is a rogue. */
export async function storm(mesh: Mesh, seed: number): Promise<Outcome> {
  const { world, members, laws } = mesh;
  const [first, second, third] = members;
  const hasRogue = first && second && third && seed % 2 === 0;
  const rogue = hasRogue ? new Rogue(world, first, second) : undefined;
  const calm = world.timeline.every(FAULT_EVERY_MS, () => {
    strike(mesh);
    rogue?.act();
  });
  await world.pass(STORM_MS);
  calm();
  heal(mesh);
  const calmAtMs = world.timeline.nowMs();
  for (;;) {
    const unwell = laws.unwell(rogue);
    const healedMs = world.timeline.nowMs() - calmAtMs;
    if (unwell === undefined || healedMs >= WELL_WITHIN_MS) return { healedMs, unwell };
    await world.pass(LOOK_EVERY_MS);
  }
}

/** Something happens to somebody; most of it ends after a while. */
function strike({ world, members }: Mesh): void {
  const { timeline, network, sites } = world;
  const [member, other] = [timeline.oneOf(members), timeline.oneOf(members)];
  if (member === undefined || other === undefined) return;
  const { site, spire, disk, daemon, approved } = member;
  const later = (undo: () => void): void => {
    timeline.after(timeline.between(0, FAULT_MS_MAX), undo);
  };
  const block = (...ways: readonly string[]): void => {
    for (const each of ways) network.blocked.add(each);
    later(() => ways.forEach((each) => network.blocked.delete(each)));
  };
  const ail = (ills: Partial<typeof spire.ills>): void => {
    spire.ills = { ...spire.ills, ...ills };
    later(() => (spire.ills = WELL));
  };
  const rotate = (): void => {
    for (let count = timeline.between(1, 4); count > 0; count -= 1) spire.rotate();
  };
  timeline.oneOf([
    rotate,
    rotate,
    rotate,
    () => spire.restart(),
    () => {
      if (daemon !== undefined) daemon.crashIn = timeline.between(0, 9);
      later(() => void world.boot(site));
    },
    () => {
      disk.isFull = true;
      later(() => (disk.isFull = false));
    },
    () => ail({ isDown: true }),
    () => ail({ latencyMs: 3_000 }),
    () => ail({ isStale: true }),
    () => ail({ lostReplies: 30, refusals: 30 }),
    () => Object.assign(network, { lost: timeline.between(0, 50), doubled: 20 }),
    () => (network.latencyMs = timeline.between(1, 5_000)),
    () => block(way(site, other.site)),
    () => block(way(site, other.site), way(other.site, site)),
    () => block(...sites.flatMap((each) => [way(site, each), way(each, site)])),
    () => {
      if (!approved.delete(other.trustDomain)) return; // Itself, or forgotten already.
      later(() => approved.add(other.trustDomain));
    },
  ])?.();
}

/** All that was done to the world is undone. */
function heal({ world, members }: Mesh): void {
  const { network } = world;
  Object.assign(network, { lost: 0, doubled: 0, latencyMs: 50 });
  network.blocked.clear();
  for (const { site, spire, disk, daemon } of members) {
    spire.ills = WELL;
    disk.isFull = false;
    if (daemon !== undefined) daemon.crashIn = Number.POSITIVE_INFINITY;
    void world.boot(site);
  }
}
