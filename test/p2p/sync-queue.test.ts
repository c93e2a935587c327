import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Admission, type Member } from "../../src/p2p/admission.ts";
import { nodePrivateKey, peerIdOfNode } from "../../src/p2p/node-identity.ts";
import { type SyncOutcome, SyncQueue, type SyncRound } from "../../src/p2p/sync-queue.ts";

const NODES = await Promise.all(
  Array.from({ length: 40 }, async (_, index) => {
    const seed = new Uint8Array(32).fill(index + 1);
    return (await nodePrivateKey(seed)).publicKey.raw;
  }),
);
const SELF = peerIdOfNode((await nodePrivateKey(new Uint8Array(32))).publicKey.raw);

/** Trust domains by the indexes of the nodes that they list. */
type Lists = Readonly<Record<string, readonly number[]>>;

class Mesh {
  readonly queue = new SyncQueue();
  readonly members: readonly Member[];
  nowMs = 0;
  readonly #names = new Map<unknown, string>();

  constructor(lists: Lists) {
    const admission = new Admission(SELF, () => this.nowMs);
    for (const [trustDomain, nodes] of Object.entries(lists)) {
      admission.admit(
        trustDomain,
        nodes.flatMap((index) => NODES[index] ?? []),
      );
    }
    this.members = [...admission.members()];
    for (const { accounts } of this.members) {
      for (const [name, account] of accounts) this.#names.set(account, name);
    }
  }

  /** The members that a trust domain lists. */
  of(trustDomain: string): readonly Member[] {
    return this.members.filter(({ accounts }) => accounts.has(trustDomain));
  }

  want(...members: readonly (Member | undefined)[]): void {
    for (const member of members) if (member !== undefined) void this.queue.want(member);
  }

  /** Begins all that may begin. */
  begin(): readonly SyncRound[] {
    const rounds: SyncRound[] = [];
    for (let round = this.queue.begin(this.nowMs); round !== undefined;) {
      rounds.push(round);
      round = this.queue.begin(this.nowMs);
    }
    return rounds;
  }

  /** As whose rounds were begun. */
  names(rounds: readonly SyncRound[]): readonly string[] {
    return rounds.map(({ account }) => this.#names.get(account) ?? "?");
  }

  end(round: SyncRound | undefined, outcome: SyncOutcome): void {
    if (round !== undefined) this.queue.end(round, outcome, this.nowMs);
  }
}

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, index) => from + index);

describe("rounds of sync under way", () => {
  const names = range(0, 12).map((index) => `d${index}.test`);
  const lists = fc
    .array(fc.uniqueArray(fc.nat({ max: 39 }), { minLength: 1, maxLength: 6 }), {
      minLength: 1,
      maxLength: 12,
    })
    .map((all): Lists => Object.fromEntries(all.map((nodes, index) => [names[index], nodes])));
  const outcomes = fc.constantFrom<SyncOutcome>("finished", "unfinished", "refused", "failed");

  test("are eight, one with a node and one of a trust domain, and none waits in vain", () => {
    fc.assert(
      fc.property(
        lists,
        fc.array(fc.tuple(fc.nat(), outcomes), { maxLength: 60 }),
        (made, ends) => {
          const mesh = new Mesh(made);
          const underWay: SyncRound[] = [];
          for (const [which, outcome] of ends) {
            mesh.want(...mesh.members);
            underWay.push(...mesh.begin());
            expect(underWay.length).toBeGreaterThan(0);
            expect(underWay.length).toBeLessThanOrEqual(8);
            expect(new Set(underWay.map(({ member }) => member)).size).toBe(underWay.length);
            expect(new Set(underWay.map(({ account }) => account)).size).toBe(underWay.length);
            mesh.end(underWay.splice(which % underWay.length, 1)[0], outcome);
            mesh.nowMs += 300_000;
          }
        },
      ),
    );
  });

  test("are of each trust domain once, before any comes a second time", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 12 }),
        (sizes) => {
          const all = sizes.map((size, index): [string, number[]] => [
            `d${index}.test`,
            range(index * 3, index * 3 + size),
          ]);
          const mesh = new Mesh(Object.fromEntries(all));
          for (let time = 0; time < 3; time += 1) {
            const served: string[] = [];
            while (served.length < sizes.length) {
              mesh.want(...mesh.members);
              const rounds = mesh.begin().slice(0, sizes.length);
              served.push(...mesh.names(rounds));
              for (const round of rounds) mesh.end(round, "finished");
            }
            expect(new Set(served.slice(0, sizes.length)).size).toBe(sizes.length);
          }
        },
      ),
    );
  });

  test("of sixteen nodes that never answer leave seven places, and the next one is another's", () => {
    const mesh = new Mesh({ "hostile.test": range(0, 16), "honest.test": [20] });
    mesh.want(...mesh.of("hostile.test"));
    const [first, ...none] = mesh.begin();
    expect(none).toEqual([]);
    mesh.want(...mesh.of("honest.test"));
    const honest = mesh.begin();
    expect(mesh.names(honest)).toEqual(["honest.test"]);
    mesh.end(honest[0], "finished");
    mesh.end(first, "failed");
    mesh.want(...mesh.members);
    expect(mesh.names(mesh.begin())).toEqual(["hostile.test", "honest.test"]);
  });
});

