/**
 * Whatever happens to a small mesh, the laws hold after every event, and once it is left in peace it
 * becomes well. SPIRE_MESH_SEED=N runs one seed, SPIRE_MESH_LONG=1 twenty times as many.
 */
import process from "node:process";
import { describe, expect, test } from "vitest";
import { type Outcome, storm } from "../../simulations/scenarios/storm.ts";
import { World } from "../../simulations/world/world.ts";
import { impurities } from "../tidy/purity.ts";
import { repositoryFiles } from "../tidy/source.ts";

const SEEDS = 250;
const LONG_FACTOR = 20;
/** Against hanging: a seed takes 80 ms of CPU time. */
const DEADLINE_A_SEED_MS = 1_000;
/** Promises of the rooms beside SPIRE, which all settle between two events; and chance by seed. */
const SETTLES = / uses (?:async|await|Promise|AbortSignal|setImmediate|random), /;
/** Trust domains: 2 to 6, by seed. */
const SIZES = 5;

const { SPIRE_MESH_SEED, SPIRE_MESH_LONG } = process.env;
const count = SPIRE_MESH_LONG === "1" ? SEEDS * LONG_FACTOR : SEEDS;
const seeds =
  SPIRE_MESH_SEED === undefined
    ? Array.from({ length: count }, (_, index) => index + 1)
    : [Number(SPIRE_MESH_SEED)];

async function run(seed: number): Promise<Outcome> {
  const world = new World(seed, 2 + (seed % SIZES));
  try {
    return await storm(world, seed);
  } catch (error) {
    const replay = `SPIRE_MESH_SEED=${seed} npm test -- test/simulations/world`;
    throw new Error([replay, ...world.log.slice(-20)].join("\n"), { cause: error });
  }
}

describe("a small world", () => {
  test(
    "keeps its laws in every storm and is well after it",
    { timeout: seeds.length * DEADLINE_A_SEED_MS },
    async () => {
      for (const seed of seeds)
        expect(await run(seed), `seed ${seed}`).toMatchObject({ unwell: undefined });
    },
  );

  test("takes its time and its chance from the seed alone", () => {
    const files = repositoryFiles(/^simulations\/.*\.ts$/);
    const taken = files.flatMap(impurities).filter((found) => !SETTLES.test(found));
    expect(taken).toEqual([]);
  });

  test("is the same run for the same seed, and another one for another", async () => {
    const [once, again, other] = [await run(7), await run(7), await run(8)];
    expect(again).toEqual(once);
    expect(other.digest).not.toBe(once.digest);
  });
});
