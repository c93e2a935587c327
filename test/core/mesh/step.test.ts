/**
 * Any history of two partners: records that come in any order, a disk that fails now and then, SPIRE
 * that refuses, overwrites and goes away, operators, restarts. The runner holds every step to "stored
 * before answered, stored before written back"; here is what must be true in between and at the end.
 */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { RowOutcome } from "../../../src/core/mesh/row-order.ts";
import { type Version, compareVersions } from "../../../src/core/record/state.ts";
import { type TestRecord, bundleOf, makePublisher, untainted } from "../../arbitraries/record.ts";
import { TestDaemon, TestDisk, ofKind } from "./daemon.ts";

const alpha = makePublisher("alpha.test");
const bravo = makePublisher("bravo.test");
const { ca, genesis, newCa, node, svid, trustDomain } = alpha;
const nextCa = newCa();
const nextSvid = alpha.mint(nextCa);

const prepared = alpha.next(genesis, { x509Authorities: [untainted(ca), untainted(nextCa)] });
const sibling = alpha.next(genesis, { x509Authorities: [untainted(ca), untainted(newCa())] });
const revoked = alpha.next(prepared, { x509Authorities: [untainted(nextCa)] }, [svid, nextSvid]);
const last = alpha.next(revoked, { x509Authorities: [untainted(nextCa), untainted(newCa())] }, [
  nextSvid,
]);
const stranger = makePublisher("alpha.test").genesis;
const records: readonly TestRecord[] = [genesis, prepared, sibling, revoked, last, stranger];
const foreign = { ...bundleOf(genesis.state), x509Authorities: [untainted(newCa())] };

const outcomes: readonly RowOutcome[] = [
  { kind: "equal", wrote: true },
  { kind: "equal", wrote: false },
  { kind: "different", found: foreign },
  { kind: "different", found: undefined },
  { kind: "refused", status: 3, message: "malformed" },
  { kind: "away", message: "no answer in time" },
];

const happening = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("receive"), index: fc.nat(5) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("row"), index: fc.nat(5) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("rows-read"), index: fc.nat(5) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom("import", "disk", "tick", "spire", "sync", "restart"),
      index: fc.nat(5),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("forget", "pin"), index: fc.nat(5) }) },
);

interface World {
  daemon: TestDaemon;
  readonly disk: TestDisk;
  /** Set by whatever may bring the version down: a pin, a forget. */
  reset: boolean;
}

async function happen(world: World, kind: string, index: number): Promise<void> {
  const { daemon, disk } = world;
  const record = records[index] ?? genesis;
  if (kind === "receive") {
    if (record.idHex === daemon.state.partners.get(trustDomain)?.pin.awaitedRecordId)
      world.reset = true;
    daemon.receive(record, index % 2 === 0 ? "gossip" : "sync");
  } else if (kind === "row") {
    const outcome = outcomes[index] ?? { kind: "superseded" };
    if (daemon.orders[0]?.kind === "delete") world.reset = true;
    if (daemon.orders.length > 0) daemon.endRow(outcome);
  } else if (kind === "rows-read") daemon.readRows(index > 2 ? foreign : bundleOf(record.state));
  else if (kind === "import") {
    if (record.idHex === daemon.state.partners.get(trustDomain)?.pin.awaitedRecordId)
      world.reset = true;
    daemon.import(record, { replace: index % 2 === 0 });
  } else if (kind === "disk") disk.fails = !disk.fails && index < 3;
  else if (kind === "tick") daemon.wait(index);
  else if (kind === "spire") {
    daemon.send(index % 2 === 0 ? { kind: "spire-back" } : { kind: "spire-away", reason: "away" });
  } else if (kind === "sync") daemon.sync();
  else if (kind === "forget") daemon.forget(trustDomain);
  else if (kind === "pin") {
    world.reset = true;
    daemon.pin(trustDomain, record.idHex);
  } else if (kind === "restart") {
    world.daemon = await TestDaemon.start(bravo, { disk, nowMs: daemon.nowMs });
  }
}

const versionOf = ({ daemon }: World): Version | undefined =>
  daemon.state.partners.get(trustDomain)?.slot?.held.record.state.version;

