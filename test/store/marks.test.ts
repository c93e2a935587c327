/** The marks: what they say comes back, whatever happens to their file is noticed, and they keep up. */
import { mkdir, readFile, rm, rmdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import { concatBytes } from "../../src/core/std/bytes.ts";
import { encodeCbor } from "../../src/core/std/cbor.ts";
import { sha256 } from "../../src/core/std/sha256.ts";
import type { StepEntry, StoredDomain } from "../../src/ports/record-store.ts";
import { MarksFile, readMarks, writeMarks } from "../../src/store/marks-file.ts";
import {
  type MarkEntry,
  type Marks,
  decodeMark,
  decodeMarks,
  encodeMark,
  encodeMarks,
} from "../../src/store/marks.ts";
import { domainNamed, pinNamed, stored } from "../compliance/record-store.ts";
import { temporaryDirectory } from "./temporary-directory.ts";

const ALPHA = "alpha.test" as TrustDomain;
const STORE_ID = new Uint8Array(16).fill(3);
const WRITES_MAX = 50;

function marksOf(...entries: readonly (readonly [string, MarkEntry])[]): Marks {
  const named = entries.map(([name, entry]) => [name as TrustDomain, entry] as const);
  return { storeId: STORE_ID, writes: 7n, headCounter: 9n, entries: new Map(named) };
}

function stepOf(sequence: bigint): StepEntry {
  const { envelope, ...step } = stored(sequence);
  return { ...step, envelopeBytes: envelope.length, storedAtMs: 1 };
}

const small = marksOf(
  ["alpha.test", encodeMark(domainNamed("alpha.test", stored(3n)), [stepOf(3n)], pinNamed(ALPHA))],
  ["own.test", encodeMark(domainNamed("own.test", stored(2n)), [stepOf(2n)], undefined)],
);
const bytes = encodeMarks(small);

const hex = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((id) => Buffer.from(id).toString("hex"));
const domain: fc.Arbitrary<StoredDomain> = fc.record({
  trustDomain: fc.stringMatching(/^[a-z0-9._-]{1,255}$/) as fc.Arbitrary<TrustDomain>,
  lineage: hex,
  nodes: fc.array(fc.uint8Array({ minLength: 32, maxLength: 32 }), { minLength: 1, maxLength: 16 }),
  held: fc.record({
    epoch: fc.nat(2 ** 31 - 1),
    rev: fc.nat(2 ** 31 - 1),
    sequence: fc.bigInt(0n, 2n ** 64n - 1n),
    recordId: hex,
    envelope: fc.uint8Array({ minLength: 1, maxLength: 50 }),
  }),
  sibling: fc.constantFrom(undefined, stored(4n)),
  frame: fc.uint8Array({ maxLength: 50 }),
});
const pin = (trustDomain: string) =>
  fc
    .option(
      fc.record({
        approvedAtMs: fc.nat(2 ** 31 - 1),
        awaitedRecordId: fc.option(hex, { nil: undefined }),
        addressHints: fc.array(fc.stringMatching(/^[!-~]{1,60}$/), { maxLength: 2 }),
      }),
      { nil: undefined },
    )
    .map((change) => change && pinNamed(trustDomain, change));

describe("a mark", () => {
  test("comes back as it was set: of a partner without its records, of the own trust domain whole", () => {
    fc.assert(
      fc.property(
        domain.chain((each) => fc.tuple(fc.constant(each), pin(each.trustDomain), hex)),
        ([each, pinned, baseId]) => {
          const steps = [{ ...stepOf(1n), recordId: baseId }, stepOf(2n)];
          const { mark, own } = decodeMark(encodeMark(each, steps, pinned));
          const { trustDomain, lineage, nodes, held } = each;
          const { envelope: _, ...version } = held;
          expect(mark).toEqual({ trustDomain, lineage, nodes, baseId, pin: pinned, ...version });
          expect(own).toEqual(pinned === undefined ? each : undefined);
        },
      ),
    );
  });

  test("of a first record has no base", () => {
    const entry = encodeMark(domainNamed(ALPHA, stored(1n)), [stepOf(1n)], pinNamed(ALPHA));
    expect(decodeMark(entry).mark.baseId).toBeUndefined();
  });

  test("has the first two address hints, and none that no address can be", () => {
    const addressHints = ["/dns4/\u202e", ...[1, 2, 3].map((port) => `/ip4/192.0.2.1/tcp/${port}`)];
    const pinned = pinNamed(ALPHA, { addressHints });
    const entry = encodeMark(domainNamed(ALPHA, stored(1n)), [stepOf(1n)], pinned);
    expect(decodeMark(entry).mark.pin?.addressHints).toEqual(addressHints.slice(1, 3));
  });
});

describe("the bytes of the marks", () => {
  test("are read as they were written", () => {
    expect(decodeMarks(bytes)).toEqual({ ok: true, value: small });
  });

  test("are never read when they end at any byte before the last", () => {
    for (let length = 0; length < bytes.length; length += 1) {
      expect(decodeMarks(bytes.subarray(0, length)).ok).toBe(false);
    }
  });

  test("are never read with any bit flipped, or a byte more", () => {
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const flipped = bytes.slice();
      flipped.set([(bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7))], bit >> 3);
      expect(decodeMarks(flipped).ok).toBe(false);
    }
    expect(decodeMarks(concatBytes(bytes, Uint8Array.of(0))).ok).toBe(false);
  });

  const entry = small.entries.get(ALPHA) ?? new Uint8Array();
  test.each<[string, Parameters<typeof encodeCbor>[0]]>([
    ["have one trust domain twice", [1, STORE_ID, 7, 9, [entry, entry]]],
    ["have an entry that is none", [1, STORE_ID, 7, 9, [encodeCbor(["alpha.test"])]]],
    ["have an entry that is empty", [1, STORE_ID, 7, 9, [new Uint8Array()]]],
    ["name no store", [1, new Uint8Array(15), 7, 9, []]],
    ["lack a position", [1, STORE_ID, 7, 9]],
    ["have a position more", [1, STORE_ID, 7, 9, [], []]],
    ["are no array", 1],
  ])("are never read when they %s, whatever their hash says", (_, value) => {
    const made = encodeCbor(value);
    const file = concatBytes(made, sha256(made));
    const read = decodeMarks(file);
    expect(read).toMatchObject({ ok: false, reason: { format: undefined } });
  });

  test("of another format say which", () => {
    const made = encodeCbor([2, "of the future"]);
    const read = decodeMarks(concatBytes(made, sha256(made)));
    expect(read).toMatchObject({ ok: false, reason: { format: 2 } });
  });
});

