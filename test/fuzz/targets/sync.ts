/**
 * Both halves of a sync round, each over a stream whose other end says what it likes: whole frames,
 * or bytes that are no frames. A round ends with a result or a broken stream, and with nothing else.
 */
import type { Stream } from "@libp2p/interface";
import { lpStream, streamPair } from "@libp2p/utils";
import { multiaddr } from "@multiformats/multiaddr";
import { missingRecords, syncEntries, wantedDomains } from "../../../src/core/mesh/anti-entropy.ts";
import { newMeshState } from "../../../src/core/mesh/mesh-state.ts";
import type { SyncEntry, SyncWant } from "../../../src/core/mesh/sync-entry.ts";
import { type Slot, envelopeBytes } from "../../../src/core/resolver/slot.ts";
import type { TrustDomain } from "../../../src/core/spiffe/trust-domain.ts";
import { equalBytes } from "../../../src/core/std/bytes.ts";
import { decodeCbor, encodeCbor } from "../../../src/core/std/cbor.ts";
import { SYNC_REPLY_RECORDS_MAX } from "../../../src/core/std/limits.ts";
import type { Result } from "../../../src/core/std/result.ts";
import { type AnsweringBudget, answerPeer } from "../../../src/p2p/sync-answer.ts";
import {
  decodeComparison,
  decodeEntries,
  decodeRecords,
  decodeRequest,
  decodeShared,
  encodeComparison,
  encodeEntries,
  encodeRecords,
  encodeRequest,
  encodeShared,
} from "../../../src/p2p/sync-frames.ts";
import { HeldIndex } from "../../../src/p2p/sync-holdings.ts";
import { BUCKETS, HASHES_BYTES, inSyncOrder } from "../../../src/p2p/sync-order.ts";
import { askPeer } from "../../../src/p2p/sync-round.ts";
import { SyncStream, SyncStreamFailure } from "../../../src/p2p/sync-stream.ts";
import type { SyncSource } from "../../../src/ports/peer-network.ts";
import { NOW_S } from "../../arbitraries/record.ts";
import { readLoose } from "../loose-cbor.ts";
import type { Random } from "../random.ts";
import { ANY_MESSAGE } from "../shape-mutants.ts";
import { type Maker, type Outcome, type TargetSource, hold } from "../target.ts";
import { type Scene, sceneOf } from "../world.ts";
import { allBits } from "../../rogue/sync-answers.ts";
import { theWorld } from "./record.ts";

/** Above every request and answer that is made here. */
const FRAME_BYTES_MAX = 64 * 1024;
/** Only a defect reaches it: the other end closes when it has said all. */
const DEADLINE_MS = 5_000;

/** What the other end writes: the frames of an array, or bytes that are none. */
function framesOf(input: Uint8Array): readonly Uint8Array[] | undefined {
  const read = decodeCbor(input);
  const frames = read.ok && Array.isArray(read.value) ? read.value : [];
  const whole = frames.filter((each): each is Uint8Array => each instanceof Uint8Array);
  return whole.length > 0 && whole.length === frames.length ? whole : undefined;
}

const frames = (...each: readonly Uint8Array[]): Uint8Array => encodeCbor(each);

function sourceOf({ self, stored }: Scene): SyncSource {
  const state = newMeshState(self, stored, NOW_S * 1_000);
  const slots = [stored.own, ...stored.partners.map(({ slot }) => slot)];
  return {
    revision: () => 0,
    wanted: () => wantedDomains(state),
    entries: (wanted) => syncEntries(state, wanted),
    missing: (entries) => missingRecords(state, entries),
    records: async (wants) => wants.flatMap((want) => slots.flatMap((slot) => found(slot, want))),
  };
}

function found(slot: Slot | undefined, { trustDomain, above, recordId }: SyncWant): Uint8Array[] {
  return [slot?.held, slot?.sibling].flatMap((record) => {
    if (record === undefined || record.record.state.trustDomain !== trustDomain) return [];
    const fits =
      recordId === undefined
        ? above !== undefined && record.record.state.version.sequence > above.sequence
        : equalBytes(record.record.id, recordId);
    return fits ? [envelopeBytes(record)] : [];
  });
}

/** Left out, each pair would count on to the next port, and there are 65,535. */
const LOOPBACK = multiaddr("/ip4/127.0.0.1/tcp/1");

/** Plays the other end of a round, and returns what came of ours and every frame that it sent. */
async function facing(
  input: Uint8Array,
  round: (ours: SyncStream) => Promise<Result<unknown, string>>,
): Promise<{ readonly outcome: Outcome; readonly sent: readonly Uint8Array[] }> {
  const [theirs, stream] = await streamPair({
    delay: 0,
    inboundConnection: { remoteAddr: LOOPBACK },
    outboundConnection: { remoteAddr: LOOPBACK },
  });
  const signal = AbortSignal.timeout(DEADLINE_MS);
  const ours = new SyncStream(stream, {
    frameBytesMax: FRAME_BYTES_MAX,
    frameDeadlineMs: DEADLINE_MS,
    signal,
  });
  const listening = listen(theirs);
  const speaking = speak(theirs, input);
  const outcome = await outcomeOf(round(ours));
  ours.abort("over");
  theirs.abort(new Error("over"));
  await speaking;
  hold(!signal.aborted, "a round ends when the other side has nothing more to say");
  return { outcome, sent: await listening };
}

