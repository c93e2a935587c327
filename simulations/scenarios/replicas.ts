/**
 * Honest histories of one trust domain with three replicas, and of two partners: rotations that wait
 * for nobody, nodes that come and go wherever it comes to hand, restored datastores, older disks. In
 * every eighth one replica dies for good.
 */
import { Faults } from "./faults.ts";
import { type Outcome, heal } from "./healing.ts";
import type { Mesh } from "./mesh.ts";

export const SIZES: readonly number[] = [3, 1, 1];

/** The first record is out, and all three are listed. */
const JOINED_MS = 25_000;
const HISTORY_MS = 40_000;
const TURN_EVERY_MS = 1_000;
const LOSS_EVERY = 8;
/** A node that is listed and gone is removed with force, for which it must be unheard for 5 min. */
const WELL_WITHIN_MS = 7 * 60_000;

/** Throws when a law is broken. */
export async function replicas(mesh: Mesh, seed: number): Promise<Outcome> {
  const { world } = mesh;
  const faults = new Faults(mesh, new Set());
  await world.pass(JOINED_MS);
  if (seed % LOSS_EVERY === 0) faults.loseOne();
  const calm = world.timeline.every(TURN_EVERY_MS, () => faults.strike(mesh.members[0]));
  await world.pass(HISTORY_MS);
  calm();
  return await heal(mesh, faults, WELL_WITHIN_MS);
}
