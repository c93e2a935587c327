/** The laws of the mesh that must hold after every event. */
import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import type { Effect } from "../../src/core/mesh/effect.ts";
import type { Input } from "../../src/core/mesh/input.ts";
import type { MeshState } from "../../src/core/mesh/mesh-state.ts";
import { compareVersions } from "../../src/core/record/state.ts";
import type { TrustBundle } from "../../src/core/spiffe/trust-bundle.ts";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import { toHex } from "../../src/core/std/bytes.ts";
import { STEP_RECORDS_MAX } from "../../src/core/std/limits.ts";
import type { StoredDomain } from "../../src/ports/record-store.ts";
import type { Member, Replica } from "../actors/member.ts";
import type { Site } from "../world/daemon.ts";
import type { Laws } from "../world/world.ts";

export class Invariants implements Laws {
  /** Versions of which replicas of one trust domain signed two records: they end by themselves. */
  forks = 0;
  readonly #members: readonly Member[];
  /** What was stored last, by disk and how often all of that went back. */
  readonly #versions = new Map<string, Map<TrustDomain, StoredDomain>>();
  /** The record of each version that was seen of a trust domain. */
  readonly #records = new Map<string, string>();
  /** Rows that were looked at: what was published stays published. */
  readonly #lawful = new WeakSet<TrustBundle>();

  constructor(members: readonly Member[]) {
    this.#members = members;
  }

  onStep(site: Site, input: Input): (effects: readonly Effect[]) => void {
    const before = site.daemon && heldBy(site.daemon.state);
    return (effects) => this.#checkStep(site, input, effects, before);
  }

  onEvent(): void {
    for (const member of this.#members) {
      for (const row of member.datastore.rows.values()) this.#checkRow(member, row);
      for (const replica of member.staying) {
        this.#checkVersions(replica);
        this.#checkCaps(replica);
        for (const trustDomain of member.forgotten) {
          this.#checkForgotten(member, replica, trustDomain);
        }
      }
    }
  }

  #checkStep(site: Site, input: Input, effects: readonly Effect[], before: unknown): void {
    const { disk, daemon, trustDomain: own } = site;
    for (const effect of effects) {
      if (effect.kind === "answer" && effect.answer.kind === "taken") {
        const domain = disk.domains.get(effect.answer.trustDomain);
        const isHeld = domain?.held.recordId === effect.answer.recordId;
        // Of a fork two are kept.
        assert(
          isHeld || input.kind === "head-received" || domain?.sibling,
          "answered before it was stored",
        );
      }
      if (effect.kind === "answer" && effect.answer.kind === "refused" && daemon !== undefined) {
        const isSame = isDeepStrictEqual(heldBy(daemon.state), before);
        assert(isSame, `${effect.answer.refusal.code} by ${input.kind} changed what is held`);
      }
      if (effect.kind === "publish-record") {
        const held = disk.domains.get(own)?.held.envelope;
        assert(isDeepStrictEqual(held, effect.envelope), "published before it was stored");
        const isNext = daemon?.state.own.slot?.base !== undefined; // Nobody could lose a genesis.
        const isRecovering = daemon?.state.recovering !== undefined;
        assert(!isRecovering || !isNext, "published while it was recovering");
      }
      if (effect.kind === "order-row" && effect.order.kind === "set") {
        const { bundle, trustDomain } = effect.order;
        assert(trustDomain !== own, "the own bundle was ordered");
        checkOrder(site, bundle);
      }
    }
  }

  /** Of a disk as its daemon opened it: one that is older than its marks is put away then. */
  #checkVersions({ disk, site }: Replica): void {
    if (site.daemon === undefined) return;
    const life = `${site.label} ${disk.restores}`;
    const versions = this.#versions.get(life) ?? new Map<TrustDomain, StoredDomain>();
    this.#versions.set(life, versions);
    for (const [trustDomain, domain] of disk.domains) {
      const before = versions.get(trustDomain);
      if (before === domain) continue;
      const isRise =
        before?.lineage !== domain.lineage || compareVersions(domain.held, before.held) >= 0;
      assert(isRise, `the version of ${trustDomain} fell at ${site.label}`);
      versions.set(trustDomain, domain);
      if (trustDomain === site.trustDomain) this.#countForks(domain);
    }
    // Forgotten: what is approved later starts anew. What is marked was lost, and comes back.
    for (const each of versions.keys()) {
      if (!disk.domains.has(each) && !disk.marks.has(each)) versions.delete(each);
    }
  }

  #countForks({ trustDomain, lineage, held }: StoredDomain): void {
    const { epoch, rev, sequence, recordId } = held;
    const version = [trustDomain, lineage, epoch, rev, sequence].join(" ");
    const known = this.#records.get(version) ?? recordId;
    if (known !== recordId) this.forks += 1;
    this.#records.set(version, recordId);
  }

  #checkRow(member: Member, row: TrustBundle): void {
    if (this.#lawful.has(row)) return;
    const { trustDomain } = row;
    const { datastore } = this.#members.find((each) => each.trustDomain === trustDomain) ?? member;
    assert(trustDomain !== member.trustDomain, "the own bundle was written");
    assert(row.x509Authorities.length > 0, "an empty row was written");
    const theirs = [
      ...row.x509Authorities.map(({ der }) => der),
      ...row.jwtAuthorities.map(({ spki }) => spki),
    ];
    for (const authority of theirs) {
      assert(datastore.published.has(toHex(authority)), `${trustDomain} never published it`);
    }
    this.#lawful.add(row);
  }

  #checkForgotten(
    { datastore, trustDomain: own }: Member,
    { disk, daemon }: Replica,
    trustDomain: TrustDomain,
  ): void {
    const places = [datastore.rows, disk.domains, disk.pins, daemon?.state.partners];
    const isBack = places.some((place) => place?.has(trustDomain));
    assert(!isBack, `${trustDomain} was forgotten at ${own} and came back`);
  }

  #checkCaps({ daemon, disk }: Replica): void {
    for (const steps of disk.steps.values()) assert(steps.length <= STEP_RECORDS_MAX);
    if (daemon === undefined) return;
    const { self, partners, findings } = daemon.state;
    for (const { code, trustDomain: about } of findings.values()) {
      const isOurs = about === undefined || about === self.trustDomain || partners.has(about);
      assert(isOurs, `${code} stands for ${about}, which nobody approved`);
    }
  }
}

/** What is written is stored, not below the marks, and in a fork what both records say. */
function checkOrder(
  { disk, label }: Site,
  { trustDomain, sequenceNumber, x509Authorities }: TrustBundle,
): void {
  const stored = disk.domains.get(trustDomain);
  assert(stored?.held.sequence === sequenceNumber, "written before it was stored");
  for (const record of [stored.held, stored.sibling]) {
    const envelope = record === undefined ? undefined : toHex(record.envelope);
    const isStored = x509Authorities.every(({ der }) => envelope?.includes(toHex(der)) ?? true);
    assert(isStored, "what is written is not what is stored");
  }
  const mark = disk.marks.get(trustDomain);
  const isBelow = mark?.lineage === stored.lineage && compareVersions(stored.held, mark) < 0;
  assert(!isBelow, `${label} wrote the row of ${trustDomain} below its mark`);
}

/** All that a refused record must leave as it was. Slots and pins are values. */
function heldBy({ own, partners }: MeshState): unknown {
  const rows = [...partners.values()].map(({ pin, slot, row }) => [pin, slot, { ...row }]);
  return [own.slot, own.signing, own.settled, rows];
}
