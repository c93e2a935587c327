/** What another implementation is held to: the files are those that are made, and we agree with them. */
import { readFileSync, readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { describe, expect, test } from "vitest";
import { REFUSALS } from "../../src/core/record/refusal.ts";
import { fromHex } from "../../src/core/std/bytes.ts";
import { decodeCbor } from "../../src/core/std/cbor.ts";
import { ROOT } from "../tidy/source.ts";
import { CASES } from "./all-cases.ts";
import { FOLDER, conformanceFiles } from "./folder.ts";
import { receive } from "./receiver.ts";
import { CBOR } from "./vectors.ts";

/** What no record or head brings about alone. */
const BY_OTHERS = new Set([
  "OWN_TRUST_DOMAIN", // What an operator asks for.
  "FINGERPRINT_MISMATCH",
  "DUPLICATE", // What the own daemon holds.
  "FORGED_OWN",
  "OVER_BUDGET", // What came before, and how fast.
  "STORE_FAILED",
]);
/** So that a checkout stays small. */
const FOLDER_BYTES_MAX = 3 * 1024 * 1024;

const folder = join(ROOT, FOLDER);
const committed = readdirSync(folder, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name !== "README.md")
  .map((entry) => relative(folder, join(entry.parentPath, entry.name)));

describe("the folder of conformance cases", () => {
  const files = conformanceFiles();

  test("holds the files that are made, byte for byte", () => {
    expect(committed.toSorted()).toEqual([...files.keys()].toSorted());
    const others = [...files].filter(
      ([path, bytes]) => Buffer.compare(readFileSync(join(folder, path)), bytes) !== 0,
    );
    expect(others.map(([path]) => path)).toEqual([]);
  });

  test("is small", () => {
    const bytes = [...files.values()].reduce((sum, { length }) => sum + length, 0);
    expect(bytes).toBeLessThan(FOLDER_BYTES_MAX);
  });

  test("has each case once, and each refusal that a record or a head brings about", () => {
    expect(new Set(CASES.map(({ path }) => path)).size).toBe(CASES.length);
    const outcomes = new Set(CASES.flatMap((each) => each.arrivals.map(({ outcome }) => outcome)));
    const wanted = Object.keys(REFUSALS).filter((code) => !BY_OTHERS.has(code));
    expect([...outcomes].toSorted()).toEqual([...wanted, "heard", "taken", "unchanged"].toSorted());
  });
});

describe("a receiver", () => {
  test.each(CASES.map((each) => [each.path, each] as const))("agrees on %s", (_, each) => {
    expect(receive(each).outcomes).toEqual(each.arrivals.map(({ outcome }) => outcome));
  });

  test.each(CBOR)("reads $why: $taken", ({ bytes, taken }) => {
    expect(decodeCbor(fromHex(bytes)).ok).toBe(taken);
  });
});
