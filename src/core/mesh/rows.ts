/**
 * Keeps SPIRE's rows as policy says: orders a write only on a real difference, counts how often a row
 * had to be put back as it was kept, and stands down when somebody else keeps writing.
 *
 *     kept ── put back 3 times in 10 min, and overwritten again ──────────────▶ CONTESTED
 *      ▲                                                                            │
 *      └── nothing was written for 10 min and it is as it shall be, or -replace ────┘
 *
 * Law: a content other than the row was last kept as is written at once, contested or not: a rotation,
 * a revocation. A row is put back at most 3 times in 10 min, whatever its contents were, and while it
 * is contested once. So it is written as often as its partner changes it, and 3 times more in 10 min.
 * A partner may gossip two changes a second; ROW_PAUSE_MS lets one write a second through.
 */
import { toHex } from "../std/bytes.ts";
import { sha256Hex } from "../std/sha256.ts";
import { toSeconds } from "../std/unix-time.ts";
import { desiredRow } from "../policy/row.ts";
import { type TrustBundle, authoritiesDigest } from "../spiffe/trust-bundle.ts";
import type { TrustDomain } from "../spiffe/trust-domain.ts";
import type { Effect } from "./effect.ts";
import { type MeshState, clear, isRaised, raise, tell } from "./mesh-state.ts";
import type { Partner } from "./partner.ts";
import type { ListedRow, RowOrder, RowOutcome } from "./row-order.ts";

/**
 * How often a row is put back in ten minutes. When that is not enough two writers fight, and each
 * flip reaches every workload 0.8 to 5 s later (measured). Above: CONTESTED, and it is left as it is.
 */
const REWRITES_MAX = 3;
/**
 * The same while it is contested: so that a partner is not lost for good where nobody looks. Above: it
 * is left as it is.
 */
const CONTESTED_REWRITES_MAX = 1;
const REWRITES_WINDOW_MS = 10 * 60_000;
/** gRPC status INVALID_ARGUMENT: SPIRE cannot read an authority. */
const STATUS_INVALID_ARGUMENT = 3;
/** Our guess at what is read at once: foreign authorities of a row that are told of. Above: left out. */
const FOREIGN_MAX = 8;
/** What stands for the digest of a row that is not there. */
export const NO_ROW = "none";

export function onRowsRead(
  state: MeshState,
  rows: readonly ListedRow[],
  relationships: readonly TrustDomain[],
  nowMs: number,
): Effect[] {
  state.rowsReadAtMs = nowMs;
  state.rowsUnread = false;
  state.relationships = new Set(relationships);
  const digests = new Map(rows.map(({ trustDomain, digest }) => [trustDomain, toHex(digest)]));
  const effects = [...state.partners].flatMap(([trustDomain, partner]) => {
    if (!partner.row.writing) partner.row.seen = digests.get(trustDomain) ?? NO_ROW;
    return reconcileRow(state, partner, nowMs);
  });
  return [...clear(state, "ROWS_UNREAD", undefined), ...effects];
}

/** What was seen last still decides what is written, but is no longer shown as what SPIRE has. */
export function onRowsUnread(
  state: MeshState,
  reason: string,
  next: string | undefined,
  nowMs: number,
): Effect[] {
  state.rowsUnread = true;
  if (state.spireAway !== undefined) return []; // That is told already.
  const message = `SPIRE's federated bundles cannot be listed: ${reason}`;
  return raise(state, "ROWS_UNREAD", undefined, message, nowMs, next);
}

