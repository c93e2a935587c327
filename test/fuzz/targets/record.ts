/**
 * The way in of a record, by the real proofs: alone against a held one, and whole, through the state
 * machine of a daemon with partners, by gossip, by sync and as a file.
 */
import { isDeepStrictEqual } from "node:util";
import type { Answer, Effect } from "../../../src/core/mesh/effect.ts";
import type { Input } from "../../../src/core/mesh/input.ts";
import { type MeshState, newMeshState } from "../../../src/core/mesh/mesh-state.ts";
import { step } from "../../../src/core/mesh/step.ts";
import { decodeEnvelope } from "../../../src/core/record/envelope.ts";
import { recordId } from "../../../src/core/record/preimages.ts";
import { REFUSALS } from "../../../src/core/record/refusal.ts";
import { compareVersions } from "../../../src/core/record/state.ts";
import { readRecord, restoreRecord } from "../../../src/core/record/verify.ts";
import { envelopeBytes } from "../../../src/core/resolver/slot.ts";
import type { TrustDomain } from "../../../src/core/spiffe/trust-domain.ts";
import { concatBytes, equalBytes, toHex } from "../../../src/core/std/bytes.ts";
import { x509Proofs } from "../../../src/x509/proofs.ts";
import { NOW_S } from "../../arbitraries/record.ts";
import type { Random } from "../random.ts";
import { contentMutants } from "../content-mutants.ts";
import { ownMutants } from "../own-record-mutants.ts";
import { placeMutants } from "../place-mutants.ts";
import { type Code, type RecordMutant, goodDraft, seal } from "../record-draft.ts";
import { type Maker, type Outcome, type Setting, type TargetSource, hold } from "../target.ts";
import { type Scene, type World, makeWorld, sceneOf, settingOf } from "../world.ts";
import { firstMutants } from "../first-record-mutants.ts";
import { judgeAfter } from "../../core/record/verdict.ts";

/** How an input comes to the daemon: its first byte. */
const BY = {
  gossip: 0,
  sync: 1,
  /** With the fingerprint that the file has. */
  file: 2,
  fileUnnamed: 3,
  fileMisnamed: 4,
  /** Eleven times at once. */
  gossipFlood: 5,
} as const;
/** Added: the disk is full. */
const STORE_FAILS = 16;
/** Added: the daemon has not published yet. */
const UNPUBLISHED = 32;

const FORWARDER = "f0".repeat(32);
const NEVER_TAKEN = Object.keys(REFUSALS);
const HELD = "bravo.test";

const by = (way: number, envelope: Uint8Array): Uint8Array =>
  concatBytes(Uint8Array.of(way), envelope);

/** One world a process: its keys and certificates are what costs. */
let made: { readonly world: World; readonly setting: Setting } | undefined;

export function theWorld(): { readonly world: World; readonly setting: Setting } {
  if (made === undefined) {
    const world = makeWorld();
    made = { world, setting: settingOf(world) };
  }
  return made;
}

export const recordTarget: TargetSource = {
  name: "record",
  inputs: 14_000,
  open: (kept) => {
    const setting = kept ?? theWorld().setting;
    const makers = kept === undefined ? contentMakers(theWorld().world) : [];
    const valid = kept === undefined ? [theWorld().world.bravo.held.envelope] : [];
    const { stored } = sceneOf(setting);
    const held = stored.partners.find(({ pin }) => pin.trustDomain === HELD)?.slot?.held;
    const now = structuredClone(stored);
    return {
      setting,
      valid,
      makers,
      rawExpected: NEVER_TAKEN,
      frame: (mutant, random) => by(random.pick([BY.gossip, BY.sync]), mutant),
      judge: ([way, ...bytes]) => {
        const envelope = Uint8Array.from(bytes);
        const carrier = way === BY.gossip ? "gossip" : "sync";
        const read = readRecord(envelope, carrier, x509Proofs);
        if (!read.ok) return read.reason.code;
        const judged = judgeAfter(read.value, held);
        if (!judged.ok) return judged.reason.code;
        const restored = restoreRecord(envelopeBytes(judged.value), x509Proofs);
        hold(restored.ok, "what is taken comes back from the store");
        hold(equalBytes(restored.value.record.id, read.value.id), "it comes back under its id");
        hold(judged.value.blocks.length > 0, "at least one block proved itself");
        return "taken";
      },
      stop: async () =>
        hold(isDeepStrictEqual(now, stored), "judging changes nothing that is held"),
    };
  },
};

