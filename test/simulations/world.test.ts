/** The world by itself: cores, the network between them and time, with next to nothing beside them. */
import { describe, expect, test } from "vitest";
import type { Site } from "../../simulations/world/daemon.ts";
import type { Certified } from "../../simulations/world/table-proofs.ts";
import { World } from "../../simulations/world/world.ts";
import type { TrustBundle } from "../../src/core/spiffe/trust-bundle.ts";
import { impurities } from "../tidy/purity.ts";
import { repositoryFiles } from "../tidy/source.ts";

/** Promises of the rooms beside SPIRE, which all settle between two events; and chance by seed. */
const SETTLES = / uses (?:async|await|Promise|AbortSignal|setImmediate|random), /;
const LIFE_S = 3_600;

/** SPIRE Server at its least: one CA after the other, and rows that are as they were ordered. */
class PlainServer {
  readonly rows = new Map<string, TrustBundle>();
  readonly site: Site;
  readonly #world: World;
  #ca: Certified;
  #rotations = 0n;

  constructor(name: string, world: World) {
    this.#world = world;
    this.site = world.add(name, ({ loop }) => ({
      mint: async () => this.#issue(this.#ca),
      orderRow: (order) => {
        if (order.kind === "set") this.rows.set(order.trustDomain, order.bundle);
        loop.put({ kind: "row-ended", order, outcome: { kind: "equal", wrote: true } });
      },
      stop: () => undefined,
    }));
    this.#ca = this.#issue();
  }

  /** A new CA beside the one before; the daemon reads it at once. */
  rotate(): TrustBundle {
    const before = this.#ca;
    this.#ca = this.#issue();
    const bundle = {
      trustDomain: this.site.trustDomain,
      sequenceNumber: (this.#rotations += 1n),
      x509Authorities: [before, this.#ca].map(({ facts: { der } }) => ({ der, tainted: false })),
      jwtAuthorities: [],
    };
    this.site.daemon?.loop.put({ kind: "local-bundle-read", bundle });
    return bundle;
  }

  async approve({ site: { daemon } }: PlainServer): Promise<void> {
    const exported = await daemon?.loop.ask((ticket) => ({ kind: "export-asked", ticket }));
    if (exported?.kind !== "exported") throw new Error("nothing to approve");
    const { envelope, recordId: fingerprint } = exported;
    await this.site.daemon?.loop.ask((ticket) => ({
      kind: "import-asked",
      ticket,
      envelope,
      fingerprint,
      addressHints: [],
      replace: false,
      spireAsked: true,
      row: undefined,
      hasRelationship: false,
    }));
  }

  #issue(issuer?: Certified): Certified {
    const { trustDomain, nowMs } = this.site;
    return this.#world.proofs.issue(trustDomain, Math.floor(nowMs() / 1_000), LIFE_S, issuer);
  }
}

describe("a world", () => {
  test("carries one rotation from one of three cores to the others, with nothing else in it", async () => {
    const world = new World(1);
    const servers = ["one", "two", "three"].map((name) => new PlainServer(name, world));
    for (const { site } of servers) await world.boot(site);
    for (const server of servers) server.rotate();
    for (const at of servers) for (const each of servers) if (at !== each) await at.approve(each);
    await world.pass(2_000); // They find one another.
    const [first, ...others] = servers;
    const rotated = first?.rotate();
    await world.pass(200); // Gossip takes 50 ms at most.
    for (const { rows } of others) {
      expect(new Set(rows.get("one")?.x509Authorities)).toEqual(new Set(rotated?.x509Authorities));
    }
  });

  test("brings what changed while a host's clock was behind once that is right, by itself", async () => {
    const world = new World(1);
    const first = new PlainServer("one", world);
    const second = new PlainServer("two", world);
    for (const { site } of [first, second]) await world.boot(site);
    for (const server of [first, second]) server.rotate();
    await world.pass(1_000_000); // Its authority is older than its clock will be behind.
    for (const server of [first, second]) await server.approve(server === first ? second : first);
    await world.pass(2_000);
    first.site.behindMs = 900_000;
    const rotated = first.rotate();
    await world.pass(60_000);
    const ails = (): unknown[] =>
      [first, second].map(({ site }) => Array.from(site.daemon?.state.findings.values() ?? []));
    expect(ails()).toMatchObject([[{ code: "CONTINUITY_GAP" }], []]);
    expect(second.rows.get("one")?.sequenceNumber).toBe(1n);
    first.site.behindMs = 0;
    await world.pass(2_000);
    expect(ails()).toEqual([[], []]);
    expect(new Set(second.rows.get("one")?.x509Authorities)).toEqual(
      new Set(rotated.x509Authorities),
    );
  });

  test("takes its time and its chance from the seed alone", () => {
    const files = repositoryFiles(/^simulations\/.+\/.*\.ts$/);
    const taken = files.flatMap(impurities).filter((found) => !SETTLES.test(found));
    expect(taken).toEqual([]);
  });
});
