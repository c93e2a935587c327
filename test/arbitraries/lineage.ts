/**
 * Trust domains without cryptography, for laws over thousands of histories: keys and certificates come
 * from the table of simulations/world/table-proofs.ts, records are real bytes, and `receive` is what a
 * receiver does with one, without budgets and disks.
 */
import * as fc from "fast-check";
import { encodeEnvelope } from "../../src/core/record/envelope.ts";
import { recordId, recoveryPreimage } from "../../src/core/record/preimages.ts";
import type { RefusalCode } from "../../src/core/record/refusal.ts";
import type { Standing } from "../../src/core/record/standing.ts";
import {
  type RecoveryCommitment,
  type State,
  encodeState,
  noLineage,
} from "../../src/core/record/state.ts";
import {
  type SignedRecord,
  type VerifiedRecord,
  readRecord,
  verifyRecord,
} from "../../src/core/record/verify.ts";
import {
  type Slot,
  addBlocks,
  addSibling,
  advance,
  isCounted,
  judgedAgainst,
  relate,
  signedAtLeastS,
  startSlot,
} from "../../src/core/resolver/slot.ts";
import type { JwtAuthority, X509Authority } from "../../src/core/spiffe/trust-bundle.ts";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import { compareBytes, toHex } from "../../src/core/std/bytes.ts";
import { sha256 } from "../../src/core/std/sha256.ts";
import { signBlock } from "../../src/keys/publisher.ts";
import type { PublisherSvid } from "../../src/keys/publisher-svid.ts";
import {
  type Certified,
  type SigningKey,
  TableProofs,
  toSvid,
} from "../../simulations/world/table-proofs.ts";

/** When histories start: 2026-09-21. */
export const START_S = 1_790_000_000;
const CA_LIFE_S = 30 * 86_400;
/** Authorities are valid from before the start, so that no time of a history is too early for them. */
const CA_AGE_S = 86_400;

/** Who signs one block, under which authorities: `[old, new]`, or one that is both. */
export interface Signer {
  readonly node: SigningKey;
  readonly under: readonly Certified[];
  readonly signedAtS: number;
}

/** Everything that goes into one record. */
export interface RecordParts {
  readonly state: State;
  readonly signers: readonly Signer[];
  readonly recoveryKeys: readonly SigningKey[];
}

/** The keys and authorities of one trust domain, and whatever is signed with them. */
export class TableDomain {
  readonly proofs = new TableProofs();
  readonly trustDomain = "alpha.test" as TrustDomain;
  readonly #svids = new Map<Certified, PublisherSvid>();

  newNode(): SigningKey {
    return this.proofs.newKey("ed25519");
  }

  newCa(notBeforeS = START_S - CA_AGE_S, lifeS = CA_LIFE_S): Certified {
    return this.proofs.issue(this.trustDomain, notBeforeS, lifeS);
  }

  newJwt(expiresAtS = 0): JwtAuthority {
    const { publicKey: spki } = this.proofs.newKey("ec-p256");
    return { keyId: toHex(spki).slice(0, 16), spki, expiresAtS, tainted: false };
  }

  /** The publisher's X509-SVID under an authority; always the same one. */
  svidUnder(ca: Certified): PublisherSvid {
    const { notBeforeS, notAfterS } = ca.facts;
    const known = this.#svids.get(ca);
    if (known !== undefined) return known;
    const leaf = this.proofs.issue(this.trustDomain, notBeforeS, notAfterS - notBeforeS, ca);
    const svid = toSvid(leaf);
    this.#svids.set(ca, svid);
    return svid;
  }

  /** The bytes of a record, whatever it says and whoever signs it. */
  encode({ state, signers, recoveryKeys }: RecordParts): Uint8Array {
    const payload = encodeState(state);
    const id = recordId(1, payload);
    const recovery = recoveryKeys
      .map((key) => [key.publicKey, key.sign(recoveryPreimage(id))] as const)
      .sort(([left], [right]) => compareBytes(left, right));
    const blocks = signers.map(({ node, under, signedAtS }) =>
      signBlock(
        { recordId: id, recovery },
        { nodeKey: node, signAsSvid: this.proofs.sign },
        under.map((ca) => this.svidUnder(ca)),
        signedAtS,
      ),
    );
    return encodeEnvelope({ kind: 1, payload, blocks, recovery });
  }

