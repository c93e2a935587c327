/** What follows every storm: all is healed, and all must become well. */
import { unwell } from "../checkers/wellness.ts";
import type { Rogue } from "../actors/rogue.ts";
import type { Faults } from "./faults.ts";
import type { Mesh } from "./mesh.ts";

const LOOK_EVERY_MS = 1_000;
/** SPIRE goes on meanwhile: what nobody could tell of one version shows at the next. */
const ROTATED_AT_MS = 100_000;

export interface Outcome {
  /** From the last fault until all was well. */
  readonly healedMs: number;
  /** What is not as it should be in the end. */
  readonly unwell: string | undefined;
}

export async function heal(
  { world, members }: Mesh,
  faults: Faults,
  withinMs: number,
  rogue?: Rogue,
): Promise<Outcome> {
  faults.heal();
  const honest = members.filter((each) => each !== rogue?.self);
  // Whoever has a node key can ask for attention in its name, and no more (docs/protocol.md 1).
  const doubtful = new Set(rogue && [rogue.self.trustDomain, rogue.victim.trustDomain]);
  const calmAtMs = world.timeline.nowMs();
  let last: string | undefined;
  for (;;) {
    const ill = unwell(honest, doubtful);
    if (ill !== last) world.log.push(`${world.timeline.nowMs()} ${ill ?? "all is well"}`);
    last = ill;
    const healedMs = world.timeline.nowMs() - calmAtMs;
    if (ill === undefined || healedMs >= withinMs) return { healedMs, unwell: ill };
    if (healedMs === ROTATED_AT_MS) for (const { leading } of members) leading?.spire.restart();
    await world.pass(LOOK_EVERY_MS);
  }
}
