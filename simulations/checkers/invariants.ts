/** The laws of the mesh that must hold after every event, and those that hold once all is well. */
import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import type { Effect } from "../../src/core/mesh/effect.ts";
import type { Input } from "../../src/core/mesh/input.ts";
import type { MeshState } from "../../src/core/mesh/mesh-state.ts";
import { type Version, compareVersions } from "../../src/core/record/state.ts";
import type { TrustBundle } from "../../src/core/spiffe/trust-bundle.ts";
import { sameAuthorities } from "../../src/core/spiffe/trust-bundle.ts";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import { toHex } from "../../src/core/std/bytes.ts";
import { STEP_RECORDS_MAX } from "../../src/core/std/limits.ts";
import type { StoredRecord } from "../../src/ports/record-store.ts";
import type { Member } from "../actors/member.ts";
import type { Rogue } from "../actors/rogue.ts";
import type { Site } from "../world/daemon.ts";
import type { Laws } from "../world/world.ts";

export class Invariants implements Laws {
  readonly #members: readonly Member[];
  /** The highest version on each disk, by the daemon's trust domain and the record's. */
  readonly #versions = new Map<TrustDomain, Map<TrustDomain, Version>>();
  /** Rows and stored records that were looked at: what was published stays published. */
  readonly #lawful = new WeakSet<TrustBundle | StoredRecord>();

  constructor(members: readonly Member[]) {
    this.#members = members;
  }

  onStep(site: Site, input: Input): (effects: readonly Effect[]) => void {
    const before = site.daemon && heldBy(site.daemon.state);
    return (effects) => this.#checkStep(site, input, effects, before);
  }

  onEvent(): void {
    for (const member of this.#members) {
      for (const row of member.spire.rows.values()) this.#checkRow(member, row);
      this.#checkVersions(member);
      for (const trustDomain of member.forgotten) this.#checkForgotten(member, trustDomain);
      this.#checkCaps(member);
    }
  }

  /** Once everything is up and healed: why it is not all as it should be, or undefined. */
  unwell(rogue?: Rogue): string | undefined {
    const honest = this.#members.filter((each) => each !== rogue?.self);
    // Whoever has a node key can ask for attention in its name, and no more (docs/protocol.md 1).
    const doubtful = new Set([rogue?.self.trustDomain, rogue?.victim.trustDomain]);
    for (const member of honest) {
      const { trustDomain, spire, daemon, approved } = member;
      if (daemon === undefined) return `${trustDomain} is down`;
      const own = daemon.state.own.slot?.held.record.state.version.sequence;
      const { sequenceNumber } = spire.bundle;
      if (own !== sequenceNumber) return `${trustDomain} published ${own} of ${sequenceNumber}`;
      const rows = [...spire.rows.keys()].filter((row) => !approved.has(row));
      if (rows.length > 0) return `${trustDomain} has rows of ${rows.join(" ")}`;
      for (const partner of honest.filter((each) => approved.has(each.trustDomain))) {
        const isNewest = holdsNewest(member, partner);
        if (!isNewest) return `${trustDomain} lacks the newest record of ${partner.trustDomain}`;
        const row = spire.rows.get(partner.trustDomain);
        const isTrue = row !== undefined && sameAuthorities(row, partner.spire.bundle);
        if (!isTrue) return `${trustDomain} has another row of ${partner.trustDomain}`;
      }
      for (const finding of daemon.state.findings.values()) {
        const { trustDomain: about } = finding;
        const isDoubtful = about !== undefined && doubtful.has(about);
        if (!isDoubtful) return `${trustDomain} says ${finding.code}: ${finding.message}`;
      }
    }
    return undefined;
  }