describe("who waits for a round", () => {
  test("waits until one is over that began afterwards", async () => {
    const mesh = new Mesh({ "a.test": [0] });
    const [member] = mesh.members;
    if (member === undefined) throw new Error("no member");
    const seen: string[] = [];
    void mesh.queue.want(member).then(() => seen.push("first"));
    const [one] = mesh.begin();
    const later = ["second", "third"].map(async (name) => {
      await mesh.queue.want(member);
      seen.push(name);
    });
    expect(mesh.begin()).toEqual([]);
    mesh.end(one, "failed");
    await new Promise(setImmediate);
    expect(seen).toEqual(["first"]);
    mesh.nowMs += 5_000;
    const [two, ...more] = mesh.begin();
    expect(more).toEqual([]);
    mesh.end(two, "finished");
    await Promise.all(later);
    expect(seen).toEqual(["first", "second", "third"]);
  });

  test("waits no more once all is over", async () => {
    const mesh = new Mesh({ "a.test": [0] });
    const waiting = mesh.members.map(async (member) => await mesh.queue.want(member));
    mesh.queue.clear();
    await Promise.all(waiting);
    expect(mesh.begin()).toEqual([]);
  });
});

/** One round as soon as there may be one; when it began. */
function fail(mesh: Mesh, outcome: SyncOutcome = "failed"): number {
  mesh.want(...mesh.members);
  mesh.nowMs = mesh.queue.backoffUntilMs(mesh.nowMs) ?? mesh.nowMs;
  const beganMs = mesh.nowMs;
  const [round] = mesh.begin();
  expect(round).toBeDefined();
  mesh.end(round, outcome);
  return beganMs;
}
function fresh(): Mesh {
  return new Mesh({ "a.test": [0] });
}

/** The times between rounds that all fail. */
function failing(mesh: Mesh, times: number): readonly number[] {
  const atMs = range(0, times).map(() => fail(mesh));
  return atMs.slice(1).map((each, index) => each - (atMs[index] ?? 0));
}

describe("a peer whose round failed", () => {
  test("has a backoff of five seconds, then twice as long each time, up to five minutes", () => {
    const backoffsMs = [5, 10, 20, 40, 80, 160, 300, 300].map((each) => each * 1_000);
    expect(failing(fresh(), 9)).toEqual(backoffsMs);
  });

  test("has no backoff once a round was finished", () => {
    const mesh = fresh();
    failing(mesh, 4);
    fail(mesh, "finished");
    const beganMs = mesh.nowMs;
    expect(fail(mesh)).toBe(beganMs);
    expect(fail(mesh) - beganMs).toBe(5_000);
  });

  test("that connects anew is asked at once, but once only until a round is finished", () => {
    const mesh = fresh();
    const [member] = mesh.members;
    if (member === undefined) throw new Error("no member");
    failing(mesh, 4);
    mesh.queue.resetBackoff(member);
    expect(fail(mesh)).toBe(mesh.nowMs);
    const beganMs = mesh.nowMs;
    mesh.queue.resetBackoff(member);
    expect(fail(mesh) - beganMs).toBe(80_000);
    mesh.nowMs += 300_000;
    fail(mesh, "finished");
    fail(mesh);
    mesh.queue.resetBackoff(member);
    expect(fail(mesh)).toBe(mesh.nowMs);
  });

  test.each<readonly [SyncOutcome]>([["refused"], ["unfinished"], ["finished"]])(
    "is not one whose round was %s",
    (outcome) => {
      const mesh = fresh();
      for (let time = 0; time < 5; time += 1) expect(fail(mesh, outcome)).toBe(0);
    },
  );

  test("keeps none of the other nodes of its trust domain from us", () => {
    const mesh = new Mesh({ "a.test": [0, 1] });
    mesh.want(mesh.members[0]);
    mesh.end(mesh.begin()[0], "failed");
    mesh.want(...mesh.members);
    expect(mesh.begin().map(({ member }) => member)).toEqual([mesh.members[1]]);
  });
});

