import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { RowOrder, RowOutcome } from "../../src/core/mesh/row-order.ts";
import type { SpireServer } from "../../src/ports/spire-server.ts";
import { RowWriter } from "../../src/spire/row-writer.ts";
import { SPIRE_WRITES_WAITING_MAX } from "../../src/core/std/limits.ts";
import { connectSpireServer } from "../../src/spire/spire-server.ts";
import { BundleSchema, Code, ConnectError, create } from "../../src/spire-api/services.ts";
import { MadeUpPace } from "./made-up-pace.ts";
import { SpireStandIn, bundleOf } from "./spire-stand-in.ts";

const AWAY = { code: Code.Internal, message: "datastore is away" };

let spire: SpireStandIn;
let server: SpireServer;
let pace: MadeUpPace;
let writer: RowWriter;
/** `domain content outcome`, in the order told. */
let told: string[];

beforeEach(async () => {
  spire = await SpireStandIn.make();
  server = connectSpireServer({ socketPath: spire.socketPath, deadlineMs: 1_000 });
  makeWriter();
});

afterEach(async () => {
  await writer.stop();
  server.close();
  await spire.remove();
});

function makeWriter(): void {
  pace = new MadeUpPace();
  told = [];
  writer = new RowWriter({ pace }, server, {
    onRowOutcome: (order, outcome) => told.push(`${textOf(order)} ${outcomeText(outcome)}`),
    onWritesDelayed: ({ code }) => told.push(code),
  });
}

function set(name: string, content: string): RowOrder {
  const bundle = bundleOf(name, content);
  return { kind: "set", trustDomain: bundle.trustDomain, bundle };
}

function remove(name: string): RowOrder {
  return { kind: "delete", trustDomain: bundleOf(name, "").trustDomain };
}

function textOf(order: RowOrder): string {
  const content = order.kind === "set" ? contentOf(order.bundle.x509Authorities[0]?.der) : "-";
  return `${order.trustDomain} ${content}`;
}

function outcomeText(outcome: RowOutcome): string {
  switch (outcome.kind) {
    case "equal":
      return outcome.wrote ? "written" : "equal";
    case "different":
      return `different ${contentOf(outcome.found?.x509Authorities[0]?.der)}`;
    case "refused":
      return `refused ${outcome.status}`;
    case "away":
    case "superseded":
      return outcome.kind;
  }
}

function contentOf(der: Uint8Array | undefined): string {
  return der === undefined ? "none" : Buffer.from(der).toString();
}

function row(name: string): string {
  return contentOf(spire.rows.get(name)?.x509Authorities[0]?.asn1);
}

/** Somebody else writes a row. */
function putRow(trustDomain: string, content: string): void {
  const x509Authorities = [{ asn1: Uint8Array.from(Buffer.from(content)) }];
  spire.rows.set(trustDomain, create(BundleSchema, { trustDomain, x509Authorities }));
}

function writes(): number {
  const deletions = spire.called("BatchDeleteFederatedBundle").length;
  return spire.called("BatchSetFederatedBundle").length + deletions;
}

/** What is told last of a row that says this. */
function saying(content: string): RegExp {
  return new RegExp(`( ${content} (written|equal)|different ${content})$`);
}

