import { getEventListeners } from "node:events";
import { setImmediate as nextRound } from "node:timers/promises";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ok } from "../../src/core/std/result.ts";
import { Account } from "../../src/p2p/account.ts";
import { Member } from "../../src/p2p/admission.ts";
import { Answers } from "../../src/p2p/answers.ts";
import { peerIdOfNode } from "../../src/p2p/node-identity.ts";

const TD = "some.test";
const AT_ONCE = 16;
const WAITING_MAX = 32;
const PLACE_MS = 2_000;
const WAIT_MS = 5_000;
const GAVE_WAY = "slow, and others wait";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
});
afterEach(() => vi.useRealTimers());

let nodes = 0;
/** A node of a trust domain. */
function nodeOf(account = new Account(0)): Member {
  nodes += 1;
  const key = new Uint8Array(32);
  new DataView(key.buffer).setUint32(0, nodes);
  return new Member(peerIdOfNode(key), TD, account, () => 0);
}

/** Answers, and what became of each by its number. */
class Asked {
  readonly answers = new Answers(WAIT_MS);
  readonly underWay = new Map<number, Member>();
  readonly outcomes = new Map<number, string>();
  readonly #asks = new Map<number, { take: () => void; end: (reason: string) => void }>();
  #count = 0;

  /** A peer asks, and takes nothing until it is told to. Returns the number. */
  ask(member: Member): number {
    this.#count += 1;
    const number = this.#count;
    const taken = Promise.withResolvers<void>();
    const ended = new AbortController();
    const end = (reason: string): void => {
      ended.abort();
      taken.reject(new Error(reason));
    };
    this.#asks.set(number, { take: taken.resolve, end });
    taken.promise.catch(() => {}); // It may end while it waits.
    const stream = { ended: ended.signal, abort: end };
    const outcome = this.answers.run(member, stream, async () => {
      this.underWay.set(number, member);
      try {
        await taken.promise;
        return ok(undefined);
      } finally {
        this.underWay.delete(number);
      }
    });
    void outcome.then(
      (result) => this.outcomes.set(number, result.ok ? "taken" : result.reason),
      (error: Error) => this.outcomes.set(number, error.message),
    );
    return number;
  }

  take(number: number): void {
    this.#asks.get(number)?.take();
  }

  /** The peer resets the stream. */
  reset(number: number): void {
    this.#asks.get(number)?.end("reset");
  }
}

const pass = async (ms: number): Promise<void> => {
  await vi.advanceTimersByTimeAsync(ms);
  await nextRound();
};

describe("answers under way", () => {
  test("are one of a trust domain and sixteen in all, whoever asks, takes and waits", async () => {
    const step = fc.oneof(
      { weight: 5, arbitrary: fc.record({ ask: fc.nat({ max: 29 }), node: fc.nat({ max: 2 }) }) },
      fc.record({ take: fc.nat({ max: 200 }) }),
      fc.record({ reset: fc.nat({ max: 200 }) }),
      fc.record({ pass: fc.nat({ max: 3_000 }) }),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 50, maxLength: 200, size: "max" }),
        async (steps) => {
          const asked = new Asked();
          const accounts = Array.from({ length: 30 }, () => new Account(0));
          const members = accounts.map((account) => [0, 1, 2].map(() => nodeOf(account)));
          for (const each of steps) {
            if ("ask" in each) {
              const member = members[each.ask]?.[each.node];
              if (member !== undefined) asked.ask(member);
            } else if ("take" in each) asked.take(each.take);
            else if ("reset" in each) asked.reset(each.reset);
            else await pass(each.pass);
            await nextRound();
            const busy = [...asked.underWay.values()].map(({ accounts }) => accounts.get(TD));
            expect(busy.length).toBeLessThanOrEqual(AT_ONCE);
            expect(new Set(busy).size).toBe(busy.length);
          }
        },
      ),
      { numRuns: 50 },
    );
  });

  test("have their place as long as nobody waits for it", async () => {
    const asked = new Asked();
    const numbers = Array.from({ length: AT_ONCE }, () => asked.ask(nodeOf()));
    await pass(60_000);
    expect([...asked.underWay.keys()]).toEqual(numbers);
  });

  test("give way after two seconds: the oldest, and no more than others wait for", async () => {
    const asked = new Asked();
    for (let number = 1; number <= AT_ONCE; number += 1) asked.ask(nodeOf());
    const late = asked.ask(nodeOf());
    await pass(PLACE_MS - 1);
    expect(asked.underWay.has(late)).toBe(false);
    await pass(1);
    expect(asked.underWay.has(late)).toBe(true);
    expect([...asked.outcomes]).toEqual([[1, GAVE_WAY]]);
  });

  test("give way to others of their own trust domain, and to nobody else for these", async () => {
    const asked = new Asked();
    const account = new Account(0);
    const own = asked.ask(nodeOf(account));
    const other = asked.ask(nodeOf());
    const next = asked.ask(nodeOf(account));
    await pass(PLACE_MS);
    expect([...asked.underWay.keys()]).toEqual([other, next]);
    expect([...asked.outcomes]).toEqual([[own, GAVE_WAY]]);
  });
});

