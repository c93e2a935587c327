/**
 * Both halves of a round without a network: whatever a peer holds that we refuse, what we would take
 * is taken, by one round.
 */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { SyncEntry, SyncWant } from "../../src/core/mesh/sync-entry.ts";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import {
  ENVELOPE_BYTES_MAX,
  SYNC_ENTRIES_MAX,
  SYNC_REPLY_BYTES_MAX,
  SYNC_REPLY_RECORDS_MAX,
  SYNC_WANTS_MAX,
} from "../../src/core/std/limits.ts";
import { ok } from "../../src/core/std/result.ts";
import { type PeerWants, answerPeer } from "../../src/p2p/sync-answer.ts";
import type { SyncProgress } from "../../src/p2p/sync-fetch.ts";
import { HeldIndex } from "../../src/p2p/sync-holdings.ts";
import { HASHES_BYTES, bucketOf, inSyncOrder } from "../../src/p2p/sync-order.ts";
import { encodeEntry } from "../../src/p2p/sync-frames.ts";
import { type Agreement, askPeer } from "../../src/p2p/sync-round.ts";
import type { SyncFrames } from "../../src/p2p/sync-stream.ts";
import type { SyncSource, Verdict } from "../../src/ports/peer-network.ts";
import { compareRequest } from "../rogue/sync-answers.ts";
import { endOf, makeChannel, weightOf } from "./frame-pair.ts";

/** Of one trust domain: what the peer holds above what we hold, and whether we take it. */
interface Held {
  readonly steps: readonly number[];
  readonly isTaken: boolean;
}

type Holdings = readonly Held[];

/** In sync order, so that what has a lower index is listed and asked for first. */
const NAMES = inSyncOrder(
  Array.from({ length: 2_048 }, (_, index) => `d${1_000 + index}.test` as TrustDomain),
  (name) => name,
);
const INDICES = new Map<string, number>(NAMES.map((name, index) => [name, index]));
const nameOf = (index: number): TrustDomain => NAMES[index] ?? ("none.test" as TrustDomain);
const indexOf = (name: string): number => INDICES.get(name) ?? -1;
const version = (sequence: number) => ({ epoch: 0, rev: 0, sequence: BigInt(sequence) });

/** A record that the peer fails to read: it ends the stream. */
const UNREADABLE: Held = { steps: [0], isTaken: false };

/** A record is its domain and number, and filled up to its size. */
function recordOf(index: number, sequence: number, bytes: number): Uint8Array {
  const envelope = new Uint8Array(bytes);
  new DataView(envelope.buffer).setUint32(0, index);
  new DataView(envelope.buffer).setUint32(4, sequence);
  return envelope;
}

const unlimited = {
  mayAsk: () => true,
  mayLookUp: () => true,
  maySend: () => true,
  withPlace: async <Value>(answer: () => Promise<Value>) => await answer(),
};

const entriesOf = (wanted: readonly string[], sequenceOf: (index: number) => number): SyncEntry[] =>
  wanted.map((name) => ({
    trustDomain: name as TrustDomain,
    version: version(sequenceOf(indexOf(name))),
    recordIds: [new Uint8Array(32)],
  }));

/** What a peer answers from these: filled in the order of the wants, as a daemon does. */
function peerWith(holdings: Holdings): SyncSource {
  return {
    revision: () => 0,
    wanted: () => holdings.map((_, index) => nameOf(index)),
    entries: (wanted) => entriesOf(wanted, (index) => holdings[index]?.steps.length ?? 0),
    missing: () => [],
    records: async (wants) => {
      const all = wants.flatMap(({ trustDomain, above }) => {
        const index = indexOf(trustDomain);
        const from = Number(above?.sequence ?? 0n);
        return (holdings[index]?.steps ?? [])
          .slice(from)
          .map((bytes, step) => recordOf(index, from + step + 1, bytes));
      });
      let bytes = 0;
      const fits = all.findIndex(({ length }) => (bytes += length) > SYNC_REPLY_BYTES_MAX);
      return all.slice(0, Math.min(SYNC_REPLY_RECORDS_MAX, fits < 0 ? all.length : fits));
    },
  };
}

