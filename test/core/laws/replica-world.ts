/**
 * Replicas of one trust domain on one SPIRE datastore, and partners of it, as whole cores without their
 * rooms: proofs by table, a network that loses, repeats and reorders, partitions, a datastore that is
 * restored to any backup, and operators who add and remove nodes wherever they like.
 *
 * The rule of node changes (core/mesh/node-change.ts) can be left out, to see that it is needed.
 */
import { makeCandidate } from "../../../src/core/mesh/candidate.ts";
import { missingRecords, syncEntries } from "../../../src/core/mesh/anti-entropy.ts";
import type { Effect } from "../../../src/core/mesh/effect.ts";
import type { Input } from "../../../src/core/mesh/input.ts";
import { type MeshState, newMeshState } from "../../../src/core/mesh/mesh-state.ts";
import { refusesNodeOrder } from "../../../src/core/mesh/node-change.ts";
import { nextFrame } from "../../../src/core/mesh/own-frame.ts";
import type { OwnOrder } from "../../../src/core/mesh/own-order.ts";
import { start, step } from "../../../src/core/mesh/step.ts";
import { anchorsOf, readAuthorities } from "../../../src/core/record/authority.ts";
import { type Block, encodeEnvelope } from "../../../src/core/record/envelope.ts";
import { encodeHead, headSigningBytes } from "../../../src/core/record/head.ts";
import { recordId } from "../../../src/core/record/preimages.ts";
import type { SigningOrder, SigningOutcome } from "../../../src/core/record/signing.ts";
import { type Version, compareVersions, encodeState } from "../../../src/core/record/state.ts";
import { has } from "../../../src/core/record/step.ts";
import { type Slot, envelopeBytes } from "../../../src/core/resolver/slot.ts";
import type { TrustBundle } from "../../../src/core/spiffe/trust-bundle.ts";
import type { TrustDomain } from "../../../src/core/spiffe/trust-domain.ts";
import { compareBytes, equalBytes, toHex } from "../../../src/core/std/bytes.ts";
import { signBlock } from "../../../src/keys/publisher.ts";
import type { Certified, SigningKey } from "../../../simulations/world/table-proofs.ts";
import { Timeline } from "../../../simulations/world/timeline.ts";
import { START_S, TableDomain, x509Of } from "../../arbitraries/lineage.ts";

const REPLICAS = 3;
const SPARES = 4;
const PARTNERS = 3;

export interface WorldOptions {
  /** Whether node changes are made as core/mesh/node-change.ts says, or by whoever likes. */
  readonly hasRule: boolean;
  readonly hasNodeChanges: boolean;
  readonly hasRestores: boolean;
  readonly operations: number;
}

/** What SPIRE's datastore says, and which CA each server signs with. */
interface Datastore {
  readonly sequence: bigint;
  readonly authorities: ReadonlyMap<Certified, boolean>;
  readonly active: readonly Certified[];
  readonly prepared: readonly (Certified | undefined)[];
}

type Packet =
  | {
      readonly kind: "record";
      readonly to: Member;
      readonly from: Member;
      readonly envelope: Uint8Array;
    }
  | {
      readonly kind: "head";
      readonly to: Member;
      readonly from: Member;
      readonly envelope: Uint8Array;
    };

/** One core, of the trust domain or of a partner. */
export class Member {
  readonly state: MeshState;
  readonly node: SigningKey;
  readonly nodeHex: string;
  /** Which of SPIRE's servers stands beside it; undefined for a partner. */
  readonly server: number | undefined;
  readonly kept: Certified[] = [];
  /** Every record that it held, as it gives them to others. */
  readonly steps: { readonly version: Version; readonly idHex: string; envelope: Uint8Array }[] =
    [];
  isOn = true;
  readonly #world: ReplicaWorld;
  #tickets = 0;

  constructor(world: ReplicaWorld, name: string, node: SigningKey, server: number | undefined) {
    this.#world = world;
    this.node = node;
    this.nodeHex = toHex(node.publicKey);
    this.server = server;
    const self = {
      trustDomain: name as TrustDomain,
      nodePublicKey: node.publicKey,
      role: "publisher" as const,
      unmanaged: new Set<TrustDomain>(),
    };
    const stored = { own: undefined, partners: [], headCounter: 0n, lost: undefined };
    this.state = newMeshState(self, stored, world.timeline.nowMs());
    this.#perform(start(this.state));
    this.state.synced = true;
  }

