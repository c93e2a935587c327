/**
 * What two daemons say to each other to find which records one of them is missing
 * (docs/protocol.md 5). Answers come from the mesh state as it is now; how they travel is p2p's.
 */
import { equalBytes, fromHex } from "../std/bytes.ts";
import { compareBytes } from "../std/bytes.ts";
import { compareVersions } from "../record/state.ts";
import type { Slot } from "../resolver/slot.ts";
import type { TrustDomain } from "../spiffe/trust-domain.ts";
import type { MeshState } from "./mesh-state.ts";
import type { SyncEntry, SyncWant } from "./sync-entry.ts";

/** Domains that we want from every peer: all partners, and the own one, which we watch over. */
export function wantedDomains(state: MeshState): readonly TrustDomain[] {
  return [state.self.trustDomain, ...state.partners.keys()];
}

/** What we hold of these domains. */
export function syncEntries(state: MeshState, wanted: Iterable<string>): SyncEntry[] {
  const entries: SyncEntry[] = [];
  for (const name of new Set(wanted)) {
    const slot = slotOf(state, name);
    if (slot === undefined) continue;
    const { held, sibling } = slot;
    const recordIds = [held.record.id, ...(sibling === undefined ? [] : [sibling.record.id])];
    entries.push({
      trustDomain: held.record.state.trustDomain,
      version: held.record.state.version,
      recordIds: recordIds.sort(compareBytes),
    });
  }
  return entries;
}

/**
 * What a peer holds and we want: newer versions, siblings until we have the two smallest, a record that
 * was named.
 */
export function missingRecords(state: MeshState, entries: readonly SyncEntry[]): SyncWant[] {
  return entries.flatMap(({ trustDomain, version, recordIds }): SyncWant[] => {
    const isOwn = trustDomain === state.self.trustDomain;
    const { awaitedRecordId: awaited } = isOwn
      ? state.own
      : (state.partners.get(trustDomain)?.pin ?? NOTHING_AWAITED);
    const wants: SyncWant[] =
      awaited === undefined ? [] : [{ trustDomain, above: undefined, recordId: fromHex(awaited) }];
    const slot = slotOf(state, trustDomain);
    if (slot === undefined) return wants;
    const order = compareVersions(version, slot.held.record.state.version);
    if (order > 0) {
      wants.push({ trustDomain, above: slot.held.record.state.version, recordId: undefined });
    }
    if (order === 0) {
      for (const recordId of recordIds.filter((id) => isMissing(id, slot))) {
        wants.push({ trustDomain, above: undefined, recordId });
      }
    }
    return wants;
  });
}

const NOTHING_AWAITED = { awaitedRecordId: undefined };

/** Whether it would be one of the two smallest ids of its version. */
function isMissing(recordId: Uint8Array, { held, sibling }: Slot): boolean {
  const ours = [held, sibling].flatMap((each) => each?.record.id ?? []);
  if (ours.some((id) => equalBytes(id, recordId))) return false;
  return ours.length < 2 || ours.some((id) => compareBytes(recordId, id) < 0);
}

function slotOf(state: MeshState, name: string): Slot | undefined {
  if (name === state.self.trustDomain) return state.own.slot;
  return state.partners.get(name as TrustDomain)?.slot;
}
