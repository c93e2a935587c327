/**
 * Writes the rows of other trust domains, one at a time, and proves each by reading it back:
 *
 *     order ─▶ waiting ─▶ read ─┬─ as ordered ──────────────────────────▶ equal
 *      (the newest of           └─ write ─▶ read ─┬─ as ordered ────────▶ equal ─ 1 s ─▶ read
 *       a domain stands)           │              └─ somebody else's ──▶ different ◀───────┘
 *                                  ├─ SPIRE says no ───────────────────▶ refused
 *                                  └─ SPIRE is away ─▶ waiting; a deletion: away
 *
 * Every write of a row is pushed to every workload (read in SPIRE), so nothing is written that is
 * there already. SPIRE has no compare-and-swap, so a second look follows after a second.
 */
import assert from "node:assert/strict";
import type { RowOrder, RowOutcome } from "../core/mesh/row-order.ts";
import { type TrustBundle, sameAuthorities } from "../core/spiffe/trust-bundle.ts";
import type { TrustDomain } from "../core/spiffe/trust-domain.ts";
import { PINNED_DOMAINS_MAX, ROW_PAUSE_MS } from "../core/std/limits.ts";
import { Fault } from "../fault.ts";
import type { SpireServer } from "../ports/spire-server.ts";
import { Code } from "../spire-api/services.ts";
import { type Pace, backOffMs, realPace } from "./pace.ts";
import { orFault } from "./spire-fault.ts";
import { TurnLoop } from "./turn-loop.ts";

/** Sleep with nothing to do; an order ends it. */
const IDLE_MS = 60_000;

type Rows = Pick<
  SpireServer,
  "readFederatedBundle" | "setFederatedBundle" | "deleteFederatedBundle"
>;

export interface RowWriterEvents {
  /**
   * What came of an order, once for each; and once more, as `different`, when the second look finds
   * that somebody else wrote the row meanwhile.
   */
  onRowOutcome(order: RowOrder, outcome: RowOutcome): void;
  /** SPIRE is away; the order waits and is tried again. Said once until an order is through. */
  onWritesDelayed(fault: Fault): void;
}

interface Waiting {
  readonly order: RowOrder;
  /** It was sent before, but SPIRE went away before we could read it back. */
  readonly sent: boolean;
}

/** A row that was written, until its pause is over. */
interface Written {
  readonly order: RowOrder;
  readonly atMs: number;
  /** It was read back as ordered, so a second look is due. */
  readonly proven: boolean;
}

export class RowWriter {
  readonly #pace: Pace;
  readonly #server: Rows;
  readonly #events: RowWriterEvents;
  readonly #loop: TurnLoop;
  /** In the order in which they are tried; at most {@link PINNED_DOMAINS_MAX}. */
  readonly #waiting = new Map<TrustDomain, Waiting>();
  /** In the order of their writes; each stays for {@link ROW_PAUSE_MS}. */
  readonly #written = new Map<TrustDomain, Written>();
  /** Tries in a row that found SPIRE away. */
  #failures = 0;
  #pausedUntilMs = 0;
  #writes = 0;

  constructor(
    { pace = realPace }: { readonly pace?: Pace },
    server: Rows,
    events: RowWriterEvents,
  ) {
    this.#pace = pace;
    this.#server = server;
    this.#events = events;
    this.#loop = new TurnLoop(async () => await this.#turn(), pace);
  }

  /** Writes and deletions sent to SPIRE Server so far. */
  get writes(): number {
    return this.#writes;
  }

  start(): void {
    this.#loop.start();
  }

  /** Resolves when the order under way has ended. What still waits is dropped without an outcome. */
  async stop(): Promise<void> {
    await this.#loop.stop();
  }

