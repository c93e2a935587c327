/**
 * Everybody approves everybody, a minute of rotations and of every fault the world has, then all is
 * healed and must become well.
 */
import { Rogue } from "../actors/rogue.ts";
import { Faults } from "./faults.ts";
import { type Outcome, heal } from "./healing.ts";
import type { Mesh } from "./mesh.ts";

const STORM_MS = 60_000;
const FAULT_EVERY_MS = 1_000;
/** A node that is listed and gone is removed with force, for which it must be unheard for 5 min. */
const WELL_WITHIN_MS = 7 * 60_000;

/** Two to six trust domains, by seed; of odd seeds the first has two or three replicas. */
export function sizesOf(seed: number): readonly number[] {
  const sizes = Array.from({ length: 2 + (seed % 5) }, () => 1);
  return seed % 2 === 0 ? sizes : sizes.with(0, 2 + (seed % 3 === 0 ? 1 : 0));
}

/** Throws when a law is broken. Of even seeds the first member is a rogue. */
export async function storm(mesh: Mesh, seed: number): Promise<Outcome> {
  const { world, members } = mesh;
  const [first, second, third] = members;
  const hasRogue = first && second && third && seed % 2 === 0;
  const rogue = hasRogue ? new Rogue(world, first, second) : undefined;
  const faults = new Faults(mesh, new Set(rogue && [rogue.self, rogue.victim]));
  const calm = world.timeline.every(FAULT_EVERY_MS, () => {
    faults.strike();
    rogue?.act();
  });
  await world.pass(STORM_MS);
  calm();
  return await heal(mesh, faults, WELL_WITHIN_MS, rogue);
}
