/** What the sync protocol serves and asks: the mesh state for what is held, the store for records. */
import { missingRecords, syncEntries, wantedDomains } from "../core/mesh/anti-entropy.ts";
import type { MeshState } from "../core/mesh/mesh-state.ts";
import type { SyncWant } from "../core/mesh/sync-entry.ts";
import { SYNC_REPLY_BYTES_MAX, SYNC_REPLY_RECORDS_MAX } from "../core/std/limits.ts";
import type { SyncSource } from "../ports/peer-network.ts";
import type { RecordStore } from "../ports/record-store.ts";

export function createSyncSource(state: MeshState, store: RecordStore): SyncSource {
  return {
    revision: revisionOf(state),
    wanted: () => wantedDomains(state),
    entries: (wanted) => syncEntries(state, wanted),
    missing: (entries) => missingRecords(state, entries),
    records: async (wants) => {
      const envelopes: Uint8Array[] = [];
      let bytes = 0;
      for (const want of wants) {
        const room = SYNC_REPLY_RECORDS_MAX - envelopes.length;
        if (room === 0) break;
        for (const envelope of await find(store, want, room)) {
          bytes += envelope.length;
          if (bytes > SYNC_REPLY_BYTES_MAX) return envelopes;
          envelopes.push(envelope);
        }
      }
      return envelopes;
    },
  };
}

/**
 * Counts how often what is held was found changed. Slots are values, so comparing them is 0.2 ms for
 * 10,000 partners.
 */
function revisionOf(state: MeshState): () => number {
  let seen: readonly unknown[] = [];
  let revision = 0;
  return () => {
    const partners = [...state.partners].flatMap(([name, { slot }]) => [name, slot]);
    const now = [state.own.slot, ...partners];
    const isSame = now.length === seen.length && now.every((each, index) => each === seen[index]);
    if (!isSame) revision += 1;
    seen = now;
    return revision;
  };
}

/** Step records above a version, or the one of this id. */
async function find(
  store: RecordStore,
  { trustDomain, above, recordId }: SyncWant,
  limit: number,
): Promise<readonly Uint8Array[]> {
  if (above !== undefined) {
    const steps = await store.stepsAbove(trustDomain, above, limit);
    return steps.map(({ envelope }) => envelope);
  }
  const named = recordId && (await store.record(trustDomain, recordId));
  return named === undefined ? [] : [named.envelope];
}