  /** Takes an order in; it replaces a waiting one of the same trust domain, which is `superseded`. */
  order(order: RowOrder): void {
    const { trustDomain } = order;
    const older = this.#waiting.get(trustDomain);
    if (older === undefined && this.#waiting.size >= PINNED_DOMAINS_MAX) {
      const message = `${PINNED_DOMAINS_MAX} rows wait to be written already`;
      this.#events.onRowOutcome(order, {
        kind: "refused",
        status: Code.ResourceExhausted,
        message,
      });
      return;
    }
    this.#waiting.set(trustDomain, { order, sent: false });
    if (older !== undefined) this.#events.onRowOutcome(older.order, { kind: "superseded" });
    this.#loop.wake();
  }

  /** Does all that is due. Resolves with the milliseconds until something is. */
  async #turn(): Promise<number> {
    while (!this.#loop.stopped) {
      const looked = await this.#lookAgain();
      const next = this.#next();
      if (next !== undefined) await this.#carryOut(next);
      else if (!looked) break;
    }
    return this.#untilDueMs();
  }

  /** Takes the first waiting order whose row may be written now. */
  #next(): Waiting | undefined {
    if (this.#pace.nowMs() < this.#pausedUntilMs) return undefined;
    for (const [trustDomain, waiting] of this.#waiting) {
      if (this.#written.has(trustDomain)) continue;
      this.#waiting.delete(trustDomain);
      return waiting;
    }
    return undefined;
  }

  #untilDueMs(): number {
    const [firstWritten] = this.#written.values();
    const pauseEndsMs = firstWritten === undefined ? Infinity : firstWritten.atMs + ROW_PAUSE_MS;
    const mayWrite = this.#waiting.keys().some((trustDomain) => !this.#written.has(trustDomain));
    const dueMs = Math.min(pauseEndsMs, mayWrite ? this.#pausedUntilMs : Infinity);
    return Math.min(Math.max(dueMs - this.#pace.nowMs(), 0), IDLE_MS);
  }

  async #carryOut(waiting: Waiting): Promise<void> {
    const writesBefore = this.#writes;
    const outcome = await orFault(this.#makeSo(waiting));
    if (outcome instanceof Fault && outcome.code === "SPIRE_UNREACHABLE") {
      const sent = waiting.sent || this.#writes > writesBefore;
      this.#delay({ order: waiting.order, sent }, outcome);
      return;
    }
    this.#failures = 0;
    this.#tell(waiting.order, outcome instanceof Fault ? refusedBy(outcome) : outcome);
  }

  async #makeSo({ order, sent }: Waiting): Promise<RowOutcome> {
    const over = await this.#read(order);
    if (isAsOrdered(order, over)) return { kind: "equal", wrote: sent };
    this.#writes += 1;
    this.#markWritten(order, false);
    const outcome = await this.#write(order);
    if (outcome.kind === "refused") return outcome;
    const found = await this.#read(order);
    if (!isAsOrdered(order, found)) return { kind: "different", found };
    this.#markWritten(order, true);
    return { kind: "equal", wrote: true, over };
  }

  async #read({ trustDomain }: RowOrder): Promise<TrustBundle | undefined> {
    return await this.#server.readFederatedBundle(trustDomain);
  }

  async #write(order: RowOrder): ReturnType<Rows["setFederatedBundle"]> {
    if (order.kind === "delete") return await this.#server.deleteFederatedBundle(order.trustDomain);
    // An empty row fails the Workload API of the workloads beside us as a whole (measured).
    assert(order.bundle.x509Authorities.length > 0, "an empty bundle is never written");
    return await this.#server.setFederatedBundle(order.bundle);
  }

  #markWritten(order: RowOrder, proven: boolean): void {
    this.#written.set(order.trustDomain, { order, atMs: this.#pace.nowMs(), proven });
  }

  /**
   * Ends the oldest pause that is over; its row is read a second time unless a newer order waits.
   * One at a time, so that a thousand second looks do not hold up an order. False when none was due.
   */
  async #lookAgain(): Promise<boolean> {
    const [oldest] = this.#written.values();
    if (oldest === undefined || this.#pace.nowMs() < oldest.atMs + ROW_PAUSE_MS) return false;
    const { order, proven } = oldest;
    this.#written.delete(order.trustDomain);
    if (!proven || this.#waiting.has(order.trustDomain)) return true;
    const found = await orFault(this.#read(order));
    if (found instanceof Fault) return true; // Away: the row watcher sees the row later.
    if (!isAsOrdered(order, found)) this.#tell(order, { kind: "different", found });
    return true;
  }

  /**
   * SPIRE is away. A set order goes behind the others, so that one row which SPIRE's datastore cannot
   * take holds up nobody. A deletion is given up: somebody waits for its answer, and it must not
   * happen later behind his back.
   */
  #delay(waiting: Waiting, fault: Fault): void {
    const { order } = waiting;
    this.#failures += 1;
    this.#pausedUntilMs = this.#pace.nowMs() + backOffMs(this.#failures, this.#pace);
    if (this.#failures === 1 && !this.#loop.stopped) this.#events.onWritesDelayed(fault);
    if (order.kind === "delete") this.#tell(order, { kind: "away", message: fault.message });
    else if (this.#waiting.has(order.trustDomain)) this.#tell(order, { kind: "superseded" });
    else this.#waiting.set(order.trustDomain, waiting);
  }

  #tell(order: RowOrder, outcome: RowOutcome): void {
    if (!this.#loop.stopped) this.#events.onRowOutcome(order, outcome);
  }
}

/** Taint is not compared: SPIRE drops it from a federated row (measured). */
function isAsOrdered(order: RowOrder, found: TrustBundle | undefined): boolean {
  if (order.kind === "delete") return found === undefined;
  return found !== undefined && sameAuthorities(order.bundle, found);
}

function refusedBy(fault: Fault): RowOutcome {
  const { status } = fault.details;
  return {
    kind: "refused",
    status: typeof status === "number" ? status : Code.Unknown,
    message: fault.message,
  };
}
