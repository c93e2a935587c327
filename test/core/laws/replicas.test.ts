/**
 * Two honest daemons never disagree for good: whatever order records of one trust domain come in, once
 * everybody hears everybody, all hold the same, and it is what SPIRE says.
 */
import { describe, expect, test } from "vitest";
import { ReplicaWorld, type WorldOptions } from "./replica-world.ts";

const IS_LONG = process.env["SPIRE_MESH_LONG"] === "1";
const QUIET: WorldOptions = {
  hasRule: true,
  hasNodeChanges: false,
  hasRestores: false,
  operations: 80,
};

interface Ends {
  /** Seeds after which members hold different states, or others than SPIRE's, or a fork. */
  readonly diverged: readonly number[];
  readonly unequal: readonly number[];
  readonly forked: readonly number[];
  readonly falls: number;
  /** Of all histories together. */
  readonly revs: number;
  /** Histories in which somebody held two records of one version for a while. */
  readonly forks: number;
}

function endsOf(options: WorldOptions, histories: number): Ends {
  const ends = { diverged: [] as number[], unequal: [] as number[], forked: [] as number[] };
  let falls = 0;
  let revs = 0;
  let forks = 0;
  for (let seed = 1; seed <= histories; seed += 1) {
    const world = new ReplicaWorld(seed, options);
    world.run();
    world.settle();
    const { honest } = world;
    if (new Set(honest.map((each) => world.view(each))).size > 1) ends.diverged.push(seed);
    if (honest.some((each) => !world.isAsSpire(each))) ends.unequal.push(seed);
    if (honest.some(({ slot }) => slot?.sibling !== undefined)) ends.forked.push(seed);
    falls += world.falls;
    revs += world.rev;
    forks += Number(world.forks > 0);
  }
  return { ...ends, falls, revs, forks };
}

const many = (few: number): number => (IS_LONG ? few * 40 : few);

describe("replicas of one trust domain, and its partners, end up with the same", () => {
  test.each<readonly [string, Partial<WorldOptions>, number]>([
    ["rotations, activations that wait for nobody, partitions", {}, 25],
    ["a datastore restored to any backup as well", { hasRestores: true }, 30],
    [
      "nodes added and removed wherever it comes to hand, by the rule",
      { hasNodeChanges: true },
      60,
    ],
    ["all of it", { hasNodeChanges: true, hasRestores: true }, 60],
  ])("%s", (_, options, few) => {
    const ends = endsOf({ ...QUIET, ...options }, many(few));
    expect(ends).toMatchObject({ diverged: [], unequal: [], forked: [], falls: 0 });
    // What is to happen did happen.
    expect(ends.revs > 0).toBe(Object.keys(options).length > 0);
  });

  test("and without the rule of node changes they do not: the world notices", () => {
    const { diverged, forks } = endsOf(
      { ...QUIET, hasRule: false, hasNodeChanges: true },
      many(20),
    );
    expect(forks).toBeGreaterThan(0);
    expect(diverged.length).toBeGreaterThan(0);
  });
});
