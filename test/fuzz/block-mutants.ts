/** Several blocks in one record, as sync and files alone carry them. */
import { type BlockParts, NOW_S, makeNodeKey, twinOf } from "../arbitraries/record.ts";
import type { Random } from "./random.ts";
import { type Code, type RecordMutant, goodDraft, seal } from "./record-draft.ts";
import { flipped } from "./signature-mutants.ts";
import type { Bravo } from "./world.ts";

/** Several blocks, of which each stands or falls alone. */
export function blockMutants(bravo: Bravo): RecordMutant[] {
  const rows: readonly (readonly [
    string,
    Code,
    (good: BlockParts, random: Random) => readonly [BlockParts, ...BlockParts[]],
  ])[] = [
    ["two good blocks", "taken", (good) => [good, good]],
    ["eight good blocks", "taken", (good) => [good, good, good, good, good, good, good, good]],
    [
      "a good block among bad ones",
      "taken",
      (good, random) => {
        const bad = badBlocks(good, random);
        const [first = good, ...rest] = random.shuffled([good, ...bad]);
        return [first, ...rest];
      },
    ],
    [
      "bad blocks alone",
      "NODE_NOT_LISTED",
      (good) => [
        { ...good, node: makeNodeKey() },
        { ...good, node: makeNodeKey() },
      ],
    ],
    [
      "a twin beside a good block",
      "SIGNATURE_ENCODING",
      (good) => [good, { ...good, svidSignature: twinOf }],
    ],
    [
      "bad node signatures alone",
      "NODE_SIGNATURE_INVALID",
      (good, random) => {
        const bad = { ...good, nodeSignature: flipped(random, 0, 63) };
        return [bad, bad];
      },
    ],
  ];
  return rows.map(([name, expected, change]) => ({
    name,
    expected,
    syncOnly: true,
    make: (random) => {
      const draft = goodDraft(bravo, random);
      return seal({ ...draft, blocks: change(draft.blocks[0], random) });
    },
  }));
}

function badBlocks(good: BlockParts, random: Random): BlockParts[] {
  return random.some<BlockParts>([
    { ...good, nodeSignature: flipped(random, 0, 63) },
    { ...good, svidSignature: flipped(random, 8, 31) },
    { ...good, node: makeNodeKey() },
    { ...good, signedAtS: NOW_S + 301 },
    { ...good, signedAtS: NOW_S - 90_000 },
  ]);
}

/** Eight blocks below three intermediates: ten signature checks each, the last of them in vain. */
export function dearOne(bravo: Bravo): RecordMutant {
  const { ca, mint } = bravo.publisher;
  const first = ca.issueIntermediate();
  const second = first.issueIntermediate();
  const third = second.issueIntermediate();
  const below = mint(third, { sent: [third, second, first], anchor: ca });
  return {
    name: "more signature checks than a record may ask for",
    expected: "TOO_COSTLY",
    syncOnly: true,
    make: (random) => {
      const draft = goodDraft(bravo, random);
      let signatures = 0;
      const everySecond = (signature: Uint8Array): Uint8Array => {
        signatures += 1;
        return signatures % 2 === 0 ? flipped(random, 8, 31)(signature) : signature;
      };
      const block = { ...draft.blocks[0], svids: [below, below], svidSignature: everySecond };
      return seal({
        ...draft,
        blocks: [block, block, block, block, block, block, block, block],
      });
    },
  };
}
