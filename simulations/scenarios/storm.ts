/**
 * Everybody approves everybody, a minute of rotations and of every fault the world has, then all is
 * healed and must become well.
 */
import { Rogue } from "../actors/rogue.ts";
import { unwell } from "../checkers/wellness.ts";
import { Faults } from "./faults.ts";
import type { Mesh } from "./mesh.ts";

const STORM_MS = 60_000;
const FAULT_EVERY_MS = 1_000;
const LOOK_EVERY_MS = 1_000;
const WELL_WITHIN_MS = 420_000;

export interface Outcome {
  /** From the last fault until all was well. */
  readonly healedMs: number;
  /** What is not as it should be after {@link WELL_WITHIN_MS}. */
  readonly unwell: string | undefined;
}

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
  const faults = new Faults(mesh, new Set(hasRogue ? [first, second] : []));
  const calm = world.timeline.every(FAULT_EVERY_MS, () => {
    faults.strike();
    rogue?.act();
  });
  await world.pass(STORM_MS);
  calm();
  faults.heal();
  const honest = members.filter((each) => each !== rogue?.self);
  const doubtful = new Set(hasRogue ? [first.trustDomain, second.trustDomain] : []);
  const calmAtMs = world.timeline.nowMs();
  for (;;) {
    const ill = unwell(honest, doubtful);
    const healedMs = world.timeline.nowMs() - calmAtMs;
    if (ill === undefined || healedMs >= WELL_WITHIN_MS) return { healedMs, unwell: ill };
    await world.pass(LOOK_EVERY_MS);
  }
}
