/**
 * Both halves of a round without a network: whatever a peer holds that we refuse, what we would take
 * is taken, by one round.
 */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { SyncWant } from "../../src/core/mesh/sync-entry.ts";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import {
  ENVELOPE_BYTES_MAX,
  SYNC_REPLY_BYTES_MAX,
  SYNC_REPLY_RECORDS_MAX,
} from "../../src/core/std/limits.ts";
import { answerPeer, askPeer } from "../../src/p2p/sync-round.ts";
import type { SyncFrames } from "../../src/p2p/sync-stream.ts";
import type { SyncSource } from "../../src/ports/peer-network.ts";

/** Of one trust domain: what the peer holds above what we hold, and whether we take it. */
interface Held {
  readonly steps: readonly number[];
  readonly isTaken: boolean;
}

type Holdings = readonly Held[];

const nameOf = (index: number): TrustDomain => `d${100 + index}.test` as TrustDomain;
const indexOf = (name: string): number => Number(name.slice(1, -".test".length)) - 100;
const version = (sequence: number) => ({ epoch: 0, rev: 0, sequence: BigInt(sequence) });

/** A record is its domain and number, and filled up to its size. */
function recordOf(index: number, sequence: number, bytes: number): Uint8Array {
  const envelope = new Uint8Array(bytes);
  new DataView(envelope.buffer).setUint32(0, index);
  new DataView(envelope.buffer).setUint32(4, sequence);
  return envelope;
}

interface Channel {
  put(frame: Uint8Array | undefined): void;
  take(): Promise<Uint8Array | undefined>;
}

function makeChannel(): Channel {
  const frames: (Uint8Array | undefined)[] = [];
  const waiting: ((frame: Uint8Array | undefined) => void)[] = [];
  return {
    put: (frame) => {
      const next = waiting.shift();
      if (next === undefined) frames.push(frame);
      else next(frame);
    },
    take: async () => {
      if (frames.length > 0) return frames.shift();
      const { promise, resolve } = Promise.withResolvers<Uint8Array | undefined>();
      waiting.push(resolve);
      return await promise;
    },
  };
}

function endOf(out: Channel, into: Channel): SyncFrames {
  return {
    send: async (frame) => out.put(frame),
    receive: async () => await into.take(),
    finish: async () => out.put(undefined),
  };
}

/** What a peer answers from these: filled in the order of the wants, as a daemon does. */
function peerWith(holdings: Holdings): SyncSource {
  return {
    wanted: () => [],
    entries: () =>
      holdings.map(({ steps }, index) => ({
        trustDomain: nameOf(index),
        version: version(steps.length),
        recordIds: [new Uint8Array(32)],
      })),
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

/** One round with such a peer: what we hold of each domain afterwards, and how many requests it took. */
async function roundWith(holdings: Holdings): Promise<{ held: number[]; fetches: number }> {
  const held = holdings.map(() => 0);
  let fetches = 0;
  const peer = peerWith(holdings);
  const ours: SyncSource = {
    wanted: () => holdings.map((_, index) => nameOf(index)),
    entries: () =>
      held.map((sequence, index) => ({
        trustDomain: nameOf(index),
        version: version(sequence),
        recordIds: [new Uint8Array(32)],
      })),
    missing: (entries) =>
      entries.flatMap(({ trustDomain, version: theirs }): SyncWant[] => {
        const above = version(held[indexOf(trustDomain)] ?? 0);
        return theirs.sequence > above.sequence
          ? [{ trustDomain, above, recordId: undefined }]
          : [];
      }),
    records: async () => [],
  };
  const [there, back] = [makeChannel(), makeChannel()];
  const answered = answerPeer(
    endOf(back, there),
    { ...peer, records: async (wants) => ((fetches += 1), await peer.records(wants)) },
    {
      mayAsk: () => true,
      mayLookUp: () => true,
      maySend: () => true,
      inTurn: async (answer) => await answer(),
    },
  );
  const answer = await askPeer(
    endOf(there, back),
    ours,
    async (envelopes) =>
      envelopes.map((envelope) => {
        const view = new DataView(envelope.buffer, envelope.byteOffset);
        const [index, sequence] = [view.getUint32(0), view.getUint32(4)];
        if (holdings[index]?.isTaken !== true || held[index] !== sequence - 1) return "ignore";
        held[index] = sequence;
        return "accept";
      }),
    { mayGoOn: () => true, mayWaste: () => true },
  );
  expect(answer.ok).toBe(true);
  await answered;
  return { held, fetches };
}

const SIZES = [1_500, 40_000, 98_304, ENVELOPE_BYTES_MAX] as const;
const holding = fc.record({
  steps: fc.array(fc.constantFrom(...SIZES), { minLength: 1, maxLength: 20 }),
  isTaken: fc.boolean(),
});

describe("one round", () => {
  test("brings all that we take, whatever the peer holds besides", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(holding, { minLength: 1, maxLength: 30 }), async (holdings) => {
        const { held } = await roundWith(holdings);
        expect(held).toEqual(holdings.map(({ steps, isTaken }) => (isTaken ? steps.length : 0)));
      }),
      { numRuns: 100 },
    );
  });

  test.each([
    ["sixteen large steps", Array.from({ length: 16 }, () => 98_304)],
    ["sixty-four small steps", Array.from({ length: 64 }, () => 1_500)],
  ])("asks once for %s of a domain that we refuse, and goes on", async (_, steps) => {
    const evil = { steps, isTaken: false };
    const honest = { steps: [1_500], isTaken: true };
    expect(await roundWith([evil, honest])).toEqual({ held: [0, 1], fetches: 2 });
    expect(await roundWith([evil, evil, honest])).toEqual({ held: [0, 0, 1], fetches: 3 });
  });

  test("asks once for what has room in a reply and is refused", async () => {
    const refused = Array.from({ length: 20 }, () => ({ steps: [1_500], isTaken: false }));
    expect(await roundWith(refused)).toMatchObject({ fetches: 1 });
  });
});
