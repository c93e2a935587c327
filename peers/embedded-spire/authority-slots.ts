/**
 * The two places in which one server keeps its own authorities of one kind, as SPIRE's CA manager
 * does:
 *
 *     prepare ──▶ next PREPARED ── activate ──▶ current ACTIVE ── the next activate ──▶ next OLD
 *
 * Preparing again replaces what was in `next`: a prepared authority that was never activated then
 * stays in the bundle, and no call can taint or revoke it any more (measured).
 */
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

  /** @param loaded Slots of an earlier run whose keys and bundle entries are still there. */
  constructor(loaded: readonly Slot[] = []) {
    const active = loaded.find(({ status }) => status === "ACTIVE");
    const other = loaded.find(({ status }) => status !== "ACTIVE");
    this.#current = active ?? other;
    this.#next = active && other;
  }

  get current(): Slot | undefined {
    return this.#current;
  }

  get next(): Slot | undefined {
    return this.#next;
  }

  /** The authority that signs. Throws before there is one. */
  get active(): Authority {
    if (this.#current === undefined) throw new Error("server is initializing");
    return this.#current.authority;
  }

  /** Both slots that hold something, for the disk. */
  all(): readonly Slot[] {
    return [this.#current, this.#next].filter((slot) => slot !== undefined);
  }

  /** Puts a fresh authority into `next`, or into `current` when that cannot sign. */
  prepare(authority: Authority): Slot {
    if (this.#current === undefined || this.#current.status === "OLD") {
      const name = this.#current?.name ?? "A";
      this.#current = { name, status: "PREPARED", authority };
      return this.#current;
    }
    const name = this.#current.name === "A" ? "B" : "A";
    this.#next = { name, status: "PREPARED", authority };
    return this.#next;
  }

  /** Lets the prepared authority sign; what signed until now becomes old. */
  activate(): Slot {
    const prepared = this.#next?.status === "PREPARED" ? this.#next : this.#current;
    if (prepared === undefined) throw new Error("no authority is prepared");
    if (prepared === this.#next) {
      this.#next = this.#current && { ...this.#current, status: "OLD" };
    }
    this.#current = { ...prepared, status: "ACTIVE" };
    return this.#current;
  }

  /** Whether rotation has to prepare a successor by now. */
  shouldPrepare(nowMs: number): boolean {
    if (this.#current === undefined || this.#current.status !== "ACTIVE") return true;
    const left = threshold(this.#current.authority, PREPARATION_DIVISOR, PREPARATION_MAX_MS);
    return this.#next?.status !== "PREPARED" && nowMs > left;
  }

  /** Whether rotation has to activate the prepared authority by now. */
  shouldActivate(nowMs: number): boolean {
    if (this.#current?.status !== "ACTIVE") return true;
    const left = threshold(this.#current.authority, ACTIVATION_DIVISOR, ACTIVATION_MAX_MS);
    return this.#next?.status === "PREPARED" && nowMs > left;
  }
}

function threshold(authority: Authority, divisor: number, maxMs: number): number {
  const lifetimeMs = authority.notAfterMs - authority.issuedAtMs;
  return authority.notAfterMs - Math.min(lifetimeMs / divisor, maxMs);
}
