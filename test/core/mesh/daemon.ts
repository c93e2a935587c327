/**
 * A daemon without its rooms: the core, a disk that can fail, a keyring, and SPIRE's rows as orders
 * that wait. It carries effects out as runtime/mesh-loop does, and holds every step to the core's law:
 * stored before answered, stored before written back, one store effect at a time.
 */
import { expect } from "vitest";
import type { Answer, Effect, MeshEvent } from "../../../src/core/mesh/effect.ts";
import type { FindingCode } from "../../../src/core/mesh/finding.ts";
import type { Input, StoreFailure } from "../../../src/core/mesh/input.ts";
import { type MeshState, type Stored, newMeshState } from "../../../src/core/mesh/mesh-state.ts";
import type { Partner, Pin } from "../../../src/core/mesh/partner.ts";
import type { ListedRow, RowOrder, RowOutcome } from "../../../src/core/mesh/row-order.ts";
import { start, step } from "../../../src/core/mesh/step.ts";
import type { SigningOrder, SigningOutcome } from "../../../src/core/record/signing.ts";
import type { Slot } from "../../../src/core/resolver/slot.ts";
import { type TrustBundle, authoritiesDigest } from "../../../src/core/spiffe/trust-bundle.ts";
import type { TrustDomain } from "../../../src/core/spiffe/trust-domain.ts";
import { toHex } from "../../../src/core/std/bytes.ts";
import type { RecordStore, StoredDomain } from "../../../src/ports/record-store.ts";
import { loadStored, toStoredDomain } from "../../../src/runtime/stored-slot.ts";
import { x509Proofs } from "../../../src/x509/proofs.ts";
import {
  NOW_S,
  type Publisher,
  type Svid,
  type TestRecord,
  signOrder,
} from "../../arbitraries/record.ts";
import { selfOf } from "../../arbitraries/start.ts";

/** What a store holds, and a switch that makes its next writes fail. */
export class TestDisk implements Pick<RecordStore, "load"> {
  readonly domains = new Map<TrustDomain, StoredDomain>();
  readonly pins = new Map<TrustDomain, Pin>();
  headCounter = 0n;
  fails = false;
  /** What it fails with, and its advice. */
  failure: StoreFailure = "STORE_FULL";
  next: string | undefined;

  async load(): ReturnType<RecordStore["load"]> {
    return {
      pins: [...this.pins.values()],
      domains: [...this.domains.values()],
      headCounter: this.headCounter,
      missing: [],
      quarantined: undefined,
      marksLost: false,
    };
  }

  /** Ids of the records of one trust domain that are on disk. */
  idsOf(trustDomain: TrustDomain): readonly (string | undefined)[] {
    const domain = this.domains.get(trustDomain);
    return [domain?.held.recordId, domain?.sibling?.recordId];
  }
}

export interface TestDaemonOptions {
  readonly disk?: TestDisk;
  readonly unmanaged?: readonly TrustDomain[];
  readonly nowMs?: number;
  /** SVIDs that the keyring has; by default that of the publisher. */
  readonly kept?: readonly Svid[];
}

/** Who brings a record unless told, as its node key in hex. */
const FORWARDER = "f0".repeat(32);

type ImportAsked = Extract<Input, { kind: "import-asked" }>;

export class TestDaemon {
  readonly disk: TestDisk;
  readonly state: MeshState;
  nowMs: number;
  /** By the clock that nobody sets. */
  uptimeMs = 0;
  /** Every effect so far, in order. */
  readonly effects: Effect[] = [];
  /** Row orders that SPIRE did not answer yet. */
  readonly orders: RowOrder[] = [];
  /** Signing orders that the keyring did not answer yet. */
  readonly signing: SigningOrder[] = [];
  readonly kept: Svid[];
  readonly #publisher: Publisher;
  #lastTicket = 0;

  /** Starts on what the disk holds. */
  static async start(publisher: Publisher, options: TestDaemonOptions = {}): Promise<TestDaemon> {
    const disk = options.disk ?? new TestDisk();
    const stored = await loadStored(disk, publisher.trustDomain, x509Proofs);
    return new TestDaemon(publisher, disk, stored, options);
  }

  private constructor(
    publisher: Publisher,
    disk: TestDisk,
    stored: Stored,
    { unmanaged = [], nowMs = NOW_S * 1_000, kept = [publisher.svid] }: TestDaemonOptions,
  ) {
    this.#publisher = publisher;
    this.disk = disk;
    this.nowMs = nowMs;
    this.kept = [...kept];
    const self = selfOf(publisher, { unmanaged: new Set(unmanaged) });
    this.state = newMeshState(self, stored, nowMs);
    this.#carryOut(start(this.state));
  }