async function speak(theirs: Stream, input: Uint8Array): Promise<void> {
  const writer = lpStream(theirs);
  try {
    const frames = framesOf(input);
    if (frames === undefined) theirs.send(input);
    else for (const frame of frames) await writer.write(frame);
    await theirs.close();
  } catch {
    // Our side gave the stream up first.
  }
}

async function listen(theirs: Stream): Promise<readonly Uint8Array[]> {
  const frames: Uint8Array[] = [];
  const reader = lpStream(theirs);
  try {
    for (;;) frames.push(new Uint8Array((await reader.read()).subarray()));
  } catch {
    return frames; // The end, in whatever way it came.
  }
}

/** Runs our side to its end. Whatever but a broken stream it throws is a crash. */
async function outcomeOf(round: Promise<Result<unknown, string>>): Promise<Outcome> {
  try {
    return (await round).ok ? "taken" : "refused";
  } catch (error) {
    if (error instanceof SyncStreamFailure) return "broken";
    throw error;
  }
}

const REFUSED = ["refused", "broken"];
/** A stream that is given up at once may seem to have ended well, had it said nothing yet. */
const RAW = ["taken", ...REFUSED];
const TRUST_DOMAINS = inSyncOrder(
  ["alpha.test", "bravo.test", "golf.test"] as TrustDomain[],
  (name) => name,
);
const ALL_BUCKETS = Array.from({ length: BUCKETS }, (_, bucket) => bucket);

const wanted = encodeRequest({
  kind: "wanted",
  at: 0,
  total: TRUST_DOMAINS.length,
  names: TRUST_DOMAINS,
});

const compare = (random: Random): Uint8Array =>
  encodeRequest({ kind: "compare", root: random.bytes(32) });

const list = encodeRequest({ kind: "list", buckets: ALL_BUCKETS, after: undefined });

const fetch = (random: Random): Uint8Array =>
  encodeRequest({
    kind: "fetch",
    wants: TRUST_DOMAINS.map((trustDomain) => ({
      trustDomain,
      ...(random.oneIn(2)
        ? { above: undefined, recordId: random.bytes(32) }
        : { above: { epoch: 0, rev: 0, sequence: 1n }, recordId: undefined }),
    })),
  });

/** A right message made wrong in any way that any message can be wrong. */
const wrong = (right: (random: Random) => Uint8Array) => (random: Random) =>
  random.pick(ANY_MESSAGE).write(readLoose(right(random)), random);

const FREE: AnsweringBudget = {
  mayAsk: () => true,
  mayLookUp: () => true,
  maySend: () => true,
  withPlace: async (answer) => await answer(),
};

const any = (random: Random): Uint8Array =>
  random.pick([() => wanted, compare, () => list, fetch])(random);

const syncAnswerTarget: TargetSource = {
  name: "sync-answer",
  inputs: 2_000,
  open: (kept) => {
    const setting = kept ?? theWorld().setting;
    const source = sourceOf(sceneOf(setting));
    const makers: Maker[] = [
      {
        name: "requests",
        expected: ["taken"],
        make: (random) => frames(wanted, compare(random), list, fetch(random)),
      },
      {
        name: "a wrong request",
        expected: ["refused"],
        make: (random) => frames(wrong(any)(random)),
      },
      {
        name: "a wrong request after a right one",
        expected: ["refused"],
        make: (random) => frames(wanted, compare(random), wrong(any)(random), any(random)),
      },
      {
        name: "a list of what was not compared",
        expected: ["refused"],
        make: () => frames(wanted, list),
      },
      {
        name: "what is wanted out of turn",
        expected: ["refused"],
        make: () =>
          frames(encodeRequest({ kind: "wanted", at: 1, total: 4, names: TRUST_DOMAINS })),
      },
      {
        name: "an answer",
        expected: ["refused"],
        make: () => frames(encodeRecords([])),
      },
      {
        name: "a frame above the limit",
        expected: ["broken"],
        make: (random) => frames(random.bytes(FRAME_BYTES_MAX + 1)),
      },
    ];
    return {
      setting,
      valid: [frames(wanted, encodeRequest({ kind: "compare", root: new Uint8Array(32) }), list)],
      makers,
      rawExpected: RAW,
      judge: async (input) => {
        const { outcome, sent } = await facing(
          input,
          async (ours) =>
            await answerPeer(ours, {
              source,
              index: new HeldIndex(source),
              peer: { shared: undefined, saying: undefined },
              budget: FREE,
            }),
        );
        for (const frame of sent) hold(isAnswer(frame), "whatever is asked, an answer is one");
        return outcome;
      },
    };
  },
};