function contentMakers(world: World): Maker[] {
  return contentMutants(world).map(({ name, expected, make, syncOnly }) => ({
    name,
    expected: [expected],
    make: (random) => {
      const mayBeSync = expected !== "BLOCK_COUNT";
      const way = syncOnly === true || (mayBeSync && random.oneIn(2)) ? BY.sync : BY.gossip;
      return by(way, make(random));
    },
  }));
}

export const receivedTarget: TargetSource = {
  name: "received",
  inputs: 16_000,
  open: (kept) => daemonTarget(kept, receivedMakers),
};

export const importTarget: TargetSource = {
  name: "import",
  inputs: 10_000,
  open: (kept) => daemonTarget(kept, importMakers),
};

function receivedMakers(world: World): Maker[] {
  const place = placeMutants(world);
  const own = ownMutants(world);
  const all = [...contentMutants(world), ...place, ...own];
  return [
    ...all.map((mutant) => makerOf(mutant, [BY.gossip, BY.sync])),
    ...all
      .filter(({ expected }) => expected === "taken")
      .map((mutant) =>
        renamed(
          makerOf(mutant, [BY.gossip, BY.sync], STORE_FAILS),
          `${mutant.name}, with a full disk`,
          "STORE_FAILED",
        ),
      ),
    ...own.map((mutant) =>
      renamed(
        makerOf(mutant, [BY.gossip, BY.sync], UNPUBLISHED),
        `${mutant.name}, before the first was published`,
        "FIRST_RECORD_UNNAMED",
      ),
    ),
    ...floods(world),
  ];
}

const flood = (mutant: RecordMutant, expected: Code): Maker =>
  renamed(makerOf(mutant, [BY.gossipFlood]), `a flood of: ${mutant.name}`, expected);

/** Eleven of one second: what costs the most is cut off, what costs little is not paid for. */
function floods(world: World): Maker[] {
  const paid: readonly Code[] = [
    "SVID_SIGNATURE_INVALID",
    "AUTHORITY_MALFORMED",
    "OLD_AUTHORITY_MISSING",
  ];
  const free: readonly Code[] = ["NODE_NOT_LISTED", "NODE_SIGNATURE_INVALID", "PAYLOAD_MALFORMED"];
  const of = (codes: readonly Code[]): RecordMutant[] =>
    contentMutants(world).filter(
      ({ expected, syncOnly }) => codes.includes(expected) && syncOnly !== true,
    );
  return [
    ...of(paid).map((mutant) => flood(mutant, "OVER_BUDGET")),
    ...of(free).map((mutant) => flood(mutant, mutant.expected)),
  ];
}

function renamed({ make }: Maker, name: string, expected: Code): Maker {
  return { name, expected: [expected], make };
}

function importMakers(world: World): Maker[] {
  const { alpha, bravo, stranger } = world;
  const approved = [...contentMutants(world), ...placeMutants(world)].filter(
    ({ expected }) => expected !== "TRUST_DOMAIN_UNKNOWN" && expected !== "BLOCK_COUNT",
  );
  const ways = [BY.file, BY.fileUnnamed];
  const good = (random: Random): Uint8Array => seal(goodDraft(bravo, random));
  return [
    ...approved.map((mutant) => {
      const maker = makerOf(mutant, ways);
      const isOwn = mutant.name.includes("of the daemon itself");
      return isOwn ? renamed(maker, maker.name, "OWN_TRUST_DOMAIN") : maker;
    }),
    ...firstMutants(stranger).map((mutant) => makerOf(mutant, [BY.file])),
    {
      name: "the daemon's own record",
      expected: ["OWN_TRUST_DOMAIN"],
      make: (random) => by(random.pick(ways), alpha.held.envelope),
    },
    {
      name: "a good record under another fingerprint",
      expected: ["FINGERPRINT_MISMATCH"],
      make: (random) =>
        by(BY.fileMisnamed, random.pick([good, () => stranger.held.envelope])(random)),
    },
    {
      name: "a stranger's record without a fingerprint",
      expected: ["TRUST_DOMAIN_UNKNOWN"],
      make: () => by(BY.fileUnnamed, stranger.held.envelope),
    },
    {
      name: "a good record, with a full disk",
      expected: ["STORE_FAILED"],
      make: (random) =>
        by(BY.file | STORE_FAILS, random.pick([good, () => stranger.held.envelope])(random)),
    },
  ];
}

