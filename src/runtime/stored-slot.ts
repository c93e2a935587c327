/** Slots as the store keeps them, and back. */
import type { Stored } from "../core/mesh/mesh-state.ts";
import type { SlotToStore } from "../core/mesh/partner.ts";
import type { Proofs } from "../core/record/proofs.ts";
import { type VerifiedRecord, restoreRecord } from "../core/record/verify.ts";
import { type Slot, envelopeBytes } from "../core/resolver/slot.ts";
import type { TrustDomain } from "../core/spiffe/trust-domain.ts";
import { toHex } from "../core/std/bytes.ts";
import { Fault } from "../fault.ts";
import type { StoredContents, StoredDomain, StoredRecord } from "../ports/record-store.ts";

/** Reads everything that is held. Throws `STORE_DAMAGED` when a stored record no longer reads. */
export async function loadStored(
  store: { load(): Promise<Pick<StoredContents, "pins" | "domains">> },
  ownTrustDomain: TrustDomain,
  proofs: Proofs,
): Promise<Stored> {
  const { pins, domains } = await store.load();
  const slots = new Map<TrustDomain, Slot>(
    domains.map((domain) => [domain.trustDomain, readSlot(domain, proofs)]),
  );
  return {
    own: slots.get(ownTrustDomain),
    partners: pins.map((pin) => {
      const slot = slots.get(pin.trustDomain);
      if (slot !== undefined) return { pin, slot };
      throw new Fault("STORE_DAMAGED", `${pin.trustDomain} is approved, but its record is missing`);
    }),
  };
}

/** What `store.accept` takes for a slot. */
export function toStoredDomain({ trustDomain, slot }: SlotToStore): StoredDomain {
  const { lineage, state } = slot.held.record;
  return {
    trustDomain,
    lineage: toHex(lineage),
    nodes: state.nodes,
    held: toStoredRecord(slot.held),
    sibling: slot.sibling && toStoredRecord(slot.sibling),
    frame: slot.base === undefined ? new Uint8Array() : envelopeBytes(slot.base),
  };
}

function toStoredRecord(verified: VerifiedRecord): StoredRecord {
  const { idHex, state } = verified.record;
  return { ...state.version, recordId: idHex, envelope: envelopeBytes(verified) };
}

function readSlot({ trustDomain, held, sibling, frame }: StoredDomain, proofs: Proofs): Slot {
  const readEnvelope = (envelope: Uint8Array, recordId?: string): VerifiedRecord => {
    const restored = restoreRecord(envelope, proofs);
    const isRight = (idHex: string): boolean => recordId === undefined || idHex === recordId;
    if (restored.ok && isRight(restored.value.record.idHex)) return restored.value;
    const reason = restored.ok ? "another id" : restored.reason.code;
    throw new Fault(
      "STORE_DAMAGED",
      `the stored record of ${trustDomain} does not read: ${reason}`,
    );
  };
  const read = (stored: StoredRecord) => readEnvelope(stored.envelope, stored.recordId);
  return {
    held: read(held),
    base: frame.length === 0 ? undefined : readEnvelope(frame),
    sibling: sibling && read(sibling),
  };
}
