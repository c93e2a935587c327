/**
 * Messages that their reader has to refuse, made from right ones: each item in a wrong form or of a
 * wrong type, each list out of its bounds or order. The same tables serve the readers alone and, put
 * into signed records, the whole way in.
 */
import { concatBytes } from "../../src/core/std/bytes.ts";
import {
  JWT_AUTHORITIES_MAX,
  NODES_MAX,
  RECOVERY_KEYS_MAX,
  REMOVED_NODES_MAX,
  X509_AUTHORITIES_MAX,
} from "../../src/core/std/limits.ts";
import {
  type Loose,
  WRONG_FORM_NAMES,
  listOf,
  otherType,
  withOneItem,
  withPart,
  writeLoose,
  writeWrongForm,
} from "./loose-cbor.ts";
import type { Random } from "./random.ts";

export interface ShapeMutant {
  readonly name: string;
  /** Bytes that no reader may take. */
  readonly write: (right: Loose, random: Random) => Uint8Array;
}

export const OF_ANOTHER_TYPE: ShapeMutant = {
  name: "with an item of another type",
  write: (right, random) => writeLoose(withOneItem(right, random, otherType)),
};

/** What is wrong with any message. */
export const ANY_MESSAGE: readonly ShapeMutant[] = [
  ...WRONG_FORM_NAMES.map((form) => ({
    name: `with ${form}`,
    write: (right: Loose, random: Random) => writeWrongForm(right, form, random),
  })),
  OF_ANOTHER_TYPE,
  {
    name: "with bytes after it",
    write: (right, random) => concatBytes(writeLoose(right), random.bytes(random.between(1, 8))),
  },
  {
    name: "with a position too many",
    write: (right) => writeLoose([...listOf(right), 0]),
  },
  {
    name: "with a position missing",
    write: (right, random) => {
      const positions = listOf(right);
      const gone = random.below(positions.length);
      return writeLoose(positions.filter((_, index) => index !== gone));
    },
  },
];

type Change = (part: Loose, random: Random) => Loose;

/** A list whose items ascend, in three wrong orders. Needs two items. */
const DISORDER: readonly (readonly [string, Change])[] = [
  ["backwards", (part) => listOf(part).toReversed()],
  [
    "with an item twice",
    (part, random) => {
      const items = listOf(part);
      const at = random.below(items.length);
      return items.flatMap((item, index) => (index === at ? [item, item] : [item]));
    },
  ],
  ["with the first item last", (part) => [...listOf(part).slice(1), ...listOf(part).slice(0, 1)]],
];

const to =
  (...values: readonly Loose[]): Change =>
  (_, random) =>
    random.pick(values);
const keys = (count: number, bytes = 32): Loose[] =>
  Array.from({ length: count }, (_, index) => new Uint8Array(bytes).fill(index));
const NAMES = [
  "",
  "A.test",
  "a/b",
  "a b",
  "ä.test",
  "spiffe://a.test",
  "a\u0000",
  "a".repeat(256),
  "a\n",
];
const ABOVE_U32 = [2 ** 32, 2 ** 53 - 1, 2n ** 64n - 1n];
const KEY_IDS = ["", " ", "a b", "a\n", "é", "\u007f", "\u202e", "x".repeat(129)];
const notLong = (length: number): Change =>
  to(...[0, 1, length - 1, length + 1, 2 * length].map((bytes) => new Uint8Array(bytes).fill(7)));

/** Where each part of a state stands (docs/protocol.md 2). */
const STATE = {
  trustDomain: 1,
  lineage: 2,
  epoch: 3,
  rev: 4,
  sequence: 5,
  nodes: 6,
  removed: 7,
  recovery: 8,
  x509: 9,
  jwt: 10,
} as const;

