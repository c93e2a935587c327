/** A partner: an approval, what is held of its trust domain, and SPIRE's row of it. */
import type { Slot } from "../resolver/slot.ts";
import type { TrustDomain } from "../spiffe/trust-domain.ts";
import { type HeardClocks, HeardHeads, newClocks } from "./heard.ts";
import type { Ticket } from "./input.ts";
import type { Ladder } from "./ladder.ts";
import { Meter } from "./meter.ts";

/** An operator's approval of a partner. */
export interface Pin {
  readonly trustDomain: TrustDomain;
  /** The record id that came out of band. 64 hex digits. */
  readonly approvedRecordId: string;
  readonly approvedAtMs: number;
  /**
   * Set by `bundle pin` until the record of exactly this id arrives, which then replaces what is held:
   * another lineage or a sibling; never an older record of the held lineage. 64 hex digits.
   */
  readonly awaitedRecordId: string | undefined;
  /** Multiaddrs that came with an import; hints for dialing, never trusted. */
  readonly addressHints: readonly string[];
}

/** SPIRE's row of a partner, as last seen and ordered. Digests are hex of `authoritiesDigest`. */
export interface Row {
  /** Undefined before the first read; "none" when there is no row. */
  seen: string | undefined;
  ordered: string | undefined;
  /** The newest order is not ended yet; what is seen meanwhile says nothing. */
  writing: boolean;
  /** Digest of the row when it last matched the desired one. Undefined before, and after a deletion. */
  kept: string | undefined;
  /** When it was put back as it was kept, whatever that was by then; in the last ten minutes. */
  rewritesMs: readonly number[];
  /** Content that SPIRE refused, and when. */
  refused: { readonly digest: string; readonly atMs: number } | undefined;
  provenEqualAtMs: number | undefined;
  appliedAtMs: number | undefined;
}

export interface Partner {
  pin: Pin;
  /** Undefined until the record that was named for a start is here. */
  slot: Slot | undefined;
  readonly row: Row;
  readonly meter: Meter;
  readonly heads: HeardHeads;
  readonly clocks: HeardClocks;
  /** When one of its nodes last answered a sync, and by the clock that nobody sets. */
  lastHeardAtMs: number | undefined;
  lastHeardUptimeMs: number | undefined;
  /** Which of our records its node named then. */
  holdsOurs: { readonly recordId: string; readonly atMs: number } | undefined;
  /** Since when a node of it stands on a version that is not held, and rounds of sync since. */
  unreached: { readonly sinceUptimeMs: number; rounds: number } | undefined;
  /** When a second record of the held version came. */
  forkedUptimeMs: number | undefined;
  /** Every held authority has expired: what steps lead to, and who else stands on them. */
  ladder: Ladder | undefined;
  /** Who waits for `forget`. */
  forgetting: Ticket | undefined;
}

/** A slot on its way to the store: what is held, what it was judged against, and the evidence. */
export interface SlotToStore {
  readonly trustDomain: TrustDomain;
  readonly slot: Slot;
  /** Undefined for the own trust domain. */
  readonly pin: Pin | undefined;
}

function newRow(): Row {
  return {
    seen: undefined,
    ordered: undefined,
    writing: false,
    kept: undefined,
    rewritesMs: [],
    refused: undefined,
    provenEqualAtMs: undefined,
    appliedAtMs: undefined,
  };
}

export function newPartner(pin: Pin, slot: Slot | undefined): Partner {
  return {
    pin,
    slot,
    row: newRow(),
    meter: new Meter(),
    heads: new HeardHeads(),
    clocks: newClocks(),
    lastHeardAtMs: undefined,
    lastHeardUptimeMs: undefined,
    holdsOurs: undefined,
    unreached: undefined,
    forkedUptimeMs: undefined,
    ladder: undefined,
    forgetting: undefined,
  };
}
