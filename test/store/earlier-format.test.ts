/** A data directory of before the marks: with FORMAT, and with values that held the base as a record. */
import { mkdir, readFile, readdir, rm, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Level } from "level";
import { beforeEach, describe, expect, test } from "vitest";
import { concatBytes, fromHex, toUtf8 } from "../../src/core/std/bytes.ts";
import { type CborValue, encodeCbor } from "../../src/core/std/cbor.ts";
import { sha256, sha256Hex } from "../../src/core/std/sha256.ts";
import type { StoredRecord } from "../../src/ports/record-store.ts";
import { addTo } from "../../src/store/known-domain.ts";
import { openRecordStore } from "../../src/store/level-record-store.ts";
import { META_KEY, domainKey, pinKey, stepKey } from "../../src/store/store-key.ts";
import { type TestRecord, makePublisher, untainted } from "../arbitraries/record.ts";
import { domainNamed, pinNamed, stored } from "../compliance/record-store.ts";
import { IMPOSTORS, STRANGE_CONTENTS } from "../private-files/impostors.ts";
import { ZERO } from "./filled-store.ts";
import { roomForBatches } from "./room-for-batches.ts";
import { temporaryDirectory } from "./temporary-directory.ts";

const DAMAGED = expect.objectContaining({ code: "STORE_DAMAGED" });
const STORE_ID = "ab".repeat(16);
/** One for each trust domain, and the store about itself. */
const RENEWING_BATCHES = 3;

const alpha = makePublisher("alpha.test");
const bravo = makePublisher("bravo.test");
const recordOf = ({ idHex, state, envelope }: TestRecord): StoredRecord => ({
  ...state.version,
  recordId: idHex,
  envelope,
});
const first = recordOf(alpha.genesis);
const second = recordOf(
  alpha.next(alpha.genesis, { x509Authorities: [untainted(alpha.ca), untainted(alpha.newCa())] }),
);
const own = recordOf(bravo.genesis);
const pin = pinNamed(alpha.trustDomain);

let dataDir = "";

function sealed(key: Uint8Array, value: CborValue): Uint8Array {
  const bytes = encodeCbor(value);
  return concatBytes(bytes, sha256(concatBytes(key, bytes)));
}
const positions = (record: StoredRecord): CborValue => [
  record.epoch,
  record.rev,
  record.sequence,
  fromHex(record.recordId),
  record.envelope,
];
const listed = (record: StoredRecord): CborValue => [
  record.epoch,
  record.rev,
  record.sequence,
  record.envelope.length,
];

async function writeFormat(writes: bigint): Promise<void> {
  const body = `format 1\nstore ${STORE_ID}\nwrites ${writes}\n`;
  const text = `${body}sha256 ${sha256Hex(toUtf8(body))}\n`;
  await writeFile(join(dataDir, "FORMAT"), text, { mode: 0o600 });
}

/** As version 0.1.0 of the daemon left it: a partner with two records, and the own trust domain. */
beforeEach(async () => {
  dataDir = await temporaryDirectory();
  await mkdir(join(dataDir, "store"), { mode: 0o700 });
  const database = new Level<Uint8Array, Uint8Array>(join(dataDir, "store"), {
    keyEncoding: "view",
    valueEncoding: "view",
  });
  const sum = new Uint8Array(32);
  const put = async (key: Uint8Array, value: CborValue, counts = true): Promise<void> => {
    const bytes = sealed(key, value);
    if (counts) addTo(sum, bytes.subarray(-32));
    await database.put(key, bytes);
  };
  const [a, b] = [alpha.trustDomain, bravo.trustDomain];
  await put(domainKey(a), [
    1,
    positions(second),
    positions(first),
    [],
    [listed(first), listed(second)],
  ]);
  await put(domainKey(b), [1, positions(own), [], positions(own), [listed(own)]]);
  await put(pinKey(a), [1, fromHex(pin.approvedRecordId), pin.approvedAtMs, [], pin.addressHints]);
  for (const record of [first, second])
    await put(stepKey(a, record), [1, positions(record)], false);
  await put(stepKey(b, own), [1, positions(own)], false);
  await put(META_KEY, [1, fromHex(STORE_ID), 5, sum], false);
  await database.close();
  await writeFormat(5n);
  await writeFile(join(dataDir, "node.key"), "", { mode: 0o600 });
});

/** LevelDB itself, past all checks. */
async function tamper<Value>(
  change: (database: Level<Uint8Array, Uint8Array>) => Promise<Value>,
): Promise<Value> {
  const options = { keyEncoding: "view", valueEncoding: "view" } as const;
  const database = new Level<Uint8Array, Uint8Array>(join(dataDir, "store"), options);
  const value = await change(database);
  await database.close();
  return value;
}

async function told(): Promise<unknown> {
  try {
    const store = await openRecordStore(dataDir);
    try {
      const contents = await store.load();
      return { ...contents, steps: await store.stepsAbove(alpha.trustDomain, ZERO, 9) };
    } finally {
      await store.close();
    }
  } catch (error) {
    return error;
  }
}

const nodesOf = ({ genesis }: typeof alpha) => genesis.state.nodes;
const WHOLE = {
  pins: [pin],
  domains: [
    {
      trustDomain: alpha.trustDomain,
      lineage: alpha.genesis.idHex,
      nodes: nodesOf(alpha),
      held: second,
      sibling: undefined,
      frame: new Uint8Array(),
    },
    {
      trustDomain: bravo.trustDomain,
      lineage: bravo.genesis.idHex,
      nodes: nodesOf(bravo),
      held: own,
      sibling: own,
      frame: new Uint8Array(),
    },
  ],
  headCounter: 0n,
  missing: [],
  quarantined: undefined,
  marksLost: false,
  steps: [first, second],
};

