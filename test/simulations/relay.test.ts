/** What a relay can do to one that was away: nothing that time does not heal at once. */
import { expect, test } from "vitest";
import { Mesh } from "../../simulations/scenarios/mesh.ts";
import { relay } from "../../simulations/scenarios/relay.ts";

const SEEDS = 3;

test("a relay that repeats the newest record does not delay the steps that its publisher serves", async () => {
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    expect(await relay(new Mesh(seed, [1, 1, 1])), `seed ${seed}`).toBe(true);
  }
});
