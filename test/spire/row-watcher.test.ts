import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { SpireServer } from "../../src/ports/spire-server.ts";
import { RowWatcher } from "../../src/spire/row-watcher.ts";
import { connectSpireServer } from "../../src/spire/spire-server.ts";
import { BundleSchema, create } from "../../src/spire-api/services.ts";
import { MadeUpPace } from "./made-up-pace.ts";
import { SpireStandIn } from "./spire-stand-in.ts";

let spire: SpireStandIn;
let server: SpireServer;
let pace: MadeUpPace;
let watcher: RowWatcher;
let events: string[];

beforeEach(async () => {
  spire = await SpireStandIn.make();
  server = connectSpireServer({ socketPath: spire.socketPath, deadlineMs: 1_000 });
  pace = new MadeUpPace();
  events = [];
  watcher = new RowWatcher({ pace }, server, {
    onRowsRead: (rows) => events.push(rows.map(({ trustDomain }) => trustDomain).join(" ")),
    onRowsUnread: ({ code }) => events.push(code),
  });
});

afterEach(async () => {
  await watcher.stop();
  server.close();
  await spire.remove();
});

function addRow(trustDomain: string): void {
  spire.rows.set(trustDomain, create(BundleSchema, { trustDomain }));
}

describe("the rows", () => {
  test("are read at the start and every 10 s", async () => {
    await spire.start();
    addRow("bravo.test");
    watcher.start();
    await pace.advance(9_999);
    expect(events).toEqual(["bravo.test"]);
    addRow("charlie.test");
    await pace.advance(10_000);
    expect(events).toEqual(["bravo.test", "bravo.test charlie.test"]);
  });

  test("are read on demand at once", async () => {
    await spire.start();
    watcher.start();
    await pace.asleep();
    addRow("bravo.test");
    void watcher.readNow();
    await pace.asleep();
    expect(events).toEqual(["", "bravo.test"]);
  });

  test("are read again for a demand that came during a read", async () => {
    await spire.start();
    let asked = false;
    spire.before = ({ method }) => {
      if (asked || method !== "ListFederationRelationships") return;
      asked = true; // The rows are read already: what is added now needs another read.
      addRow("bravo.test");
      void watcher.readNow();
    };
    watcher.start();
    await pace.advance(0);
    await expect.poll(() => events).toEqual(["", "bravo.test"]);
  });

  test("are told of before who demanded them goes on", async () => {
    await spire.start();
    watcher.start();
    await pace.asleep();
    addRow("bravo.test");
    await Promise.all([watcher.readNow(), watcher.readNow()]);
    expect(events).toEqual(["", "bravo.test"]);
  });

  test("that cannot be read are told of again for a demand", async () => {
    watcher.start();
    await pace.asleep();
    await watcher.readNow();
    expect(events).toEqual(["SPIRE_UNREACHABLE", "SPIRE_UNREACHABLE"]);
  });

  test("hold up nobody who demands them at the stop", async () => {
    const demand = watcher.readNow(); // Of a watcher that was not started.
    await watcher.stop();
    await demand;
    expect(events).toEqual([]);
  });

  test("that cannot be read are told once an outage, and read soon after SPIRE is back", async () => {
    watcher.start();
    await pace.advance(60_000);
    expect(events).toEqual(["SPIRE_UNREACHABLE"]);
    await spire.start();
    await pace.advance(2_000);
    await spire.stop();
    await pace.advance(60_000);
    await spire.start();
    await pace.advance(2_000);
    expect(events).toEqual(["SPIRE_UNREACHABLE", "", "SPIRE_UNREACHABLE", ""]);
  });

  test("are not told in part when the relationships cannot be read", async () => {
    await spire.start();
    spire.before = async ({ method }) => {
      if (method === "ListFederationRelationships") await spire.stop();
    };
    watcher.start();
    await pace.asleep();
    expect(events).toEqual(["SPIRE_UNREACHABLE"]);
  });
});