interface Rounds {
  /** Of each domain, the step that we hold. */
  readonly held: readonly number[];
  readonly fetches: number;
  /** Bytes of all frames but records, and how often either side was asked what it holds. */
  readonly bytes: number;
  readonly readings: number;
  /** One round with so much time and room for what is of no use. */
  round(requests?: number, useless?: number): ReturnType<typeof askPeer>;
  /** Something new of a domain at the peer. */
  step(index: number): void;
  /** Another connection begins. */
  reconnect(): void;
}

/** Rounds with such a peer over one connection, one after the other. */
function roundsWith(given: Holdings): Rounds {
  const holdings = given.map(({ steps, isTaken }) => ({ steps: [...steps], isTaken }));
  const held = holdings.map(() => 0);
  const revision = { ours: 0, theirs: 0 };
  let [fetches, bytes, readings] = [0, 0, 0];
  const progress: SyncProgress = { after: undefined };
  const peer = peerWith(holdings);
  const counted: SyncSource = {
    ...peer,
    revision: () => revision.theirs,
    entries: (wanted) => ((readings += 1), peer.entries(wanted)),
    records: async (wants) => ((fetches += 1), await peer.records(wants)),
  };
  const ours: SyncSource = {
    revision: () => revision.ours,
    wanted: () => holdings.map((_, index) => nameOf(index)),
    entries: (wanted) => ((readings += 1), entriesOf(wanted, (index) => held[index] ?? 0)),
    missing: (entries) =>
      entries.flatMap(({ trustDomain, version: theirs }): SyncWant[] => {
        const above = version(held[indexOf(trustDomain)] ?? 0);
        return theirs.sequence > above.sequence
          ? [{ trustDomain, above, recordId: undefined }]
          : [];
      }),
    records: async () => [],
  };
  const take = async (envelopes: readonly Uint8Array[]): Promise<Verdict[]> =>
    envelopes.map((envelope) => {
      const view = new DataView(envelope.buffer, envelope.byteOffset);
      const [index, sequence] = [view.getUint32(0), view.getUint32(4)];
      if (holdings[index]?.isTaken !== true || held[index] !== sequence - 1) return "ignore";
      held[index] = sequence;
      revision.ours += 1;
      return "accept";
    });
  const [index, peerIndex] = [new HeldIndex(ours), new HeldIndex(counted)];
  let agreement: Agreement = { shared: undefined };
  let wants: PeerWants = { shared: undefined, saying: undefined };
  const weigh = (frame: Uint8Array): void => void (bytes += weightOf(frame));
  return {
    held,
    get fetches() {
      return fetches;
    },
    get bytes() {
      return bytes;
    },
    get readings() {
      return readings;
    },
    step: (at) => {
      holdings[at]?.steps.push(1_500);
      revision.theirs += 1;
    },
    reconnect: () => {
      agreement = { shared: undefined };
      wants = { shared: undefined, saying: undefined };
    },
    round: async (requests = Infinity, useless = Infinity) => {
      const [there, back] = [makeChannel(), makeChannel()];
      const answering = { source: counted, index: peerIndex, peer: wants, budget: unlimited };
      const theirEnd = endOf(back, there, weigh);
      void answerPeer(theirEnd, answering).catch(() => back.put(undefined));
      let [asked, wasted] = [0, 0];
      const budget = {
        mayGoOn: () => (asked += 1) <= requests,
        mayWaste: (records: number) => (wasted += records) <= useless,
      };
      const asking = { source: ours, index, agreement, onRecords: take, budget, progress };
      return await askPeer(endOf(there, back, weigh), asking);
    },
  };
}

const SIZES = [1_500, 40_000, 98_304, ENVELOPE_BYTES_MAX] as const;
const holding = fc.record({
  steps: fc.array(fc.constantFrom(...SIZES), { minLength: 1, maxLength: 20 }),
  isTaken: fc.boolean(),
});

const many = (held: Held, count: number): Holdings => Array.from({ length: count }, () => held);
const taken = (holdings: Holdings): number[] =>
  holdings.map(({ steps, isTaken }) => (isTaken ? steps.length : 0));
const isDone = ({ held }: Rounds, holdings: Holdings): boolean =>
  taken(holdings).every((steps, index) => steps === held[index]);
const entriesIn = (holdings: Holdings): readonly SyncEntry[] =>
  peerWith(holdings).entries(holdings.map((_, index) => nameOf(index)));