  /** The same as a receiver reads it. */
  sign(parts: RecordParts): SignedRecord {
    const read = readRecord(this.encode(parts), "sync", this.proofs);
    if (read.ok) return read.value;
    throw new Error(`a record of this table does not read: ${read.reason.detail}`);
  }

  /** A record as it is verified when it comes first. */
  first(record: SignedRecord, nowS: number): Slot {
    const judged = verifyRecord(record, undefined, { nowS, leastS: () => 0 }, this.proofs);
    if (judged.ok) return startSlot(judged.value);
    throw new Error(`a first record is refused: ${judged.reason.code}`);
  }

  /** Steps 5 to 10, as core/mesh/intake.ts takes them. */
  receive(slot: Slot, record: SignedRecord, nowS: number): Received {
    const relation = relate(slot, record);
    if (relation === "other-lineage") return { slot, said: "WRONG_LINEAGE" };
    if (relation === "older") return { slot, said: "STALE" };
    const leastS = signedAtLeastS(slot, nowS);
    const before = judgedAgainst(slot, relation);
    const judged = verifyRecord(record, before, { nowS, leastS: () => leastS }, this.proofs);
    if (!judged.ok) return { slot, said: judged.reason.code };
    if (relation === "newer") return { slot: advance(slot, judged.value, nowS), said: "taken" };
    const isBlock = relation === "same";
    if (!isBlock && !isCounted(slot, judged.value)) return { slot, said: "FORK" };
    const next = isBlock ? addBlocks(slot, judged.value) : addSibling(slot, judged.value);
    return { slot: next, said: next === slot ? "unchanged" : "taken" };
  }
}

export interface Received {
  readonly slot: Slot;
  readonly said: RefusalCode | "taken" | "unchanged";
}

/** The keys of a commitment, and how many of them sign. */
export interface RecoveryKeys {
  readonly threshold: number;
  readonly keys: readonly SigningKey[];
}

function commitmentOf({ threshold, keys }: RecoveryKeys): RecoveryCommitment {
  const keyHashes = keys.map(({ publicKey }) => sha256(publicKey)).sort(compareBytes);
  return { threshold, keyHashes };
}

/** What may happen to a trust domain, and which of several things it happens to. */
export interface Happening {
  readonly kind: (typeof HAPPENINGS)[number];
  readonly pick: number;
}

export const HAPPENINGS = [
  "prepare",
  "activate",
  "restart",
  "taint",
  "revoke",
  "jwt",
  "backup",
  "restore",
  "node-added",
  "node-removed",
  "node-rotated",
  "recovery-committed",
  "recovery-changed",
  "epoch",
] as const;

export const happening: fc.Arbitrary<Happening> = fc.record({
  kind: fc.constantFrom(...HAPPENINGS),
  pick: fc.nat(1_000),
});

/** SPIRE Server's side: authorities in order of coming, with their taint. */
interface Spire {
  readonly sequence: bigint;
  readonly authorities: ReadonlyMap<Certified, boolean>;
  readonly active: Certified;
  readonly prepared: Certified | undefined;
  readonly jwt: readonly JwtAuthority[];
}

/**
 * An honest trust domain, one record after another: `happen` makes what follows, and nothing that it
 * makes may ever be refused by who holds the record before.
 */
export class HonestDomain {
  readonly table = new TableDomain();
  /** Of the last record. */
  parts: RecordParts;
  nowS = START_S;
  nodes: readonly SigningKey[];
  removed: readonly SigningKey[] = [];
  recovery: RecoveryKeys | undefined;
  /** Authorities under which an X509-SVID is kept, the newest first. */
  kept: readonly Certified[];
  #spire: Spire;
  #version = { epoch: 0, rev: 0 };
  #lineage = noLineage();
  readonly #backups: Spire[] = [];