  /** What it holds of the trust domain. */
  get slot(): Slot | undefined {
    if (this.server !== undefined) return this.state.own.slot;
    return this.state.partners.get(this.#world.table.trustDomain)?.slot;
  }

  get isListed(): boolean {
    return this.slot !== undefined && has(this.slot.effective.state.nodes, this.node.publicKey);
  }

  give(input: Input): void {
    const before = this.slot?.held.record.state.version;
    this.#perform(step(this.state, input, this.#world.timeline.nowMs(), this.#world.table.proofs));
    const after = this.slot?.held.record.state.version;
    if (before !== undefined && after !== undefined && compareVersions(after, before) < 0) {
      this.#world.falls += 1;
    }
  }

  ticket(): number {
    this.#tickets += 1;
    return this.#tickets;
  }

  take(envelope: Uint8Array, from: Member, carrier: "gossip" | "sync"): void {
    const input = { kind: "record-received", envelope, carrier, from: from.nodeHex } as const;
    this.give({ ...input, ticket: this.ticket() });
  }

  /** One round of sync: this one asks, the other answers. */
  syncWith(other: Member): void {
    const { trustDomain } = this.#world.table;
    const entries = syncEntries(other.state, [trustDomain]);
    for (const { above, recordId: id } of missingRecords(this.state, entries)) {
      const wanted = other.steps.filter(
        ({ version, idHex }) =>
          (above !== undefined && compareVersions(version, above) > 0) ||
          (id !== undefined && idHex === toHex(id)),
      );
      for (const { envelope } of wanted) this.take(envelope, other, "sync");
    }
    this.give({ kind: "peer-synced", node: other.nodeHex, entries });
  }

  #perform(effects: readonly Effect[]): void {
    const { table } = this.#world;
    for (const effect of effects) {
      if (effect.kind === "store-domain") {
        this.#remember(effect.domain.slot);
        this.give({ kind: "domain-stored" });
      } else if (effect.kind === "sign-record") {
        this.give({ kind: "record-signed", outcome: this.sign(effect.order) });
      } else if (effect.kind === "publish-record") {
        this.#world.gossip(this, "record", effect.envelope);
      } else if (effect.kind === "announce-head") {
        const signature = this.node.sign(headSigningBytes(effect.payload));
        const head = encodeHead(effect.payload, this.node.publicKey, signature);
        this.#world.gossip(this, "head", head);
      } else if (effect.kind === "wake-parked") {
        this.give({ kind: "parked-woken", trustDomain: table.trustDomain });
      } else if (effect.kind === "mint-ahead") {
        this.mintAhead();
      }
    }
  }

  #remember({ held, sibling }: Slot): void {
    for (const each of [held, sibling]) {
      if (each === undefined) continue;
      const { idHex, state } = each.record;
      const known = this.steps.find((one) => one.idHex === idHex);
      const envelope = envelopeBytes(each);
      if (known === undefined) this.steps.push({ version: state.version, idHex, envelope });
      else known.envelope = envelope;
    }
    this.steps.sort((one, other) => compareVersions(one.version, other.version));
  }

  mintAhead(): void {
    const active = this.#world.activeOf(this);
    if (active !== undefined && !this.kept.includes(active)) this.kept.unshift(active);
  }

  /** As the keyring does: what is kept speaks for what stands, and what is minted now for the new. */
  sign({ recordId: id, heldAuthorities, newAuthorities, recovery }: SigningOrder): SigningOutcome {
    const { table, timeline } = this.#world;
    const under = (listed: SigningOrder["heldAuthorities"]): Certified | undefined =>
      this.kept.find(({ facts }) => listed.some(({ der }) => equalBytes(der, facts.der)));
    const old = under(heldAuthorities);
    if (old === undefined && heldAuthorities.length > 0) return { kind: "no-old-chain" };
    this.mintAhead();
    const fresh = under(newAuthorities);
    if (fresh === undefined) return { kind: "no-new-chain", problem: "its CA is not listed" };
    const chains = old === undefined || old === fresh ? [fresh] : [old, fresh];
    const keys = { nodeKey: this.node, signAsSvid: table.proofs.sign };
    const svids = chains.map((ca) => table.svidUnder(ca));
    return {
      kind: "signed",
      block: signBlock({ recordId: id, recovery }, keys, svids, timeline.nowS()),
    };
  }
}

