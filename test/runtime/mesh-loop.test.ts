import { describe, expect, onTestFinished, test } from "vitest";
import type { MeshEvent } from "../../src/core/mesh/effect.ts";
import { FINDINGS } from "../../src/core/mesh/finding.ts";
import type { Input, Ticket } from "../../src/core/mesh/input.ts";
import { type MeshState, newMeshState } from "../../src/core/mesh/mesh-state.ts";
import type { RowOrder } from "../../src/core/mesh/row-order.ts";
import { step } from "../../src/core/mesh/step.ts";
import { FAULTS, Fault } from "../../src/fault.ts";
import type { SigningOutcome } from "../../src/core/record/signing.ts";
import type { RecordStore } from "../../src/ports/record-store.ts";
import {
  type LoopNetwork,
  type LoopSeams,
  MeshLoop,
  type MeshLoopPorts,
} from "../../src/runtime/mesh-loop.ts";
import { x509Proofs } from "../../src/x509/proofs.ts";
import { NOW_S, bundleOf, makePublisher, signOrder } from "../arbitraries/record.ts";
import { NOTHING_STORED, selfOf } from "../arbitraries/start.ts";

const alpha = makePublisher("alpha.test");
const bravo = makePublisher("bravo.test");

/** A store that keeps nothing and is as slow or broken as a test wants it. */
function storeOf(accept: () => Promise<void>): RecordStore {
  return {
    load: async () => ({
      pins: [],
      domains: [],
      headCounter: 0n,
      missing: [],
      quarantined: undefined,
      marksLost: false,
    }),
    accept,
    remove: accept,
    saveHeadCounter: async () => undefined,
    marked: async () => undefined,
    record: async () => undefined,
    history: async () => [],
    stepsAbove: async () => [],
    close: async () => undefined,
  };
}

function networkOf(change: Partial<LoopNetwork> = {}): LoopNetwork {
  return {
    publish: async () => undefined,
    publishHead: async () => undefined,
    admit: () => undefined,
    dial: () => undefined,
    connections: () => [],
    syncNow: async () => undefined,
    ...change,
  };
}

type Sign = MeshLoopPorts["keyring"]["sign"];

interface Seen {
  readonly loop: MeshLoop;
  readonly events: MeshEvent["kind"][];
  readonly orders: RowOrder[];
  readonly troubles: string[];
  readonly state: MeshState;
}

/** Bravo's daemon without its rooms. */
function started({
  network = networkOf(),
  sign,
  seams,
  ...ports
}: Partial<MeshLoopPorts> & {
  readonly network?: LoopNetwork;
  readonly sign?: Sign;
  readonly seams?: LoopSeams;
} = {}): Seen {
  const events: MeshEvent["kind"][] = [];
  const orders: RowOrder[] = [];
  const troubles: string[] = [];
  const { node, svid } = bravo;
  const signNow: Sign = async (order) => signOrder(order, node, [svid]);
  const state = newMeshState(selfOf(bravo), NOTHING_STORED, NOW_S * 1_000);
  const allPorts: MeshLoopPorts = {
    state,
    proofs: x509Proofs,
    store: storeOf(async () => undefined),
    keyring: {
      sign: sign ?? signNow,
      signHead: (payload) => payload,
      mintAhead: async () => undefined,
    },
    onTrouble: (what) => troubles.push(what),
    nowMs: () => NOW_S * 1_000,
    ...ports,
  };
  const loop = new MeshLoop(allPorts, seams);
  loop.start({
    network,
    orderRow: (order) => orders.push(order),
    knock: () => undefined,
    onEvent: ({ kind }) => events.push(kind),
  });
  onTestFinished(async () => await loop.stop());
  return { loop, events, orders, troubles, state };
}

const importAlpha = (ticket: Ticket): Input => ({
  kind: "import-asked",
  ticket,
  envelope: alpha.genesis.envelope,
  fingerprint: alpha.genesis.idHex,
  addressHints: [],
  replace: false,
  row: undefined,
  spireAsked: true,
  hasRelationship: false,
});
const exportOwn = (ticket: Ticket): Input => ({ kind: "export-asked", ticket });
const ownBundle: Input = { kind: "local-bundle-read", bundle: bundleOf(bravo.genesis.state) };
async function noKey(): Promise<SigningOutcome> {
  throw new Error("no key");
}
const never = new Promise<never>(() => undefined);

