/** The laws notice a core that breaks them: each storm here has one whose steps are wrong on purpose. */
import { describe, expect, test } from "vitest";
import { Mesh } from "../../simulations/scenarios/mesh.ts";
import { sizesOf, storm } from "../../simulations/scenarios/storm.ts";
import type { CoreStep } from "../../simulations/world/world.ts";
import type { Effect } from "../../src/core/mesh/effect.ts";
import { type MeshState, raise } from "../../src/core/mesh/mesh-state.ts";
import { step } from "../../src/core/mesh/step.ts";
import { readAuthorities } from "../../src/core/record/authority.ts";
import { readRecord } from "../../src/core/record/verify.ts";
import { desiredRow } from "../../src/core/policy/row.ts";
import { type Slot, envelopeBytes } from "../../src/core/resolver/slot.ts";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";

/** Most are noticed by the first; the rogue needs a few to meet a tainted authority. */
const SEEDS_MAX = 100;

/** Against hanging: a seed takes 80 ms of CPU time. */
const DEADLINE_A_SEED_MS = 1_000;

type StoreDomain = Extract<Effect, { kind: "store-domain" }>;

/** Something is told or ordered before the disk has what it stands on. */
function beforeStored(
  early: (store: StoreDomain, given: Parameters<CoreStep>) => Effect[],
): CoreStep {
  return (...given) =>
    step(...given).flatMap((effect) =>
      effect.kind === "store-domain" ? early(effect, given).concat(effect) : effect,
    );
}

/** Something else happens after a step. */
function afterStep(more: (effects: Effect[], given: Parameters<CoreStep>) => Effect[]): CoreStep {
  return (...given) => more(step(...given), given);
}

/** The own slot before the last one. */
const replaced = new WeakMap<MeshState, Slot>();

