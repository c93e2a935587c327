/**
 * Replicas of one trust domain and two partners: whatever honest operators, restored datastores and
 * older disks do, in the end nobody disagrees. SPIRE_MESH_SEED=N runs one seed, SPIRE_MESH_LONG=1
 * fifty times as many.
 */
import process from "node:process";
import { describe, expect, test } from "vitest";
import { Mesh } from "../../simulations/scenarios/mesh.ts";
import { SIZES, replicas } from "../../simulations/scenarios/replicas.ts";

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

describe("replicas", () => {
  test(
    "break no law, and all hold the same in the end, as do their partners and SPIRE's rows",
    { timeout: seeds.length * DEADLINE_A_SEED_MS },
    async () => {
      let forks = 0;
      for (const seed of seeds) {
        const mesh = new Mesh(seed, SIZES);
        const replay = `node simulations/run.ts replicas ${seed}`;
        expect(await replicas(mesh, seed), replay).toMatchObject({ unwell: undefined });
        forks += mesh.laws.forks;
      }
      // Disks that went back make some: a world without any would not have tried much.
      if (SPIRE_MESH_SEED === undefined) expect(forks).toBeGreaterThan(0);
    },
  );
});
