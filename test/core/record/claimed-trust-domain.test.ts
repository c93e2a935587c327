/** What a record claims decides who pays for it, so it is never another than what it says. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { claimedTrustDomain } from "../../../src/core/record/claimed-trust-domain.ts";
import { decodeRecord } from "../../../src/core/record/verify.ts";
import { concatBytes, fromHex } from "../../../src/core/std/bytes.ts";
import { makePublisher, makeRecord } from "../../arbitraries/record.ts";

/** Names at whose lengths the head of a text or of the payload grows, and one that is no word. */
const records = ["a", "alpha.test", "__proto__", "x".repeat(23), "x".repeat(24), "x".repeat(255)]
  .map((name) => makePublisher(name))
  .flatMap(({ genesis, node, svid }) => {
    const large = { der: new Uint8Array(8_192).fill(7), tainted: false };
    const x509Authorities = [...genesis.state.x509Authorities, large];
    return [genesis, makeRecord({ ...genesis.state, x509Authorities }, [{ node, svids: [svid] }])];
  })
  .map(({ envelope }) => envelope);
/** Up to the end of the longest name. */
const HEAD_BYTES = 270;

const decodedName = (bytes: Uint8Array): string | undefined => {
  const decoded = decodeRecord(bytes, "sync");
  return decoded.ok ? decoded.value.state.trustDomain : undefined;
};

/** Any record with some bytes of its head changed, left out or added. */
const damaged = fc
  .tuple(
    fc.constantFrom(...records),
    fc.array(
      fc.tuple(
        fc.nat(HEAD_BYTES),
        fc.nat(2),
        fc.oneof(fc.nat(255), fc.constantFrom(0x58, 0x60, 0x61, 0x78, 0x84, 0x8b, 0x9f, 0xff)),
      ),
      { maxLength: 2 },
    ),
  )
  .map(([record, changes]) =>
    changes.reduce(
      (bytes, [place, length, byte]) =>
        concatBytes(bytes.subarray(0, place), Uint8Array.of(byte), bytes.subarray(place + length)),
      record,
    ),
  );

describe("the trust domain that bytes claim", () => {
  test("is that of the record that they are", () => {
    for (const record of records) {
      expect(decodedName(record)).toBeDefined();
      expect(claimedTrustDomain(record)).toBe(decodedName(record));
    }
  });

  test("is never another than the one decoded, whatever the bytes are", () => {
    let decoded = 0;
    fc.assert(
      fc.property(fc.oneof(damaged, fc.uint8Array({ maxLength: 60 })), (bytes) => {
        const first = claimedTrustDomain(bytes);
        const name = decodedName(bytes);
        if (name === undefined) return;
        decoded += 1;
        expect(first).toBe(name);
      }),
      { numRuns: 3_000 },
    );
    expect(decoded).toBeGreaterThan(100);
  });

  test.each([
    ["nothing", ""],
    ["an array alone", "84"],
    ["a payload that is cut", "84014a8b01"],
    ["a payload that is text", "84016a8b0161612020202020"],
    ["a payload without a name", "840142820102"],
    ["a name that is a number", "8401438b0105"],
    ["a name that none may have", "8401448b016141"],
    ["a name that is cut", "8401438b0162"],
    ["an item that CBOR does not have", "84011c"],
  ])("is none in %s", (_, hex) => {
    expect(claimedTrustDomain(fromHex(hex))).toBeUndefined();
  });
});
