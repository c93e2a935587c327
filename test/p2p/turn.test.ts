import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Account } from "../../src/p2p/account.ts";
import { Member } from "../../src/p2p/admission.ts";
import { peerIdOfNode } from "../../src/p2p/node-identity.ts";
import { Turn, Turns } from "../../src/p2p/turn.ts";

const TURN_BYTES = 64 * 1024;
const TURN_FRAMES = 64;

let nowMs = 0;
beforeEach(() => {
  nowMs = 0;
  vi.useFakeTimers({ toFake: ["setImmediate", "setTimeout"] });
});
afterEach(() => vi.useRealTimers());

/** A connection that has so many reads to hand over, one after the other. */
class Reads {
  readonly #turn: Turn;
  readonly #bytes: number[];
  done = 0;

  constructor(turn: Turn, bytes: readonly number[]) {
    this.#turn = turn;
    this.#bytes = [...bytes];
  }

  get left(): number {
    return this.#bytes.length;
  }

  goOn(): void {
    for (let next = this.#bytes[0]; next !== undefined; next = this.#bytes[0]) {
      if (this.#turn.isSpent) return this.#turn.wait(() => this.goOn());
      this.#bytes.shift();
      this.done += next;
      this.#turn.spend(next, 1);
    }
  }
}

/** The event loop goes round once, and all timers that are due are called. */
function goRound(): void {
  vi.advanceTimersToNextTimer();
}

const reads = fc.array(fc.integer({ min: 1, max: TURN_BYTES }), { maxLength: 40 });

describe("the connections of one trust domain", () => {
  test("have one turn in all between two rounds of the event loop, and each has all its reads in the end", () => {
    fc.assert(
      fc.property(fc.array(reads, { minLength: 1, maxLength: 24 }), (ofConnections) => {
        const turn = new Turn(() => nowMs);
        const connections = ofConnections.map((each) => new Reads(turn, each));
        const done = (): number => connections.reduce((sum, each) => sum + each.done, 0);
        for (const each of connections) each.goOn();
        for (let before = 0; done() > before;) {
          expect(done() - before).toBeLessThan(2 * TURN_BYTES); // With the read that spent it.
          before = done();
          goRound();
        }
        expect(connections.map(({ left }) => left)).toEqual(connections.map(() => 0));
      }),
    );
  });

  test("have it in the order in which they wait for it", () => {
    const turn = new Turn(() => nowMs);
    const connections = Array.from({ length: 24 }, () => {
      return new Reads(
        turn,
        Array.from({ length: 10 }, () => TURN_BYTES),
      );
    });
    for (const each of connections) each.goOn();
    while (connections.some(({ left }) => left > 0)) {
      const done = connections.map((each) => each.done / TURN_BYTES);
      expect(Math.max(...done) - Math.min(...done)).toBeLessThanOrEqual(2); // Who began has one more.
      goRound();
    }
  });
});

describe("a turn", () => {
  test.each([
    ["in bytes", TURN_BYTES, 1],
    ["in frames", 1, TURN_FRAMES],
  ])("that is spent %s rests for as long as it took", (_, bytes, frames) => {
    const turn = new Turn(() => nowMs);
    turn.spend(bytes, frames);
    nowMs += 13.7;
    expect(turn.isSpent).toBe(true);
    goRound();
    vi.advanceTimersByTime(12);
    expect(turn.isSpent).toBe(true);
    vi.advanceTimersByTime(1);
    expect(turn.isSpent).toBe(false);
  });

  test("in which the machine was asleep rests for a second", () => {
    const turn = new Turn(() => nowMs);
    turn.spend(TURN_BYTES, 1);
    nowMs += 3_600_000;
    goRound();
    vi.advanceTimersByTime(999);
    expect(turn.isSpent).toBe(true);
    vi.advanceTimersByTime(1);
    expect(turn.isSpent).toBe(false);
  });

  test("that is not spent rests for nothing, however long it took", () => {
    const turn = new Turn(() => nowMs);
    turn.spend(TURN_BYTES - 1, TURN_FRAMES - 1);
    nowMs += 500;
    goRound();
    turn.spend(TURN_BYTES - 1, TURN_FRAMES - 1);
    expect(turn.isSpent).toBe(false);
    expect(vi.getTimerCount()).toBe(1); // The end of this one.
  });
});

describe("a node that two trust domains list", () => {
  const member = new Member(
    peerIdOfNode(new Uint8Array(32).fill(7)),
    "first.test",
    new Account(0),
    () => nowMs,
  );
  member.accounts.set("second.test", new Account(0));
  const other = new Member(
    peerIdOfNode(new Uint8Array(32).fill(8)),
    "first.test",
    [...member.accounts.values()][0] ?? new Account(0),
    () => nowMs,
  );

  test("has the turn of the one, when the nodes of the other have spent theirs", () => {
    const turns = new Turns(() => nowMs);
    turns.of(other).spend(TURN_BYTES, 1);
    expect(turns.of(other).isSpent).toBe(true);
    expect(turns.of(member).isSpent).toBe(false);
    turns.of(member).spend(TURN_BYTES, 1);
    expect(turns.of(member).isSpent).toBe(true);
  });

  test("waits where the fewest wait", () => {
    const turns = new Turns(() => nowMs);
    turns.of(other).spend(TURN_BYTES, 1);
    turns.of(member).spend(TURN_BYTES, 1);
    turns.of(other).wait(() => {});
    expect(turns.of(member)).not.toBe(turns.of(other));
  });
});
