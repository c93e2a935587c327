/**
 * Records before they are signed, and changes to them: right but for one thing, signed again by the
 * good node key and under good X509-SVIDs, so that only the rule under test can refuse them.
 */
import { encodeEnvelope } from "../../src/core/record/envelope.ts";
import { type RecoverySignature, recordId } from "../../src/core/record/preimages.ts";
import type { RefusalCode } from "../../src/core/record/refusal.ts";
import { type State, encodeState } from "../../src/core/record/state.ts";
import {
  type BlockParts,
  NOW_S,
  type Svid,
  signBlock,
  stateAfter,
  untainted,
} from "../arbitraries/record.ts";
import type { Random } from "./random.ts";
import type { Bravo } from "./world.ts";

export type Code = RefusalCode | "taken" | "unchanged";

/** A record before it is signed. */
export interface Draft {
  readonly state: State;
  /** Replaces what the state encodes to. */
  readonly payload?: Uint8Array;
  readonly blocks: readonly [BlockParts, ...BlockParts[]];
  readonly recovery?: readonly RecoverySignature[];
}

export function seal({
  state,
  payload = encodeState(state),
  blocks,
  recovery = [],
}: Draft): Uint8Array {
  const id = recordId(1, payload);
  const signed = blocks.map((parts) => signBlock(id, parts, recovery));
  return encodeEnvelope({ kind: 1, payload, blocks: signed, recovery });
}

export interface RecordMutant {
  readonly name: string;
  readonly expected: Code;
  readonly make: (random: Random) => Uint8Array;
  /** On gossip it is refused for another reason. */
  readonly syncOnly?: true;
}

export type Change = (draft: Draft, random: Random) => Draft | Uint8Array;
export type Row = readonly [name: string, expected: Code, change: Change];

/** The record after bravo's held one: what SPIRE and an operator may change, changed now and then. */
export function goodDraft(bravo: Bravo, random: Random): Draft {
  const { held } = bravo;
  const { version } = held.state;
  const extras = random.oneIn(3) ? random.some(bravo.extras.slice(0, 4)) : [];
  const svids = random.shuffled(bravo.svids).slice(0, random.between(1, 2));
  return {
    state: stateAfter(held, {
      version: { ...version, sequence: version.sequence + BigInt(random.between(1, 1_000)) },
      x509Authorities: [...held.state.x509Authorities, ...extras.map(untainted)],
      jwtAuthorities: random.oneIn(3) ? bravo.jwt.slice(0, 2) : bravo.jwt,
    }),
    blocks: [
      {
        node: random.pick(bravo.nodes),
        svids,
        signedAtS: NOW_S + random.between(-90, 290),
      },
    ],
  };
}

export const stated =
  (change: (state: State, random: Random) => Partial<State>): Change =>
  (draft, random) => ({ ...draft, state: { ...draft.state, ...change(draft.state, random) } });

export const signed =
  (change: (block: BlockParts, random: Random) => Partial<BlockParts>): Change =>
  (draft, random) => ({
    ...draft,
    blocks: [{ ...draft.blocks[0], ...change(draft.blocks[0], random) }],
  });

export const both =
  (...changes: readonly Change[]): Change =>
  (draft, random) =>
    changes.reduce<Draft | Uint8Array>(
      (made, change) => (made instanceof Uint8Array ? made : change(made, random)),
      draft,
    );

export const version = (change: Partial<State["version"]>): Change =>
  stated((state) => ({ version: { ...state.version, ...change } }));

export function mutantsOf(bravo: Bravo, rows: readonly Row[]): RecordMutant[] {
  return rows.map(([name, expected, change]) => ({
    name,
    expected,
    make: (random) => {
      const made = change(goodDraft(bravo, random), random);
      return made instanceof Uint8Array ? made : seal(made);
    },
  }));
}

const known = new WeakMap<Bravo["publisher"], Svid>();

/** One X509-SVID of an authority that nobody lists, made once. */
export function strangers(publisher: Bravo["publisher"]): Svid {
  const svid = known.get(publisher) ?? publisher.mint(publisher.newCa());
  known.set(publisher, svid);
  return svid;
}
