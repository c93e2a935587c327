/**
 * Steps 12 and 13 of docs/protocol.md 3: a slot on its way to the store, and what follows once it
 * stands there. The answer, the event and SPIRE's row never come before the disk.
 */
import assert from "node:assert/strict";
import { equalBytes, toHex } from "../std/bytes.ts";
import type { Refusal } from "../record/refusal.ts";
import type { SignedRecord } from "../record/verify.ts";
import { returned } from "../resolver/gone.ts";
import { type Relation, type Slot, isForkEmpty } from "../resolver/slot.ts";
import type { TrustDomain } from "../spiffe/trust-domain.ts";
import type { Answer, Effect } from "./effect.ts";
import type { Ticket } from "./input.ts";
import { type MeshState, clear, raise, tell } from "./mesh-state.ts";
import { listedBy } from "./node-owners.ts";
import { type Partner, type Pin, newPartner } from "./partner.ts";
import { reconcileRow } from "./rows.ts";

/** The store failed, which a disk with more room ends. */
export const STORE_RETRY_MS = 10_000;

/**
 * Orders a slot to the store.
 *
 * @param seenRow Digest of SPIRE's row as just read, when the domain is new here.
 */
export function storeSlot(
  state: MeshState,
  pin: Pin,
  slot: Slot,
  relation: Relation,
  record: SignedRecord,
  ticket: Ticket | undefined,
  seenRow?: string,
): Effect[] {
  const { trustDomain } = pin;
  assert(state.pending === undefined, "one store effect at a time");
  state.pending = {
    onStored: (nowMs) => {
      const before = state.partners.get(trustDomain);
      const admitted = admitNodes(slot, before?.slot);
      const partner = before ?? newPartner(pin, slot);
      // Somebody more who may not know of a recovery: not after a minute.
      if (before === undefined && state.own.knocking) state.own.knocking.dueUptimeMs = 0;
      state.partners.set(trustDomain, partner);
      partner.pin = pin;
      partner.slot = slot;
      partner.ladder = undefined;
      // A start has another lineage, or none before: what its nodes said of the old one is void.
      if (slot.base === undefined && relation === "newer") partner.heads.clear();
      partner.forkedUptimeMs = slot.sibling && (partner.forkedUptimeMs ?? state.uptimeMs);
      partner.row.seen ??= seenRow;
      const recordId = record.idHex;
      const effects = [
        ...answer(ticket, { kind: "taken", trustDomain, recordId }),
        ...trackNodes(state, trustDomain, slot, nowMs),
      ];
      if (relation === "same") return effects;
      return [
        ...effects,
        accepted(record),
        ...(slot.sibling === undefined ? clear(state, "FORK", trustDomain) : []),
        ...sayForkEmpty(state, trustDomain, slot, nowMs),
        ...sayReturned(state, partner, nowMs),
        ...clear(state, "RECOVERY_FORK", trustDomain),
        ...clear(state, "CONTINUITY_GAP", trustDomain),
        ...clear(state, "ECLIPSED", trustDomain),
        ...sayAwaited(state, partner, nowMs),
        ...admitted,
        ...reconcileRow(state, partner, nowMs),
        ...wakeParked(state, trustDomain),
      ];
    },
    onFailed: ({ message }) => {
      const refusal: Refusal = { code: "STORE_FAILED", detail: message };
      return refused(refusal, record, ticket);
    },
  };
  return [{ kind: "store-domain", domain: { trustDomain, slot, pin } }];
}

/**
 * While the store is known to fail: stores again what it holds already. Else the finding would stand
 * until the next record, long after the disk has room.
 */
export function tryStore(state: MeshState, nowMs: number): Effect[] {
  const { own, partners, self, storeFailedAtMs } = state;
  if (storeFailedAtMs === undefined) return [];
  if (Math.abs(nowMs - storeFailedAtMs) < STORE_RETRY_MS) return []; // The clock may be set back.
  const partner = partners.values().find(({ slot }) => slot !== undefined);
  const held = own.slot && { trustDomain: self.trustDomain, slot: own.slot, pin: undefined };
  const domain =
    held ??
    (partner?.slot && {
      trustDomain: partner.pin.trustDomain,
      slot: partner.slot,
      pin: partner.pin,
    });
  if (domain === undefined) return [];
  assert(state.pending === undefined, "one store effect at a time");
  state.pending = { onStored: () => [], onFailed: () => [] };
  return [{ kind: "store-domain", domain }];
}

/** By way of the queue, so that other rooms have their turn between the steps of one trust domain. */
function wakeParked(state: MeshState, trustDomain: TrustDomain): Effect[] {
  return state.parked.has(trustDomain) ? [{ kind: "wake-parked", trustDomain }] : [];
}