describe("an answer that waits", () => {
  test("behind 31 trust domains that take nothing and ask without end is begun within 4 s", async () => {
    const asked = new Asked();
    const hostile = Array.from({ length: 31 }, () => nodeOf());
    for (const each of hostile) for (let time = 0; time < 8; time += 1) asked.ask(each);
    const honest = asked.ask(nodeOf());
    await pass(2 * PLACE_MS);
    expect(asked.underWay.has(honest)).toBe(true);
  });

  test("is refused after its time, as who asked has given up", async () => {
    const asked = new Asked();
    const account = new Account(0);
    for (let time = 0; time < 4; time += 1) asked.ask(nodeOf(account));
    await pass(WAIT_MS);
    expect([...asked.outcomes]).toEqual([
      [1, GAVE_WAY],
      [2, GAVE_WAY],
      [4, "no place in its time"],
    ]);
  });

  test("leaves as its stream ends, and those behind it keep their order", async () => {
    const asked = new Asked();
    for (let number = 1; number <= AT_ONCE; number += 1) asked.ask(nodeOf());
    const account = new Account(0);
    const [leaving, next, last] = [account, account, new Account(0)].map((each) =>
      asked.ask(nodeOf(each)),
    );
    asked.reset(leaving ?? 0);
    await nextRound();
    expect([...asked.outcomes]).toEqual([[leaving, "its stream ended"]]);
    asked.take(1);
    await nextRound();
    asked.take(2);
    await nextRound();
    expect([...asked.underWay.keys()].slice(-2)).toEqual([next, last]);
  });

  test("leaves nothing behind on its stream, which has many", async () => {
    const { answers } = new Asked();
    const stream = { ended: new AbortController().signal, abort: () => {} };
    await answers.run(nodeOf(), stream, async () => ok(undefined));
    expect(getEventListeners(stream.ended, "abort")).toEqual([]);
  });

  test("makes room for another of its trust domain as its stream ends", async () => {
    const asked = new Asked();
    const account = new Account(0);
    for (let time = 0; time <= WAITING_MAX; time += 1) asked.ask(nodeOf(account));
    asked.reset(WAITING_MAX);
    await nextRound();
    asked.ask(nodeOf(account));
    await nextRound();
    expect([...asked.outcomes]).toEqual([[WAITING_MAX, "its stream ended"]]);
  });

  test("is one of 32 of its trust domain", async () => {
    const asked = new Asked();
    const account = new Account(0);
    for (let time = 0; time <= WAITING_MAX; time += 1) asked.ask(nodeOf(account));
    const beyond = asked.ask(nodeOf(account));
    await nextRound();
    expect([...asked.outcomes]).toEqual([[beyond, "more answers at once than it needs"]]);
  });

  test("of a node that two trust domains list is that one's for which the fewest wait", async () => {
    const asked = new Asked();
    const busy = new Account(0);
    const member = nodeOf(busy);
    member.accounts.set("other.test", new Account(0));
    asked.ask(nodeOf(busy));
    const number = asked.ask(member);
    await nextRound();
    expect(asked.underWay.has(number)).toBe(true);
  });

  test.each([
    ["before", 0],
    ["after", 1],
  ])("of whoever lists a foreign node %s its own resets no answer of that one", async (_, at) => {
    const asked = new Asked();
    const [own, lister] = [new Account(0), new Account(0)];
    const both = [own, own];
    both[at] = lister;
    const [first, second] = both;
    const member = nodeOf(first);
    member.accounts.set("other.test", second ?? own);
    const honest = asked.ask(member);
    const foreign = asked.ask(nodeOf(lister));
    await pass(PLACE_MS);
    expect([...asked.underWay.keys()]).toEqual([honest, foreign]);
    const next = asked.ask(nodeOf(own));
    await pass(0);
    expect([...asked.underWay.keys()]).toEqual([foreign, next]); // For its own it gives way.
    expect([...asked.outcomes]).toEqual([[honest, GAVE_WAY]]);
  });
});
