/**
 * Writes CBOR that a strict reader has to refuse: any item of a value in a longer form, of indefinite
 * length, tagged, or of a type that the protocol does not have. Everything around it stays right.
 */
import { concatBytes, toUtf8 } from "../../src/core/std/bytes.ts";
import { type CborValue, decodeCbor, encodeCbor } from "../../src/core/std/cbor.ts";
import type { Random } from "./random.ts";

/** An item that is written as these bytes. */
export class Written {
  readonly bytes: Uint8Array;

  constructor(...bytes: readonly (Uint8Array | number)[]) {
    this.bytes = concatBytes(
      ...bytes.map((part) => (typeof part === "number" ? Uint8Array.of(part) : part)),
    );
  }
}

export type Loose = CborValue | Written | readonly Loose[];

export function writeLoose(value: Loose): Uint8Array {
  if (value instanceof Written) return value.bytes;
  if (!isList(value)) return encodeCbor(value);
  return concatBytes(head(4, value.length), ...value.map(writeLoose));
}

/** Reads what a writer of ours made, so that a part of it can be replaced. */
export function readLoose(bytes: Uint8Array): Loose {
  const read = decodeCbor(bytes);
  if (!read.ok) throw new RangeError(`only what we wrote is taken apart: ${read.reason}`);
  return read.value;
}

/** The value with one of its items, itself included, changed. */
export function withOneItem(
  value: Loose,
  random: Random,
  change: (item: Loose, random: Random) => Loose,
): Loose {
  let left = random.below(countItems(value));
  const walk = (item: Loose): Loose => {
    left -= 1;
    if (left === -1) return change(item, random);
    return left >= 0 && isList(item) ? item.map(walk) : item;
  };
  return walk(value);
}

function countItems(value: Loose): number {
  return isList(value) ? value.reduce<number>((sum, each) => sum + countItems(each), 1) : 1;
}

function isList(value: Loose): value is readonly Loose[] {
  return Array.isArray(value);
}

type Form = (item: Loose, random: Random) => Written;

/** Forms of an item that are not the deterministic one, or not of the protocol. */
const WRONG_FORMS: Readonly<Record<string, Form>> = {
  "a longer head": longerHead,
  "an indefinite length": indefinite,
  "a tag": (item, random) =>
    new Written(random.pick([0xc0, 0xc1, 0xc2, 0xc3, 0xd7]), writeLoose(item)),
  "a wide tag": (item) => new Written(0xd9, 0xd9, 0xf7, writeLoose(item)),
  "a map": (item, random) =>
    random.oneIn(2) ? new Written(0xa0) : new Written(0xa1, 0x01, writeLoose(item)),
  "a float": (_, random) =>
    random.pick([
      new Written(0xf9, 0x3c, 0x00),
      new Written(0xfa, 0x3f, 0x80, 0x00, 0x00),
      new Written(0xfb, 0x3f, 0xf0, new Uint8Array(6)),
      new Written(0xf9, 0x7e, 0x00),
    ]),
  "null or undefined": (_, random) => new Written(random.pick([0xf6, 0xf7])),
  "a simple value": (_, random) =>
    random.pick([new Written(0xe0), new Written(0xf8, 0x14), new Written(0xf8, 0xff)]),
  "a negative number": (_, random) =>
    random.pick([new Written(0x20), new Written(0x3b, random.bytes(8))]),
  "a reserved head": (_, random) => new Written(random.pick([0x1c, 0x5d, 0x7e, 0x9c, 0xfc, 0xff])),
  "a length beyond the end": (_, random) =>
    new Written(random.pick([0x5b, 0x7b, 0x9b]), 0x00, 0x00, 0xff, random.bytes(5)),
  "a length of 2^64 − 1": (_, random) =>
    new Written(random.pick([0x5b, 0x7b, 0x9b]), new Uint8Array(8).fill(0xff)),
  "text that is not UTF-8": (_, random) =>
    new Written(
      ...random.pick([
        [0x62, 0xc3, 0x28],
        [0x61, 0xff],
        [0x63, 0xed, 0xa0, 0x80],
      ]),
    ),
  "too deep nesting": (item, random) => {
    const depth = random.pick([7, 100, 5_000]);
    return new Written(new Uint8Array(depth).fill(0x81), writeLoose(item));
  },
};

