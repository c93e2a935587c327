/**
 * The end of a sync round: what we are missing of a list is fetched, and what comes of no use is paid
 * for. Whatever a peer holds that we refuse, what we would take is taken.
 */
import type { SyncEntry, SyncWant } from "../core/mesh/sync-entry.ts";
import type { TrustDomain } from "../core/spiffe/trust-domain.ts";
import { toHex } from "../core/std/bytes.ts";
import { SYNC_REPLY_RECORDS_MAX, SYNC_WANTS_MAX } from "../core/std/limits.ts";
import { type Result, no, ok } from "../core/std/result.ts";
import type { SyncSource, Verdict } from "../ports/peer-network.ts";
import { decodeRecords, encodeRequest, mayBeCut } from "./sync-frames.ts";
import { inSyncOrder } from "./sync-order.ts";
import type { SyncFrames } from "./sync-stream.ts";

/**
 * Fetches after one list: 1,024 domains take 17, the rest is for those far behind. Above: what is left
 * waits for another round.
 */
const FETCHES_MAX = 256;
/**
 * Wants in a fetch of ours: one record for each leaves room in the reply, so that it is not cut. Above:
 * the next fetch.
 */
const WANTS_ASKED_MAX = Math.min(SYNC_WANTS_MAX, SYNC_REPLY_RECORDS_MAX - 1);

/**
 * Price of a record that is of no use, for each 8 KiB of it that begin: they come and are read, which
 * takes us 0.1 ms (measured), and more. One that was judged pays the rest of 1 besides, which is 2 ms.
 */
const PART_PRICE = 1 / 8;
const PART_BYTES = 8 * 1024;
const JUDGED_PRICE = 1 - PART_PRICE;

/** What the asking side pays from while it looks at an answer. */
export interface AskingBudget {
  /** Whether the round has time left for one more request. */
  mayGoOn(): boolean;
  /** Whether the peer may give us so many more records that are of no use. */
  mayWaste(records: number): boolean;
}

/**
 * How far the rounds with one peer came. One that ends early is gone on with: were it begun anew, what
 * we refuse of the first domains would keep the last ones from us for ever.
 */
export interface SyncProgress {
  /** The next round begins behind this domain and ends with it. Undefined once one was finished. */
  after: TrustDomain | undefined;
}

export interface Fetching {
  readonly source: SyncSource;
  /** Takes what a peer gave, in its order. Resolves with a verdict for each. */
  readonly onRecords: (envelopes: readonly Uint8Array[]) => Promise<readonly Verdict[]>;
  readonly budget: AskingBudget;
  readonly progress: SyncProgress;
}

/**
 * Fetches what we are missing of these entries.
 *
 * @param answered Wants of this round that have their answer, in the words of this function.
 * @returns Whether there was time for all of them, or why it was not a proper answer.
 */
export async function fetchMissing(
  stream: SyncFrames,
  entries: readonly SyncEntry[],
  { source, onRecords, budget, progress }: Fetching,
  answered: Set<string>,
): Promise<Result<boolean, string>> {
  let missing = source.missing(entries);
  let most = WANTS_ASKED_MAX;
  for (let fetch = 0; fetch < FETCHES_MAX; fetch += 1) {
    const wants = nextWants(missing, answered, most);
    if (wants.length === 0) break;
    if (!budget.mayGoOn()) return ok(false);
    progress.after = wants.at(-1)?.trustDomain; // Should it fail, it is not asked first again.
    await stream.send(encodeRequest({ kind: "fetch", wants }));
    const frame = await stream.receive();
    if (frame === undefined) return no("no answer to a fetch");
    const envelopes = decodeRecords(frame);
    if (!envelopes.ok) return envelopes;
    const isCut = mayBeCut(envelopes.value);
    const reached = isCut ? wants.slice(0, 1) : wants;
    for (const want of reached) answered.add(wantKey(want));
    progress.after = reached.at(-1)?.trustDomain;
    const verdicts = envelopes.value.length === 0 ? [] : await onRecords(envelopes.value);
    missing = source.missing(entries);
    const useful = satisfied(wants, missing);
    if (!budget.mayWaste(waste(envelopes.value, verdicts, useful))) {
      return no("more records of no use than its budget");
    }
    // A reply that is not cut answers every want: so what we refuse is soon asked for once.
    most =
      isCut && useful === 0
        ? Math.max(1, Math.floor(most / 2))
        : Math.min(most * 2, WANTS_ASKED_MAX);
  }
  return ok(true);
}

/**
 * The price of what was of no use in a reply. A want may take several steps, and one that another
 * round satisfied meanwhile is not the peer's fault; what we had no budget left to judge pays for its
 * parts only.
 */
function waste(
  envelopes: readonly Uint8Array[],
  verdicts: readonly Verdict[],
  satisfiedWants: number,
): number {
  const useful = verdicts.filter((each) => each === "accept").length;
  const excused = Math.max(0, satisfiedWants - useful);
  const unjudged = envelopes.filter((_, index) => verdicts[index] === "unjudged");
  const refused = envelopes
    .filter((_, index) => verdicts[index] !== "unjudged" && verdicts[index] !== "accept")
    .slice(excused);
  const parts = [...unjudged, ...refused].map(({ length }) => Math.ceil(length / PART_BYTES));
  return parts.reduce((a, b) => a + b, 0) * PART_PRICE + refused.length * JUDGED_PRICE;
}

/** How many of these wants are not as they were. */
function satisfied(wants: readonly SyncWant[], missing: readonly SyncWant[]): number {
  const keys = new Set(missing.map(wantKey));
  return wants.filter((want) => !keys.has(wantKey(want))).length;
}

/**
 * The wants for one fetch, one a domain, in sync order. Those that have their answer make room: records that the
 * peer names but does not give, or that we refuse, never keep us from the others. A want that what
 * came has changed is another one.
 */
function nextWants(
  missing: readonly SyncWant[],
  answered: ReadonlySet<string>,
  most: number,
): readonly SyncWant[] {
  const next: SyncWant[] = [];
  const named = new Set<string>();
  for (const want of missing) {
    if (next.length === most) break;
    if (named.has(want.trustDomain) || answered.has(wantKey(want))) continue;
    named.add(want.trustDomain);
    next.push(want);
  }
  return inSyncOrder(next, ({ trustDomain }) => trustDomain);
}

function wantKey({ trustDomain, above, recordId }: SyncWant): string {
  const version = above && `${above.epoch}.${above.rev}.${above.sequence}`;
  return `${trustDomain} ${version ?? ""} ${recordId === undefined ? "" : toHex(recordId)}`;
}