const stateChanges: readonly (readonly [string, readonly number[], Change])[] = [
  ["a format of its own", [0], to(0, 2, 255)],
  ["no trust domain's name", [STATE.trustDomain], to(...NAMES)],
  ["a lineage of another length", [STATE.lineage], notLong(32)],
  ["an epoch above 32 bits", [STATE.epoch], to(...ABOVE_U32)],
  ["a rev above 32 bits", [STATE.rev], to(...ABOVE_U32)],
  ["no nodes", [STATE.nodes], to([])],
  ["too many nodes", [STATE.nodes], to(keys(NODES_MAX + 1))],
  ["a node of another length", [STATE.nodes, 0], notLong(32)],
  ...DISORDER.map(([how, change]) => [`nodes ${how}`, [STATE.nodes], change] as const),
  ["too many removed nodes", [STATE.removed], to(keys(REMOVED_NODES_MAX + 1))],
  ["a removed node of another length", [STATE.removed], to(keys(1, 31), keys(2, 33))],
  ["a recovery threshold of none", [STATE.recovery], to([0, keys(2)])],
  ["a recovery threshold above its keys", [STATE.recovery], to([3, keys(2)], [2, keys(1)])],
  [
    "a recovery threshold above the limit",
    [STATE.recovery],
    to([6, keys(5)], [2 ** 53 - 1, keys(5)]),
  ],
  ["a recovery without keys", [STATE.recovery], to([1, []], [0, []])],
  ["too many recovery keys", [STATE.recovery], to([1, keys(RECOVERY_KEYS_MAX + 1)])],
  ["recovery keys backwards", [STATE.recovery], to([1, keys(3).toReversed()])],
  ["a recovery key twice", [STATE.recovery], to([1, [...keys(1), ...keys(1)]])],
  ["a recovery key of another length", [STATE.recovery], to([1, keys(1, 31)])],
  ["no X.509 authority", [STATE.x509], to([])],
  [
    "too many X.509 authorities",
    [STATE.x509],
    to(
      Array.from({ length: X509_AUTHORITIES_MAX + 1 }, (_, index) => [Uint8Array.of(index), false]),
    ),
  ],
  ["an empty X.509 authority", [STATE.x509, 0, 0], to(new Uint8Array())],
  ["an X.509 authority above 8 KiB", [STATE.x509, 0, 0], to(new Uint8Array(8 * 1024 + 1))],
  ["a taint that is a number", [STATE.x509, 0, 1], to(0, 1)],
  ...DISORDER.map(([how, change]) => [`X.509 authorities ${how}`, [STATE.x509], change] as const),
  [
    "an X.509 authority once with taint and once without",
    [STATE.x509],
    (part) =>
      listOf(part).flatMap((each) => {
        const [der = new Uint8Array()] = listOf(each);
        return [
          [der, false],
          [der, true],
        ];
      }),
  ],
  [
    "too many JWT authorities",
    [STATE.jwt],
    to(
      Array.from({ length: JWT_AUTHORITIES_MAX + 1 }, (_, index) => [
        `k${String(index).padStart(3, "0")}`,
        Uint8Array.of(1),
        0,
        false,
      ]),
    ),
  ],
  ["no key id", [STATE.jwt, 0, 0], to(...KEY_IDS)],
  ["an empty JWT key", [STATE.jwt, 0, 1], to(new Uint8Array())],
  ["a JWT key above 2 KiB", [STATE.jwt, 0, 1], to(new Uint8Array(2 * 1024 + 1))],
  ["a JWT key that ends after 2^53", [STATE.jwt, 0, 2], to(2n ** 53n, 2n ** 64n - 1n)],
  ["a JWT key without its taint", [STATE.jwt, 0], (part) => listOf(part).slice(0, 3)],
  ...DISORDER.map(([how, change]) => [`JWT authorities ${how}`, [STATE.jwt], change] as const),
];

