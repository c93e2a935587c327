import * as fc from "fast-check";
import { expect, test } from "vitest";
import { readDer, readUnsigned, writeUnsigned } from "../../src/x509/der.ts";

test("an unsigned INTEGER reads as it was written, without leading zeros", () => {
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 33 });
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
