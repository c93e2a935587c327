import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Input } from "../../src/core/mesh/input.ts";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import { InputQueue } from "../../src/runtime/input-queue.ts";

const REMOTE_MAX = 1_024;
/** Of one trust domain: while it is below an eighth of what is free. */
const FULL = 114;
const envelope = new Uint8Array();
const TICK: Input = { kind: "tick", uptimeMs: 1_000 };

function received(ticket: number, from = "f0"): Input {
  return { kind: "record-received", envelope, carrier: "gossip", from, ticket };
}

/** A queue where each node is of a trust domain of its own, unless told otherwise. */
function queueOf(listers: Readonly<Record<string, readonly TrustDomain[]>> = {}): InputQueue {
  return new InputQueue((node) => listers[node] ?? [`${node}.test` as TrustDomain]);
}

/** From whom the next records are, and their tickets. */
async function takeAll(queue: InputQueue, count: number): Promise<[string, number][]> {
  const taken: [string, number][] = [];
  for (let turn = 0; turn < count; turn += 1) {
    const input = await queue.take();
    if (input?.kind === "record-received") taken.push([input.from, input.ticket]);
  }
  return taken;
}

const honest = "honest.test" as TrustDomain;
const rogue = "rogue.test" as TrustDomain;
const rogue2 = "rogue-2.test" as TrustDomain;

const lost = (node: number): Input => ({ kind: "peer-lost", node: `${node}` });

function fill(queue: InputQueue, from = "f0"): number {
  let taken = 0;
  while (queue.put(received(taken, from))) taken += 1;
  return taken;
}