const entryAt = (sequence: bigint): MarkEntry =>
  encodeMark(domainNamed(ALPHA, stored(sequence)), [stepOf(sequence)], pinNamed(ALPHA));
const metaAt = (writes: bigint) => ({
  storeId: STORE_ID,
  writes,
  sum: new Uint8Array(32),
  headCounter: writes,
});

describe("the file of the marks", () => {
  let dataDir = "";
  let file: MarksFile;
  const change = (sequence: bigint): void => {
    file.set(ALPHA, entryAt(sequence));
    file.follow(metaAt(sequence));
  };
  /** The sequence that the file says now. */
  async function onDisk(): Promise<bigint | undefined> {
    const found = await readMarks(dataDir);
    if (found.kind !== "good") return undefined;
    const { writes, headCounter, entries } = found.marks;
    const { sequence } = decodeMark(entries.get(ALPHA) ?? new Uint8Array()).mark;
    expect([writes, headCounter]).toEqual([sequence, sequence]);
    return sequence;
  }

  beforeEach(async () => {
    dataDir = await temporaryDirectory();
    const marks = { ...marksOf([ALPHA, entryAt(1n)]), writes: 1n, headCounter: 1n };
    await writeMarks(dataDir, marks);
    file = new MarksFile(dataDir, marks);
  });

  test("has what was changed before, when it says so", async () => {
    for (let sequence = 2n; sequence < 20n; sequence += 3n) {
      for (const each of [sequence, sequence + 1n, sequence + 2n]) change(each);
      await file.written();
      expect(await onDisk()).toBe(sequence + 2n);
    }
    expect((await stat(join(dataDir, "marks"))).mode & 0o7777).toBe(0o600);
  });

  test("is written without being asked, and once for all that changed meanwhile", async () => {
    const inodes = new Set<number>();
    for (let sequence = 2n; sequence <= 100n; sequence += 1n) change(sequence);
    while ((await onDisk()) !== 100n) {
      inodes.add((await stat(join(dataDir, "marks"))).ino);
      expect(inodes.size).toBeLessThan(WRITES_MAX);
    }
    // The one before, the one of the first change, and the one of all others.
    expect(inodes.size).toBeLessThanOrEqual(3);
  });

  test("that cannot be written says so each time, and is whole once it can", async () => {
    await mkdir(join(dataDir, "marks.new"));
    change(2n);
    await expect(file.written()).rejects.toMatchObject({ code: "STORE_DAMAGED" });
    await expect(file.catchUp()).rejects.toMatchObject({ code: "STORE_DAMAGED" });
    expect(await onDisk()).toBe(1n);
    await rmdir(join(dataDir, "marks.new"));
    await file.catchUp();
    expect(await onDisk()).toBe(2n);
  });

  test("is written at the close, and never after it", async () => {
    await mkdir(join(dataDir, "marks.new"));
    change(2n);
    await expect(file.written()).rejects.toThrow();
    await rmdir(join(dataDir, "marks.new"));
    await file.close();
    expect(await onDisk()).toBe(2n);
    change(3n);
    await expect(file.written()).rejects.toMatchObject({ code: "NOT_READY" });
    expect(await onDisk()).toBe(2n);
  });

  test("takes an entry out", async () => {
    file.set(ALPHA, undefined);
    await file.written();
    const found = await readMarks(dataDir);
    expect(found).toMatchObject({ kind: "good", marks: { entries: new Map() } });
  });

  test("is damaged, missing, or of a later version, each in its own words", async () => {
    const path = join(dataDir, "marks");
    const whole = await readFile(path);
    await writeFile(path, whole.subarray(1));
    expect(await readMarks(dataDir)).toMatchObject({ kind: "damaged" });
    await rm(path);
    expect(await readMarks(dataDir)).toEqual({ kind: "missing" });
    const made = encodeCbor([2]);
    await writeFile(path, concatBytes(made, sha256(made)), { mode: 0o600 });
    await expect(readMarks(dataDir)).rejects.toMatchObject({ details: { format: 2 } });
  });
});
