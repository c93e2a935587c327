/**
 * Keeps SPIRE's rows as policy says: orders a write only on a real difference, counts how often the
 * same content had to be written, and stands down when somebody else keeps writing.
 *
 *     kept ── 4 writes of one content in 10 min, and it is overwritten again ──▶ CONTESTED
 *      ▲ ▲                                                                        │     │
 *      │ └────────── nothing was written for 10 min, and it is as it shall be ────┘     │
 *      └──────────── a new content: a rotation or a revocation is written at once ──────┘
 *
 * Law: whatever the other writer does, one content is written at most 4 times in 10 min, and while it
 * is contested once.
 */
import { toHex } from "../std/bytes.ts";
import { sha256Hex } from "../std/sha256.ts";
import { desiredRow } from "../policy/row.ts";
import { type TrustBundle, authoritiesDigest } from "../spiffe/trust-bundle.ts";
import type { TrustDomain } from "../spiffe/trust-domain.ts";
import type { Effect } from "./effect.ts";
import { type MeshState, clear, raise, tell } from "./mesh-state.ts";
import type { Partner } from "./partner.ts";
import type { ListedRow, RowOrder, RowOutcome } from "./row-order.ts";

/**
 * Writes of one content in ten minutes: the first and three more. When that is not enough two writers
 * fight, and each flip reaches every workload 0.8 to 5 s later (measured); what follows is refused.
 */
const ROW_WRITES_MAX = 4;
const ROW_WRITES_WINDOW_MS = 10 * 60_000;
/** gRPC status INVALID_ARGUMENT: SPIRE cannot read an authority (docs/protocol.md 6). */
const STATUS_INVALID_ARGUMENT = 3;
/** What stands for the digest of a row that is not there. */
export const NO_ROW = "none";

export function onRowsRead(
  state: MeshState,
  rows: readonly ListedRow[],
  relationships: readonly TrustDomain[],
  nowMs: number,
): Effect[] {
  state.rowsReadAtMs = nowMs;
  state.relationships = new Set(relationships);
  const digests = new Map(rows.map(({ trustDomain, digest }) => [trustDomain, toHex(digest)]));
  const effects = [...state.partners].flatMap(([trustDomain, partner]) => {
    if (!partner.row.writing) partner.row.seen = digests.get(trustDomain) ?? NO_ROW;
    return reconcileRow(state, partner, nowMs);
  });
  return [...clear(state, "ROWS_UNREAD", undefined), ...effects];
}

/** What was seen last still decides what is written, but is no longer shown as what SPIRE has. */
export function onRowsUnread(state: MeshState, reason: string, nowMs: number): Effect[] {
  const message = `SPIRE's federated bundles cannot be listed: ${reason}`;
  return raise(state, "ROWS_UNREAD", undefined, message, nowMs);
}

/** Compares what the row is with what it shall be, and orders the difference. */
export function reconcileRow(state: MeshState, partner: Partner, nowMs: number): Effect[] {
  const { trustDomain } = partner.pin;
  const { row } = partner;
  if (partner.forgetting !== undefined) return [];
  if (state.self.unmanaged.has(trustDomain) || row.seen === undefined || !state.synced) return [];
  const desired = desiredRow(partner.slot.held, Math.floor(nowMs / 1_000));
  if (desired === undefined) {
    const message = `every X.509 authority of ${trustDomain} has expired; its row stays as it is`;
    return raise(state, "AUTHORITIES_EXPIRED", trustDomain, message, nowMs);
  }
  const effects = clear(state, "AUTHORITIES_EXPIRED", trustDomain);
  const digest = rowDigest(desired);
  if (row.content !== digest) {
    row.content = digest;
    row.writesMs = [];
    row.contested = false;
  }
  const writes = row.writesMs.filter((atMs) => Math.abs(nowMs - atMs) < ROW_WRITES_WINDOW_MS);
  if (row.seen === digest) {
    row.provenEqualAtMs = nowMs;
    row.refused = undefined;
    if (writes.length === 0) effects.push(...endContest(state, partner)); // The last one was left alone.
    return [...effects, ...clear(state, "ROW_REFUSED", trustDomain)];
  }
  if (row.refused === digest) return effects;
  if (row.writing && row.ordered === digest) return effects;
  if (writes.length >= (row.contested ? 1 : ROW_WRITES_MAX)) {
    row.contested = true;
    return [
      ...effects,
      ...raise(state, "CONTESTED", trustDomain, whoFights(state, trustDomain), nowMs),
    ];
  }
  row.writesMs = writes;
  row.rewriting = row.ordered === digest;
  row.ordered = digest;
  row.writing = true;
  const order: RowOrder = { kind: "set", trustDomain, bundle: desired };
  return [...effects, { kind: "order-row", order }];
}

/** The other writer is gone, as the row shows or an operator says. */
export function endContest(state: MeshState, { pin, row }: Partner): Effect[] {
  row.contested = false;
  row.writesMs = [];
  return clear(state, "CONTESTED", pin.trustDomain);
}

export function onRowEnded(
  state: MeshState,
  order: RowOrder,
  outcome: RowOutcome,
  nowMs: number,
): Effect[] {
  const partner = state.partners.get(order.trustDomain);
  if (partner === undefined || order.kind === "delete" || outcome.kind === "superseded") return [];
  const digest = rowDigest(order.bundle);
  const isNewest = digest === partner.row.ordered;
  // Also told when a second look finds the row overwritten, and then nothing was written.
  const wasWriting = isNewest && partner.row.writing;
  if (isNewest) partner.row.writing = false;
  if (wasWriting && (outcome.kind === "different" || (outcome.kind === "equal" && outcome.wrote))) {
    partner.row.writesMs = [...partner.row.writesMs, nowMs];
  }
  if (outcome.kind === "different") {
    partner.row.seen = outcome.found === undefined ? NO_ROW : rowDigest(outcome.found);
    return reconcileRow(state, partner, nowMs);
  }
  if (outcome.kind === "refused") {
    // What SPIRE finds wrong with the content stays wrong; anything else is tried at the next read.
    if (outcome.status === STATUS_INVALID_ARGUMENT) partner.row.refused = digest;
    else if (isNewest) partner.row.ordered = undefined;
    const message = `SPIRE refused the row of ${order.trustDomain} with status ${outcome.status}: ${outcome.message}`;
    return raise(state, "ROW_REFUSED", order.trustDomain, message, nowMs);
  }
  partner.row.seen = digest;
  partner.row.refused = undefined;
  const effects = clear(state, "ROW_REFUSED", order.trustDomain);
  if (outcome.wrote) {
    partner.row.appliedAtMs = nowMs;
    const { sequenceNumber, x509Authorities } = order.bundle;
    const x509Sha256 = x509Authorities.map(({ der }) => sha256Hex(der));
    const { trustDomain } = order;
    const isRewrite = partner.row.rewriting;
    effects.push(
      tell({ kind: "bundle-written", trustDomain, sequenceNumber, x509Sha256, isRewrite }),
    );
  }
  return [...effects, ...reconcileRow(state, partner, nowMs)];
}

function whoFights(state: MeshState, trustDomain: TrustDomain): string {
  const who = state.relationships.has(trustDomain)
    ? "SPIRE Server itself, by its FederationRelationship"
    : "another program, or a static federates_with of server.conf";
  return `the row of ${trustDomain} was overwritten ${ROW_WRITES_MAX} times in 10 min by ${who}; the same content is written once in 10 min now, a new one at once`;
}

export function rowDigest(bundle: TrustBundle): string {
  return toHex(authoritiesDigest(bundle));
}