describe("the loop", () => {
  test("ends when the store is damaged: nothing is guessed", async () => {
    const damage = new Fault("STORE_DAMAGED", "a value that does not match its hash");
    const store = storeOf(async () => await Promise.reject(damage));
    const { loop } = started({ store });
    void loop.ask(importAlpha);
    await expect(loop.failed).rejects.toBe(damage);
  });

  test("answers and orders only when the store is done", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const called = Promise.withResolvers<void>();
    const store = storeOf(async () => {
      called.resolve();
      await promise;
    });
    const { loop, orders, events } = started({ store });
    let answered = false;
    const answer = (async () => {
      const told = await loop.ask(importAlpha);
      answered = true;
      return told;
    })();
    await called.promise;
    loop.put({ kind: "tick", uptimeMs: 0 });
    expect([answered, orders, events]).toEqual([false, [], []]);
    resolve();
    expect(await answer).toMatchObject({ kind: "taken", recordId: alpha.genesis.idHex });
    await loop.stop(); // After the input under way, whose last effect is the order.
    expect(orders).toHaveLength(1);
  });

  test("takes a store that fails for an answer, and goes on", async () => {
    let room = false;
    const store = storeOf(async () => {
      if (!room) throw new Error("no space left");
    });
    const { loop, orders, troubles } = started({ store });
    const refused = await loop.ask(importAlpha);
    expect(refused).toMatchObject({ kind: "refused", refusal: { code: "STORE_FAILED" } });
    expect([orders, troubles]).toEqual([[], ["Storing"]]);
    room = true;
    expect(await loop.ask(importAlpha)).toMatchObject({ kind: "taken" });
  });

  test.each([
    [
      new Fault("CANNOT_CREATE", "read-only", { advice: "Mount it." }),
      "CANNOT_CREATE",
      "Mount it.",
    ],
    [new Fault("STORE_FULL", "full"), "STORE_FULL", FAULTS.STORE_FULL.advice],
    [new Error("what else"), "STORE_FULL", undefined],
  ])("tells what the store failed with, and what helps: %s", async (fault, failure, next) => {
    let fails = false;
    const store = storeOf(async () => {
      if (fails) throw fault;
    });
    const { loop } = started({ store });
    await loop.ask(importAlpha);
    fails = true;
    const answer = await loop.ask((ticket) => ({
      kind: "pin-asked",
      ticket,
      trustDomain: alpha.trustDomain,
      fingerprint: "ab".repeat(32),
    }));
    expect(answer).toEqual({ kind: "failed", failure, message: fault.message, next });
  });

  test("signs, stores, answers and publishes", async () => {
    const published = Promise.withResolvers<Uint8Array>();
    const network = networkOf({ publish: async (envelope) => published.resolve(envelope) });
    const { loop } = started({ network });
    loop.put(ownBundle);
    const answer = await loop.ask(exportOwn);
    expect(answer).toMatchObject({ kind: "exported", recordId: bravo.genesis.idHex });
    expect(answer).toMatchObject({ envelope: await published.promise });
  });

  test("does not wait for the keyring", async () => {
    const { loop } = started({ sign: async () => await never });
    loop.put(ownBundle);
    void loop.ask(exportOwn);
    expect(await loop.ask(importAlpha)).toMatchObject({ kind: "taken" });
  });

  test("answers who asked for a signature when the keyring breaks", async () => {
    const { loop, troubles } = started({ sign: noKey });
    loop.put(ownBundle);
    expect(await loop.ask(exportOwn)).toMatchObject({ kind: "failed", failure: "SPIRE_REFUSED" });
    expect(troubles).toEqual(["Signing a record"]);
  });

  test("only logs what is repaired by itself", async () => {
    const network = networkOf({
      publish: async () => {
        throw new Error("no peers");
      },
    });
    const { loop, troubles } = started({ network });
    loop.put(ownBundle);
    expect(await loop.ask(exportOwn)).toMatchObject({ kind: "exported" });
    expect(await loop.ask(importAlpha)).toMatchObject({ kind: "taken" });
    expect(troubles).toEqual(["Publishing a record"]);
  });

  test("takes no more than 1,024 records of peers at once, and says so to the one above", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const { loop } = started({ store: storeOf(async () => await promise) });
    void loop.ask(importAlpha); // Holds the loop up.
    const envelope = new Uint8Array();
    const receive = (ticket: Ticket): Input => ({
      kind: "record-received",
      envelope,
      carrier: "gossip",
      from: "f0",
      ticket,
    });
    for (let count = 0; count < 1_024; count += 1) void loop.ask(receive);
    expect(await loop.ask(receive)).toBeUndefined();
    resolve();
  });
});