describe("laws", () => {
  const name = fc.constantFrom("a.test", "b.test", "c.test");
  const content = fc.constantFrom("1", "2", "3");
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ kind: fc.constant("set" as const), name, content }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("delete" as const), name }) },
    { weight: 3, arbitrary: fc.constantFrom(1, 400, 950, 1_000, 3_000) }, // Milliseconds that pass.
    { weight: 2, arbitrary: fc.constantFrom("next call fails", "next write fails") },
  );

  test("whatever comes in whatever order: rows end as last ordered, each order has one outcome, and no row is written twice within a second", async () => {
    await spire.start();
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        makeWriter();
        spire.rows.clear();
        let failing = "";
        const tooSoon: string[] = [];
        const writtenAtMs = new Map<string, number>();
        spire.before = ({ method, trustDomain = "" }) => {
          if (method.startsWith("Batch")) {
            const beforeMs = writtenAtMs.get(trustDomain) ?? -Infinity;
            if (pace.nowMs() - beforeMs < 1_000) tooSoon.push(trustDomain);
            writtenAtMs.set(trustDomain, pace.nowMs());
          }
          const isIt = failing === "next call fails" || method.startsWith("Batch");
          if (failing === "" || !isIt) return;
          failing = "";
          throw new ConnectError("away", Code.Unavailable);
        };
        const last = new Map<string, string>();
        let orders = 0;
        writer.start();
        for (const step of steps) {
          if (typeof step === "number") await pace.advance(step);
          else if (typeof step === "string") failing = step;
          else {
            orders += 1;
            writer.order(step.kind === "set" ? set(step.name, step.content) : remove(step.name));
            last.set(step.name, step.kind === "set" ? step.content : "none");
          }
        }
        await pace.advance(120_000);
        await writer.stop();
        expect(tooSoon).toEqual([]);
        expect(told.filter((line) => line !== "SPIRE_UNREACHABLE")).toHaveLength(orders);
        for (const [name, content] of last) {
          const givenUp = content === "none" && told.includes(`${name} - away`);
          if (!givenUp) expect(row(name), name).toBe(content);
        }
      }),
      { numRuns: 60 },
    );
  });

  const foreign = fc.record({ kind: fc.constant("foreign" as const), name, content });
  const contended = fc.oneof(
    { weight: 4, arbitrary: fc.record({ kind: fc.constant("set" as const), name, content }) },
    { weight: 3, arbitrary: foreign }, // Now.
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("overwrite" as const), content }) },
    { weight: 3, arbitrary: fc.constantFrom(1, 400, 950, 1_000, 3_000) },
  );

  test("whoever else writes at whatever moment: what was told last of a row is what it says, unless it changed once more a second after our write", async () => {
    await spire.start();
    await fc.assert(
      fc.asyncProperty(fc.array(contended, { maxLength: 25 }), async (steps) => {
        makeWriter();
        spire.rows.clear();
        const wroteAtMs = new Map<string, number>();
        /** When somebody else wrote a row that was not read since. */
        const unseen = new Map<string, number>();
        let overwrite: string | undefined;
        const writeForeign = (trustDomain: string, theirs: string): void => {
          putRow(trustDomain, theirs);
          unseen.set(trustDomain, pace.nowMs());
        };
        spire.before = ({ method, trustDomain = "" }) => {
          if (method === "GetFederatedBundle") unseen.delete(trustDomain);
        };
        spire.afterWrite = (trustDomain) => {
          unseen.delete(trustDomain); // Ours is what it says now.
          wroteAtMs.set(trustDomain, pace.nowMs());
          if (overwrite !== undefined) writeForeign(trustDomain, overwrite);
          overwrite = undefined;
        };
        writer.start();
        for (const step of steps) {
          if (typeof step === "number") await pace.advance(step);
          else if (step.kind === "set") writer.order(set(step.name, step.content));
          else if (step.kind === "foreign") writeForeign(step.name, step.content);
          else overwrite = step.content;
        }
        await pace.advance(10_000);
        await writer.stop();
        for (const domain of spire.rows.keys()) {
          const last = told.findLast((line) => line.startsWith(domain));
          if (last === undefined) continue;
          const changedAtMs = unseen.get(domain);
          if (changedAtMs === undefined) expect(last).toMatch(saying(row(domain)));
          else if (!last.includes("different")) {
            const lateMs = changedAtMs - (wroteAtMs.get(domain) ?? -Infinity);
            expect(lateMs, last).toBeGreaterThanOrEqual(1_000);
          }
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe("an order", () => {
  beforeEach(async () => {
    await spire.start();
    writer.start();
    await pace.asleep();
  });

  test("is written at once, read back, and looked at again after a second", async () => {
    writer.order(set("bravo.test", "one"));
    await pace.advance(999);
    expect(told).toEqual(["bravo.test one written"]);
    expect(spire.called("GetFederatedBundle")).toHaveLength(2);
    await pace.advance(2);
    expect(spire.called("GetFederatedBundle")).toHaveLength(3);
    await pace.advance(60_000);
    expect(told).toHaveLength(1);
    expect(spire.called("GetFederatedBundle")).toHaveLength(3);
  });

  test("for what the row says already writes nothing", async () => {
    putRow("bravo.test", "one");
    writer.order(set("bravo.test", "one"));
    writer.order(remove("charlie.test"));
    await pace.advance(5_000);
    expect(told).toEqual(["bravo.test one equal", "charlie.test - equal"]);
    expect(writes()).toBe(0);
    expect(writer.writes).toBe(0);
  });

  test("that differs in taint or number alone writes nothing, as SPIRE keeps no taint", async () => {
    putRow("bravo.test", "one");
    const bundle = bundleOf("bravo.test", "one", 99n);
    const x509Authorities = bundle.x509Authorities.map(({ der }) => ({ der, tainted: true }));
    const { trustDomain } = bundle;
    writer.order({ kind: "set", trustDomain, bundle: { ...bundle, x509Authorities } });
    await pace.advance(0);
    expect(told).toEqual(["bravo.test one equal"]);
  });

  test("replaces one that waits; the row skips what was between", async () => {
    for (const content of ["one", "two", "three"]) writer.order(set("bravo.test", content));
    await pace.advance(5_000);
    expect(told).toEqual([
      "bravo.test one superseded",
      "bravo.test two superseded",
      "bravo.test three written",
    ]);
    expect(writer.writes).toBe(1);
  });

  test("for a row written just now waits for the rest of the second", async () => {
    writer.order(set("bravo.test", "one"));
    await pace.advance(400);
    writer.order(set("bravo.test", "two"));
    writer.order(set("charlie.test", "one"));
    await pace.advance(599);
    expect(told).toEqual(["bravo.test one written", "charlie.test one written"]);
    await pace.advance(1);
    expect(told.at(-1)).toBe("bravo.test two written");
  });

  test("is not held up by the second looks at many others", async () => {
    for (let n = 0; n < 50; n += 1) writer.order(set(`td${n}.test`, "one"));
    await pace.advance(999);
    spire.calls.length = 0;
    spire.before = () => {
      if (spire.calls.length === 1) writer.order(set("late.test", "one"));
    };
    await pace.advance(1);
    const index = spire.calls.findIndex(({ method }) => method === "BatchSetFederatedBundle");
    expect(index).toBeLessThan(4);
    expect(spire.calls).toHaveLength(50 + 3);
  });

  test("to delete removes the row", async () => {
    putRow("bravo.test", "one");
    writer.order(remove("bravo.test"));
    await pace.advance(5_000);
    expect(told).toEqual(["bravo.test - written"]);
    expect(spire.rows.size).toBe(0);
    expect(writer.writes).toBe(1);
  });

  test("that SPIRE refuses is not tried again, until a new one comes", async () => {
    spire.statuses.push({ code: Code.InvalidArgument, message: "no" });
    writer.order(set("bravo.test", "one"));
    await pace.advance(60_000);
    expect(told).toEqual([`bravo.test one refused ${Code.InvalidArgument}`]);
    expect(writes()).toBe(1);
    writer.order(set("bravo.test", "two"));
    await pace.advance(0);
    expect(told.at(-1)).toBe("bravo.test two written");
  });

  test("that is too big to send is refused", async () => {
    writer.order(set("bravo.test", "x".repeat(3 * 1024 * 1024)));
    await pace.advance(0);
    expect(told.at(-1)?.endsWith(`refused ${Code.ResourceExhausted}`)).toBe(true);
  });

  test("number 10,001 in the queue is refused, and replacing one that waits still works", async () => {
    await writer.stop();
    makeWriter();
    for (let n = 0; n < 10_000; n += 1) writer.order(set(`td${n}.test`, "one"));
    expect(told).toEqual([]);
    writer.order(set("late.test", "one"));
    writer.order(set("td0.test", "two"));
    expect(told).toEqual([
      `late.test one refused ${Code.ResourceExhausted}`,
      "td0.test one superseded",
    ]);
  });
});

describe("another writer", () => {
  beforeEach(async () => {
    await spire.start();
    writer.start();
    await pace.asleep();
  });

  test("that changes the row before it is read back is told with what was found", async () => {
    spire.afterWrite = (name) => putRow(name, "theirs");
    writer.order(set("bravo.test", "ours"));
    await pace.advance(60_000);
    expect(told).toEqual(["bravo.test ours different theirs"]);
    expect(writer.writes).toBe(1);
  });

  test.for([
    ["changes the row", () => putRow("bravo.test", "theirs"), "theirs"],
    ["deletes the row", () => spire.rows.clear(), "none"],
  ] as const)("that %s within the second is told too", async ([, act, found]) => {
    writer.order(set("bravo.test", "ours"));
    await pace.advance(500);
    act();
    await pace.advance(500);
    expect(told).toEqual(["bravo.test ours written", `bravo.test ours different ${found}`]);
  });

  test("is not told while a newer order for the row waits: that one sees for itself", async () => {
    writer.order(set("bravo.test", "ours"));
    await pace.advance(500);
    putRow("bravo.test", "theirs");
    writer.order(set("bravo.test", "newer"));
    await pace.advance(60_000);
    expect(told).toEqual(["bravo.test ours written", "bravo.test newer written"]);
  });

  test("that brings back a deleted row is told", async () => {
    putRow("bravo.test", "one");
    writer.order(remove("bravo.test"));
    await pace.advance(500);
    putRow("bravo.test", "theirs");
    await pace.advance(500);
    expect(told).toEqual(["bravo.test - written", "bravo.test - different theirs"]);
  });
});

describe("while SPIRE is away", () => {
  test("orders wait, the newest stands, and they are written when it is back", async () => {
    writer.start();
    writer.order(set("bravo.test", "one"));
    writer.order(set("charlie.test", "one"));
    await pace.advance(60_000);
    writer.order(set("bravo.test", "two"));
    expect(writer.writes).toBe(0);
    await spire.start();
    await pace.advance(2_000);
    expect(told.filter((line) => !line.startsWith("charlie"))).toEqual([
      "SPIRE_UNREACHABLE",
      "bravo.test one superseded",
      "bravo.test two written",
    ]);
    expect(told).toContain("charlie.test one written");
    expect(writer.writes).toBe(2);
  });

  test("it is said once for each outage", async () => {
    writer.start();
    for (const content of ["one", "two"]) {
      await spire.stop();
      writer.order(set("bravo.test", content));
      await pace.advance(10_000);
      await spire.start();
      await pace.advance(10_000);
    }
    const outages = told.map((line) => line.replace(/bravo.test /, ""));
    expect(outages).toEqual([
      "SPIRE_UNREACHABLE",
      "one written",
      "SPIRE_UNREACHABLE",
      "two written",
    ]);
  });

  test("a deletion is given up at once, as it must not happen later", async () => {
    writer.start();
    putRow("bravo.test", "one");
    writer.order(remove("bravo.test"));
    await pace.advance(10_000);
    expect(told).toEqual(["SPIRE_UNREACHABLE", "bravo.test - away"]);
    await spire.start();
    await pace.advance(60_000);
    expect(row("bravo.test")).toBe("one");
  });

  test("a deletion that a server which hangs does not answer in time is given up alike", async () => {
    await spire.start();
    writer.start();
    putRow("bravo.test", "one");
    spire.before = ({ method }) => {
      if (!method.startsWith("Batch")) return;
      throw new ConnectError("hangs", Code.DeadlineExceeded);
    };
    writer.order(remove("bravo.test"));
    await pace.advance(10_000);
    expect(told).toEqual(["SPIRE_UNREACHABLE", "bravo.test - away"]);
  });

  test("a deletion behind as many writes as may wait is given up alike", async () => {
    await spire.start();
    putRow("bravo.test", "one");
    const held = Promise.withResolvers<void>();
    spire.before = async ({ method }) => {
      if (method === "BatchSetFederatedBundle") await held.promise;
    };
    const writes = Array.from({ length: SPIRE_WRITES_WAITING_MAX }, async (_, index) => {
      await server.setFederatedBundle(bundleOf(`n${index}.test`, "one"));
    });
    const ended = Promise.allSettled(writes);
    writer.start();
    writer.order(remove("bravo.test"));
    await pace.asleep();
    expect(told).toEqual(["SPIRE_UNREACHABLE", "bravo.test - away"]);
    expect(row("bravo.test")).toBe("one");
    held.resolve();
    await ended;
  });

  test("a write whose answer was lost counts as written once it is read back", async () => {
    await spire.start();
    writer.start();
    let lost = false;
    spire.afterWrite = () => {
      if (lost) return;
      lost = true;
      throw new ConnectError("reply lost", Code.Unavailable);
    };
    writer.order(set("bravo.test", "one"));
    await pace.advance(60_000);
    expect(told).toEqual(["SPIRE_UNREACHABLE", "bravo.test one written"]);
    expect(writes()).toBe(1);
  });

  test("one row that its datastore cannot take holds up no other", async () => {
    await spire.start();
    writer.start();
    spire.before = ({ method, trustDomain }) => {
      if (method === "BatchSetFederatedBundle" && trustDomain === "bad.test") {
        spire.statuses.unshift(AWAY);
      }
    };
    writer.order(set("bad.test", "one"));
    for (let n = 0; n < 20; n += 1) writer.order(set(`td${n}.test`, "one"));
    await pace.advance(2_000);
    expect(told.filter((line) => line.endsWith("written"))).toHaveLength(20);
    expect(told.filter((line) => line.startsWith("bad.test"))).toEqual([]); // It still waits.
  });

  test("an order that failed under a newer one is superseded by it", async () => {
    await spire.start();
    writer.start();
    await pace.asleep();
    spire.statuses.push(AWAY);
    spire.before = ({ method }) => {
      if (method === "BatchSetFederatedBundle" && told.length === 0)
        writer.order(set("bravo.test", "two"));
    };
    writer.order(set("bravo.test", "one"));
    await pace.advance(5_000);
    expect(told).toEqual([
      "SPIRE_UNREACHABLE",
      "bravo.test one superseded",
      "bravo.test two written",
    ]);
  });
});