  constructor(nodes = 2) {
    const active = this.table.newCa();
    this.nodes = this.#sorted(Array.from({ length: nodes }, () => this.table.newNode()));
    this.#spire = {
      sequence: 1n,
      authorities: new Map([[active, false]]),
      active,
      prepared: undefined,
      jwt: [this.table.newJwt()],
    };
    this.kept = [active];
    this.parts = this.#sign(this.#state(), [active]);
    this.#lineage = this.table.sign(this.parts).id;
  }

  get active(): Certified {
    return this.#spire.active;
  }

  /** The record after the last one; undefined when that cannot happen now, or says nothing new. */
  happen({ kind, pick }: Happening): RecordParts | undefined {
    const before = this.parts.state;
    const made = this.#happen(kind, pick);
    if (made === undefined) return undefined;
    this.nowS += 60;
    this.parts = made(before);
    if (!this.kept.includes(this.active)) this.kept = [this.active, ...this.kept];
    return this.parts;
  }

  #happen(kind: Happening["kind"], pick: number): ((before: State) => RecordParts) | undefined {
    const spire = this.#spire;
    const { authorities, active, prepared } = spire;
    const idle = [...authorities.keys()].filter((ca) => ca !== active && ca !== prepared);
    const old = idle[pick % Math.max(1, idle.length)];
    switch (kind) {
      case "prepare":
        if (prepared !== undefined || authorities.size > 8) return undefined;
        return this.#says({ ...spire, ...this.#withNew("prepared") });
      case "restart": // A volatile key manager: it signs with what nobody has seen, at once.
        if (authorities.size > 8) return undefined;
        return this.#says({ ...spire, ...this.#withNew("active") });
      case "activate":
        if (prepared === undefined) return undefined;
        this.#spire = { ...spire, active: prepared, prepared: undefined };
        this.kept = [prepared, ...this.kept]; // It publishes nothing, and mints ahead.
        return undefined;
      case "taint":
        if (old === undefined || authorities.get(old) === true) return undefined;
        return this.#says({ ...spire, authorities: new Map([...authorities, [old, true]]) });
      case "revoke":
        if (old === undefined) return undefined;
        return this.#says({
          ...spire,
          authorities: new Map([...authorities].filter(([ca]) => ca !== old)),
        });
      case "jwt":
        return this.#says({ ...spire, jwt: [this.table.newJwt(), ...spire.jwt].slice(0, 3) });
      case "backup":
        this.#backups.push(spire);
        return undefined;
      case "restore":
        return this.#restored(pick);
      case "node-added":
        if (this.nodes.length > 4) return undefined;
        return this.#decides(() => {
          this.nodes = this.#sorted([...this.nodes, this.table.newNode()]);
        });
      case "node-removed": {
        const gone = this.nodes[pick % this.nodes.length];
        if (this.nodes.length === 1 || gone === undefined) return undefined;
        return this.#decides(() => this.#remove(gone));
      }
      case "node-rotated":
        return this.#rotated(pick);
      case "recovery-committed":
        if (this.recovery !== undefined) return undefined;
        return this.#decides(() => (this.recovery = this.newRecovery(pick)));
      case "recovery-changed":
      case "epoch":
        return this.#recovered(kind, pick);
    }
  }

  /** One to three keys, of which some must sign. */
  newRecovery(pick: number): RecoveryKeys {
    const keys = Array.from({ length: 1 + (pick % 3) }, () => this.table.newNode());
    return { threshold: 1 + (pick % keys.length), keys };
  }

  #withNew(place: "active" | "prepared"): Pick<Spire, "authorities"> & Partial<Spire> {
    const ca = this.table.newCa();
    return { authorities: new Map([...this.#spire.authorities, [ca, false]]), [place]: ca };
  }

  /** SPIRE says something new. */
  #says(spire: Spire): (before: State) => RecordParts {
    this.#spire = { ...spire, sequence: spire.sequence + 1n };
    return (before) => this.#next(before);
  }

  /** A datastore as it was, which may list again what was taken back; an operator confirms it. */
  #restored(pick: number): ((before: State) => RecordParts) | undefined {
    const backup = this.#backups[pick % Math.max(1, this.#backups.length)];
    if (backup === undefined) return undefined;
    this.#spire = backup;
    this.#version = { ...this.#version, rev: this.#version.rev + 1 };
    return (before) => this.#next(before);
  }

  #decides(change: () => void): (before: State) => RecordParts {
    const signer = [...this.nodes];
    change();
    this.#version = { ...this.#version, rev: this.#version.rev + 1 };
    return (before) => this.#next(before, signer);
  }

  #remove(gone: SigningKey): void {
    this.nodes = this.nodes.filter((node) => node !== gone);
    this.removed = [...this.removed, gone].slice(-32);
  }

  #rotated(pick: number): (before: State) => RecordParts {
    const gone = this.nodes[pick % this.nodes.length];
    const came = this.table.newNode();
    if (gone === undefined) throw new Error("there is a node");
    this.#remove(gone);
    this.nodes = this.#sorted([...this.nodes, came]);
    this.#version = { ...this.#version, rev: this.#version.rev + 1 };
    return (before) => {
      const under = this.#under(before);
      const signers = [gone, came].map((node) => ({ node, under, signedAtS: this.nowS }));
      return { state: this.#state(), signers, recoveryKeys: [] };
    };
  }

  #recovered(
    kind: "recovery-changed" | "epoch",
    pick: number,
  ): ((before: State) => RecordParts) | undefined {
    const { recovery } = this;
    if (recovery === undefined) return undefined;
    const { epoch, rev } = this.#version;
    const recoveryKeys = recovery.keys.slice(0, recovery.threshold);
    this.recovery = this.newRecovery(pick);
    if (kind === "recovery-changed") {
      this.#version = { epoch, rev: rev + 1 };
      return (before) => ({ ...this.#next(before), recoveryKeys });
    }
    // A site that lost everything: another node, another authority, another datastore.
    const active = this.table.newCa();
    this.#version = { epoch: epoch + 1, rev: 0 };
    this.#spire = {
      sequence: BigInt(pick % 3),
      authorities: new Map([[active, false]]),
      active,
      prepared: undefined,
      jwt: [],
    };
    this.nodes = [this.table.newNode()];
    this.removed = [];
    this.kept = [active];
    this.#backups.length = 0;
    return () => ({ ...this.#sign(this.#state(), [active]), recoveryKeys });
  }

  #next(before: State, mayHaveSigned: readonly SigningKey[] = this.nodes): RecordParts {
    const signers = this.nodes.filter((node) => mayHaveSigned.includes(node));
    return this.#sign(this.#state(), this.#under(before), signers);
  }

  /** A kept X509-SVID for what stood, and one for what stands now. */
  #under(before: State): readonly Certified[] {
    const trusts = (ca: Certified): boolean =>
      before.x509Authorities.some(
        ({ der, tainted }) => !tainted && compareBytes(der, ca.facts.der) === 0,
      );
    const old = [this.active, ...this.kept].find(trusts);
    if (old === undefined) throw new Error("an honest domain keeps an SVID of what it published");
    return old === this.active ? [old] : [old, this.active];
  }

  #sign(
    state: State,
    under: readonly Certified[],
    nodes: readonly SigningKey[] = this.nodes,
  ): RecordParts {
    const [node] = nodes;
    if (node === undefined) throw new Error("a node signs");
    return { state, signers: [{ node, under, signedAtS: this.nowS }], recoveryKeys: [] };
  }

  #state(): State {
    const { sequence, authorities, jwt } = this.#spire;
    return {
      trustDomain: this.table.trustDomain,
      lineage: this.#lineage,
      version: { ...this.#version, sequence },
      nodes: this.nodes.map(({ publicKey }) => publicKey),
      removed: this.removed.map(({ publicKey }) => publicKey),
      recovery: this.recovery && commitmentOf(this.recovery),
      x509Authorities: x509Of(authorities),
      jwtAuthorities: [...jwt].sort((left, right) => (left.keyId < right.keyId ? -1 : 1)),
    };
  }

  #sorted(nodes: readonly SigningKey[]): readonly SigningKey[] {
    return nodes.toSorted((left, right) => compareBytes(left.publicKey, right.publicKey));
  }
}