function makerOf(
  { name, expected, make, syncOnly }: RecordMutant,
  ways: readonly number[],
  more = 0,
): Maker {
  const fitting = ways.filter(
    (way) =>
      !(syncOnly === true && way === BY.gossip) && !(expected === "BLOCK_COUNT" && way === BY.sync),
  );
  return {
    name,
    expected: [expected],
    make: (random) => by(random.pick(fitting) | more, make(random)),
  };
}

function daemonTarget(kept: Setting | undefined, makersOf: (world: World) => Maker[]) {
  const setting = kept ?? theWorld().setting;
  const scene = sceneOf(setting);
  const before = structuredClone(scene.stored);
  const world = kept === undefined ? theWorld().world : undefined;
  const ways = makersOf === receivedMakers ? [BY.gossip, BY.sync] : [BY.file, BY.fileUnnamed];
  return {
    setting,
    valid:
      world === undefined
        ? []
        : [world.bravo.held, world.charlie.held, world.alpha.held, world.stranger.held].map(
            ({ envelope }) => envelope,
          ),
    makers: world === undefined ? [] : makersOf(world),
    rawExpected: NEVER_TAKEN,
    frame: (mutant: Uint8Array, random: Random) =>
      by(random.pick(ways) | (random.oneIn(4) ? STORE_FAILS : 0), mutant),
    judge: ([way = 0, ...bytes]: Uint8Array) => judgeDaemon(scene, way, Uint8Array.from(bytes)),
    stop: async () =>
      hold(isDeepStrictEqual(before, scene.stored), "nothing that is held changes in place"),
  };
}

const TICKET = 7;

/** Gives one envelope to a fresh daemon and holds it to the laws of intake. */
function judgeDaemon({ self, stored }: Scene, way: number, envelope: Uint8Array): Outcome {
  const isUnpublished = (way & UNPUBLISHED) !== 0;
  const fresh = (): MeshState =>
    freshState(self, isUnpublished ? { ...stored, own: undefined } : stored);
  const state = fresh();
  const input = inputOf(way & 0x0f, envelope);
  const effects: Effect[] = [];
  const times = (way & 0x0f) === BY.gossipFlood ? 11 : 1;
  for (let count = 0; count < times; count += 1) {
    effects.length = 0;
    carryOut(state, input, (way & STORE_FAILS) !== 0, effects);
  }
  const answers = effects.flatMap((each) => (each.kind === "answer" ? [each] : []));
  hold(answers.length === 1 && answers[0]?.ticket === TICKET, "whoever waits is answered once");
  hold(state.pending === undefined, "nothing is left under way");
  hold(!effects.some(({ kind }) => kind === "publish-record"), "nothing is published");
  const answer = answers[0].answer;
  const taken = answer.kind === "taken" ? answer.trustDomain : undefined;
  expectOthersUnchanged(fresh(), state, taken);
  if (taken === undefined) expectNothingDone(effects);
  else expectAdvanced(fresh(), state, taken, effects);
  return outcomeOf(answer);
}

function freshState(self: Scene["self"], stored: Scene["stored"]): MeshState {
  const state = newMeshState(self, stored, NOW_S * 1_000);
  state.synced = true;
  for (const { row } of state.partners.values()) row.seen = "none";
  return state;
}

