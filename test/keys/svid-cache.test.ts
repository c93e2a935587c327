import { generateKeyPairSync } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type PublisherSvid, isValidAt } from "../../src/keys/publisher-svid.ts";
import { KEPT_SVIDS_MAX, SvidCache } from "../../src/keys/svid-cache.ts";

const HOUR_S = 3_600;
/** SPIRE dates its certificates back (read in its source). */
const BACKDATE_S = 10;
const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });

/** A directory of files as one process leaves it to the next. */
class Files {
  readonly svids = new Set<PublisherSvid>();

  async load(): Promise<readonly PublisherSvid[]> {
    return [...this.svids];
  }

  async keep(svid: PublisherSvid): Promise<void> {
    this.svids.add(svid);
  }

  async forget(svid: PublisherSvid): Promise<void> {
    this.svids.delete(svid);
  }
}

/** A cache beside a SPIRE Server, where the wall clock of either may be wrong by any amount. */
class World {
  /** By a clock that never jumps. */
  trueS = 1_790_000_000;
  /** How far our wall clock is ahead of it. */
  aheadS = 0;
  readonly files = new Files();
  readonly minted: PublisherSvid[] = [];
  /** Those of them that SPIRE's clock was right for. */
  readonly mintedRight: PublisherSvid[] = [];
  cache = this.#newCache();
  worth: (svid: PublisherSvid) => number = () => 1;

  #newCache(): SvidCache {
    return new SvidCache(this.files, () => this.trueS * 1_000);
  }

  async restart(): Promise<void> {
    this.cache = this.#newCache();
    await this.cache.load();
  }

  /** Mints at SPIRE's own time. */
  async mint(anchorId: string, spireAheadS = 0, lifeS = HOUR_S): Promise<PublisherSvid> {
    const spireS = this.trueS + spireAheadS;
    const [notBeforeS, notAfterS] = [spireS - BACKDATE_S, spireS + lifeS];
    const svid = { chain: [], facts: [] as never, privateKey, anchorId, notBeforeS, notAfterS };
    this.minted.push(svid);
    if (spireAheadS === 0) this.mintedRight.push(svid);
    await this.cache.keep(svid, this.worth);
    return svid;
  }
}

function anchorsAt(timeS: number, svids: readonly PublisherSvid[]): Set<string> {
  return new Set(svids.filter((svid) => isValidAt(svid, timeS)).map(({ anchorId }) => anchorId));
}

type Turn = (world: World) => unknown;

/** Seven clocks, and two anchors below: fewer than there is room for. */
const offset = fc.constantFrom(0, 0, 1, -30, 200, -HOUR_S, 9 * HOUR_S, -9e8);
const turn: fc.Arbitrary<Turn> = fc.oneof(
  offset.map((aheadS) => (world: World) => (world.aheadS = aheadS)),
  fc
    .tuple(
      fc.constantFrom("a", "b"),
      fc.option(offset),
      fc.constantFrom(1, 60, HOUR_S, HOUR_S, HOUR_S),
    )
    .map(([anchor, spireAheadS, lifeS]) => async (world: World) => {
      // One host, one clock; or another host, whose clock is wrong by itself.
      await world.mint(anchor, spireAheadS ?? world.aheadS, lifeS);
    }),
  fc
    .oneof(
      { weight: 7, arbitrary: fc.integer({ min: 1, max: 60 }) },
      fc.integer({ min: 1, max: 2_000 }),
    )
    .map((passS) => (world: World) => (world.trueS += passS)),
  fc.constant((world: World) => world.cache.dropOver()),
);
/** As many mints in a few minutes as there is room for. */
const mints: fc.Arbitrary<Turn> = fc
  .constantFrom("a", "b")
  .map((anchor) => async (world: World) => {
    for (let count = 0; count < KEPT_SVIDS_MAX; count += 1) {
      world.trueS += 10;
      await world.mint(anchor, world.aheadS);
    }
  });
const turnOrRestart = fc.oneof(
  { weight: 4, arbitrary: turn },
  { weight: 1, arbitrary: fc.constant((world: World) => world.restart()) },
);

