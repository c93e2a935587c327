/**
 * Whatever happens to a small mesh, the laws hold after every event, and once it is left in peace it
 * becomes well. SPIRE_MESH_SEED=N runs one seed, SPIRE_MESH_LONG=1 fifty times as many.
 */
import { execFile } from "node:child_process";
import process from "node:process";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { Mesh } from "../../simulations/scenarios/mesh.ts";
import type { Outcome } from "../../simulations/scenarios/healing.ts";
import { sizesOf, storm } from "../../simulations/scenarios/storm.ts";

const SEEDS = 100;
const LONG_FACTOR = 50;
/** Against hanging: a seed takes 0.2 s of CPU time. */
const DEADLINE_A_SEED_MS = 5_000;

const { SPIRE_MESH_SEED, SPIRE_MESH_LONG } = process.env;
const count = SPIRE_MESH_LONG === "1" ? SEEDS * LONG_FACTOR : SEEDS;
const seeds =
  SPIRE_MESH_SEED === undefined
    ? Array.from({ length: count }, (_, index) => index + 1)
    : [Number(SPIRE_MESH_SEED)];

async function run(seed: number): Promise<Outcome> {
  const mesh = new Mesh(seed, sizesOf(seed));
  try {
    return await storm(mesh, seed);
  } catch (error) {
    const replay = `all of it: node simulations/run.ts storm ${seed}`;
    throw new Error([replay, ...mesh.world.log.slice(-20)].join("\n"), { cause: error });
  }
}

/** What a process of its own prints of a seed: each step, and the ending. */
async function print(seed: number): Promise<string> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ["simulations/run.ts", "storm", String(seed)],
    { maxBuffer: 2 ** 26 },
  );
  return stdout;
}

describe("a storm", () => {
  test(
    "breaks no law, and the mesh is well after it",
    { timeout: seeds.length * DEADLINE_A_SEED_MS },
    async () => {
      for (const seed of seeds)
        expect(await run(seed), `seed ${seed}`).toMatchObject({ unwell: undefined });
    },
  );

  test("is the same byte by byte for one seed in two processes, and another for another", async () => {
    const [once, again, other] = await Promise.all([print(8), print(8), print(13)]);
    expect(once.split("\n").length).toBeGreaterThan(500);
    expect(again).toBe(once);
    expect(other).not.toBe(once);
  });
});