  #checkStep(site: Site, input: Input, effects: readonly Effect[], before: unknown): void {
    const { disk, daemon, trustDomain: own } = site;
    for (const effect of effects) {
      if (effect.kind === "answer" && effect.answer.kind === "taken") {
        const domain = disk.domains.get(effect.answer.trustDomain);
        const isHeld = domain?.held.recordId === effect.answer.recordId;
        // Of a fork two are kept.
        assert(isHeld || domain?.sibling !== undefined, "answered before it was stored");
      }
      if (effect.kind === "answer" && effect.answer.kind === "refused" && daemon !== undefined) {
        const isSame = isDeepStrictEqual(heldBy(daemon.state), before);
        assert(isSame, `${effect.answer.refusal.code} by ${input.kind} changed what is held`);
      }
      if (effect.kind === "publish-record") {
        const held = disk.domains.get(own)?.held.envelope;
        assert(isDeepStrictEqual(held, effect.envelope), "published before it was stored");
      }
      if (effect.kind === "order-row" && effect.order.kind === "set") {
        const { bundle, trustDomain } = effect.order;
        const stored = disk.domains.get(trustDomain)?.held;
        assert(trustDomain !== own, "the own bundle was ordered");
        assert(stored?.sequence === bundle.sequenceNumber, "written before it was stored");
        const envelope = toHex(stored.envelope);
        const isStored = bundle.x509Authorities.every(({ der }) => envelope.includes(toHex(der)));
        assert(isStored, "what is written is not what is stored");
      }
    }
  }

  #checkVersions({ disk, trustDomain: at }: Member): void {
    const versions = this.#versions.get(at) ?? new Map<TrustDomain, Version>();
    this.#versions.set(at, versions);
    for (const [trustDomain, { held }] of disk.domains) {
      if (this.#lawful.has(held)) continue;
      const isRise = compareVersions(held, versions.get(trustDomain) ?? held) >= 0;
      assert(isRise, `the version of ${trustDomain} fell at ${at}`);
      versions.set(trustDomain, held);
      this.#lawful.add(held);
    }
    if (versions.size === disk.domains.size) return;
    // Forgotten: what is approved later starts anew.
    for (const each of versions.keys()) if (!disk.domains.has(each)) versions.delete(each);
  }

  #checkRow(member: Member, row: TrustBundle): void {
    if (this.#lawful.has(row)) return;
    const { trustDomain } = row;
    const { spire } = this.#members.find((each) => each.trustDomain === trustDomain) ?? member;
    assert(trustDomain !== member.trustDomain, "the own bundle was written");
    assert(row.x509Authorities.length > 0, "an empty row was written");
    const theirs = [
      ...row.x509Authorities.map(({ der }) => der),
      ...row.jwtAuthorities.map(({ spki }) => spki),
    ];
    for (const authority of theirs) {
      assert(spire.published.has(toHex(authority)), `${trustDomain} never published it`);
    }
    this.#lawful.add(row);
  }

  #checkForgotten(
    { spire, disk, daemon, trustDomain: own }: Member,
    trustDomain: TrustDomain,
  ): void {
    const places = [spire.rows, disk.domains, disk.pins, daemon?.state.partners];
    const isBack = places.some((place) => place?.has(trustDomain));
    assert(!isBack, `${trustDomain} was forgotten at ${own} and came back`);
  }

  #checkCaps({ daemon, disk }: Member): void {
    for (const steps of disk.steps.values()) assert(steps.length <= STEP_RECORDS_MAX);
    if (daemon === undefined) return;
    const { self, partners, findings } = daemon.state;
    for (const { code, trustDomain: about } of findings.values()) {
      const isOurs = about === undefined || about === self.trustDomain || partners.has(about);
      assert(isOurs, `${code} stands for ${about}, which nobody approved`);
    }
  }
}

/** Whether a daemon holds its partner's newest record. */
export function holdsNewest({ daemon }: Member, partner: Member): boolean {
  const held = daemon?.state.partners.get(partner.trustDomain)?.slot?.held.record.idHex;
  return held !== undefined && held === partner.daemon?.state.own.slot?.held.record.idHex;
}

/** All that a refused record must leave as it was. Slots and pins are values. */
function heldBy({ own, partners }: MeshState): unknown {
  const rows = [...partners.values()].map(({ pin, slot, row }) => [pin, slot, { ...row }]);
  return [own.slot, own.signing, own.settled, rows];
}