/** Compares what the row is with what it shall be, and orders the difference. */
export function reconcileRow(state: MeshState, partner: Partner, nowMs: number): Effect[] {
  const { trustDomain } = partner.pin;
  const { row } = partner;
  if (partner.forgetting !== undefined) return [];
  if (state.self.unmanaged.has(trustDomain) || row.seen === undefined || !state.synced) return [];
  const { slot } = partner;
  if (slot === undefined) return []; // Below what was acknowledged: the row stays as it is.
  const desired = desiredRow(slot, toSeconds(nowMs));
  if (desired === undefined) {
    if (isRaised(state, "AUTHORITY_RETURNED", trustDomain)) return []; // It is all that there is.
    const message = `every X.509 authority of ${trustDomain} has expired; its row stays as it is`;
    return raise(state, "AUTHORITIES_EXPIRED", trustDomain, message, nowMs);
  }
  const effects = clear(state, "AUTHORITIES_EXPIRED", trustDomain);
  const digest = rowDigest(desired);
  const isRecent = (atMs: number): boolean => Math.abs(nowMs - atMs) < REWRITES_WINDOW_MS;
  row.rewritesMs = row.rewritesMs.filter(isRecent);
  if (row.seen === digest && !row.writing) {
    row.provenEqualAtMs = nowMs;
    row.kept = digest;
    row.refused = undefined;
    const wasLeftAlone = row.rewritesMs.length === 0 && !isRecent(row.appliedAtMs ?? -Infinity);
    if (wasLeftAlone) effects.push(...endContest(state, partner));
    return [...effects, ...clear(state, "ROW_REFUSED", trustDomain)];
  }
  if (row.refused?.digest === digest && isRecent(row.refused.atMs)) return effects;
  if (row.writing && row.ordered === digest) return effects;
  const isContested = isRaised(state, "CONTESTED", trustDomain);
  const rewritesMax = isContested ? CONTESTED_REWRITES_MAX : REWRITES_MAX;
  const isRewrite = row.kept === digest && !row.writing; // Else another content is under way.
  if (isRewrite && row.rewritesMs.length >= rewritesMax) {
    return [
      ...effects,
      ...raise(state, "CONTESTED", trustDomain, whoFights(state, trustDomain), nowMs),
    ];
  }
  row.ordered = digest;
  row.writing = true;
  const order: RowOrder = { kind: "set", trustDomain, bundle: desired };
  return [...effects, { kind: "order-row", order }];
}

/** SPIRE was away: another server may answer now, or the same one after an update. */
export function forgetRefused(state: MeshState): void {
  for (const { row } of state.partners.values()) row.refused = undefined;
}

/** The other writer is gone, as the row shows or an operator says. */
export function endContest(state: MeshState, { pin, row }: Partner): Effect[] {
  row.rewritesMs = [];
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
  const { row } = partner;
  const digest = rowDigest(order.bundle);
  // "different" is also told when a second look finds the row overwritten: nothing was written then.
  const isEqual = outcome.kind === "equal";
  const wasWritten = isEqual ? outcome.wrote : outcome.kind === "different" && row.writing;
  const isRewrite = wasWritten && row.kept === digest;
  if (isRewrite) row.rewritesMs = [...row.rewritesMs, nowMs];
  if (isEqual || wasWritten) row.kept = digest;
  if (row.ordered === digest) row.writing = false;
  if (outcome.kind === "different") {
    row.seen = outcome.found === undefined ? NO_ROW : rowDigest(outcome.found);
    return reconcileRow(state, partner, nowMs);
  }
  if (outcome.kind === "away") return []; // Tried at the next read.
  if (outcome.kind === "refused") {
    // What SPIRE finds wrong with the content mostly stays wrong; the rest is tried at the next read.
    if (outcome.status === STATUS_INVALID_ARGUMENT) row.refused = { digest, atMs: nowMs };
    const message = `SPIRE refused the row of ${order.trustDomain} with status ${outcome.status}: ${outcome.message}`;
    return raise(state, "ROW_REFUSED", order.trustDomain, message, nowMs);
  }
  row.seen = digest;
  row.refused = undefined;
  const effects = clear(state, "ROW_REFUSED", order.trustDomain);
  if (outcome.wrote) {
    row.appliedAtMs = nowMs;
    const { sequenceNumber, x509Authorities } = order.bundle;
    const x509Sha256 = x509Authorities.map(({ der }) => sha256Hex(der));
    const { trustDomain } = order;
    const foreign = outcome.over?.x509Authorities.map(({ der }) => sha256Hex(der)) ?? [];
    const overwritten = {
      foreignX509Sha256: foreign.filter((each) => !x509Sha256.includes(each)).slice(0, FOREIGN_MAX),
      by: otherWriter(state, trustDomain),
    };
    effects.push(
      tell({
        kind: "bundle-written",
        trustDomain,
        sequenceNumber,
        x509Sha256,
        overwritten: isRewrite ? overwritten : undefined,
      }),
    );
  }
  return [...effects, ...reconcileRow(state, partner, nowMs)];
}

function whoFights(state: MeshState, trustDomain: TrustDomain): string {
  const who = otherWriter(state, trustDomain);
  return `the row of ${trustDomain} was put back ${REWRITES_MAX} times in 10 min and overwritten each time by ${who}; it is put back once in 10 min now, a new content is written at once`;
}

/** Who else writes this row, in words, as far as SPIRE says. */
export function otherWriter(state: MeshState, trustDomain: TrustDomain): string {
  return state.relationships.has(trustDomain)
    ? "SPIRE Server itself, by its FederationRelationship"
    : "another program, or a static federates_with of server.conf";
}

export function rowDigest(bundle: TrustBundle): string {
  return toHex(authoritiesDigest(bundle));
}