  /** Gives one input and what follows from it to the core. Returns all its effects. */
  send(input: Input): readonly Effect[] {
    const before = this.effects.length;
    let next: Input | undefined = input;
    while (next !== undefined) {
      next = this.#carryOut(step(this.state, next, this.nowMs, x509Proofs)) ?? this.#queued.shift();
    }
    expect(this.state.pending).toBeUndefined();
    return this.effects.slice(before);
  }

  /** Sends an input that is answered, and returns the answer if there is one by now. */
  ask(makeInput: (ticket: number) => Input): Answer | undefined {
    this.#lastTicket += 1;
    const ticket = this.#lastTicket;
    this.send(makeInput(ticket));
    return this.answerOf(ticket);
  }

  answerOf(ticket: number): Answer | undefined {
    const answers = this.effects.filter((each) => each.kind === "answer" && each.ticket === ticket);
    expect(answers.length).toBeLessThanOrEqual(1);
    const [only] = answers;
    return only?.kind === "answer" ? only.answer : undefined;
  }

  get lastTicket(): number {
    return this.#lastTicket;
  }

  /** A record comes in. Returns `taken`, `unchanged`, or the code of the refusal. */
  receive(
    { envelope }: Pick<TestRecord, "envelope">,
    carrier: "gossip" | "sync" = "sync",
    from = FORWARDER,
  ): string {
    return said(
      this.ask((ticket) => ({ kind: "record-received", envelope, carrier, from, ticket })),
    );
  }

  /** A head comes in by gossip. Returns as {@link receive} does. */
  hear(envelope: Uint8Array): string {
    const from = FORWARDER;
    return said(this.ask((ticket) => ({ kind: "head-received", envelope, from, ticket })));
  }

  /** An operator imports a file, by default with the fingerprint that it has. */
  import(record: TestRecord, change: Partial<ImportAsked> = {}): string {
    return said(
      this.ask((ticket) => ({
        kind: "import-asked",
        ticket,
        envelope: record.envelope,
        fingerprint: record.idHex,
        spireAsked: true,
        addressHints: [],
        replace: false,
        row: undefined,
        hasRelationship: false,
        ...change,
      })),
    );
  }

  forget(trustDomain: TrustDomain): string {
    return said(this.ask((ticket) => ({ kind: "forget-asked", trustDomain, ticket })));
  }

  pin(trustDomain: TrustDomain, fingerprint: string): string {
    return said(this.ask((ticket) => ({ kind: "pin-asked", trustDomain, fingerprint, ticket })));
  }

  /** SPIRE's own bundle was read. */
  readBundle(bundle: TrustBundle): readonly Effect[] {
    return this.send({ kind: "local-bundle-read", bundle: { ...bundle } }); // Each read is a new one.
  }

  readRows(...rows: readonly TrustBundle[]): readonly Effect[] {
    return this.send({ kind: "rows-read", rows: listed(rows), relationships: [] });
  }

  /** Time passes in steps of a second, each with its tick. */
  wait(seconds: number): readonly Effect[] {
    const before = this.effects.length;
    for (let second = 0; second < seconds; second += 1) {
      this.nowMs += 1_000;
      this.tick(1_000);
    }
    return this.effects.slice(before);
  }

  /** A tick; what a clock that was set says is the caller's. */
  tick(afterMs = 0): readonly Effect[] {
    this.uptimeMs += afterMs;
    return this.send({ kind: "tick", uptimeMs: this.uptimeMs });
  }

  /** A peer's first sync is over. */
  sync(): readonly Effect[] {
    return this.send({ kind: "peer-synced", node: "00".repeat(32), entries: [] });
  }

  /** SPIRE answers the first order that waits, by default as it was ordered. */
  endRow(outcome: RowOutcome = { kind: "equal", wrote: true }): readonly Effect[] {
    const order = this.orders.shift();
    if (order === undefined) throw new Error("no order waits");
    return this.send({ kind: "row-ended", order, outcome });
  }

