/**
 * The asking half of a sync round over one stream: what both sides want is agreed on once a connection,
 * then the roots over what each holds of it are compared, the buckets that differ are listed, and what
 * we are missing is fetched. Pull only: the asking side gives nothing away but the names that it wants
 * and a root.
 */
import type { SyncEntry } from "../core/mesh/sync-entry.ts";
import type { TrustDomain } from "../core/spiffe/trust-domain.ts";
import { concatBytes, equalBytes } from "../core/std/bytes.ts";
import { SYNC_ENTRIES_MAX, SYNC_WANTED_MAX } from "../core/std/limits.ts";
import { type Result, no, ok } from "../core/std/result.ts";
import { SHA256_BYTES } from "../core/std/sha256.ts";
import { type Fetching, fetchMissing } from "./sync-fetch.ts";
import {
  type SyncRequest,
  decodeComparison,
  decodeEntries,
  decodeShared,
  encodeRequest,
} from "./sync-frames.ts";
import { type HeldIndex, type Holdings, SharedDomains } from "./sync-holdings.ts";
import { BUCKETS, bucketOf, comesBehind } from "./sync-order.ts";
import type { SyncFrames } from "./sync-stream.ts";

/**
 * Comparisons in one round: the peer may have forgotten what we want, as what it wants itself has
 * changed. Above: the round fails.
 */
const COMPARISONS_MAX = 2;

/** What was agreed on over one connection. */
export interface Agreement {
  shared: SharedDomains | undefined;
}

export interface Asking extends Fetching {
  readonly index: HeldIndex;
  readonly agreement: Agreement;
}

/** What is known once the roots were compared. */
interface Compared {
  readonly shared: SharedDomains;
  readonly holdings: Holdings;
  /** Buckets, ascending; none when both hold the same. */
  readonly differing: readonly number[];
}

/** Nothing when the time was up; the reason when it was not a proper answer. */
type Outcome<Value> = Result<Value | undefined, string>;

/**
 * Asks one peer. Resolves with what it holds of what both sides want, in no order, after every record
 * that it could give us was handed over.
 */
export async function askPeer(
  stream: SyncFrames,
  asking: Asking,
): Promise<Outcome<readonly SyncEntry[]>> {
  const compared = await compare(stream, asking);
  if (!compared.ok) return compared;
  const held = compared.value && (await listAndFetch(stream, asking, compared.value));
  if (held?.ok === false) return held;
  await stream.finish();
  if (held?.value !== undefined) asking.progress.after = undefined;
  return held ?? ok(undefined);
}

async function compare(
  stream: SyncFrames,
  { index, agreement, budget }: Asking,
): Promise<Outcome<Compared>> {
  for (let comparison = 0; comparison < COMPARISONS_MAX; comparison += 1) {
    const holdings = index.now();
    if (agreement.shared?.isOf(holdings) !== true) {
      agreement.shared = undefined; // It has forgotten, too, once we began to say it anew.
      const bits = await sayWanted(stream, holdings, budget);
      if (!bits.ok) return bits;
      agreement.shared = bits.value && new SharedDomains(holdings.wanted, bits.value);
    }
    const { shared } = agreement;
    if (shared === undefined || !budget.mayGoOn()) return ok(undefined);
    await stream.send(encodeRequest({ kind: "compare", root: shared.root(holdings) }));
    const frame = await stream.receive();
    if (frame === undefined) return no("no answer to a comparison");
    const compared = decodeComparison(frame);
    if (!compared.ok) return compared;
    if (compared.value.kind === "same") return ok({ shared, holdings, differing: [] });
    if (compared.value.kind === "hashes") {
      const differing = differingBuckets(shared.hashes(holdings), compared.value.hashes);
      return differing.length > 0
        ? ok({ shared, holdings, differing })
        : no("another root of the same hashes");
    }
    agreement.shared = undefined;
  }
  return no("it does not remember what we want");
}

