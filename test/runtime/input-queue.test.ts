import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Input } from "../../src/core/mesh/input.ts";
import { InputQueue } from "../../src/runtime/input-queue.ts";

const REMOTE_MAX = 1_024;
const envelope = new Uint8Array();

function received(ticket: number): Input {
  return { kind: "record-received", envelope, carrier: "gossip", from: "f0", ticket };
}

const lost = (node: number): Input => ({ kind: "peer-lost", node: `${node}` });

function fill(queue: InputQueue): number {
  let taken = 0;
  while (queue.put(received(taken))) taken += 1;
  return taken;
}

describe("the input queue", () => {
  test("gives inputs back in the order in which they came, whoever waits first", async () => {
    const kinds = fc.array(fc.constantFrom("put", "take"), { maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(kinds, async (happenings) => {
        const queue = new InputQueue();
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
    const queue = new InputQueue();
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
        const queue = new InputQueue();
        for (const [ticket, from] of forwarders.entries()) {
          queue.put({ kind: "record-received", envelope, carrier: "sync", from, ticket });
        }
        const taken: [string, number][] = [];
        for (const _ of forwarders) {
          const input = await queue.take();
          if (input?.kind === "record-received") taken.push([input.from, input.ticket]);
        }
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

  test("holds 1,024 inputs of peers, and room comes back with each that is taken", async () => {
    const queue = new InputQueue();
    expect(fill(queue)).toBe(REMOTE_MAX);
    expect(queue.put({ kind: "peer-synced", node: "", entries: [] })).toBe(false);
    await queue.take();
    expect(queue.put({ kind: "peer-synced", node: "", entries: [] })).toBe(true);
    expect(queue.put(received(0))).toBe(false);
  });

  test("holds 16 MiB of records, whatever their number", () => {
    const queue = new InputQueue();
    const large = new Uint8Array(128 * 1024);
    let taken = 0;
    while (
      queue.put({
        kind: "record-received",
        envelope: large,
        carrier: "sync",
        from: "f0",
        ticket: taken,
      })
    ) {
      taken += 1;
    }
    expect(taken).toBe(128);
  });

  test("holds one tick at a time", async () => {
    const queue = new InputQueue();
    queue.put({ kind: "tick" });
    queue.put({ kind: "tick" });
    queue.put(lost(1));
    expect(await queue.take()).toEqual({ kind: "tick" });
    expect(await queue.take()).toEqual(lost(1));
    queue.put({ kind: "tick" });
    expect(await queue.take()).toEqual({ kind: "tick" });
  });

  test("never drops what the daemon's own rooms say", async () => {
    const queue = new InputQueue();
    fill(queue);
    for (let node = 0; node < 5_000; node += 1) expect(queue.put(lost(node))).toBe(true);
    for (let node = 0; node < 5_000; node += 1) expect(await queue.take()).toEqual(lost(node));
    expect(await queue.take()).toEqual(received(0));
  });

  test("ends with undefined for who waits and for who comes later", async () => {
    const queue = new InputQueue();
    const waiting = queue.take();
    queue.close();
    expect(await waiting).toBeUndefined();
    expect(await queue.take()).toBeUndefined();
    expect(queue.put(lost(1))).toBe(false);
  });

  test("drops what still waits when it is closed", async () => {
    const queue = new InputQueue();
    queue.put(lost(1));
    queue.close();
    expect(await queue.take()).toBeUndefined();
  });
});