function isAnswer(frame: Uint8Array): boolean {
  return [
    decodeShared(frame, TRUST_DOMAINS.length),
    decodeComparison(frame),
    decodeEntries(frame),
    decodeRecords(frame),
  ].some(({ ok }) => ok);
}

const entryOf = (trustDomain: string, random: Random): SyncEntry => ({
  trustDomain: trustDomain as TrustDomain,
  version: { epoch: 0, rev: random.below(9), sequence: BigInt(random.below(99)) },
  recordIds: [random.bytes(32)],
});

const entries = (random: Random): Uint8Array =>
  encodeEntries(TRUST_DOMAINS.map((each) => entryOf(each, random)));

const records = (random: Random): Uint8Array =>
  encodeRecords([random.bytes(90), random.bytes(random.between(1, 200))]);

const same = encodeComparison({ kind: "same" });
const hashes = encodeComparison({ kind: "hashes", hashes: new Uint8Array(HASHES_BYTES) });
const unknown = encodeComparison({ kind: "unknown" });

const syncAskTarget: TargetSource = {
  name: "sync-ask",
  inputs: 2_000,
  open: (kept) => {
    const setting = kept ?? theWorld().setting;
    const source = sourceOf(sceneOf(setting));
    const agreed = encodeShared(allBits(source.wanted().length));
    const makers: Maker[] = [
      { name: "the same", expected: ["taken"], make: () => frames(agreed, same) },
      {
        name: "the same, once it was told again",
        expected: ["taken"],
        make: () => frames(agreed, unknown, agreed, same),
      },
      {
        name: "that it knows nothing, for ever",
        expected: ["refused"],
        make: () => frames(agreed, unknown, agreed, unknown, agreed, unknown),
      },
      {
        name: "wrong bits",
        expected: ["refused"],
        make: (random) => frames(wrong(() => agreed)(random)),
      },
      {
        name: "a wrong comparison",
        expected: ["refused"],
        make: (random) => frames(agreed, wrong(() => hashes)(random)),
      },
      {
        name: "a wrong list",
        expected: ["refused"],
        make: (random) => frames(agreed, hashes, wrong(entries)(random)),
      },
      {
        name: "an entry that was not asked for",
        expected: ["refused"],
        make: (random) => frames(agreed, hashes, encodeEntries([entryOf("nobody.test", random)])),
      },
      {
        name: "wrong records",
        expected: ["refused"],
        make: (random) => frames(agreed, hashes, entriesAbove(random), wrong(records)(random)),
      },
      {
        name: "records that nobody can use, and no end of them",
        expected: REFUSED,
        make: (random) =>
          frames(
            agreed,
            hashes,
            entriesAbove(random),
            ...Array.from({ length: 40 }, () => records(random)),
          ),
      },
      {
        name: "entries and then nothing",
        expected: ["refused"],
        make: (random) => frames(agreed, hashes, entriesAbove(random)),
      },
      {
        name: "a frame after the last",
        expected: ["broken"],
        make: (random) => frames(agreed, same, random.bytes(20)),
      },
      {
        name: "a frame above the limit",
        expected: ["broken"],
        make: (random) => frames(random.bytes(FRAME_BYTES_MAX + 1)),
      },
    ];
    return {
      setting,
      valid: [frames(agreed, same), frames(agreed, hashes, encodeEntries([]))],
      makers,
      rawExpected: RAW,
      judge: async (input) => {
        let wasted = 0;
        const { outcome, sent } = await facing(
          input,
          async (ours) =>
            await askPeer(ours, {
              source,
              index: new HeldIndex(source),
              agreement: { shared: undefined },
              onRecords: async (envelopes) => {
                hold(envelopes.length <= SYNC_REPLY_RECORDS_MAX, "a reply has its limit");
                return envelopes.map(() => "ignore");
              },
              budget: {
                mayGoOn: () => true,
                mayWaste: (records) => (wasted += records) <= WASTE_MAX,
              },
              progress: { after: undefined },
            }),
        );
        hold(sent.length <= REQUESTS_MAX, "a round has a limited number of requests");
        for (const frame of sent)
          hold(decodeRequest(frame).ok, "whatever is answered, a request is one");
        return outcome;
      },
    };
  },
};

/** Entries that the daemon has to ask for. */
function entriesAbove(random: Random): Uint8Array {
  const entry = entryOf("bravo.test", random);
  const version = { epoch: 0, rev: 1_000, sequence: BigInt(random.between(100, 999)) };
  return encodeEntries([{ ...entry, version }]);
}

/** Records of no use that are taken before the round ends. */
const WASTE_MAX = 16;
/** What is wanted, a comparison and a list, and fetches that are tried twice each. */
const REQUESTS_MAX = 18;

export const syncTargets: readonly TargetSource[] = [syncAnswerTarget, syncAskTarget];