describe("the input queue", () => {
  test("gives inputs back in the order in which they came, whoever waits first", async () => {
    const kinds = fc.array(fc.constantFrom("put", "take"), { maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(kinds, async (happenings) => {
        const queue = queueOf();
        const taken: (string | undefined)[] = [];
        let puts = 0;
        const takes = happenings.filter((kind) => kind === "take").length;
        const reader = (async () => {
          for (let turn = 0; turn < takes; turn += 1) {
            const input = await queue.take();
            if (input?.kind === "peer-lost") taken.push(input.node);
          }
        })();
        for (const kind of happenings) {
          if (kind === "put") queue.put(lost((puts += 1)));
          else await Promise.resolve(); // The reader gets its turn.
        }
        while (puts < takes) queue.put(lost((puts += 1)));
        await reader;
        expect(taken).toEqual(Array.from({ length: takes }, (_, index) => `${index + 1}`));
      }),
    );
  });

  test("gives what the daemon's own rooms say before anything of a peer", async () => {
    const queue = queueOf();
    queue.put(received(1));
    queue.put(lost(1));
    queue.put(received(2));
    queue.put(lost(2));
    const taken = [await queue.take(), await queue.take(), await queue.take(), await queue.take()];
    expect(taken).toEqual([lost(1), lost(2), received(1), received(2)]);
  });

  test("gives forwarders their turns, each in its own order", async () => {
    const of = fc.array(fc.constantFrom("aa", "bb", "cc"), { maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(of, async (forwarders) => {
        const queue = queueOf();
        for (const [ticket, from] of forwarders.entries()) queue.put(received(ticket, from));
        const taken = await takeAll(queue, forwarders.length);
        for (const from of ["aa", "bb", "cc"]) {
          const tickets = taken.filter(([each]) => each === from).map(([, ticket]) => ticket);
          expect(tickets).toEqual(tickets.toSorted((left, right) => left - right));
        }
        // The first of everybody comes before the second of anybody.
        const firsts = taken.slice(0, new Set(forwarders).size).map(([from]) => from);
        expect(new Set(firsts)).toEqual(new Set(forwarders));
        expect(taken).toHaveLength(forwarders.length);
      }),
    );
  });

  const nodes = fc.constantFrom("h1", "h2", "r1", "r2", "r3", "r4", "nobody's");
  const domains = fc.subarray([rogue, rogue2]);

  test("never lets more go before an honest trust domain than others wait, whoever lists what", async () => {
    const happening = fc.oneof(
      { weight: 4, arbitrary: nodes.map((node) => ({ put: node })) },
      { weight: 1, arbitrary: fc.record({ relist: nodes, by: domains }) },
      { weight: 2, arbitrary: fc.constant({ take: true }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(happening, { maxLength: 60, size: "max" }), async (happenings) => {
        // Its nodes are its own for good, and whoever likes lists them, too.
        const listers: Record<string, TrustDomain[]> = { h1: [honest], h2: [honest] };
        const queue = new InputQueue((node) => listers[node] ?? []);
        const waiting: string[] = [];
        let before = 0;
        for (const each of [...happenings, ...happenings.map(() => ({ take: true }))]) {
          if ("put" in each) {
            queue.put(received(0, each.put));
            waiting.push(each.put);
          } else if ("relist" in each) {
            const own = each.relist.startsWith("h") ? [honest] : [];
            listers[each.relist] = [...own, ...each.by];
          } else if (waiting.length > 0) {
            const [from] = (await takeAll(queue, 1))[0] ?? [""];
            waiting.splice(waiting.indexOf(from), 1);
            const waits = waiting.some((node) => node.startsWith("h"));
            before = waits && !from.startsWith("h") ? before + 1 : 0;
            expect(before).toBeLessThanOrEqual(3); // Two rogues, and those whom nobody lists.
          }
        }
        expect(waiting).toEqual([]);
      }),
    );
  });

  test("gives a trust domain one turn for all its nodes", async () => {
    const listers = Object.fromEntries(
      Array.from({ length: 16 }, (_, index) => [`r${index}`, [rogue]]),
    );
    const queue = queueOf({ ...listers, h0: [honest] });
    for (const node of Object.keys(listers)) {
      queue.put(received(1, node));
      queue.put(received(2, node));
    }
    for (const ticket of [1, 2, 3]) queue.put(received(ticket, "h0"));
    const taken = await takeAll(queue, 35);
    expect(taken.slice(0, 6).map(([from]) => from)).toEqual(["r0", "h0", "r1", "h0", "r2", "h0"]);
    expect(taken.slice(6, 20).map(([from]) => from)).toContain("r15");
    expect(taken).toHaveLength(35);
  });

  test("a node that several list takes the turns of each: who lists a foreign one lends its own", async () => {
    const queue = queueOf({ h0: [honest, rogue], r0: [rogue], r1: [rogue] });
    for (const node of ["r0", "r1", "h0"]) {
      for (const ticket of [1, 2]) queue.put(received(ticket, node));
    }
    const taken = await takeAll(queue, 6);
    expect(taken.map(([from]) => from)).toEqual(["r0", "h0", "r1", "h0", "r0", "r1"]);
  });

  test("a node is of its trust domain no longer once that lists it no more", async () => {
    const listers: Record<string, readonly TrustDomain[]> = { h0: [honest], h1: [honest] };
    const queue = queueOf(listers);
    for (const ticket of [1, 2, 3]) queue.put(received(ticket, "h0"));
    listers["h0"] = [rogue];
    queue.put(received(4, "h0"));
    expect(await takeAll(queue, 1)).toEqual([["h0", 1]]); // It came while it was one.
    for (const ticket of [1, 2]) queue.put(received(ticket, "h1"));
    const taken = await takeAll(queue, 5);
    expect(taken.map(([from]) => from)).toEqual(["h0", "h1", "h0", "h1", "h0"]);
  });

  test("holds of one trust domain an eighth of what is free, and room comes back with each that is taken", async () => {
    const queue = queueOf();
    expect(fill(queue)).toBe(FULL);
    expect(queue.put({ kind: "peer-synced", node: "f0", entries: [] })).toBe(false);
    await queue.take();
    expect(queue.put({ kind: "peer-synced", node: "f0", entries: [] })).toBe(true);
    expect(queue.put(received(0))).toBe(false);
  });

  const large = new Uint8Array(128 * 1024);
  const fillBytes = (queue: InputQueue, from: string): number => {
    let taken = 0;
    const input = { ...received(0, from), envelope: large } as Input;
    while (queue.put(input)) taken += 1;
    return taken;
  };

  test("holds an eighth of 16 MiB of records of one trust domain, whatever their number", () => {
    const queue = queueOf();
    expect(fillBytes(queue, "f0")).toBe(15);
    expect(fillBytes(queue, "f1")).toBe(13);
  });

  test("never holds more than 1,024 inputs and 16 MiB, and has room for whoever has nothing there", async () => {
    const from = fc.nat({ max: 60 });
    await fc.assert(
      fc.asyncProperty(fc.array(from, { maxLength: 30 }), fc.boolean(), async (all, inBytes) => {
        const queue = queueOf();
        let held = 0;
        for (const each of all) {
          held += inBytes ? fillBytes(queue, `f${each}`) : fill(queue, `f${each}`);
        }
        expect(held).toBeLessThanOrEqual(inBytes ? 128 : REMOTE_MAX);
        expect(queue.put(received(0, "newcomer"))).toBe(true);
        expect(await takeAll(queue, held + 1)).toHaveLength(held + 1);
        expect(fill(queue)).toBe(FULL); // Nothing is counted of what is gone.
      }),
      { numRuns: 30 },
    );
  });

  test("holds one tick at a time", async () => {
    const queue = queueOf();
    queue.put(TICK);
    queue.put(TICK);
    queue.put(lost(1));
    expect(await queue.take()).toEqual(TICK);
    expect(await queue.take()).toEqual(lost(1));
    queue.put(TICK);
    expect(await queue.take()).toEqual(TICK);
  });

  test("never drops what the daemon's own rooms say", async () => {
    const queue = queueOf();
    fill(queue);
    for (let node = 0; node < 5_000; node += 1) expect(queue.put(lost(node))).toBe(true);
    for (let node = 0; node < 5_000; node += 1) expect(await queue.take()).toEqual(lost(node));
    expect(await queue.take()).toEqual(received(0));
  });

  test("ends with undefined for who waits and for who comes later", async () => {
    const queue = queueOf();
    const waiting = queue.take();
    queue.close();
    expect(await waiting).toBeUndefined();
    expect(await queue.take()).toBeUndefined();
    expect(queue.put(lost(1))).toBe(false);
  });

  test("drops what still waits when it is closed", async () => {
    const queue = queueOf();
    queue.put(lost(1));
    queue.close();
    expect(await queue.take()).toBeUndefined();
  });
});