describe("any history", () => {
  test("keeps memory and disk the same, the version rising, and one order a change", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(happening, { maxLength: 40 }), async (happenings) => {
        const disk = new TestDisk();
        const world: World = {
          daemon: await TestDaemon.start(bravo, { disk }),
          disk,
          reset: false,
        };
        world.daemon.import(genesis);
        for (const { kind, index } of happenings) {
          const before = versionOf(world);
          world.reset = false;
          await happen(world, kind, index);
          const after = versionOf(world);
          if (before !== undefined && after !== undefined && !world.reset) {
            expect(compareVersions(after, before)).toBeGreaterThanOrEqual(0);
          }
          expect(world.daemon.stored(trustDomain)).toEqual(disk.domains.get(trustDomain));
          expect(world.daemon.state.partners.get(trustDomain)?.pin).toEqual(
            disk.pins.get(trustDomain),
          );
        }
      }),
      { numRuns: 100 },
    );
  }, 20_000);

  test("ends with the newest record in SPIRE, once everything works again", async () => {
    const calm = fc.array(
      happening.filter(({ kind }) => kind !== "forget" && kind !== "pin"),
      { maxLength: 30 },
    );
    await fc.assert(
      fc.asyncProperty(calm, async (happenings) => {
        const disk = new TestDisk();
        const world: World = {
          daemon: await TestDaemon.start(bravo, { disk }),
          disk,
          reset: false,
        };
        world.daemon.import(genesis);
        for (const { kind, index } of happenings) await happen(world, kind, index);
        const { daemon } = world;
        disk.fails = false;
        daemon.nowMs += 3_600_000;
        daemon.send({ kind: "spire-back" });
        daemon.wait(11);
        for (const record of [genesis, prepared, revoked, last]) daemon.receive(record);
        daemon.import(last, { replace: true });
        daemon.readRows(foreign);
        for (let turn = 0; turn < 20 && daemon.orders.length > 0; turn += 1) daemon.endRow();
        daemon.readRows(bundleOf(last.state));
        expect(daemon.orders).toEqual([]);
        expect(daemon.stored(trustDomain)?.held.recordId).toBe(last.idHex);
        expect(ofKind(daemon.effects, "order-row").at(-1)?.order).toMatchObject({
          bundle: bundleOf(last.state),
        });
        expect(daemon.findings).toEqual([]);
      }),
      { numRuns: 50 },
    );
  }, 20_000);

  test("gives the same effects for the same inputs", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(happening, { maxLength: 20 }), async (happenings) => {
        const run = async (): Promise<unknown> => {
          const disk = new TestDisk();
          const world: World = {
            daemon: await TestDaemon.start(bravo, { disk }),
            disk,
            reset: false,
          };
          world.daemon.import(genesis);
          for (const { kind, index } of happenings) await happen(world, kind, index);
          return [world.daemon.effects, world.daemon.snapshot()];
        };
        expect(await run()).toEqual(await run());
      }),
      { numRuns: 15 },
    );
  }, 20_000);
});

describe("SPIRE", () => {
  test("that goes away is told and found until it is back", async () => {
    const daemon = await TestDaemon.start(bravo);
    daemon.send({ kind: "spire-away", reason: "connection refused" });
    expect(daemon.findings).toEqual(["SPIRE_UNREACHABLE"]);
    daemon.send({ kind: "spire-back" });
    expect(daemon.findings).toEqual([]);
  });
});

describe("a start", () => {
  test("admits the nodes of partners and dials what they hinted", async () => {
    const disk = new TestDisk();
    const before = await TestDaemon.start(bravo, { disk });
    before.import(genesis, { addressHints: ["/ip4/127.0.0.1/tcp/1"] });
    const daemon = await TestDaemon.start(bravo, { disk });
    expect(daemon.effects).toEqual([
      { kind: "admit-nodes", trustDomain, nodes: [node.publicKey] },
      { kind: "dial", trustDomain, addresses: ["/ip4/127.0.0.1/tcp/1"] },
      { kind: "mint-ahead" },
    ]);
  });
});
