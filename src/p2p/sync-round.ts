/**
 * Both halves of one sync round over one stream. Pull only: the asking side compares what it wants
 * with what the other holds, then fetches what it is missing, and gives nothing away but the names
 * it wants and a root over them.
 */
import type { SyncEntry, SyncWant } from "../core/mesh/sync-entry.ts";
import { compareBytes, equalBytes, toHex, toUtf8 } from "../core/std/bytes.ts";
import { type Result, no, ok } from "../core/std/result.ts";
import { readTrustDomain, type TrustDomain } from "../core/spiffe/trust-domain.ts";
import type { SyncSource } from "../ports/peer-network.ts";
import {
  COMPARED_DOMAINS_MAX,
  WANTS_MAX,
  decodeComparison,
  decodeRecords,
  decodeRequest,
  encodeComparison,
  encodeRecords,
  encodeRequest,
  syncRoot,
} from "./sync-frames.ts";
import type { SyncStream } from "./sync-stream.ts";

/** Fetches after one comparison: 1,024 domains take 16, the rest is for those far behind. */
const FETCHES_MAX = 256;
/** Asking twice covers a want that a full reply left out; a third time the record was refused. */
const TRIES_MAX = 2;

/**
 * Asks one peer. Resolves with what it holds of the domains that `source` wants, after every record
 * that it could give us was handed over, or with the reason why it was not a proper answer.
 */
export async function askPeer(
  stream: SyncStream,
  source: SyncSource,
  onRecords: (envelopes: readonly Uint8Array[]) => Promise<void>,
): Promise<Result<readonly SyncEntry[], string>> {
  const heldByPeer: SyncEntry[] = [];
  for (const wanted of inSlices(sortedNames(source.wanted()))) {
    const answer = await compare(stream, source, wanted);
    if (!answer.ok) return answer;
    const fetched = await fetchMissing(stream, source, answer.value, onRecords);
    if (!fetched.ok) return fetched;
    heldByPeer.push(...answer.value);
  }
  await stream.finish();
  return ok(heldByPeer);
}

/**
 * Answers one peer until it is done. `mayAsk` is asked before each request.
 * @returns The reason when the peer did what no proper peer does.
 */
export async function answerPeer(
  stream: SyncStream,
  source: SyncSource,
  mayAsk: () => boolean,
): Promise<Result<void, string>> {
  for (;;) {
    const frame = await stream.receive();
    if (frame === undefined) break;
    if (!mayAsk()) return no("more requests than its budget");
    const request = decodeRequest(frame);
    if (!request.ok) return request;
    if (request.value.kind === "compare") {
      const { wanted, root } = request.value;
      const entries = source.entries(wanted);
      await stream.send(
        encodeComparison(
          equalBytes(root, syncRoot(entries)) ? { kind: "same" } : { kind: "entries", entries },
        ),
      );
    } else {
      await stream.send(encodeRecords(await source.records(request.value.wants)));
    }
  }
  await stream.finish();
  return ok(undefined);
}

async function compare(
  stream: SyncStream,
  source: SyncSource,
  wanted: readonly TrustDomain[],
): Promise<Result<readonly SyncEntry[], string>> {
  const held = source.entries(wanted);
  await stream.send(encodeRequest({ kind: "compare", wanted, root: syncRoot(held) }));
  const frame = await stream.receive();
  if (frame === undefined) return no("no answer to a comparison");
  const comparison = decodeComparison(frame);
  if (!comparison.ok) return comparison;
  if (comparison.value.kind === "same") return ok(held);
  const { entries } = comparison.value;
  const asked = new Set(wanted);
  return entries.every(({ trustDomain }) => asked.has(trustDomain))
    ? ok(entries)
    : no("an entry that was not asked for");
}

async function fetchMissing(
  stream: SyncStream,
  source: SyncSource,
  entries: readonly SyncEntry[],
  onRecords: (envelopes: readonly Uint8Array[]) => Promise<void>,
): Promise<Result<void, string>> {
  const tries = new Map<string, number>();
  for (let fetch = 0; fetch < FETCHES_MAX; fetch += 1) {
    const wants = nextWants(source.missing(entries), tries);
    if (wants.length === 0) break;
    await stream.send(encodeRequest({ kind: "fetch", wants }));
    const frame = await stream.receive();
    if (frame === undefined) return no("no answer to a fetch");
    const envelopes = decodeRecords(frame);
    if (!envelopes.ok) return envelopes;
    if (envelopes.value.length > 0) await onRecords(envelopes.value);
  }
  return ok(undefined);
}

/**
 * The wants for one fetch, and counts them. Those that were tried often enough make room: records
 * that the peer names but does not give, or that we refuse, never keep us from the others.
 */
function nextWants(missing: readonly SyncWant[], tries: Map<string, number>): readonly SyncWant[] {
  const wants = missing.filter((want) => (tries.get(wantKey(want)) ?? 0) < TRIES_MAX);
  const next = wants.slice(0, WANTS_MAX);
  for (const want of next) tries.set(wantKey(want), (tries.get(wantKey(want)) ?? 0) + 1);
  return next;
}

function wantKey({ trustDomain, above, recordId }: SyncWant): string {
  const version = above && `${above.epoch}.${above.rev}.${above.sequence}`;
  return `${trustDomain} ${version ?? ""} ${recordId === undefined ? "" : toHex(recordId)}`;
}

function sortedNames(names: readonly string[]): readonly TrustDomain[] {
  const checked = new Set(names.map(readTrustDomain).filter((name) => name !== undefined));
  return [...checked].sort((left, right) => compareBytes(toUtf8(left), toUtf8(right)));
}

function* inSlices(names: readonly TrustDomain[]): Generator<readonly TrustDomain[]> {
  for (let start = 0; start < names.length; start += COMPARED_DOMAINS_MAX) {
    yield names.slice(start, start + COMPARED_DOMAINS_MAX);
  }
}