describe("a data directory with FORMAT and without marks", () => {
  test("is taken over whole, once, and has marks in place of FORMAT", async () => {
    expect(await told()).toEqual(WHOLE);
    expect(await readdir(dataDir)).toEqual(["marks", "node.key", "store"]);
    expect(await told()).toEqual(WHOLE);
    const store = await openRecordStore(dataDir);
    const history = await store.history(alpha.trustDomain);
    expect(history.map(({ recordId, storedAtMs }) => [recordId, storedAtMs])).toEqual([
      [first.recordId, 0],
      [second.recordId, 0],
    ]);
    expect(await store.record(alpha.trustDomain, fromHex(first.recordId))).toEqual(first);
    await store.close();
    await rm(join(dataDir, "store"), { recursive: true });
    expect(await told()).toMatchObject({
      domains: [{ held: own }],
      missing: [{ recordId: second.recordId, baseId: first.recordId, pin }],
    });
  });

  test("that lost FORMAT too says that its marks are lost", async () => {
    await rm(join(dataDir, "FORMAT"));
    expect(await told()).toEqual({ ...WHOLE, marksLost: true });
  });

  test("is refused when its store is older than FORMAT says, and stays as it is", async () => {
    await writeFormat(6n);
    for (let start = 1; start <= 2; start += 1) expect(await told()).toEqual(DAMAGED);
    expect(await readdir(dataDir)).toEqual(["FORMAT", "node.key", "store"]);
    await writeFormat(5n);
    expect(await told()).toEqual(WHOLE);
  });

  test("is refused when its store is gone", async () => {
    await rm(join(dataDir, "store"), { recursive: true });
    for (let start = 1; start <= 2; start += 1) expect(await told()).toEqual(DAMAGED);
  });

  test.each(Array.from({ length: RENEWING_BATCHES }, (_, batch) => batch))(
    "is gone on with when it is cut off at batch %i: FORMAT or marks are there, never neither",
    async (batches) => {
      const makeRoom = roomForBatches(batches, async () => {
        const names = await readdir(dataDir);
        expect(names.includes("FORMAT") || names.includes("marks")).toBe(true);
      });
      expect(await told()).toMatchObject({ code: "STORE_FULL" });
      expect(await readdir(dataDir)).toEqual(["FORMAT", "node.key", "store"]);
      makeRoom();
      expect(await told()).toEqual(WHOLE);
    },
  );

  test("needs no FORMAT any more when the marks are there", async () => {
    const format = await readFile(join(dataDir, "FORMAT"));
    await told();
    await writeFile(join(dataDir, "FORMAT"), format); // As if the kill came before it was deleted.
    const store = await openRecordStore(dataDir);
    await store.accept(domainNamed("charlie.test", stored(1n)), pinNamed("charlie.test"), true);
    await store.close();
    expect(await readdir(dataDir)).toEqual(["marks", "node.key", "store"]);
  });

  test("keeps FORMAT until the marks are on disk", async () => {
    await mkdir(join(dataDir, "marks.new"));
    expect(await told()).toBeInstanceOf(Error);
    expect(await readdir(dataDir)).toContain("FORMAT");
    await rmdir(join(dataDir, "marks.new"));
    expect(await told()).toEqual(WHOLE);
  });

  test.each([
    ["a pin", pinKey(alpha.trustDomain)],
    ["a trust domain", domainKey(alpha.trustDomain)],
    ["a step record", stepKey(alpha.trustDomain, first)],
  ])("is refused and stays as it is when it lacks %s", async (_, key) => {
    const value = await tamper(async (database) => {
      const before = await database.get(key);
      await database.del(key);
      return before;
    });
    expect(await told()).toEqual(DAMAGED);
    expect(await readdir(dataDir)).toEqual(["FORMAT", "node.key", "store"]);
    await tamper(async (database) => await database.put(key, value ?? new Uint8Array()));
    expect(await told()).toEqual(WHOLE);
  });
});

describe("FORMAT", () => {
  test.each([...IMPOSTORS, ...STRANGE_CONTENTS])(
    "is not read where it is $is",
    async ({ make }) => {
      await make(join(dataDir, "FORMAT"));
      expect(await told()).toEqual(DAMAGED);
    },
  );

  test.each<[string, string]>([
    ["names no store", "format 1\n"],
    ["names a store that is none", "format 1\nstore zz\nwrites 1\n"],
    ["counts nothing", `format 1\nstore ${STORE_ID}\n`],
    ["counts what is no number", `format 1\nstore ${STORE_ID}\nwrites -1\n`],
    ["is of no format", "\n"],
  ])("is damaged when it %s, whatever its hash says", async (_, body) => {
    await writeFile(join(dataDir, "FORMAT"), `${body}sha256 ${sha256Hex(toUtf8(body))}\n`);
    expect(await told()).toEqual(DAMAGED);
  });

  test("of a later version is refused with its number", async () => {
    const body = "format 2\nwhatever\n";
    await writeFile(join(dataDir, "FORMAT"), `${body}sha256 ${sha256Hex(toUtf8(body))}\n`);
    expect(await told()).toMatchObject({
      code: "STORE_DAMAGED",
      advice: expect.stringContaining("format 2"),
    });
  });
});
