/**
 * Drives the core: takes one input at a time, carries its effects out in order, and gives outcomes
 * back as inputs.
 *
 *     rooms ─▶ queue ─▶ step ─▶ effects ─┬─ store: awaited, its outcome is the very next input
 *                                        ├─ answer, tell: at once
 *                                        └─ sign, SPIRE, network: under way, the outcome queues
 *
 * It never waits for SPIRE or a peer. A bug in the core (an assertion) ends the loop: `failed`
 * rejects, and the daemon stops rather than guess.
 */
import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import type { Answer, Effect, MeshEvent } from "../core/mesh/effect.ts";
import type { Input, StoreFailed, Ticket } from "../core/mesh/input.ts";
import { type MeshState, raise } from "../core/mesh/mesh-state.ts";
import type { RowOrder } from "../core/mesh/row-order.ts";
import { start, step } from "../core/mesh/step.ts";
import type { Proofs } from "../core/record/proofs.ts";
import type { SigningOrder } from "../core/record/signing.ts";
import { Fault } from "../fault.ts";
import type { Keyring } from "../ports/keyring.ts";
import type { PeerConnection, PeerNetwork } from "../ports/peer-network.ts";
import type { RecordStore } from "../ports/record-store.ts";
import { InputQueue } from "./input-queue.ts";
import { toStoredDomain } from "./stored-slot.ts";

const TICK_MS = 1_000;
/**
 * A synced batch takes milliseconds. Above: STORE_FAILED until the disk answers, as nothing is taken in
 * or written meanwhile. Counted in ticks, as a clock may be set.
 */
const STORE_SLOW_MS = 10_000;
const STORE_SLOW_NEXT =
  "read the kernel's log for what the disk of data_dir waits for, and mend that: the daemon goes on by itself when the disk answers";
/**
 * Outcomes that follow from one input, each from the one before: today at most two. Above: the loop
 * ends, and the daemon.
 */
const FOLLOW_UPS_MAX = 8;

/** What the loop asks of the peer network. */
export interface LoopNetwork extends Pick<
  PeerNetwork,
  "publish" | "publishHead" | "admit" | "dial" | "syncNow"
> {
  connections(): readonly Pick<PeerConnection, "peerId">[];
}

export interface MeshLoopPorts {
  readonly state: MeshState;
  readonly proofs: Proofs;
  readonly store: Pick<RecordStore, "accept" | "remove" | "marked" | "saveHeadCounter">;
  readonly keyring: Keyring;
  /** Something that is retried by itself went wrong; for the log. */
  readonly onTrouble: (what: string, error: unknown) => void;
  readonly nowMs: () => number;
}

/** Whom the loop gives orders and events: made with the loop as their listener, so it has them late. */
export interface LoopListeners {
  readonly network: LoopNetwork;
  readonly orderRow: (order: RowOrder) => void;
  readonly knock: (envelope: Uint8Array) => void;
  readonly onEvent: (event: MeshEvent) => void;
}

/** What the simulator has its own of: a step that it watches, and virtual time. */
export interface LoopSeams {
  /** May end between two effects, as a process does. */
  readonly step: (...given: Parameters<typeof step>) => Iterable<Effect>;
  /** Milliseconds by a clock that nobody sets. */
  readonly uptimeMs: () => number;
  /** Returns what ends it. */
  readonly every: (intervalMs: number, happen: () => void) => () => void;
  /** Gives sockets, timers and the admin API their turn. */
  readonly giveWay: () => Promise<void>;
}

const REAL: LoopSeams = {
  step,
  uptimeMs: () => performance.now(),
  every: (intervalMs, happen) => {
    const timer = setInterval(happen, intervalMs);
    return () => clearInterval(timer);
  },
  giveWay: setImmediate,
};

export class MeshLoop {
  /** Rejects when the core broke one of its own rules. Never resolves. */
  readonly failed: Promise<never>;
  readonly #fail: (error: unknown) => void;
  readonly #ports: MeshLoopPorts;
  readonly #seams: LoopSeams;
  readonly #queue: InputQueue;
  readonly #waiting = new Map<Ticket, (answer: Answer) => void>();
  #lastTicket: Ticket = 0;
  /** Since the store was last asked; undefined while it is not. */
  #storeTicks: number | undefined;
  #listeners: LoopListeners | undefined;
  #endTicks: (() => void) | undefined;
  #running: Promise<void> | undefined;

