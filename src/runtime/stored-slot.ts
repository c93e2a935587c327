/** Slots as the store keeps them, and back. */
import type { Stored } from "../core/mesh/mesh-state.ts";
import type { SlotToStore } from "../core/mesh/partner.ts";
import type { Proofs } from "../core/record/proofs.ts";
import { type VerifiedRecord, restoreRecord } from "../core/record/verify.ts";
import { type Slot, envelopeBytes } from "../core/resolver/slot.ts";
import type { TrustDomain } from "../core/spiffe/trust-domain.ts";
import { Fault } from "../fault.ts";
import type { RecordStore, StoredDomain, StoredRecord } from "../ports/record-store.ts";

/** Reads everything that is held. Throws `STORE_DAMAGED` when a stored record no longer reads. */
export async function loadStored(
  store: Pick<RecordStore, "load">,
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
  return {
    trustDomain,
    held: toStoredRecord(slot.held),
    base: slot.base && toStoredRecord(slot.base),
    sibling: slot.sibling && toStoredRecord(slot.sibling),
  };
}

function toStoredRecord(verified: VerifiedRecord): StoredRecord {
  const { idHex, state } = verified.record;
  return { ...state.version, recordId: idHex, envelope: envelopeBytes(verified) };
}

function readSlot({ trustDomain, held, base, sibling }: StoredDomain, proofs: Proofs): Slot {
  const read = (stored: StoredRecord): VerifiedRecord => {
    const restored = restoreRecord(stored.envelope, proofs);
    if (restored.ok && restored.value.record.idHex === stored.recordId) return restored.value;
    const reason = restored.ok ? "another id" : restored.reason.code;
    throw new Fault(
      "STORE_DAMAGED",
      `the stored record of ${trustDomain} does not read: ${reason}`,
    );
  };
  return {
    held: read(held),
    base: base && read(base),
    sibling: sibling && read(sibling),
  };
}