  /** The keyring answers the order that waits. */
  sign(outcome?: SigningOutcome): readonly Effect[] {
    const order = this.signing.shift();
    if (order === undefined) throw new Error("no signing order waits");
    const signedAtS = Math.floor(this.nowMs / 1_000);
    const made = signOrder(order, this.#publisher.node, this.kept, signedAtS);
    return this.send({ kind: "record-signed", outcome: outcome ?? made });
  }

  /** The own first record, exported. */
  exportOwn(bundle: TrustBundle): Answer | undefined {
    this.readBundle(bundle);
    this.ask((ticket) => ({ kind: "export-asked", ticket }));
    if (this.signing.length > 0) this.sign();
    return this.answerOf(this.#lastTicket);
  }

  partner(trustDomain: TrustDomain): Partner {
    const partner = this.state.partners.get(trustDomain);
    if (partner === undefined) throw new Error(`${trustDomain} is no partner`);
    return partner;
  }

  /** What is held of a partner. */
  slot(trustDomain: TrustDomain): Slot {
    const { slot } = this.partner(trustDomain);
    if (slot === undefined) throw new Error(`nothing is held of ${trustDomain}`);
    return slot;
  }

  /** Codes of the findings that stand. */
  get findings(): readonly FindingCode[] {
    return [...this.state.findings.values()].map(({ code }) => code).sort();
  }

  /** The slot of a trust domain as the store would keep it. */
  stored(trustDomain: TrustDomain): StoredDomain | undefined {
    const own = trustDomain === this.state.self.trustDomain;
    const slot = own ? this.state.own.slot : this.state.partners.get(trustDomain)?.slot;
    return slot && toStoredDomain({ trustDomain, slot, pin: undefined });
  }

  /**
   * All that the core remembers but of what ails it, of others' clocks, and of what is followed beside
   * the held record, as values that later steps do not change.
   */
  snapshot(): unknown {
    const { own, partners } = this.state;
    const rest = { clocks: undefined, ladder: undefined };
    return structuredClone({
      ...this.state,
      own: { ...own, clocks: undefined },
      partners: [...partners.values()].map((partner) => Object.assign({}, partner, rest)),
      findings: undefined,
      storeFailedAtMs: undefined,
    });
  }

  /** Inputs that effects put behind what waits already. */
  readonly #queued: Input[] = [];

  #carryOut(effects: readonly Effect[]): Input | undefined {
    let next: Input | undefined;
    for (const effect of effects) {
      this.effects.push(effect);
      const outcome = this.#perform(effect);
      expect(next === undefined || outcome === undefined).toBe(true);
      next ??= outcome;
    }
    return next;
  }

  #perform(effect: Effect): Input | undefined {
    switch (effect.kind) {
      case "store-domain": {
        if (this.disk.fails) return storeFailed(this.disk);
        const { domain } = effect;
        this.disk.domains.set(domain.trustDomain, structuredClone(toStoredDomain(domain)));
        if (domain.pin) this.disk.pins.set(domain.trustDomain, structuredClone(domain.pin));
        return { kind: "domain-stored" };
      }
      case "remove-domain":
        if (this.disk.fails) return storeFailed(this.disk);
        this.disk.domains.delete(effect.trustDomain);
        this.disk.pins.delete(effect.trustDomain);
        return { kind: "domain-removed" };
      case "wake-parked":
        this.#queued.push({ kind: "parked-woken", trustDomain: effect.trustDomain });
        return undefined;
      case "order-row":
        this.#expectStored(effect.order);
        this.orders.push(effect.order);
        return undefined;
      case "sign-record":
        expect(this.signing).toEqual([]); // One at a time.
        this.signing.push(effect.order);
        return undefined;
      case "announce-head":
        expect(effect.counter, "a counter that does not rise").toBeGreaterThan(
          this.disk.headCounter,
        );
        this.disk.headCounter = effect.counter;
        return undefined;
      case "answer":
        if (effect.answer.kind === "taken") {
          const { trustDomain, recordId } = effect.answer;
          const [held, sibling] = this.disk.idsOf(trustDomain);
          const isStored = recordId === held || sibling !== undefined; // Of a fork two are kept.
          expect(isStored, "answered before it was stored").toBe(true);
        }
        return undefined;
      default:
        return undefined;
    }
  }

  /** Nothing reaches SPIRE that a restart would not know of. */
  #expectStored(order: RowOrder): void {
    if (order.kind === "delete") return;
    const held = this.disk.domains.get(order.trustDomain)?.held;
    expect(held?.sequence, "written before it was stored").toBe(order.bundle.sequenceNumber);
    const stored = toHex(held?.envelope ?? new Uint8Array());
    for (const { der } of order.bundle.x509Authorities) expect(stored).toContain(toHex(der));
  }
}

function storeFailed({ failure, next }: TestDisk): Input {
  return { kind: "store-failed", failure, message: "the disk takes nothing", next };
}

/** Rows as SPIRE lists them. */
export function listed(rows: readonly TrustBundle[]): readonly ListedRow[] {
  return rows.map((row) => ({ trustDomain: row.trustDomain, digest: authoritiesDigest(row) }));
}

/** An answer in one word. */
function said(answer: Answer | undefined): string {
  if (answer === undefined) return "no answer yet";
  if (answer.kind === "refused") return answer.refusal.code;
  return answer.kind === "failed" ? answer.failure : answer.kind;
}

/** Those of one kind among effects. */
export function ofKind<Kind extends Effect["kind"]>(
  effects: readonly Effect[],
  kind: Kind,
): readonly Extract<Effect, { kind: Kind }>[] {
  return effects.filter((each): each is Extract<Effect, { kind: Kind }> => each.kind === kind);
}

/** Events that were told, by kind. */
export function told(effects: readonly Effect[]): readonly MeshEvent["kind"][] {
  return ofKind(effects, "tell").map(({ event }) => event.kind);
}