/** In no order. */
const sameEntries = (entries: readonly SyncEntry[]) => ({
  ok: true,
  value: expect.toSatisfy(
    (value: readonly SyncEntry[]) =>
      value.length === entries.length &&
      inSyncOrder(value, ({ trustDomain }) => trustDomain).every(
        ({ trustDomain, version: { sequence } }, index) =>
          trustDomain === entries[index]?.trustDomain &&
          sequence === entries[index]?.version.sequence,
      ),
  ),
});

describe("all else has its turn between the answers", () => {
  const request = compareRequest();
  const REQUESTS = 4;

  /** In which turn of the event loop each answer of the streams was there. */
  async function turnsAt(streams: number, requests: number): Promise<readonly number[]> {
    let turns = 0;
    let isOver = false;
    const turn = (): void => {
      turns += 1;
      if (!isOver) setImmediate(turn);
    };
    setImmediate(turn);
    let place: Promise<unknown> = Promise.resolve();
    const oneByOne = async <Value>(answer: () => Promise<Value>): Promise<Value> => {
      const answered = place.then(answer);
      place = answered;
      return await answered;
    };
    const turnsAtAnswers: number[] = [];
    const answerOne = async (): Promise<void> => {
      const [there, back] = [makeChannel(), makeChannel()];
      for (let index = 0; index < requests; index += 1) there.put(request);
      there.put(undefined);
      const frames: SyncFrames = {
        ...endOf(back, there),
        send: async () => void turnsAtAnswers.push(turns),
      };
      const source = peerWith([{ steps: [1_500], isTaken: true }]);
      const peer: PeerWants = { shared: undefined, saying: undefined };
      const budget = { ...unlimited, withPlace: oneByOne };
      await answerPeer(frames, { source, index: new HeldIndex(source), peer, budget });
    };
    await Promise.all(Array.from({ length: streams }, answerOne));
    isOver = true;
    return turnsAtAnswers;
  }

  test.each([
    ["requests that came at once", 1, REQUESTS],
    ["streams that waited for a place", REQUESTS, 1],
  ])("to %s", async (_, streams, requests) => {
    expect(new Set(await turnsAt(streams, requests)).size).toBe(REQUESTS);
  });
});

describe("one round", () => {
  test("brings all that we take, whatever the peer holds besides", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(holding, { minLength: 1, maxLength: 30 }), async (holdings) => {
        const rounds = roundsWith(holdings);
        expect(await rounds.round()).toEqual(sameEntries(entriesIn(holdings)));
        expect(rounds.held).toEqual(taken(holdings));
      }),
      { numRuns: 50 },
    );
  });

  test.each([
    ["sixteen large steps", Array.from({ length: 16 }, () => 98_304)],
    ["sixty-four small steps", Array.from({ length: 64 }, () => 1_500)],
  ])("asks once for %s of a domain that we refuse, and goes on", async (_, steps) => {
    const evil = { steps, isTaken: false };
    const honest = { steps: [1_500], isTaken: true };
    for (const holdings of [
      [evil, honest],
      [evil, evil, honest],
    ]) {
      const rounds = roundsWith(holdings);
      await rounds.round();
      expect(rounds).toMatchObject({ held: taken(holdings), fetches: holdings.length });
    }
  });

  test.each([
    ["what has room in a reply", 20, [1_500], 1],
    ["one record of each of many domains", 630, [1_500], 10],
    ["two records of each of many domains", 630, [1_500, 1_500], 45],
  ])("asks little for %s that we refuse", async (_, count, steps, fetchesMax) => {
    const rounds = roundsWith(many({ steps, isTaken: false }, count));
    await rounds.round();
    expect(rounds.fetches).toBeLessThanOrEqual(fetchesMax);
  });
});

test.each([
  [1_500, 1],
  [8 * 1024, 1],
  [ENVELOPE_BYTES_MAX, 16 / 8 + 7 / 8],
])("a record of %i bytes that we refuse costs %f", async (bytes, price) => {
  const holdings = [{ steps: [bytes], isTaken: false }];
  expect(await roundsWith(holdings).round(Infinity, price)).toMatchObject({ ok: true });
  expect(await roundsWith(holdings).round(Infinity, price - 1 / 16)).toMatchObject({ ok: false });
});