export const WRONG_FORM_NAMES: readonly string[] = Object.keys(WRONG_FORMS);

/** Writes a value with one item in a wrong form. */
export function writeWrongForm(value: Loose, form: string, random: Random): Uint8Array {
  const wrong = WRONG_FORMS[form];
  if (wrong === undefined) throw new RangeError(`no form ${form}`);
  return writeLoose(withOneItem(value, random, wrong));
}

/** An item of another type than this one; everything of the protocol has one type in each place. */
export function otherType(item: Loose, random: Random): Loose {
  const types: readonly Loose[] = [
    0,
    1,
    2n ** 64n - 1n,
    true,
    "x",
    "alpha.test",
    random.bytes(32),
    [[]],
  ];
  return random.pick(types.filter((each) => typeOf(each) !== typeOf(item)));
}

function typeOf(item: Loose): string {
  if (item instanceof Uint8Array) return "bytes";
  if (isList(item)) return "list";
  return typeof item === "bigint" ? "number" : typeof item;
}

/** The first bytes of an item: major type and argument, in the shortest form or a longer one. */
function head(major: number, argument: number | bigint, widthAtLeast = 0): Uint8Array {
  const value = BigInt(argument);
  const widths = [0, 1, 2, 4, 8];
  const limits = [24n, 2n ** 8n, 2n ** 16n, 2n ** 32n, 2n ** 64n];
  const index = widths.findIndex(
    (width, place) => width >= widthAtLeast && value < (limits[place] ?? 0n),
  );
  const width = widths[index] ?? 8;
  if (width === 0) return Uint8Array.of((major << 5) | Number(value));
  const bytes = new Uint8Array(1 + width);
  bytes[0] = (major << 5) | (23 + index);
  for (let place = 0; place < width; place += 1) {
    bytes[width - place] = Number((value >> BigInt(8 * place)) & 0xffn);
  }
  return bytes;
}

function longerHead(item: Loose, random: Random): Written {
  const [major, argument, content] = partsOf(item);
  const shortest = head(major, argument).length - 1;
  const widths = [1, 2, 4, 8].filter((width) => width > shortest);
  return widths.length === 0
    ? new Written(0xf8, 0x15) // Nothing is longer than eight bytes: a simple value instead.
    : new Written(head(major, argument, random.pick(widths)), content);
}

function indefinite(item: Loose, random: Random): Written {
  const [major, , content] = partsOf(item);
  if (major === 4) return new Written(0x9f, content, 0xff);
  if (major !== 2 && major !== 3) return new Written((major << 5) | 0x1f);
  const cut = random.below(content.length + 1);
  const chunks = [content.subarray(0, cut), content.subarray(cut)].flatMap((chunk) => [
    head(major, chunk.length),
    chunk,
  ]);
  return new Written((major << 5) | 0x1f, ...chunks, 0xff);
}

function partsOf(
  item: Loose,
): readonly [major: number, argument: number | bigint, content: Uint8Array] {
  if (isList(item)) return [4, item.length, concatBytes(...item.map(writeLoose))];
  if (item instanceof Uint8Array) return [2, item.length, item];
  if (typeof item === "string") return [3, toUtf8(item).length, toUtf8(item)];
  if (typeof item === "number" || typeof item === "bigint") return [0, item, new Uint8Array()];
  return [7, item === true ? 21 : 20, new Uint8Array()];
}

/** The value with the part at a path of positions changed. */
export function withPart(
  value: Loose,
  path: readonly number[],
  change: (part: Loose) => Loose,
): Loose {
  const [position, ...rest] = path;
  if (position === undefined) return change(value);
  return listOf(value).map((each, index) =>
    index === position ? withPart(each, rest, change) : each,
  );
}

export function listOf(value: Loose): readonly Loose[] {
  if (!isList(value)) throw new RangeError("this part is no list");
  return value;
}