  constructor(ports: MeshLoopPorts, seams: LoopSeams = REAL) {
    this.#ports = ports;
    this.#seams = seams;
    this.#queue = new InputQueue((node) => ports.state.nodes.listersOf(node));
    const { promise, reject } = Promise.withResolvers<never>();
    this.failed = promise;
    this.#fail = reject;
    this.failed.catch(() => undefined); // Whoever watches it hears of it; nobody must.
  }

  start(listeners: LoopListeners): void {
    this.#listeners = listeners;
    this.#endTicks = this.#seams.every(TICK_MS, () => this.#tick());
    this.#running = this.#run().catch(this.#fail);
  }

  /** Ends after the input under way; who still waits is told that the daemon stops. */
  async stop(): Promise<void> {
    this.#endTicks?.();
    this.#queue.close();
    await this.#running;
    const answer: Answer = {
      kind: "failed",
      failure: "NOT_READY",
      message: "the daemon stops",
      next: undefined,
    };
    for (const resolve of this.#waiting.values()) resolve(answer);
    this.#waiting.clear();
  }

  /** Adds an input; false when it came from a peer and too many of those wait. */
  put(input: Input): boolean {
    return this.#queue.put(input);
  }

  /** Adds an input that gets an answer. Undefined when it was not taken in. */
  async ask(makeInput: (ticket: Ticket) => Input): Promise<Answer | undefined> {
    this.#lastTicket += 1;
    const ticket = this.#lastTicket;
    const { promise, resolve } = Promise.withResolvers<Answer>();
    this.#waiting.set(ticket, resolve);
    if (this.put(makeInput(ticket))) return await promise;
    this.#waiting.delete(ticket);
    return undefined;
  }

  #tick(): void {
    this.put({ kind: "tick", uptimeMs: this.#seams.uptimeMs() });
    if (this.#storeTicks === undefined) return;
    this.#storeTicks += 1;
    if (this.#storeTicks === STORE_SLOW_MS / TICK_MS) this.#saySlow();
  }

  /** The core gets no input before the disk answers; what comes of that then ends the finding. */
  #saySlow(): void {
    const { state, nowMs } = this.#ports;
    const message = `the disk of data_dir has not answered for ${STORE_SLOW_MS / 1_000} s`;
    const told = raise(state, "STORE_FAILED", undefined, message, nowMs(), STORE_SLOW_NEXT);
    for (const effect of told) if (effect.kind === "tell") this.#listeners?.onEvent(effect.event);
  }

  async #run(): Promise<void> {
    await this.#carryOut(start(this.#ports.state));
    for (;;) {
      const input = await this.#queue.take();
      if (input === undefined) return;
      await this.#handle(input);
      // So that sockets and timers get their turn, however many records wait.
      if (input.kind === "record-received" || input.kind === "head-received") {
        await this.#seams.giveWay();
      }
    }
  }

  async #handle(first: Input): Promise<void> {
    let input: Input | undefined = first;
    for (let turn = 0; input !== undefined; turn += 1) {
      if (turn > FOLLOW_UPS_MAX) throw new Error(`endless follow-ups of ${first.kind}`);
      const { state, nowMs, proofs } = this.#ports;
      input = await this.#carryOut(this.#seams.step(state, input, nowMs(), proofs));
    }
  }

  /** Carries effects out in order. Returns the outcome that must be the next input, if any. */
  async #carryOut(effects: Iterable<Effect>): Promise<Input | undefined> {
    let next: Input | undefined;
    for (const effect of effects) next = (await this.#perform(effect)) ?? next;
    return next;
  }

  async #perform(effect: Effect): Promise<Input | undefined> {
    const { store, keyring, nowMs } = this.#ports;
    assert(this.#listeners !== undefined, "nothing is carried out before the start");
    const { network, knock, onEvent } = this.#listeners;
    switch (effect.kind) {
      case "store-domain": {
        const { domain } = effect;
        const isStart = domain.slot.base === undefined;
        const stored = store.accept(toStoredDomain(domain), domain.pin, isStart);
        return await this.#outcome(stored, { kind: "domain-stored" });
      }
      case "remove-domain":
        return await this.#outcome(store.remove(effect.trustDomain), { kind: "domain-removed" });
      case "sign-record":
        void this.#sign(effect.order);
        return undefined;
      case "mint-ahead":
        void this.#tryOut("Minting an X509-SVID ahead", keyring.mintAhead(nowMs()));
        return undefined;
      case "publish-record":
        void this.#tryOut("Publishing a record", network.publish(effect.envelope));
        return undefined;
      case "announce-head":
        void this.#tryOut("Announcing the own record", this.#announce(effect));
        return undefined;
      case "knock":
        knock(effect.envelope);
        return undefined;
      case "order-row":
        void this.#orderMarked(effect.order);
        return undefined;
      case "admit-nodes":
        network.admit(effect.trustDomain, effect.nodes);
        return undefined;
      case "dial":
        network.dial(effect.trustDomain, effect.addresses);
        return undefined;
      case "sync-soon":
        for (const { peerId } of network.connections()) {
          void this.#tryOut("Syncing", network.syncNow(peerId));
        }
        return undefined;
      case "wake-parked":
        this.put({ kind: "parked-woken", trustDomain: effect.trustDomain });
        return undefined;
      case "answer":
        this.#waiting.get(effect.ticket)?.(effect.answer);
        this.#waiting.delete(effect.ticket);
        return undefined;
      case "tell":
        onEvent(effect.event);
        return undefined;
    }
  }

  async #outcome(work: Promise<void>, done: Input): Promise<Input> {
    this.#storeTicks = 0;
    try {
      await work;
      return done;
    } catch (error) {
      // A damaged store is not worked around: the loop ends, and the daemon with it.
      if (error instanceof Fault && error.code === "STORE_DAMAGED") throw error;
      this.#ports.onTrouble("Storing", error);
      return storeFailed(error);
    } finally {
      this.#storeTicks = undefined;
    }
  }