test("a round that was not done in its time goes on when the others had their turn", () => {
  const domains = Object.fromEntries(range(0, 10).map((index) => [`d${index}.test`, [index]]));
  const mesh = new Mesh(domains);
  mesh.want(...mesh.members);
  const [first] = mesh.begin();
  mesh.end(first, "unfinished");
  const ninth = mesh.begin();
  expect(mesh.names(ninth)).toEqual(["d8.test"]);
  mesh.end(ninth[0], "finished");
  const tenth = mesh.begin();
  expect(mesh.names(tenth)).toEqual(["d9.test"]);
  mesh.end(tenth[0], "finished");
  expect(mesh.names(mesh.begin())).toEqual(["d0.test"]);
});

describe("a node that two trust domains list", () => {
  const lists: Lists = { "hostile.test": [...range(0, 15), 20], "honest.test": [20] };

  test("is served as its own while the other's nodes keep us waiting", () => {
    const mesh = new Mesh(lists);
    mesh.want(mesh.of("hostile.test")[0]);
    expect(mesh.names(mesh.begin())).toEqual(["hostile.test"]);
    mesh.want(...mesh.of("honest.test"));
    expect(mesh.names(mesh.begin())).toEqual(["honest.test"]);
  });

  test("has one round at a time, as whichever was served longest ago", () => {
    const mesh = new Mesh(lists);
    const [node] = mesh.of("honest.test");
    const served = range(0, 4).map(() => {
      mesh.want(node);
      const rounds = mesh.begin();
      mesh.want(node);
      expect(mesh.begin()).toEqual([]);
      mesh.end(rounds[0], "finished");
      mesh.queue.clear();
      return mesh.names(rounds)[0];
    });
    expect(served).toEqual(["hostile.test", "honest.test", "hostile.test", "honest.test"]);
  });
});

describe("who is asked from time to time", () => {
  test("is a node of each trust domain in turn, however many it has", () => {
    const mesh = new Mesh({ "a.test": range(0, 16), "b.test": [20], "c.test": [21, 22] });
    const asked = range(0, 9).map((time) => {
      const member = mesh.queue.pick(mesh.members, mesh.nowMs, time / 9);
      mesh.want(member);
      const rounds = mesh.begin();
      mesh.end(rounds[0], "finished");
      return mesh.names(rounds)[0];
    });
    expect(
      asked.slice(0, 3).toSorted((left = "", right = "") => left.localeCompare(right)),
    ).toEqual(["a.test", "b.test", "c.test"]);
    expect(asked.slice(3, 6)).toEqual(asked.slice(0, 3));
    expect(asked.slice(6, 9)).toEqual(asked.slice(0, 3));
  });

  test("is any of its nodes", () => {
    const { queue, members } = new Mesh({ "a.test": range(0, 4) });
    const picked = [0, 0.25, 0.5, 0.99].map((random) => queue.pick(members, 0, random));
    expect(new Set(picked)).toEqual(new Set(members));
  });

  test("is nobody with a backoff, and nobody whose trust domain has a round under way", () => {
    const mesh = new Mesh({ "a.test": [0, 1], "b.test": [2] });
    const [failed, other] = mesh.of("a.test");
    mesh.want(failed);
    mesh.end(mesh.begin()[0], "failed");
    mesh.want(...mesh.of("b.test"));
    mesh.begin();
    expect(mesh.queue.pick(mesh.members, 0, 0)).toBe(other);
    mesh.want(other);
    mesh.begin();
    expect(mesh.queue.pick(mesh.members, 0, 0)).toBeUndefined();
  });
});
