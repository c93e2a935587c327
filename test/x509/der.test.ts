import * as fc from "fast-check";
import { expect, test } from "vitest";
import { readDer, readUnsigned, writeUnsigned } from "../../src/x509/der.ts";

test("an unsigned INTEGER reads as it was written, without leading zeros", () => {
  const first = fc.oneof(fc.constantFrom(0, 1, 0x7f, 0x80, 0x81, 0xff), fc.nat({ max: 0xff }));
  const bytes = fc
    .tuple(first, fc.uint8Array({ maxLength: 33 }))
    .map(([byte, rest]) => Buffer.from([byte, ...rest]));
  const padded = fc.tuple(fc.nat({ max: 3 }), bytes);
  fc.assert(
    fc.property(padded, ([zeros, value]) => {
      const written = writeUnsigned(Buffer.concat([Buffer.alloc(zeros), value]));
      const read = readDer(written, (cursor) => readUnsigned(cursor));
      expect(numberOf(read)).toBe(numberOf(value));
      expect(read[0] !== 0 || read.length === 1).toBe(true);
    }),
  );
});

function numberOf(bigEndian: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bigEndian).toString("hex")}`);
}