/** The anchors that a right clock minted for, and that nothing valid is kept of now. */
function lost(world: World): readonly string[] {
  const living = anchorsAt(world.trueS, world.mintedRight);
  const kept = anchorsAt(world.trueS, world.cache.validAt(world.trueS));
  return [...living].filter((anchorId) => !kept.has(anchorId));
}

describe("kept SVIDs, as a law", () => {
  test("what a right clock minted is there while it lives, however wall clocks jump", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(turnOrRestart, { maxLength: KEPT_SVIDS_MAX }), async (turns) => {
        const world = new World();
        for (const take of turns) {
          await take(world);
          expect(lost(world)).toEqual([]);
        }
      }),
      { numRuns: 500 },
    );
  });

  test("and above the limit as well, as another by the same clock stands for each that goes", async () => {
    const turns = fc.array(fc.oneof({ weight: 4, arbitrary: turn }, mints), { maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(turns, async (taken) => {
        const world = new World();
        for (const take of taken) {
          await take(world);
          expect(lost(world)).toEqual([]);
        }
      }),
      { numRuns: 500 },
    );
  });

  test("none outlives its hour by more than the time to the next look, in memory or in a file", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(turnOrRestart, { maxLength: 40 }), async (turns) => {
        const world = new World();
        for (const take of turns) await take(world);
        world.trueS += HOUR_S + 61;
        await world.cache.dropOver();
        expect(world.files.svids.size).toBe(0);
        const ever = world.minted.filter((svid) =>
          world.cache.validAt(svid.notBeforeS).includes(svid),
        );
        expect(ever).toEqual([]);
      }),
    );
  });

  test("they are at most as many as the limit says, in memory and in files", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(turnOrRestart, { maxLength: 60 }), async (turns) => {
        const world = new World();
        for (const take of turns) {
          await take(world);
          expect(world.files.svids.size).toBeLessThanOrEqual(KEPT_SVIDS_MAX);
        }
      }),
    );
  });
});

describe("kept SVIDs", () => {
  test.each([
    { what: "ends earlier", spireAheadS: 0, lifeS: 1, laterS: 60 },
    { what: "is not yet valid", spireAheadS: 2 * HOUR_S, lifeS: HOUR_S, laterS: 60 },
    { what: "has already ended", spireAheadS: -2 * HOUR_S, lifeS: HOUR_S, laterS: 0 },
  ])("stay when one of their anchor is minted that $what", async (worse) => {
    const world = new World();
    const good = await world.mint("a");
    for (let mints = 0; mints < 2 * KEPT_SVIDS_MAX; mints += 1) {
      await world.mint("a", worse.spireAheadS, worse.lifeS);
    }
    world.trueS += worse.laterS;
    expect(world.cache.validAt(world.trueS)).toEqual([good]);
  });

  test("minted while the wall clock was nine hours ahead take the place of none minted before", async () => {
    const world = new World();
    const good = await world.mint("a");
    world.aheadS = 9 * HOUR_S;
    for (let mints = 0; mints < 2 * KEPT_SVIDS_MAX; mints += 1) {
      world.trueS += 10;
      await world.mint("a", world.aheadS);
    }
    world.aheadS = 0;
    expect(world.cache.validAt(world.trueS)).toEqual([good]);
  });

  test("make room by the one that another of its anchor stands for, then by the least worth", async () => {
    const world = new World();
    const old = await world.mint("anchor 0");
    for (let anchor = 1; anchor < KEPT_SVIDS_MAX - 1; anchor += 1) {
      await world.mint(`anchor ${anchor}`);
    }
    world.worth = ({ anchorId }) => (anchorId === "anchor 1" ? 0 : 1);
    const doubled = await world.mint("anchor 5", 60);
    world.trueS += 70;
    const wanted = await world.mint("anchor 20");
    const kept = world.cache.validAt(world.trueS);
    expect(kept).toHaveLength(KEPT_SVIDS_MAX);
    expect(kept).toEqual(expect.arrayContaining([old, doubled, wanted]));
    await world.mint("anchor 21");
    const anchors = world.cache.validAt(world.trueS).map(({ anchorId }) => anchorId);
    expect(anchors).toHaveLength(KEPT_SVIDS_MAX);
    expect(anchors).not.toContain("anchor 1");
  });
});