  async #sign(order: SigningOrder): Promise<void> {
    const { keyring, nowMs, onTrouble } = this.#ports;
    try {
      this.put({ kind: "record-signed", outcome: await keyring.sign(order, nowMs()) });
    } catch (error) {
      onTrouble("Signing a record", error);
      const isAway = error instanceof Fault && error.code === "SPIRE_UNREACHABLE";
      const kind = isAway ? "spire-away" : "no-new-chain";
      this.put({ kind: "record-signed", outcome: { kind, problem: messageOf(error) } });
    }
  }

  /** The counter is on disk before anybody sees it, or a restart might send a lower one. */
  async #announce({ payload, counter }: Extract<Effect, { kind: "announce-head" }>): Promise<void> {
    const { store, keyring } = this.#ports;
    await store.saveHeadCounter(counter);
    await this.#listeners?.network.publishHead(keyring.signHead(payload));
  }

  /** A row never stands in SPIRE that the marks do not know: an older disk would not be noticed. */
  async #orderMarked(order: RowOrder): Promise<void> {
    const { store, onTrouble } = this.#ports;
    try {
      await store.marked();
      this.#listeners?.orderRow(order);
    } catch (error) {
      onTrouble("Writing the marks", error);
      this.put({ kind: "row-ended", order, outcome: { kind: "away", message: messageOf(error) } });
    }
  }

  async #tryOut(what: string, work: Promise<void>): Promise<void> {
    try {
      await work;
    } catch (error) {
      this.#ports.onTrouble(what, error);
    }
  }
}

/** With the fault's code and advice. Whatever else a disk may say counts as full. */
function storeFailed(error: unknown): StoreFailed {
  const fault = error instanceof Fault ? error : undefined;
  const isKnown = fault?.code === "CANNOT_CREATE" || fault?.code === "NOT_READY";
  const failure = isKnown ? fault.code : "STORE_FULL";
  return { kind: "store-failed", failure, message: messageOf(error), next: fault?.advice };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
