/**
 * The two places in which one server keeps its own authorities of one kind, as SPIRE's CA manager
 * does:
 *
 *     prepare ──▶ next PREPARED ── activate ──▶ current ACTIVE ── the next activate ──▶ next OLD
 *
 * Preparing again replaces what was in `next`: a prepared authority that was never activated then
 * stays in the bundle, and no call can taint or revoke it any more (measured).
 */
import assert from "node:assert/strict";
import type { KeyObject } from "node:crypto";

export interface Authority {
  /** X.509: the CA's subject key id in lower-case hex. JWT: the key id. */
  readonly id: string;
  readonly privateKey: KeyObject;
  /** What the bundle lists of it: DER certificate, or DER SubjectPublicKeyInfo. */
  readonly listed: Uint8Array;
  readonly issuedAtMs: number;
  readonly notAfterMs: number;
}

export type SlotStatus = "ACTIVE" | "PREPARED" | "OLD";

export interface Slot {
  readonly name: "A" | "B";
  readonly status: SlotStatus;
  readonly authority: Authority;
}

/** SPIRE prepares at half of an authority's life and activates at five sixths, with these caps. */
const PREPARATION_DIVISOR = 2;
const PREPARATION_MAX_MS = 30 * 24 * 3_600_000;
const ACTIVATION_DIVISOR = 6;
const ACTIVATION_MAX_MS = 7 * 24 * 3_600_000;

export class AuthoritySlots {
  #current: Slot | undefined;
  #next: Slot | undefined;

  /** @param kept Slots of an earlier run; without an active one among them it starts afresh. */
  constructor(kept: readonly Slot[] = []) {
    this.#current = kept.find(({ status }) => status === "ACTIVE");
    this.#next = this.#current && kept.find(({ status }) => status !== "ACTIVE");
  }

  /** What signs; undefined only before the first activation. */
  get current(): Slot | undefined {
    return this.#current;
  }

  /** What was prepared, or what signed before; undefined when neither is there. */
  get next(): Slot | undefined {
    return this.#next;
  }

  /** The slots that hold something, for the disk. */
  all(): readonly Slot[] {
    return [this.#current, this.#next].filter((slot) => slot !== undefined);
  }

  prepare(authority: Authority): Slot {
    const name = this.#current?.name === "A" ? "B" : "A";
    this.#next = { name, status: "PREPARED", authority };
    return this.#next;
  }

  /** Lets the prepared authority sign; what signed until now becomes old. */
  activate(): Slot {
    const prepared = this.#next;
    assert(prepared?.status === "PREPARED", "only a prepared authority is activated");
    this.#next = this.#current && { ...this.#current, status: "OLD" };
    this.#current = { ...prepared, status: "ACTIVE" };
    return this.#current;
  }

  /** Whether rotation has to prepare a successor by now. */
  shouldPrepare(nowMs: number): boolean {
    if (this.#next?.status === "PREPARED") return false;
    return this.#isPast(PREPARATION_DIVISOR, PREPARATION_MAX_MS, nowMs);
  }

  /** Whether rotation has to activate the prepared authority by now. */
  shouldActivate(nowMs: number): boolean {
    if (this.#next?.status !== "PREPARED") return false;
    return this.#isPast(ACTIVATION_DIVISOR, ACTIVATION_MAX_MS, nowMs);
  }

  /** Whether less than a share of the active authority's life, or than `maxMs`, is left. */
  #isPast(divisor: number, maxMs: number, nowMs: number): boolean {
    if (this.#current === undefined) return true;
    const { issuedAtMs, notAfterMs } = this.#current.authority;
    return nowMs > notAfterMs - Math.min((notAfterMs - issuedAtMs) / divisor, maxMs);
  }
}
