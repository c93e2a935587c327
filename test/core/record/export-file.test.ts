/** A record as a file: what is written is read back, and nothing else is read. */
import { array, assert, property, string, uint8Array } from "fast-check";
import { describe, expect, test } from "vitest";
import { IMPORT_FILE_BYTES_MAX } from "../../../src/admin-contract/exchange.ts";
import {
  EXPORT_FILE_BYTES_MAX,
  decodeExportFile,
  encodeExportFile,
} from "../../../src/core/record/export-file.ts";
import { encodeCbor } from "../../../src/core/std/cbor.ts";

const envelopes = uint8Array({ minLength: 1, maxLength: 300 });
const addresses = array(string({ unit: "grapheme-ascii", minLength: 1 }), { maxLength: 16 }).map(
  (texts) => texts.map((text) => `/dns4/${text.replaceAll(" ", "_")}/tcp/1`),
);
const ENVELOPE = new Uint8Array([1, 2, 3]);
const ADDRESS = "/dns4/mesh.alpha.test/tcp/7843";

function kindOf(bytes: Uint8Array): string {
  const decoded = decodeExportFile(bytes);
  return decoded.ok ? "ok" : decoded.reason.kind;
}

describe("an export file", () => {
  test("holds what was put in", () => {
    assert(
      property(envelopes, addresses, (envelope, addresses) => {
        const decoded = decodeExportFile(encodeExportFile({ envelope, addresses }));
        expect(decoded).toEqual({ ok: true, value: { envelope, addresses } });
      }),
    );
  });

  test("that was cut off anywhere says so", () => {
    const whole = encodeExportFile({ envelope: ENVELOPE, addresses: [ADDRESS] });
    for (let length = 1; length < whole.length; length += 1) {
      expect([length, kindOf(whole.subarray(0, length))]).toEqual([length, "truncated"]);
    }
  });

  test("has one form alone: any changed head is refused, any other file too", () => {
    assert(
      property(uint8Array({ maxLength: 200 }), (bytes) => {
        const decoded = decodeExportFile(bytes);
        if (decoded.ok) expect(encodeExportFile(decoded.value)).toEqual(bytes);
      }),
    );
  });

  test.each([
    ["no envelope", { envelope: new Uint8Array(), addresses: [] }],
    ["an address beyond ASCII", { envelope: ENVELOPE, addresses: ["/dns4/mésh.test/tcp/7843"] }],
    ["an address too many", { envelope: ENVELOPE, addresses: Array(17).fill(ADDRESS) }],
  ])("is never made with %s: nobody could read it", (_, file) => {
    expect(() => encodeExportFile(file)).toThrow("an export file that can be read");
  });

  test("fits its limit at its largest, and the daemon's limit is the same", () => {
    const envelope = new Uint8Array(128 * 1024);
    const largest = encodeExportFile({ envelope, addresses: Array(16).fill("/".repeat(512)) });
    expect(kindOf(largest)).toBe("ok");
    expect(largest.length).toBeLessThan(EXPORT_FILE_BYTES_MAX);
    expect(IMPORT_FILE_BYTES_MAX).toBe(EXPORT_FILE_BYTES_MAX);
  });

  test.each([
    ["empty", new Uint8Array(0)],
    ["too-large", new Uint8Array(EXPORT_FILE_BYTES_MAX + 1)],
    ["not-an-export", new Uint8Array(EXPORT_FILE_BYTES_MAX)],
    ["not-an-export", new TextEncoder().encode('{"keys":[]}')],
    ["not-an-export", new TextEncoder().encode("-----BEGIN CERTIFICATE-----\n")],
    ["not-an-export", encodeCbor([2, ENVELOPE, []])],
    ["not-an-export", encodeCbor([1, ENVELOPE])],
    ["not-an-export", encodeCbor([1, ENVELOPE, [], 0])],
    ["not-an-export", encodeCbor([1, new Uint8Array(0), []])],
    ["not-an-export", encodeCbor([1, new Uint8Array(128 * 1024 + 1), []])],
    ["not-an-export", encodeCbor([1, ENVELOPE, Array(17).fill(ADDRESS)])],
    ["not-an-export", encodeCbor([1, ENVELOPE, ["with space"]])],
    ["not-an-export", encodeCbor([1, ENVELOPE, ["line\nbreak"]])],
    ["not-an-export", encodeCbor([1, ENVELOPE, [" before"]])],
    ["not-an-export", encodeCbor([1, ENVELOPE, ["after "]])],
    ["not-an-export", encodeCbor([1, ENVELOPE, ["delete\x7f"]])],
    // They end too early, but nothing says that they began as an export file.
    ["not-an-export", Uint8Array.of(0x84, 0x01)],
    ["not-an-export", Uint8Array.of(0x83, 0x02)],
    ["not-an-export", encodeCbor([1, ENVELOPE, [""]])],
    ["not-an-export", encodeCbor([1, ENVELOPE, ["x".repeat(513)]])],
    ["not-an-export", encodeCbor([1, ENVELOPE, [ENVELOPE]])],
    ["not-an-export", Uint8Array.of(...encodeCbor([1, ENVELOPE, []]), 0)],
    ["not-an-export", Uint8Array.of(0x83, 0x18, 0x01, 0x41, 0x00, 0x80)],
    ["not-an-export", Uint8Array.of(0x9f, 0x01, 0x41, 0x00, 0x80, 0xff)],
  ])("is refused as %s (%#)", (kind, bytes) => {
    expect(kindOf(bytes)).toBe(kind);
  });

  test.each([
    ["is larger than 160 KiB, as no export file is", new Uint8Array(EXPORT_FILE_BYTES_MAX + 1)],
    ["ends too early: it was not copied whole", Uint8Array.of(0x83, 0x01)],
    [
      "is not an export file that this version of spire-mesh reads (export file[0]: not 1)",
      encodeCbor([2, ENVELOPE, []]),
    ],
  ])("says in words that it %s", (problem, bytes) => {
    expect(decodeExportFile(bytes)).toMatchObject({ ok: false, reason: { problem } });
  });

  test("may have an address of every printable character", () => {
    const address = Array.from({ length: 94 }, (_, index) => String.fromCharCode(0x21 + index));
    const file = { envelope: ENVELOPE, addresses: [address.join(""), "!", "~".repeat(512)] };
    expect(decodeExportFile(encodeExportFile(file))).toEqual({ ok: true, value: file });
  });
});
