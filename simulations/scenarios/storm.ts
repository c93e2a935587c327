/**
 * Everybody approves everybody, a minute of rotations and of every fault the world has, then all is
 * healed and must become well.
 */
import { hash } from "node:crypto";
import { way } from "../world/network.ts";
import { Rogue } from "../world/rogue.ts";
import { WELL } from "../world/spire.ts";
import type { World } from "../world/world.ts";

const STORM_MS = 60_000;
const FAULT_EVERY_MS = 1_000;
/** How long one fault lasts at most. */
const FAULT_MS_MAX = 20_000;
const HEAL_STEP_MS = 5_000;
const HEAL_STEPS_MAX = 36;

export interface Outcome {
  /** SHA-256 of all that happened. */
  readonly digest: string;
  /** What is not as it should be after the last fault and the longest time to heal. */
  readonly unwell: string | undefined;
}

export async function storm(world: World, seed: number): Promise<Outcome> {
  const { sites, timeline } = world;
  const [first, second, third] = sites;
  const hasRogue = first && second && third && seed % 2 === 0;
  const rogue = hasRogue ? new Rogue(world, first, second) : undefined;
  let isOver = false;
  timeline.every(FAULT_EVERY_MS, () => {
    if (isOver) return false;
    strike(world);
    rogue?.act();
    return true;
  });
  await world.pass(STORM_MS);
  isOver = true;
  heal(world);
  let unwell = world.laws.unwell(rogue);
  for (let step = 0; unwell !== undefined && step < HEAL_STEPS_MAX; step += 1) {
    await world.pass(HEAL_STEP_MS);
    unwell = world.laws.unwell(rogue);
  }
  return { digest: hash("sha256", world.log.join("\n")), unwell };
}

/** Something happens to somebody; most of it ends after a while. */
function strike(world: World): void {
  const { sites, timeline, network } = world;
  const [site, other] = [timeline.oneOf(sites), timeline.oneOf(sites)];
  if (site === undefined || other === undefined) return;
  const { spire, disk, daemon } = site;
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
    () => block(way(site, other)),
    () => block(way(site, other), way(other, site)),
    () => block(...sites.flatMap((each) => [way(site, each), way(each, site)])),
    () => {
      if (!site.approved.delete(other.trustDomain)) return; // Itself, or forgotten already.
      later(() => site.approved.add(other.trustDomain));
    },
  ])?.();
}

/** All that was done to the world is undone. */
function heal(world: World): void {
  const { sites, network } = world;
  Object.assign(network, { lost: 0, doubled: 0, latencyMs: 50 });
  network.blocked.clear();
  for (const site of sites) {
    site.spire.ills = WELL;
    site.disk.isFull = false;
    if (site.daemon !== undefined) site.daemon.crashIn = Number.POSITIVE_INFINITY;
    void world.boot(site);
  }
}