/** A daemon whose seconds pass when the test says so, and whose store answers then too. */
async function hanging() {
  const called = Promise.withResolvers<void>();
  const stored = Promise.withResolvers<void>();
  const ticks: (() => void)[] = [];
  const seams: LoopSeams = {
    step,
    uptimeMs: () => 0,
    every: (_, happen) => {
      ticks.push(happen);
      return () => void ticks.pop();
    },
    giveWay: async () => undefined,
  };
  const store = storeOf(async () => {
    called.resolve();
    await stored.promise;
  });
  const seen = started({ store, seams });
  const pass = (seconds: number): void => {
    for (let second = 0; second < seconds; second += 1) ticks[0]?.();
  };
  pass(60); // Nothing is stored meanwhile.
  const answer = seen.loop.ask(importAlpha);
  await called.promise;
  return { ...seen, pass, answer, stored };
}

describe("a store that does not answer", () => {
  test("is told of once after 10 s, with what to do, until it answers", async () => {
    const { state, events, pass, answer, stored } = await hanging();
    pass(9);
    expect(events).toEqual([]);
    pass(1);
    expect(events).toEqual(["finding-raised"]);
    const [finding] = state.findings.values();
    expect(finding).toMatchObject({
      code: "STORE_FAILED",
      message: "the disk of data_dir has not answered for 10 s",
      next: expect.stringMatching(/disk of data_dir.*by itself/),
    });
    pass(60);
    expect(events).toEqual(["finding-raised"]);
    stored.resolve();
    expect(await answer).toMatchObject({ kind: "taken" });
    expect([...state.findings]).toEqual([]);
    expect(events).toContain("finding-cleared");
  });

  test("that fails in the end is told of with its own words, and its own next step", async () => {
    const { state, pass, answer, stored } = await hanging();
    pass(10);
    stored.reject(new Fault("STORE_FULL", "no space left"));
    expect(await answer).toMatchObject({ kind: "refused" });
    const [finding] = state.findings.values();
    expect(finding).toMatchObject({ message: "no space left", next: FINDINGS.STORE_FAILED.next });
  });

  test("is not told of when it answers within the 10 s", async () => {
    const { events, pass, answer, stored } = await hanging();
    pass(9);
    stored.resolve();
    await answer;
    pass(60);
    expect(events).not.toContain("finding-raised");
  });
});

describe("a loop that stops", () => {
  test("tells everybody who waits", async () => {
    const { loop } = started({ sign: async () => await never });
    loop.put(ownBundle);
    const waiting = [loop.ask(exportOwn), loop.ask(exportOwn)];
    await loop.ask(importAlpha);
    await loop.stop();
    for (const answer of await Promise.all(waiting)) {
      expect(answer).toMatchObject({ kind: "failed", failure: "NOT_READY" });
    }
  });

  test("ends the input under way first", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const called = Promise.withResolvers<void>();
    const store = storeOf(async () => {
      called.resolve();
      await promise;
    });
    const { loop, orders } = started({ store });
    const answer = loop.ask(importAlpha);
    await called.promise;
    const stopped = loop.stop();
    resolve();
    await stopped;
    expect(await answer).toMatchObject({ kind: "taken" });
    expect(orders).toHaveLength(1);
  });

  test("takes nothing in any more", async () => {
    const { loop } = started();
    await loop.stop();
    expect(loop.put({ kind: "tick", uptimeMs: 0 })).toBe(false);
    expect(await loop.ask(exportOwn)).toBeUndefined();
  });

  test("may be stopped again", async () => {
    const { loop } = started();
    await loop.stop();
    await loop.stop();
  });
});

describe("a core that breaks its own rules", () => {
  test("ends the loop, and who waits hears of it at the stop", async () => {
    const { loop } = started({ sign: async () => await never });
    loop.put(ownBundle);
    const waiting = loop.ask(exportOwn);
    loop.put({ kind: "domain-stored" }); // Nobody ordered it.
    await expect(loop.failed).rejects.toThrow("only what was ordered is stored");
    await loop.stop();
    expect(await waiting).toMatchObject({ kind: "failed", failure: "NOT_READY" });
  });
});