/** States that no reader takes. The right one has two nodes, X.509 and JWT authorities at least. */
export const BAD_STATES: readonly ShapeMutant[] = [
  ...ANY_MESSAGE,
  ...stateChanges.map(([what, path, change]) => ({
    name: `with ${what}`,
    write: (right: Loose, random: Random) =>
      writeLoose(withPart(right, path, (part) => change(part, random))),
  })),
  {
    name: "that starts a lineage with an epoch, a rev or removed nodes",
    write: (right, random) => {
      const genesis = [
        [STATE.lineage, new Uint8Array(32)],
        [STATE.epoch, 0],
        [STATE.rev, 0],
        [STATE.removed, []],
      ] as const;
      const wrong = random.pick([
        [STATE.epoch, 1],
        [STATE.rev, 1],
        [STATE.removed, keys(1)],
      ] as const);
      return writeLoose(
        [...genesis, wrong].reduce<Loose>(
          (state, [position, part]) => withPart(state, [position], () => part),
          right,
        ),
      );
    },
  },
];

const BLOCKS = 2;
const RECOVERY = 3;
const certificates = (count: number): Loose[] => keys(count, 40);
const signatures = (count: number): Loose[] => keys(count, 64);

const envelopeChanges: readonly (readonly [string, readonly number[], Change])[] = [
  ["another kind", [0], to(0, 2, 3, 4, 255)],
  ["an empty payload", [1], to(new Uint8Array())],
  ["a payload above 96 KiB", [1], to(new Uint8Array(96 * 1024 + 1))],
  ["more than 128 KiB", [BLOCKS, 0, 2], to([[new Uint8Array(128 * 1024)]])],
  ["no blocks", [BLOCKS], to([])],
  ["nine blocks", [BLOCKS], (part) => Array.from({ length: 9 }, () => listOf(part)[0] ?? [])],
  ["its blocks twice", [BLOCKS], (part) => [...listOf(part), ...listOf(part)]],
  ["a node key of another length", [BLOCKS, 0, 0], notLong(32)],
  ["a time after 2^53", [BLOCKS, 0, 1], to(2n ** 53n, 2n ** 64n - 1n)],
  ["no chain", [BLOCKS, 0, 2], to([])],
  ["three chains", [BLOCKS, 0, 2], to([certificates(1), certificates(1), certificates(1)])],
  ["an empty chain", [BLOCKS, 0, 2, 0], to([])],
  ["a chain of five certificates", [BLOCKS, 0, 2, 0], to(certificates(5))],
  ["an empty certificate", [BLOCKS, 0, 2, 0, 0], to(new Uint8Array())],
  ["a certificate above 8 KiB", [BLOCKS, 0, 2, 0, 0], to(new Uint8Array(8 * 1024 + 1))],
  ["no SVID signature", [BLOCKS, 0, 3], to([])],
  ["a signature more than chains", [BLOCKS, 0, 3], (part) => [...listOf(part), ...signatures(1)]],
  ["an SVID signature of another length", [BLOCKS, 0, 3, 0], notLong(64)],
  ["a node signature of another length", [BLOCKS, 0, 4], notLong(64)],
  ["a block without its node signature", [BLOCKS, 0], (part) => listOf(part).slice(0, 4)],
  [
    "recovery signatures backwards",
    [RECOVERY],
    to([
      [new Uint8Array(32).fill(2), new Uint8Array(64)],
      [new Uint8Array(32).fill(1), new Uint8Array(64)],
    ]),
  ],
  [
    "a recovery key twice",
    [RECOVERY],
    to([
      [new Uint8Array(32), new Uint8Array(64)],
      [new Uint8Array(32), new Uint8Array(64).fill(1)],
    ]),
  ],
  [
    "six recovery signatures",
    [RECOVERY],
    to(
      Array.from({ length: 6 }, (_, index) => [new Uint8Array(32).fill(index), new Uint8Array(64)]),
    ),
  ],
  [
    "a recovery signature that is cut off",
    [RECOVERY],
    to([[new Uint8Array(32), new Uint8Array(63)]]),
  ],
];

export const BAD_ENVELOPES: readonly ShapeMutant[] = [
  ...ANY_MESSAGE,
  ...envelopeChanges.map(([what, path, change]) => ({
    name: `with ${what}`,
    write: (right: Loose, random: Random) =>
      writeLoose(withPart(right, path, (part) => change(part, random))),
  })),
];