/** As a state lists them. */
export function x509Of(authorities: ReadonlyMap<Certified, boolean>): readonly X509Authority[] {
  return [...authorities]
    .map(([{ facts }, tainted]) => ({ der: facts.der, tainted }))
    .sort((left, right) => compareBytes(sha256(left.der), sha256(right.der)));
}

/** What a slot knows, as values that are the same for the same knowledge. */
export function known({ held, sibling, effective, base, anchors, gone }: Slot): unknown {
  return {
    held: knownRecord(held),
    sibling: sibling && knownRecord(sibling),
    effective: knownStanding(effective),
    base: base && knownStanding(base),
    anchors: anchors.map(toHex).toSorted(),
    gone: gone.map(({ hash, untilS }) => `${toHex(hash)} ${untilS}`).toSorted(),
  };
}

function knownRecord({ record, blocks }: VerifiedRecord): unknown {
  const both = blocks.map(({ block, newAnchor }) => [block.nodeSignature, newAnchor].map(toHex));
  return { idHex: record.idHex, blocks: both };
}

function knownStanding({ state, authorities }: Standing): unknown {
  return {
    state: toHex(encodeState(state)),
    authorities: authorities.map(({ facts, tainted }) => [toHex(sha256(facts.der)), tainted]),
  };
}
