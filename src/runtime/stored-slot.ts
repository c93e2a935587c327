/** Slots as the store keeps them, and back. */
import type { Stored } from "../core/mesh/mesh-state.ts";
import type { SlotToStore } from "../core/mesh/partner.ts";
import type { Proofs } from "../core/record/proofs.ts";
import { type VerifiedRecord, restoreRecord } from "../core/record/verify.ts";
import { encodeFrame, restoreSlot } from "../core/resolver/frame.ts";
import { type Slot, envelopeBytes, startSlot } from "../core/resolver/slot.ts";
import { thinSteps } from "../core/resolver/steps.ts";
import type { TrustDomain } from "../core/spiffe/trust-domain.ts";
import { toHex } from "../core/std/bytes.ts";
import { Fault } from "../fault.ts";
import type {
  Mark,
  RecordStore,
  StoredContents,
  StoredDomain,
  StoredRecord,
  ThinSteps,
} from "../ports/record-store.ts";

/** Reads everything that is held. Throws `STORE_DAMAGED` when a stored record no longer reads. */
export async function loadStored(
  store: Pick<RecordStore, "load">,
  ownTrustDomain: TrustDomain,
  proofs: Proofs,
): Promise<Stored> {
  const contents = await store.load();
  const { pins, domains, missing, headCounter } = contents;
  const slots = new Map<TrustDomain, Slot>(
    domains.map((domain) => [domain.trustDomain, readSlot(domain, proofs)]),
  );
  const lost = new Set(missing.map(({ trustDomain }) => trustDomain));
  const partners = pins
    .filter(({ trustDomain }) => !lost.has(trustDomain))
    .map((pin) => {
      const slot = slots.get(pin.trustDomain);
      if (slot !== undefined) return { pin, slot };
      throw new Fault("STORE_DAMAGED", `${pin.trustDomain} is approved, but its record is missing`);
    });
  return {
    own: slots.get(ownTrustDomain),
    partners: [...partners, ...missing.flatMap(lostPartner)],
    headCounter,
    lost: whyLost(contents),
  };
}

/** A partner of whom only the mark is left: it starts again with exactly the record that stood last. */
function lostPartner({ pin, nodes, recordId }: Mark): Stored["partners"] {
  if (pin === undefined) return [];
  return [{ pin: { ...pin, awaitedRecordId: recordId }, slot: undefined, nodes }];
}

function whyLost({ quarantined, missing }: StoredContents): string | undefined {
  if (missing.length === 0) return quarantined;
  const names = `the records of ${missing.length} trust domains are to be had from partners again`;
  return quarantined === undefined ? `the store was lost; ${names}` : `${quarantined}; ${names}`;
}

/** What `store.accept` takes for a slot. */
export function toStoredDomain({ trustDomain, slot }: SlotToStore): StoredDomain {
  return {
    trustDomain,
    lineage: toHex(slot.held.record.lineage),
    nodes: slot.effective.state.nodes,
    held: toStoredRecord(slot.held),
    sibling: slot.sibling && toStoredRecord(slot.sibling),
    frame: encodeFrame(slot),
  };
}

/** Which step records stay: those without which a partner that was away could not be led on. */
export function thinWith(proofs: Proofs): ThinSteps {
  return (steps, { records }) => {
    const restored = steps.map(({ envelope }) => restoreRecord(envelope, proofs));
    const verified = restored.flatMap((each) => (each.ok ? [each.value] : []));
    const kept = new Set(thinSteps(verified, records, proofs).map(({ record }) => record.idHex));
    return steps.filter(({ recordId }) => kept.has(recordId));
  };
}

function toStoredRecord(verified: VerifiedRecord): StoredRecord {
  const { idHex, state } = verified.record;
  return { ...state.version, recordId: idHex, envelope: envelopeBytes(verified) };
}

function readSlot({ trustDomain, held, sibling, frame }: StoredDomain, proofs: Proofs): Slot {
  const damaged = (reason: string): Fault =>
    new Fault("STORE_DAMAGED", `what is stored of ${trustDomain} does not read: ${reason}`);
  const read = (stored: StoredRecord): VerifiedRecord => {
    const restored = restoreRecord(stored.envelope, proofs);
    if (restored.ok && restored.value.record.idHex === stored.recordId) return restored.value;
    throw damaged(restored.ok ? "another id" : restored.reason.code);
  };
  const first = read(held);
  if (frame.length === 0) return startSlot(first); // Stored by an earlier version, without one.
  const slot = restoreSlot(first, sibling && read(sibling), frame, proofs);
  if (slot.ok) return slot.value;
  throw damaged(slot.reason);
}