/** Resolves with a bit for each name: whether the peer wants it, too. */
async function sayWanted(
  stream: SyncFrames,
  { wanted: { names } }: Holdings,
  budget: Asking["budget"],
): Promise<Outcome<Uint8Array>> {
  const bits: Uint8Array[] = [];
  for (let at = 0; at < names.length; at += SYNC_WANTED_MAX) {
    if (!budget.mayGoOn()) return ok(undefined);
    const part = names.slice(at, at + SYNC_WANTED_MAX);
    await stream.send(encodeRequest({ kind: "wanted", at, total: names.length, names: part }));
    const frame = await stream.receive();
    if (frame === undefined) return no("no answer to what we want");
    const shared = decodeShared(frame, part.length);
    if (!shared.ok) return shared;
    bits.push(shared.value);
  }
  return ok(concatBytes(...bits));
}

function differingBuckets(ours: Uint8Array, theirs: Uint8Array): readonly number[] {
  return Array.from({ length: BUCKETS }, (_, bucket) => bucket).filter(
    (bucket) => !equalBytes(hashOf(ours, bucket), hashOf(theirs, bucket)),
  );
}

function hashOf(hashes: Uint8Array, bucket: number): Uint8Array {
  return hashes.subarray(bucket * SHA256_BYTES, (bucket + 1) * SHA256_BYTES);
}

async function listAndFetch(
  stream: SyncFrames,
  asking: Asking,
  compared: Compared,
): Promise<Outcome<readonly SyncEntry[]>> {
  const { shared, holdings, differing } = compared;
  if (differing.length === 0) return ok(shared.entries(holdings));
  const held = new Map<TrustDomain, SyncEntry>();
  const answered = new Set<string>();
  for (const first of listsBehind(asking.progress.after, compared)) {
    let list: List | undefined = first;
    while (list !== undefined) {
      if (!asking.budget.mayGoOn()) return ok(undefined);
      const entries = await listed(stream, list, shared);
      if (!entries.ok) return entries;
      for (const each of entries.value) held.set(each.trustDomain, each);
      const fetched = await fetchMissing(stream, entries.value, asking, answered);
      if (!fetched.ok) return fetched;
      if (!fetched.value) return ok(undefined);
      const last = entries.value.at(-1)?.trustDomain;
      const isCut = last !== undefined && entries.value.length === SYNC_ENTRIES_MAX;
      list = isCut ? listAfter(list, last) : undefined;
      asking.progress.after = isCut ? last : undefined; // Else all behind it had its turn.
    }
  }
  const differs = new Set(differing);
  const equal = shared
    .entries(holdings)
    .filter(({ trustDomain }) => !differs.has(bucketOf(trustDomain)));
  return ok([...equal, ...held.values()]);
}

type List = Extract<SyncRequest, { kind: "list" }>;

/** What sorts behind this name, then the others; of its own bucket all once more. */
function listsBehind(
  after: TrustDomain | undefined,
  { shared, differing }: Compared,
): readonly List[] {
  const from = after === undefined ? 0 : bucketOf(after);
  const begins = after !== undefined && shared.has(after) && differing.includes(from);
  const lists: readonly List[] = [
    {
      kind: "list",
      buckets: differing.filter((bucket) => bucket >= from),
      after: begins ? after : undefined,
    },
    {
      kind: "list",
      buckets: differing.filter((bucket) => bucket < from || (begins && bucket === from)),
      after: undefined,
    },
  ];
  return lists.filter(({ buckets }) => buckets.length > 0);
}

/** What of a list is left behind its last entry. */
function listAfter({ buckets }: List, after: TrustDomain): List {
  const from = bucketOf(after);
  return { kind: "list", buckets: buckets.filter((bucket) => bucket >= from), after };
}

async function listed(
  stream: SyncFrames,
  list: List,
  shared: SharedDomains,
): Promise<Result<readonly SyncEntry[], string>> {
  await stream.send(encodeRequest(list));
  const frame = await stream.receive();
  if (frame === undefined) return no("no answer to a list");
  const entries = decodeEntries(frame);
  if (!entries.ok) return entries;
  const isAskedFor = ({ trustDomain }: SyncEntry): boolean =>
    list.buckets.includes(bucketOf(trustDomain)) && shared.has(trustDomain);
  const [first] = entries.value;
  const isBehind =
    list.after === undefined || first === undefined || comesBehind(first.trustDomain, list.after);
  return isBehind && entries.value.every(isAskedFor) ? entries : no("an entry not asked for");
}