/** A record that was named and is not here yet; whoever mistyped its id finds it here. */
export function sayAwaited(state: MeshState, { pin, slot }: Partner, nowMs: number): Effect[] {
  const { trustDomain, awaitedRecordId } = pin;
  if (awaitedRecordId === undefined) return clear(state, "PIN_AWAITED", trustDomain);
  const meanwhile = slot === undefined ? "its row stays as it is" : "what is held stays applied";
  const message = `${trustDomain} starts anew with record ${awaitedRecordId} when it arrives; ${meanwhile} until then`;
  return raise(state, "PIN_AWAITED", trustDomain, message, nowMs);
}

/** The publisher contradicted itself: what both say stays applied, and the two are the proof. */
export function sayFork(state: MeshState, { pin, slot }: Partner, nowMs: number): Effect[] {
  if (slot?.sibling === undefined) return [];
  const ids = [slot.held, slot.sibling].map(({ record }) => record.idHex);
  const message = `${pin.trustDomain} signed two records of one version, ${ids.join(" and ")}: what both say is applied`;
  return raise(state, "FORK", pin.trustDomain, message, nowMs);
}

/** Nobody is left who could end the fork. */
export function sayForkEmpty(
  state: MeshState,
  trustDomain: TrustDomain,
  slot: Slot,
  nowMs: number,
): Effect[] {
  if (!isForkEmpty(slot)) return clear(state, "FORK_EMPTY", trustDomain);
  const message = `the records of one version of ${trustDomain} have no node in common`;
  return raise(state, "FORK_EMPTY", trustDomain, message, nowMs);
}

/** What was taken back is back: it stays out of the row until an operator releases it. */
export function sayReturned(state: MeshState, { pin, slot }: Partner, nowMs: number): Effect[] {
  const { trustDomain } = pin;
  const back = slot === undefined ? [] : returned(slot.effective, slot.gone);
  if (back.length === 0 || slot === undefined) {
    return clear(state, "AUTHORITY_RETURNED", trustDomain);
  }
  const hashes = back.map(({ hash }) => toHex(hash)).join(", ");
  const message = `record ${slot.held.record.idHex} of ${trustDomain} lists what it had taken back: ${hashes}`;
  return raise(state, "AUTHORITY_RETURNED", trustDomain, message, nowMs);
}

/** The nodes that a slot's record lists may be connected; said only when it lists others than `before`. */
export function admitNodes(slot: Slot, before: Slot | undefined): Effect[] {
  const { trustDomain, nodes } = slot.effective.state;
  const known = before?.effective.state.nodes ?? [];
  const isSame =
    nodes.length === known.length &&
    nodes.every((node) => known.some((each) => equalBytes(each, node)));
  return isSame ? [] : [{ kind: "admit-nodes", trustDomain, nodes }];
}

/** Another record is held of a trust domain, or none: whose its nodes are may change with it. */
export function trackNodes(
  state: MeshState,
  trustDomain: TrustDomain,
  slot: Slot | undefined,
  nowMs: number,
): Effect[] {
  const touched = state.nodes.hold(trustDomain, slot && listedBy(slot));
  return [...touched].flatMap((each) => sayListedTwice(state, each, nowMs));
}

/** It lists a node that another lists too and signs for, or that nobody can tell whose it is. */
export function sayListedTwice(
  state: MeshState,
  trustDomain: TrustDomain,
  nowMs: number,
): Effect[] {
  const node = state.nodes.foreignNodeOf(trustDomain);
  if (node === undefined) return clear(state, "NODE_LISTED_TWICE", trustDomain);
  const owner = state.nodes.ownerOf(node);
  const other = owner ?? state.nodes.listersOf(node).find((each) => each !== trustDomain);
  const whose = owner === undefined ? "taken for nobody's" : `which signs for ${owner}`;
  const message = `${trustDomain} and ${other} list one node key, ${whose}: ${node}`;
  return raise(state, "NODE_LISTED_TWICE", trustDomain, message, nowMs);
}

export function accepted({ state: { trustDomain, version } }: SignedRecord): Effect {
  return tell({ kind: "record-accepted", trustDomain, detail: `sequence ${version.sequence}` });
}

export function answer(ticket: Ticket | undefined, told: Answer): Effect[] {
  return ticket === undefined ? [] : [{ kind: "answer", ticket, answer: told }];
}

export function refused(
  refusal: Refusal,
  record: SignedRecord | undefined,
  ticket: Ticket | undefined,
): Effect[] {
  const trustDomain = record?.state.trustDomain;
  return [
    ...answer(ticket, { kind: "refused", refusal, trustDomain, recordId: record?.idHex }),
    tell({ kind: "record-refused", trustDomain, refusal }),
  ];
}
