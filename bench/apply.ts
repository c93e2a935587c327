/** Records taken in by a whole daemon's loop, against a bare loop of the same cryptography and one synced put. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Level } from "level";
import { newMeshState } from "../src/core/mesh/mesh-state.ts";
import type { Keyring } from "../src/ports/keyring.ts";
import type { RecordStore } from "../src/ports/record-store.ts";
import { type LoopNetwork, MeshLoop } from "../src/runtime/mesh-loop.ts";
import { openRecordStore } from "../src/store/level-record-store.ts";
import { x509Proofs } from "../src/x509/proofs.ts";
import { NOW_S, type TestRecord, makePublisher } from "../test/arbitraries/record.ts";
import { bareVerification } from "./bare-crypto.ts";
import type { Figure, Part } from "./figure.ts";
import { medianOf } from "./spread.ts";
import { NOTHING_STORED, selfOf } from "../test/arbitraries/start.ts";

const RECORDS_A_RUN = 200;
const RATIO_TARGET = 0.7;
/** Between two records, by the daemon's clock: what the trust domain may make it do suffices for each. */
const BETWEEN_RECORDS_MS = 2_000;
let nowMs = NOW_S * 1_000;

export async function measureApply({ runs }: { readonly runs: number }): Promise<Part> {
  const directory = await mkdtemp(join(tmpdir(), "bench-"));
  const store = await openRecordStore(join(directory, "data"));
  const floor = new Level<string, Uint8Array>(join(directory, "floor"), { valueEncoding: "view" });
  try {
    const alpha = makePublisher("alpha.test");
    const ours: number[] = [];
    const bare: number[] = [];
    const loop = startLoop(store);
    await approve(loop, alpha.genesis);
    let last = alpha.genesis;
    for (let run = 0; run < runs; run += 1) {
      const records = Array.from({ length: RECORDS_A_RUN }, () => (last = alpha.next(last)));
      ours.push(await rate(records, async ({ envelope }) => await take(loop, envelope)));
      bare.push(
        await rate(
          records.map((record) => ({ record, verify: bareVerification(record) })),
          async ({ record: { idHex, envelope }, verify }) => {
            verify();
            await floor.put(idHex, envelope, { sync: true });
          },
        ),
      );
    }
    await loop.stop();
    return { title: "apply: a record taken in, stored and answered", ...shown(ours, bare) };
  } finally {
    await store.close();
    await floor.close();
    await rm(directory, { recursive: true });
  }
}

function shown(ours: readonly number[], bare: readonly number[]): Omit<Part, "title"> {
  const anchor: Figure = {
    what: "bare: signatures, hashes and one synced put",
    unit: "a second",
    values: bare,
  };
  const met = medianOf(ours) / medianOf(bare) >= RATIO_TARGET;
  return {
    figures: [
      {
        what: "verified, stored, answered",
        unit: "a second",
        values: ours,
        anchor,
        target: { text: `≥ ${RATIO_TARGET} ×`, met },
      },
      anchor,
    ],
    notes: [`by the clock, as a disk is waited for; ${RECORDS_A_RUN} records a value`],
  };
}

async function rate<Item>(
  records: readonly Item[],
  work: (record: Item) => Promise<void>,
): Promise<number> {
  const startMs = performance.now();
  for (const record of records) await work(record);
  return (1_000 * records.length) / (performance.now() - startMs);
}

/** A loop of bravo's daemon, with a real store and nobody to talk to. */
function startLoop(store: RecordStore): MeshLoop {
  const keyring: Keyring = {
    sign: async () => ({ kind: "no-new-chain", problem: "this daemon signs nothing" }),
    signHead: (payload) => payload,
    mintAhead: async () => {},
  };
  const network: LoopNetwork = {
    publish: async () => {},
    publishHead: async () => {},
    admit: () => {},
    dial: () => {},
    connections: () => [],
    syncNow: async () => {},
  };
  const loop = new MeshLoop({
    state: newMeshState(selfOf(makePublisher("bravo.test")), NOTHING_STORED, NOW_S * 1_000),
    proofs: x509Proofs,
    store,
    keyring,
    onTrouble: (what, error) => {
      throw new Error(what, { cause: error });
    },
    nowMs: () => nowMs,
  });
  loop.start({ network, orderRow: () => {}, knock: () => {}, onEvent: () => {} });
  return loop;
}

async function approve(loop: MeshLoop, { envelope, idHex }: TestRecord): Promise<void> {
  const answer = await loop.ask((ticket) => ({
    kind: "import-asked",
    ticket,
    envelope,
    fingerprint: idHex,
    addressHints: [],
    replace: false,
    spireAsked: true,
    row: undefined,
    hasRelationship: false,
  }));
  if (answer?.kind !== "taken") throw new Error(`not approved: ${JSON.stringify(answer)}`);
}

async function take(loop: MeshLoop, envelope: Uint8Array): Promise<void> {
  nowMs += BETWEEN_RECORDS_MS;
  const answer = await loop.ask((ticket) => ({
    kind: "record-received",
    envelope,
    carrier: "sync",
    from: "f0",
    ticket,
  }));
  if (answer?.kind !== "taken") throw new Error(`not taken: ${JSON.stringify(answer)}`);
}
