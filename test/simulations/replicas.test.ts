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

  // A disk that went back, marks and all, is not noticed. Its daemon may publish on top of what it
  // holds though its peers name a higher own version, and can follow the others no more: until the next
  // rotation, and at its own side for good, only a comparison of two `status` tells.
  test.fails("that cannot follow one another say so", async () => {
    let unsaid = 0;
    for (const seed of [14, 41, 57, 74, 96]) {
      const mesh = new Mesh(seed, SIZES);
      await replicas(mesh, seed);
      for (const member of mesh.members) unsaid += member.unsaid;
    }
    expect(unsaid).toBe(0);
  });

  // Who starts after its datastore was restored never reads what its replicas had published before.
  test.fails("call no honest record forged after a restored datastore", async () => {
    const found: string[] = [];
    for (const seed of [16, 60, 61, 94]) {
      const mesh = new Mesh(seed, SIZES);
      await replicas(mesh, seed);
      for (const { daemon } of mesh.replicas) {
        for (const { code } of daemon?.state.findings.values() ?? []) found.push(code);
      }
    }
    expect(found).not.toContain("FORGED_OWN");
  });
});