const BREAKS: readonly (readonly [string, string, CoreStep])[] = [
  [
    "writes a row before it is stored",
    "written before it was stored",
    beforeStored(({ domain: { trustDomain, slot, pin } }, [, , nowMs]) => {
      const bundle = desiredRow(slot, nowMs / 1_000);
      if (pin === undefined || bundle === undefined) return [];
      return [{ kind: "order-row", order: { kind: "set", trustDomain, bundle } }];
    }),
  ],
  [
    "answers before it is stored",
    "answered before it was stored",
    beforeStored(({ domain: { trustDomain, slot } }, [, input]) => {
      if (input.kind !== "record-received") return [];
      const answer = { kind: "taken", trustDomain, recordId: slot.held.record.idHex } as const;
      return [{ kind: "answer", ticket: input.ticket, answer }];
    }),
  ],
  [
    "publishes before it is stored",
    "published before it was stored",
    beforeStored(({ domain: { slot, pin } }) =>
      pin === undefined ? [{ kind: "publish-record", envelope: envelopeBytes(slot.held) }] : [],
    ),
  ],
  [
    "stores the record before the last one again",
    "the version of .* fell",
    (state, ...given) => {
      const before = state.own.slot;
      const effects = step(state, ...given);
      if (before !== undefined && before !== state.own.slot) replaced.set(state, before);
      const slot = replaced.get(state);
      const [{ kind }] = given;
      if (kind !== "tick" || slot === undefined || state.pending !== undefined) return effects;
      state.pending = { onStored: () => [], onFailed: () => [] };
      const { trustDomain } = state.self;
      return [...effects, { kind: "store-domain", domain: { trustDomain, slot, pin: undefined } }];
    },
  ],
  [
    "writes its own row",
    "the own bundle was ordered",
    afterStep((effects, [, input]) => {
      if (input.kind !== "local-bundle-read") return effects;
      const { bundle } = input;
      const order = { kind: "set", trustDomain: bundle.trustDomain, bundle } as const;
      return [...effects, { kind: "order-row", order }];
    }),
  ],
  [
    "writes an authority that nobody published",
    "what is written is not what is stored",
    afterStep((effects) =>
      effects.map((effect) => {
        if (effect.kind !== "order-row" || effect.order.kind !== "set") return effect;
        const { bundle } = effect.order;
        const x509Authorities = [{ der: new Uint8Array(9).fill(7), tainted: false }];
        return {
          kind: "order-row",
          order: { ...effect.order, bundle: { ...bundle, x509Authorities } },
        };
      }),
    ),
  ],
  [
    "lets a tainted authority speak",
    "never published it",
    (state, input, ...given) => {
      const slots = [...state.partners.values()].flatMap((partner) =>
        partner.slot === undefined ? [] : [{ partner, slot: partner.slot }],
      );
      for (const { partner, slot } of input.kind === "record-received" ? slots : []) {
        const authorities = slot.effective.authorities.map(({ facts }) => ({
          facts,
          tainted: false,
        }));
        partner.slot = { ...slot, effective: { ...slot.effective, authorities } };
      }
      const effects = step(state, input, ...given);
      if (input.kind === "record-received")
        for (const { partner, slot } of slots) partner.slot = slot;
      return effects;
    },
  ],
  [
    "asks for no authority that is held",
    "never published it|not what is stored",
    (state, input, nowMs, proofs) => {
      const read =
        input.kind === "record-received"
          ? readRecord(input.envelope, input.carrier, proofs)
          : undefined;
      const partner = read?.ok && state.partners.get(read.value.state.trustDomain);
      const slot = partner ? partner.slot : undefined;
      const theirs = read?.ok ? readAuthorities(read.value.state, proofs) : undefined;
      if (!partner || slot === undefined || !theirs?.ok) return step(state, input, nowMs, proofs);
      const authorities = [...slot.effective.authorities, ...theirs.value];
      const lenient = { ...slot, effective: { ...slot.effective, authorities } };
      partner.slot = lenient;
      const effects = step(state, input, nowMs, proofs);
      if (partner.slot === lenient) partner.slot = slot;
      return effects;
    },
  ],
  [
    "changes a partner by a refused record",
    "changed what is held",
    afterStep((effects, [state]) => {
      const isRefused = effects.some(
        (effect) => effect.kind === "answer" && effect.answer.kind === "refused",
      );
      if (isRefused) for (const { row } of state.partners.values()) row.seen = "changed";
      return effects;
    }),
  ],
  [
    "keeps a partner that was forgotten",
    "was forgotten at .* and came back",
    (state, ...given) => {
      const before = [...state.partners];
      const effects = step(state, ...given);
      for (const [trustDomain, partner] of before) state.partners.set(trustDomain, partner);
      return effects;
    },
  ],
  [
    "keeps a finding of every step",
    "stands for .*, which nobody approved",
    afterStep((effects, [state, , nowMs]) => {
      raise(state, "PIN_AWAITED", `${nowMs}.test` as TrustDomain, "", nowMs);
      return effects;
    }),
  ],
  [
    "writes no second row",
    "has another row of",
    afterStep((effects, [, { kind }]) =>
      effects.filter((effect) => effect.kind !== "order-row" || kind === "row-ended"),
    ),
  ],
];

/** What a storm with this core ends in, or the law that it breaks. */
async function endOf(seed: number, broken: CoreStep, spoil: (mesh: Mesh) => void): Promise<string> {
  try {
    const mesh = new Mesh(seed, sizesOf(seed), broken);
    spoil(mesh);
    const { unwell } = await storm(mesh, seed);
    return unwell ?? "";
  } catch (error) {
    return String(error);
  }
}

/** A store that was lost or is older is taken as it is. */
function ignoreMarks({ replicas }: Mesh): void {
  for (const { disk } of replicas) {
    disk.load = async () => ({
      pins: [...disk.pins.values()],
      domains: [...disk.domains.values()],
      headCounter: 0n,
      missing: [],
      quarantined: undefined,
      marksLost: false,
    });
  }
}

describe("the laws", () => {
  test(
    "notice a daemon that ignores its marks",
    { timeout: SEEDS_MAX * DEADLINE_A_SEED_MS },
    async () => {
      const law = /below its mark|the version of .* fell/;
      let found = "";
      for (let seed = 1; !law.test(found) && seed <= SEEDS_MAX; seed += 1) {
        found = await endOf(seed, step, ignoreMarks);
      }
      expect(found).toMatch(law);
    },
  );

  test.each(BREAKS)(
    "notice a core that %s",
    { timeout: SEEDS_MAX * DEADLINE_A_SEED_MS },
    async (_, law, broken) => {
      let found = "";
      for (let seed = 1; found === "" && seed <= SEEDS_MAX; seed += 1) {
        found = await endOf(seed, broken, () => undefined);
      }
      expect(found).toMatch(new RegExp(law));
    },
  );
});
