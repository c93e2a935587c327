/** Both sides of a sync round by hand: a peer that asks what it likes, and one that answers so. */
import type { Stream } from "@libp2p/interface";
import { lpStream } from "@libp2p/utils";
import type { SyncEntry } from "../../src/core/mesh/sync-entry.ts";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import { SYNC_ENTRIES_MAX } from "../../src/core/std/limits.ts";
import {
  REQUEST_BYTES_MAX,
  type SyncRequest,
  decodeRequest,
  encodeComparison,
  encodeEntries,
  encodeRecords,
  encodeRequest,
  encodeShared,
} from "../../src/p2p/sync-frames.ts";
import {
  HASHES_BYTES,
  bucketOf,
  bytesForBits,
  comesBehind,
  inSyncOrder,
  setBit,
} from "../../src/p2p/sync-order.ts";

type Request<Kind extends SyncRequest["kind"]> = Extract<SyncRequest, { kind: Kind }>;

export interface SyncAnswers {
  /** What it says that it holds, of the names that the other side said. */
  readonly entries: (names: readonly TrustDomain[]) => readonly SyncEntry[];
  /** What it gives for a fetch. */
  readonly give: () => readonly Uint8Array[];
  /** In place of what it would answer by the above. */
  readonly instead?: (request: SyncRequest) => Uint8Array | Promise<Uint8Array> | undefined;
}

/** Answers one round until its stream ends, whoever ends it. */
export async function answerSync(stream: Stream, answers: SyncAnswers): Promise<void> {
  const frames = lpStream(stream, { maxDataLength: REQUEST_BYTES_MAX });
  const said: TrustDomain[] = [];
  try {
    for (;;) {
      const request = decodeRequest(new Uint8Array((await frames.read()).subarray()));
      if (!request.ok) throw new Error(request.reason);
      if (request.value.kind === "wanted") said.push(...request.value.names);
      const instead = await answers.instead?.(request.value);
      await frames.write(instead ?? replyTo(request.value, answers, said));
    }
  } catch {
    await stream.close().catch(() => {}); // The round is over; who asked waits for this.
  }
}

function replyTo(
  request: SyncRequest,
  { entries, give }: SyncAnswers,
  said: readonly TrustDomain[],
): Uint8Array {
  switch (request.kind) {
    case "wanted":
      return encodeShared(allBits(request.names.length));
    case "compare": // What was said over another stream is forgotten.
      if (said.length === 0) return encodeComparison({ kind: "unknown" });
      return encodeComparison({ kind: "hashes", hashes: new Uint8Array(HASHES_BYTES) });
    case "list":
      return encodeEntries(listed(request, entries(said)));
    case "fetch":
      return encodeRecords(give());
  }
}

function listed({ buckets, after }: Request<"list">, entries: readonly SyncEntry[]) {
  const asked = entries.filter(
    ({ trustDomain }) =>
      buckets.includes(bucketOf(trustDomain)) &&
      (after === undefined || comesBehind(trustDomain, after)),
  );
  return inSyncOrder(asked, ({ trustDomain }) => trustDomain).slice(0, SYNC_ENTRIES_MAX);
}

export function allBits(count: number): Uint8Array {
  const bits = new Uint8Array(bytesForBits(count));
  for (let index = 0; index < count; index += 1) setBit(bits, index);
  return bits;
}

/** A part of what somebody wants, and all of it. */
export function wantedRequest(names: readonly string[]): Uint8Array {
  const sorted = inSyncOrder(names, (name) => name).map((name) => name as TrustDomain);
  return encodeRequest({ kind: "wanted", at: 0, total: sorted.length, names: sorted });
}

export const compareRequest = (root: Uint8Array = new Uint8Array(32)): Uint8Array =>
  encodeRequest({ kind: "compare", root });