describe("a round that ends early", () => {
  const refused: Held = { steps: [1_500], isTaken: false };
  const honest: Held = { steps: [1_500], isTaken: true };
  /** Seven leave room for the eighth, were it not for the heads in CBOR: its own, or the reply's. */
  const FILLS_A_REPLY: Held = {
    steps: [...Array.from({ length: 7 }, () => ENVELOPE_BYTES_MAX - 6), ENVELOPE_BYTES_MAX],
    isTaken: false,
  };

  test("for want of time goes on behind what it was done with, and is forgotten once finished", async () => {
    // What we refuse of the first list takes seventeen fetches; what we take is in the next.
    const holdings = [...many(refused, SYNC_ENTRIES_MAX), ...many(honest, 10)];
    const rounds = roundsWith(holdings);
    for (const _ of [1, 2]) expect(await rounds.round(13)).toEqual(ok(undefined));
    expect(rounds.held).toEqual(taken(holdings));
    for (const requests of [4, Infinity]) {
      const fetches = rounds.fetches;
      const outcome = await rounds.round(requests);
      expect(outcome).toEqual(requests === 4 ? ok(undefined) : sameEntries(entriesIn(holdings)));
      expect(rounds.fetches - fetches).toBe(requests === 4 ? 2 : 17);
    }
  });

  test("brings all that we take, however little time each has", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(holding, { minLength: 1, maxLength: 8 }),
        fc.integer({ min: 3, max: 6 }),
        async (holdings, requests) => {
          const rounds = roundsWith(holdings);
          const steps = holdings.reduce((sum, { steps: { length } }) => sum + length, 0);
          const enough = 3 * (steps + holdings.length);
          for (let time = 0; time < enough && !isDone(rounds, holdings); time += 1) {
            await rounds.round(requests);
          }
          expect(rounds.held).toEqual(taken(holdings));
        },
      ),
      { numRuns: 30, examples: [[[FILLS_A_REPLY, honest], 3]] },
    );
  });

  test.each([
    ["what comes is of no use", refused],
    ["the peer ends it", UNREADABLE],
  ])("as %s goes on behind what it asked for last", async (_, first) => {
    const holdings = [first, ...many(refused, SYNC_WANTS_MAX - 1), honest];
    const rounds = roundsWith(holdings);
    expect(await rounds.round(Infinity, 0)).toMatchObject({ ok: false });
    expect(rounds.held).not.toEqual(taken(holdings));
    await rounds.round(Infinity, 0);
    expect(rounds.held).toEqual(taken(holdings));
  });
});

describe("a pair that has met", () => {
  const FULL = 1_000;
  const holdings = many({ steps: [1_500], isTaken: true }, FULL);
  const entryBytes = encodeEntry({
    trustDomain: nameOf(0),
    version: version(1),
    recordIds: [new Uint8Array(32)],
  }).length;

  async function met(): Promise<Rounds> {
    const rounds = roundsWith(holdings);
    await rounds.round();
    expect(rounds.held).toEqual(taken(holdings));
    return rounds;
  }

  test("and holds the same compares in 64 bytes, and nobody reads what is held", async () => {
    const rounds = await met();
    await rounds.round();
    const { bytes, readings } = rounds;
    expect(await rounds.round()).toEqual(sameEntries(entriesIn(holdings)));
    expect(rounds.bytes - bytes).toBeLessThanOrEqual(64);
    expect(rounds.readings).toBe(readings);
  });

  test("says what it wants once a connection", async () => {
    const rounds = await met();
    rounds.reconnect();
    const { bytes } = rounds;
    await rounds.round();
    expect(rounds.bytes - bytes).toBeGreaterThan(FULL * nameOf(0).length);
  });

  test("lists the one bucket of what has changed, and no other", async () => {
    const rounds = await met();
    rounds.step(7);
    const { bytes, fetches } = rounds;
    await rounds.round();
    expect(rounds.held[7]).toBe(2);
    expect(rounds.fetches - fetches).toBe(1);
    const bucket = NAMES.slice(0, FULL).filter((name) => bucketOf(name) === bucketOf(nameOf(7)));
    const listed = bucket.length * entryBytes;
    expect(rounds.bytes - bytes).toBeLessThan(HASHES_BYTES + listed + 128);
  });
});