function inputOf(way: number, envelope: Uint8Array): Input {
  if (way === BY.gossip || way === BY.sync || way === BY.gossipFlood) {
    const carrier = way === BY.sync ? "sync" : "gossip";
    return { kind: "record-received", envelope, carrier, from: FORWARDER, ticket: TICKET };
  }
  const read = decodeEnvelope(envelope);
  const id = read.ok ? toHex(recordId(1, read.value.payload)) : "00".repeat(32);
  const fingerprint = way === BY.file ? id : way === BY.fileMisnamed ? "ab".repeat(32) : undefined;
  return {
    kind: "import-asked",
    ticket: TICKET,
    envelope,
    fingerprint,
    addressHints: [],
    replace: false,
    spireAsked: true,
    row: undefined,
    hasRelationship: false,
  };
}

/** As the runner does: the store answers before anything else comes. */
function carryOut(state: MeshState, first: Input, storeFails: boolean, effects: Effect[]): void {
  let next: Input | undefined = first;
  while (next !== undefined) {
    const made: Effect[] = step(state, next, NOW_S * 1_000, x509Proofs);
    next = undefined;
    for (const effect of made) {
      effects.push(effect);
      if (effect.kind !== "store-domain") continue;
      hold(next === undefined, "one store effect at a time");
      next = storeFails
        ? { kind: "store-failed", failure: "STORE_FULL", message: "full", next: undefined }
        : { kind: "domain-stored" };
    }
  }
}

function outcomeOf(answer: Answer): Outcome {
  if (answer.kind === "refused") return answer.refusal.code;
  return answer.kind === "failed" ? answer.failure : answer.kind;
}

/** What one domain's records may change: everything else is as in a daemon that got nothing. */
function viewOf(state: MeshState, without: TrustDomain | undefined): unknown {
  const { own, partners, relationships, synced, spireAway, rowsReadAtMs } = state;
  // A suspect own record is remembered so that SPIRE's next word can prove it forged.
  const { meter: _meter, suspect: _suspect, ...ours } = own;
  const theirs = [...partners.values()]
    .filter(({ pin }) => pin.trustDomain !== without)
    // Steps above expired authorities are followed beside what is held (core/mesh/ladder.ts).
    .map(({ meter: _meter, ladder: _ladder, ...partner }) => partner);
  return { ours, theirs, relationships, synced, spireAway, rowsReadAtMs };
}

function expectOthersUnchanged(
  untouched: MeshState,
  state: MeshState,
  taken: TrustDomain | undefined,
): void {
  hold(
    isDeepStrictEqual(viewOf(untouched, taken), viewOf(state, taken)),
    "what is not taken changes nothing that is held",
  );
}

function expectNothingDone(effects: readonly Effect[]): void {
  const stored = effects.some(({ kind }) => kind === "store-domain");
  const failed = effects.some(
    (each) => each.kind === "answer" && outcomeOf(each.answer) === "STORE_FAILED",
  );
  hold(stored === failed, "what is refused is not stored");
  const done = effects.filter(
    ({ kind }) => !["answer", "tell", "dial", "store-domain"].includes(kind),
  );
  hold(
    done.length === 0,
    `what is refused is not acted on: ${done.map(({ kind }) => kind).join()}`,
  );
}

function expectAdvanced(
  untouched: MeshState,
  state: MeshState,
  taken: TrustDomain,
  effects: readonly Effect[],
): void {
  const kinds = effects.map(({ kind }) => kind);
  const storedAt = kinds.indexOf("store-domain");
  hold(kinds.lastIndexOf("store-domain") === storedAt && storedAt >= 0, "it is stored once");
  hold(storedAt < kinds.indexOf("answer"), "it is stored before it is answered for");
  const rows = effects.flatMap((each) => (each.kind === "order-row" ? [each.order] : []));
  hold(
    rows.every(({ trustDomain }) => trustDomain === taken),
    "no other row is written",
  );
  hold(
    !kinds.includes("order-row") || storedAt < kinds.indexOf("order-row"),
    "stored before written",
  );
  const slot = state.partners.get(taken)?.slot;
  hold(slot !== undefined, "what is taken is held");
  const base = untouched.partners.get(taken)?.slot?.held.record;
  if (base === undefined) return;
  const { record } = slot.held;
  hold(equalBytes(record.lineage, base.lineage), "the lineage stays");
  hold(compareVersions(record.state.version, base.state.version) >= 0, "the version never falls");
}
