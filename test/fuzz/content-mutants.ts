/** Everything that can be wrong with a record itself, whatever the daemon holds. */
import { encodeState } from "../../src/core/record/state.ts";
import { authorityRows } from "./authority-mutants.ts";
import { blockMutants } from "./block-mutants.ts";
import { chainRows } from "./chain-mutants.ts";
import { leafRows } from "./leaf-mutants.ts";
import { readLoose } from "./loose-cbor.ts";
import { nodeRows } from "./node-mutants.ts";
import { type RecordMutant, type Row, mutantsOf, seal } from "./record-draft.ts";
import { BAD_ENVELOPES, BAD_STATES } from "./shape-mutants.ts";
import { signatureRows } from "./signature-mutants.ts";
import type { World } from "./world.ts";

/** About the record itself: whoever holds bravo's record refuses it by this code. */
export function contentMutants({ bravo }: World): RecordMutant[] {
  return [
    ...mutantsOf(bravo, signatureRows(bravo)),
    ...mutantsOf(bravo, nodeRows(bravo)),
    ...mutantsOf(bravo, authorityRows(bravo)),
    ...mutantsOf(bravo, leafRows(bravo)),
    ...mutantsOf(bravo, chainRows(bravo)),
    ...mutantsOf(bravo, shapes()),
    ...blockMutants(bravo),
  ];
}

function shapes(): Row[] {
  return [
    ...BAD_STATES.map(({ name, write }): Row => [
      `a state ${name}`,
      "PAYLOAD_MALFORMED",
      (draft, random) => {
        const payload = write(readLoose(encodeState(draft.state)), random);
        // What is too large for any payload is refused before it is looked at.
        return { ...draft, payload: payload.length > 90_000 ? Uint8Array.of(0xff) : payload };
      },
    ]),
    ...BAD_ENVELOPES.map(({ name, write }): Row => [
      `an envelope ${name}`,
      "ENVELOPE_MALFORMED",
      (draft, random) => write(readLoose(seal(draft)), random),
    ]),
  ];
}
