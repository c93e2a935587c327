/** The strict CBOR decoder: what it takes is what our encoder writes, and nothing else. */
import { isDeepStrictEqual } from "node:util";
import { equalBytes } from "../../../src/core/std/bytes.ts";
import { type CborValue, decodeCbor, encodeCbor } from "../../../src/core/std/cbor.ts";
import { CBOR_DEPTH_MAX } from "../../../src/core/std/limits.ts";
import { WRONG_FORM_NAMES, Written, writeLoose, writeWrongForm } from "../loose-cbor.ts";
import type { Random } from "../random.ts";
import { type TargetSource, hold } from "../target.ts";

const NUMBERS = [0, 23, 24, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1];
const WIDE_NUMBERS = [2n ** 53n, 2n ** 63n, 2n ** 64n - 1n];

function value(random: Random, depth: number): CborValue {
  const kind = random.below(depth === 0 ? 6 : 9);
  if (kind === 0) return random.pick(NUMBERS);
  if (kind === 1) return random.pick(WIDE_NUMBERS);
  if (kind === 2) return random.oneIn(2);
  if (kind === 3) return random.pick(["", "alpha.test", "é\u{1F511}", "x".repeat(300)]);
  if (kind === 4) return random.bytes(random.pick([0, 1, 23, 24, 255, 256]));
  if (kind === 5) return random.below(2 ** 32);
  return Array.from({ length: random.pick([0, 1, 2, 5]) }, () => value(random, depth - 1));
}

const anyValue = (random: Random): CborValue => value(random, CBOR_DEPTH_MAX);

export const cborTarget: TargetSource = {
  name: "cbor",
  inputs: 28_000,
  open: () => ({
    setting: {},
    valid: [
      encodeCbor([1, new Uint8Array(40), [[true, "alpha.test", 2n ** 63n]], []]),
      encodeCbor([[[[[["deep"], 300]]]], 70_000, 2 ** 33]),
      encodeCbor("alpha.test"),
    ],
    makers: [
      {
        name: "a value of the protocol",
        expected: ["taken"],
        make: (random) => encodeCbor(anyValue(random)),
      },
      ...WRONG_FORM_NAMES.map((form) => ({
        name: `a value with ${form}`,
        expected: ["refused"],
        make: (random: Random) => writeWrongForm(anyValue(random), form, random),
      })),
      {
        name: "two values",
        expected: ["refused"],
        make: (random) =>
          writeLoose(new Written(encodeCbor(anyValue(random)), encodeCbor(anyValue(random)))),
      },
      {
        name: "a value that is cut off",
        expected: ["refused"],
        make: (random) => encodeCbor([anyValue(random)]).slice(0, -1),
      },
    ],
    judge: (input) => {
      const copy = Uint8Array.from(input);
      const read = decodeCbor(input);
      hold(equalBytes(copy, input), "a decoder leaves its input as it is");
      if (!read.ok) return "refused";
      hold(isOfProtocol(read.value, CBOR_DEPTH_MAX), "only types of the protocol come out");
      hold(equalBytes(encodeCbor(read.value), input), "what is taken encodes to the same bytes");
      const again = decodeCbor(input);
      hold(
        again.ok && isDeepStrictEqual(again.value, read.value),
        "the same bytes, the same value",
      );
      return "taken";
    },
  }),
};

function isOfProtocol(value: CborValue, depth: number): boolean {
  if (value instanceof Uint8Array) return true;
  if (Array.isArray(value)) {
    return depth > 0 && value.every((each: CborValue) => isOfProtocol(each, depth - 1));
  }
  if (typeof value === "number") return Number.isSafeInteger(value) && value >= 0;
  return ["bigint", "string", "boolean"].includes(typeof value);
}