export class ReplicaWorld {
  readonly timeline: Timeline;
  readonly table = new TableDomain();
  readonly replicas: readonly Member[];
  readonly partners: readonly Member[];
  /** How often a held version fell: never. */
  falls = 0;
  /** How often somebody held two records of one version. */
  forks = 0;
  readonly #options: WorldOptions;
  #spire: Datastore;
  #before: Datastore;
  readonly #backups: Datastore[] = [];
  #packets: Packet[] = [];
  /** Pairs of members that do not reach each other. */
  readonly #parted = new Set<string>();
  #uptimeMs = 0;
  #nowMs: number;
  #changedAtMs = 0;

  constructor(seed: number, options: WorldOptions) {
    this.timeline = new Timeline(seed);
    this.#nowMs = this.timeline.nowMs();
    // Time is passed by `pass` alone: nothing of this world waits for a timer.
    Object.assign(this.timeline, {
      nowMs: () => this.#nowMs,
      nowS: () => Math.floor(this.#nowMs / 1_000),
    });
    this.#options = options;
    const active = Array.from({ length: REPLICAS }, () => this.table.newCa());
    this.#spire = {
      sequence: 3n,
      authorities: new Map(active.map((ca) => [ca, false])),
      active,
      prepared: active.map(() => undefined),
    };
    this.#before = this.#spire;
    const { trustDomain } = this.table;
    const member = (name: string, server: number | undefined) =>
      new Member(this, name, this.table.newNode(), server);
    this.replicas = Array.from({ length: REPLICAS + SPARES }, (_, at) =>
      member(trustDomain, at % REPLICAS),
    );
    this.partners = Array.from({ length: PARTNERS }, (_, at) => member(`p${at}.test`, undefined));
    this.#begin();
  }

  activeOf({ server }: Member): Certified | undefined {
    return server === undefined ? undefined : this.#spire.active[server];
  }

  gossip(from: Member, kind: Packet["kind"], envelope: Uint8Array): void {
    for (const to of this.#members()) {
      if (to !== from) this.#packets.push({ kind, to, from, envelope });
    }
  }

  run(): void {
    for (let turn = 0; turn < this.#options.operations; turn += 1) {
      this.#pass(this.timeline.between(100, 2_500));
      for (const each of this.replicas) this.#poll(each);
      this.#operate(this.timeline.between(0, 99));
      this.#countForks();
    }
  }

  /**
   * Everybody reaches everybody, operators look at what ails, and SPIRE rotates twice more: replicas that
   * confirmed a restore at the same time may say the same under two versions until then, and a fork that
   * only partners see is left by the next version.
   */
  settle(): void {
    this.#parted.clear();
    for (const each of this.#members()) this.#connect(each);
    for (const each of this.replicas) if (each.state.spireAway !== undefined) this.#unplug(each);
    this.#untilStill();
    for (const ca of [this.table.newCa(), this.table.newCa()]) {
      this.#says(new Map([...this.#spire.authorities, [ca, false]]));
      this.#untilStill();
    }
  }

  #untilStill(): void {
    let last = "";
    let still = 0;
    for (let round = 0; round < 40 && still < 3; round += 1) {
      this.#pass(4_000);
      for (const each of this.replicas) this.#read(each, this.#spire);
      this.#deliver(Number.POSITIVE_INFINITY, 0);
      for (const each of this.replicas) this.#confirm(each);
      const members = this.#members();
      for (const each of members) {
        for (const other of this.replicas) if (other.isOn && other !== each) each.syncWith(other);
      }
      this.#deliver(Number.POSITIVE_INFINITY, 0);
      this.#adopt();
      const now = members.map((each) => this.view(each)).join();
      still = now === last ? still + 1 : 0;
      last = now;
    }
  }

  /** The highest rev: nodes that came and went, restores that were confirmed, forks that were ended. */
  get rev(): number {
    return Math.max(...this.partners.map(({ slot }) => slot?.effective.state.version.rev ?? 0));
  }

