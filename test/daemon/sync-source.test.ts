/** What a peer that asks for records is given, and what its asking costs. */
import { expect, onTestFinished, test, vi } from "vitest";
import { newMeshState } from "../../src/core/mesh/mesh-state.ts";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import { SYNC_REPLY_BYTES_MAX, SYNC_REPLY_RECORDS_MAX } from "../../src/core/std/limits.ts";
import { fromHex } from "../../src/core/std/bytes.ts";
import { createSyncSource } from "../../src/daemon/sync-source.ts";
import type { RecordStore } from "../../src/ports/record-store.ts";
import { openRecordStore } from "../../src/store/level-record-store.ts";
import { bundleOf, makePublisher } from "../arbitraries/record.ts";
import { domainNamed, stored } from "../compliance/record-store.ts";
import { TestDaemon } from "../core/mesh/daemon.ts";
import { temporaryDirectory } from "../store/temporary-directory.ts";
import { NOTHING_STORED, selfOf } from "../arbitraries/start.ts";

const BRAVO = "bravo.test" as TrustDomain;
const ABOVE_NOTHING = { epoch: 0, rev: 0, sequence: 0n };
/** Everything that Bravo's steps can give, asked for as often as one frame can ask. */
const WANTS = Array.from({ length: 64 }, () => ({
  trustDomain: BRAVO,
  above: ABOVE_NOTHING,
  recordId: undefined,
}));

const idOf = (sequence: number) => fromHex(stored(BigInt(sequence)).recordId);

/** A store with steps of Bravo on a real disk. */
async function storeOf(steps: number, envelopeBytes: number): Promise<RecordStore> {
  const store = await openRecordStore(await temporaryDirectory());
  onTestFinished(async () => await store.close());
  const record = (sequence: number) =>
    stored(BigInt(sequence), { envelope: new Uint8Array(envelopeBytes).fill(7) });
  for (let sequence = 1; sequence <= steps; sequence += 1) {
    await store.accept(domainNamed(BRAVO, record(sequence)), undefined, sequence === 1);
  }
  return store;
}

const alpha = selfOf(makePublisher("alpha.test"));
const sourceOf = (store: RecordStore) =>
  createSyncSource(newMeshState(alpha, NOTHING_STORED, 0), store);

test("a reply that is full of records asks the store no more", async () => {
  const store = await storeOf(40, 100);
  const lookUp = vi.spyOn(store, "stepsAbove");
  expect(await sourceOf(store).records(WANTS)).toHaveLength(SYNC_REPLY_RECORDS_MAX);
  expect(lookUp.mock.calls.map(([, , limit]) => limit)).toEqual([64, 24]);
});

test("a reply that is full of bytes ends before the record that is too much", async () => {
  const envelopeBytes = 100_000;
  const store = await storeOf(8, envelopeBytes);
  const lookUp = vi.spyOn(store, "stepsAbove");
  const envelopes = await sourceOf(store).records(WANTS);
  expect(envelopes).toHaveLength(Math.floor(SYNC_REPLY_BYTES_MAX / envelopeBytes));
  expect(lookUp).toHaveBeenCalledTimes(2);
});

test("a record is found by its id, whether it is held, a sibling or a step", async () => {
  const store = await storeOf(3, 100);
  const sibling = stored(9n, { sequence: 4n, envelope: Uint8Array.of(4, 1) });
  await store.accept(domainNamed(BRAVO, stored(4n), { sibling }), undefined, false);
  const found = await sourceOf(store).records(
    [2, 4, 9, 5].map((each) => ({ trustDomain: BRAVO, above: undefined, recordId: idOf(each) })),
  );
  expect(found).toEqual([new Uint8Array(100).fill(7), stored(4n).envelope, sibling.envelope]);
});

test("the revision is another one after each change of what is wanted or held, and only then", async () => {
  const alpha = makePublisher("alpha.test");
  const daemon = await TestDaemon.start(alpha);
  const source = createSyncSource(daemon.state, await storeOf(1, 100));
  const seen = new Set([source.revision()]);
  const bravo = makePublisher(BRAVO);
  const changes = [
    () => daemon.import(bravo.genesis),
    () => daemon.receive(bravo.next(bravo.genesis)),
    () => daemon.import(makePublisher("charlie.test").genesis),
    () => daemon.exportOwn(bundleOf(alpha.genesis.state)),
  ];
  for (const [index, change] of changes.entries()) {
    change();
    seen.add(source.revision()).add(source.revision());
    daemon.tick();
    seen.add(source.revision());
    expect(seen.size).toBe(index + 2);
  }
});

test("nothing is held of a stranger", async () => {
  const source = sourceOf(await storeOf(1, 100));
  const stranger = "stranger.test" as TrustDomain;
  const recordId = new Uint8Array(32);
  expect(
    await source.records([
      { trustDomain: stranger, above: ABOVE_NOTHING, recordId: undefined },
      { trustDomain: stranger, above: undefined, recordId },
    ]),
  ).toEqual([]);
});