  /** What a member holds, in short: the same text, the same state of the trust domain. */
  view({ slot }: Member): string {
    if (slot === undefined) return "nothing";
    return toHex(recordId(1, encodeState(slot.effective.state)));
  }

  /** Those of whom all must hold the same: partners, and replicas that are listed. */
  get honest(): readonly Member[] {
    return [...this.partners, ...this.replicas.filter((each) => each.isOn && each.isListed)];
  }

  /** Whether what it holds of the trust domain is what SPIRE says. */
  isAsSpire({ slot }: Member): boolean {
    const { x509Authorities } = this.#bundle(this.#spire);
    const text = (all: typeof x509Authorities) =>
      all.map(({ der, tainted }) => `${toHex(der)} ${tainted}`).join();
    return (
      slot !== undefined && text(slot.effective.state.x509Authorities) === text(x509Authorities)
    );
  }

  /** The genesis by the first replica, with all three in it; everybody starts with it. */
  #begin(): void {
    const listed = this.replicas.slice(0, REPLICAS);
    for (const each of this.replicas.slice(REPLICAS)) each.isOn = false;
    const { x509Authorities } = this.#bundle(this.#spire);
    const nodes = listed
      .map(({ node }) => node)
      .toSorted((one, other) => compareBytes(one.publicKey, other.publicKey));
    const [signer] = nodes;
    const [ca] = this.#spire.active;
    if (signer === undefined || ca === undefined) throw new Error("there is one");
    const state = {
      trustDomain: this.table.trustDomain,
      lineage: new Uint8Array(32),
      version: { epoch: 0, rev: 0, sequence: this.#spire.sequence },
      nodes: nodes.map(({ publicKey }) => publicKey),
      removed: [],
      recovery: undefined,
      x509Authorities,
      jwtAuthorities: [],
    };
    const signers = [{ node: signer, under: [ca], signedAtS: START_S }];
    const envelope = this.table.encode({ state, signers, recoveryKeys: [] });
    const fingerprint = toHex(recordId(1, encodeState(state)));
    const [first] = listed;
    if (first === undefined) throw new Error("there is one");
    for (const each of listed) {
      each.mintAhead();
      this.#connect(each);
      this.#read(each, this.#spire);
      each.give({ kind: "adopt-asked", ticket: each.ticket(), fingerprint, nodes: [] });
      each.take(envelope, first, "sync");
    }
    for (const each of this.partners) {
      each.give({
        kind: "import-asked",
        ticket: each.ticket(),
        envelope,
        fingerprint,
        addressHints: [],
        replace: false,
        spireAsked: true,
        row: undefined,
        hasRelationship: false,
      });
    }
    if (this.honest.some(({ slot }) => slot === undefined)) throw new Error("not all have begun");
  }

  #members(): readonly Member[] {
    return [...this.replicas, ...this.partners].filter(({ isOn }) => isOn);
  }

  #pass(durationMs: number): void {
    this.#nowMs += durationMs;
    this.#uptimeMs += durationMs;
    for (const each of this.#members()) each.give({ kind: "tick", uptimeMs: this.#uptimeMs });
  }

  #operate(chance: number): void {
    const { timeline } = this;
    const server = timeline.between(0, REPLICAS - 1);
    const replica = timeline.oneOf(this.replicas.filter(({ isOn }) => isOn));
    const [one, other] = [timeline.oneOf(this.#members()), timeline.oneOf(this.#members())];
    if (replica === undefined || one === undefined || other === undefined) return;
    if (chance < 16) this.#rotate(server);
    else if (chance < 19) this.#restart(server);
    else if (chance < 22) this.#backUpOrRestore();
    else if (chance < 32) this.#changeNodes(replica);
    else if (chance < 40) this.#unplug(replica);
    else if (chance < 56) this.#confirm(replica);
    else if (chance < 60) this.#part(one, other);
    else if (chance < 72 && one !== other && this.#reaches(one, other)) one.syncWith(other);
    else this.#deliver(12, 15);
    this.#adopt();
  }

  /** The next step of a rotation: prepare, activate (which waits for nobody), taint, revoke. */
  #rotate(server: number): void {
    const { authorities, active, prepared } = this.#spire;
    const next = prepared[server];
    const busy = new Set([...active, ...prepared]);
    const old = this.timeline.oneOf([...authorities.keys()].filter((ca) => !busy.has(ca)));
    if (next !== undefined && this.timeline.happens(50)) {
      this.#spire = {
        ...this.#spire,
        active: active.with(server, next),
        prepared: prepared.with(server, undefined),
      };
    } else if (old !== undefined && this.timeline.happens(60)) {
      if (authorities.get(old) === true) {
        this.#says(new Map([...authorities].filter(([ca]) => ca !== old)));
      } else this.#says(new Map([...authorities, [old, true]]));
    } else if (next === undefined && authorities.size < 12) {
      const ca = this.table.newCa();
      this.#says(new Map([...authorities, [ca, false]]), { prepared: prepared.with(server, ca) });
    }
  }

  /** A volatile key manager: the server signs with what nobody has seen, at once. */
  #restart(server: number): void {
    const { authorities, active, prepared } = this.#spire;
    if (authorities.size >= 12) return;
    const ca = this.table.newCa();
    this.#says(new Map([...authorities, [ca, false]]), {
      active: active.with(server, ca),
      prepared: prepared.with(server, undefined),
    });
  }

  #says(authorities: Datastore["authorities"], change: Partial<Datastore> = {}): void {
    this.#before = this.#spire;
    this.#changedAtMs = this.#nowMs;
    const sequence = this.#spire.sequence + 1n;
    this.#spire = { ...this.#spire, ...change, authorities, sequence };
  }

  #backUpOrRestore(): void {
    if (!this.#options.hasRestores) return;
    const backup = this.timeline.oneOf(this.#backups);
    if (backup === undefined || this.timeline.happens(60)) this.#backups.push(this.#spire);
    else {
      this.#before = this.#spire;
      this.#changedAtMs = this.#nowMs;
      this.#spire = backup;
    }
  }

  /** An operator adds a node or removes one, at whichever replica comes to hand. */
  #changeNodes(replica: Member): void {
    const { slot } = replica;
    if (!this.#options.hasNodeChanges || slot === undefined || !replica.isListed) return;
    const node = this.timeline.oneOf(this.replicas)?.node.publicKey ?? replica.node.publicKey;
    const order: OwnOrder & { kind: "add-node" | "remove-node" } = has(
      slot.effective.state.nodes,
      node,
    )
      ? { kind: "remove-node", node, force: false }
      : { kind: "add-node", node };
    if (this.#options.hasRule) {
      replica.give({ kind: "own-order-asked", ticket: replica.ticket(), order });
    } else if (refusesNodeOrder(replica.state, slot, order) === undefined) {
      this.#changeFreely(replica, order);
    }
  }

  /** The record of a node change as it would be without the rule: at once, and told to everybody. */
  #changeFreely(replica: Member, order: OwnOrder): void {
    const { own } = replica.state;
    if (own.read === undefined || own.slot === undefined) return;
    const frame = nextFrame(replica.state, own.read.sequenceNumber, order);
    const candidate = makeCandidate(own.read, frame, this.table.proofs);
    if (!candidate.ok || candidate.value.noUsableCa) return;
    const { state } = candidate.value;
    const authorities = readAuthorities(state, this.table.proofs);
    if (!authorities.ok) return;
    const outcome = replica.sign({
      recordId: recordId(1, encodeState(state)),
      recovery: [],
      heldAuthorities: anchorsOf(own.slot.effective.authorities),
      newAuthorities: anchorsOf(authorities.value),
    });
    if (outcome.kind !== "signed") return;
    const blocks: Block[] = [outcome.block];
    const envelope = encodeEnvelope({ kind: 1, payload: encodeState(state), blocks, recovery: [] });
    replica.take(envelope, replica, "sync");
    this.gossip(replica, "record", envelope);
  }

  /** A new node starts, on the record that lists it. */
  #adopt(): void {
    for (const { slot, isOn, server } of this.replicas) {
      if (!isOn || slot === undefined || server === undefined) continue;
      for (const spare of this.replicas.filter((each) => !each.isOn)) {
        if (!has(slot.effective.state.nodes, spare.node.publicKey)) continue;
        spare.isOn = true;
        spare.mintAhead();
        this.#connect(spare);
        spare.give({ kind: "tick", uptimeMs: this.#uptimeMs });
        this.#read(spare, this.#spire);
        const fingerprint = slot.held.record.idHex;
        spare.give({ kind: "adopt-asked", ticket: spare.ticket(), fingerprint, nodes: [] });
        for (const other of this.#members()) if (other !== spare) spare.syncWith(other);
      }
    }
  }

  /** A server beside others on one datastore shows a change up to a second late (measured). */
  #poll(replica: Member): void {
    if (replica.state.spireAway !== undefined) return;
    const mayBeOld = this.#nowMs - this.#changedAtMs < 1_000;
    this.#read(replica, mayBeOld && this.timeline.happens(50) ? this.#before : this.#spire);
  }

  /** Its SPIRE Server is away for a while, or is back. */
  #unplug(replica: Member): void {
    const isAway = replica.state.spireAway !== undefined;
    replica.give(isAway ? { kind: "spire-back" } : { kind: "spire-away", reason: "it is away" });
  }

  #read(replica: Member, datastore: Datastore): void {
    if (!replica.isOn || replica.server === undefined) return;
    const { read } = replica.state.own;
    const bundle = this.#bundle(datastore);
    const isSame =
      read?.sequenceNumber === bundle.sequenceNumber &&
      JSON.stringify(read.x509Authorities) === JSON.stringify(bundle.x509Authorities);
    if (!isSame) replica.give({ kind: "local-bundle-read", bundle });
    replica.mintAhead();
  }

  #bundle({ sequence, authorities }: Datastore): TrustBundle {
    const { trustDomain } = this.table;
    const x509Authorities = x509Of(authorities);
    return { trustDomain, sequenceNumber: sequence, x509Authorities, jwtAuthorities: [] };
  }

  #confirm(replica: Member): void {
    const hasGoneBack = [...replica.state.findings.values()].some(
      ({ code }) => code === "SPIRE_WENT_BACK",
    );
    if (!replica.isOn || !hasGoneBack) return;
    const order = { kind: "confirm-restore" } as const;
    replica.give({ kind: "own-order-asked", ticket: replica.ticket(), order });
  }

  #part(one: Member, other: Member): void {
    if (one === other) return;
    const pair = pairOf(one, other);
    const isParted = this.#parted.delete(pair);
    if (!isParted) this.#parted.add(pair);
    const kind = isParted ? "peer-connected" : "peer-lost";
    one.give({ kind, node: other.nodeHex });
    other.give({ kind, node: one.nodeHex });
  }

  #connect(member: Member): void {
    for (const other of this.#members()) {
      if (other === member || !this.#reaches(member, other)) continue;
      if (!member.state.connected.has(other.nodeHex)) {
        member.give({ kind: "peer-connected", node: other.nodeHex });
      }
      if (!other.state.connected.has(member.nodeHex)) {
        other.give({ kind: "peer-connected", node: member.nodeHex });
      }
    }
  }

  #reaches(one: Member, other: Member): boolean {
    return !this.#parted.has(pairOf(one, other));
  }

  /** Some packets arrive, in any order; some are lost, and some come again. */
  #deliver(count: number, lossPercent: number): void {
    for (let sent = 0; sent < count && this.#packets.length > 0; sent += 1) {
      const place = this.timeline.between(0, this.#packets.length - 1);
      const [packet] = this.#packets.slice(place, place + 1);
      if (packet === undefined) return;
      if (lossPercent === 0 || this.timeline.happens(100 - lossPercent))
        this.#packets.splice(place, 1);
      if (!packet.to.isOn || this.timeline.happens(lossPercent)) continue;
      const { to, from, kind, envelope } = packet;
      if (!this.#reaches(to, from)) continue;
      if (kind === "record") to.take(envelope, from, "gossip");
      else to.give({ kind: "head-received", envelope, from: from.nodeHex, ticket: to.ticket() });
    }
    if (this.#packets.length > 2_000) this.#packets = this.#packets.slice(-2_000);
  }

  #countForks(): void {
    for (const { slot } of this.#members()) if (slot?.sibling !== undefined) this.forks += 1;
  }
}

function pairOf(one: Member, other: Member): string {
  return [one.nodeHex, other.nodeHex].toSorted().join(" ");
}
