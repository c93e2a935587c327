/**
 * Both halves of one sync round over one stream. Pull only: the asking side compares what it wants
 * with what the other holds, then fetches what it is missing, and gives nothing away but the names
 * it wants and a root over them.
 */
import { setImmediate } from "node:timers/promises";
import type { SyncEntry, SyncWant } from "../core/mesh/sync-entry.ts";
import { compareBytes, equalBytes, toHex, toUtf8 } from "../core/std/bytes.ts";
import {
  SYNC_COMPARED_DOMAINS_MAX,
  SYNC_REPLY_RECORDS_MAX,
  SYNC_WANTS_MAX,
} from "../core/std/limits.ts";
import { type Result, no, ok } from "../core/std/result.ts";
import { readTrustDomain, type TrustDomain } from "../core/spiffe/trust-domain.ts";
import type { SyncSource, Verdict } from "../ports/peer-network.ts";
import {
  type SyncRequest,
  decodeComparison,
  decodeRecords,
  decodeRequest,
  encodeComparison,
  encodeRecords,
  encodeRequest,
  mayBeCut,
  syncRoot,
} from "./sync-frames.ts";
import type { SyncFrames } from "./sync-stream.ts";

/**
 * Fetches after one comparison: 1,024 domains take 17, the rest is for those far behind. Above: what is
 * left waits for another round.
 */
const FETCHES_MAX = 256;
/**
 * Wants in a fetch of ours: one record for each leaves room in the reply, so that it is not cut. Above:
 * the next fetch.
 */
const WANTS_ASKED_MAX = Math.min(SYNC_WANTS_MAX, SYNC_REPLY_RECORDS_MAX - 1);
/** Domains compared for the price of one record looked up: 10 ms for 1,024 (measured), and more. */
const COMPARED_A_LOOKUP = 8;

/**
 * Price of a record that is of no use, for each 8 KiB of it that begin: they come and are read, which
 * takes us 0.1 ms (measured), and more. One that was judged pays the rest of 1 besides, which is 2 ms.
 */
const PART_PRICE = 1 / 8;
const PART_BYTES = 8 * 1024;
const JUDGED_PRICE = 1 - PART_PRICE;

/** Takes what a peer gave, in its order. Resolves with a verdict for each. */
type OnRecords = (envelopes: readonly Uint8Array[]) => Promise<readonly Verdict[]>;

/** What the asking side pays from while it looks at an answer. */
export interface AskingBudget {
  /** Whether the round has time left for one more request. */
  mayGoOn(): boolean;
  /** Whether the peer may give us so many more records that are of no use. */
  mayWaste(records: number): boolean;
}

/** What the answering side lets a peer have. */
export interface AnsweringBudget {
  /** Whether we look at one more request of the peer. */
  mayAsk(): boolean;
  /** Whether we look up so many more records for the peer. */
  mayLookUp(records: number): boolean;
  /** Whether we send the peer so many more bytes. */
  maySend(bytes: number): boolean;
  /** Runs an answer once there is a place for it, or says why there was none. */
  withPlace(answer: () => Promise<Result<void, string>>): Promise<Result<void, string>>;
}

/**
 * How far the rounds with one peer came. One that ends early is gone on with: were it begun anew, what
 * we refuse of the first domains would keep the last ones from us for ever.
 */
export interface SyncProgress {
  /** The next round begins behind this domain and ends with it. Undefined once one was finished. */
  after: TrustDomain | undefined;
}

/**
 * Asks one peer. Resolves with what it holds of the domains that `source` wants, after every record
 * that it could give us was handed over; with nothing when the time was up before; or with the reason
 * why it was not a proper answer.
 */
export async function askPeer(
  stream: SyncFrames,
  source: SyncSource,
  onRecords: OnRecords,
  budget: AskingBudget,
  progress: SyncProgress,
): Promise<Result<readonly SyncEntry[] | undefined, string>> {
  const heldByPeer: SyncEntry[] = [];
  let isDone = true;
  for (const wanted of slicesBehind(progress.after, sortedNames(source.wanted()))) {
    isDone = budget.mayGoOn();
    if (!isDone) break;
    const answer = await compare(stream, source, wanted);
    if (!answer.ok) return answer;
    const fetched = await fetchMissing(stream, source, answer.value, onRecords, budget, progress);
    if (!fetched.ok) return fetched;
    heldByPeer.push(...answer.value);
    isDone = fetched.value;
    if (!isDone) break;
    progress.after = wanted.at(-1);
  }
  await stream.finish();
  if (isDone) progress.after = undefined;
  return ok(isDone ? heldByPeer : undefined);
}

/**
 * Answers one peer until it is done.
 * @returns The reason when the peer did what no proper peer does, or asks for too much.
 */
export async function answerPeer(
  stream: SyncFrames,
  source: SyncSource,
  budget: AnsweringBudget,
): Promise<Result<void, string>> {
  for (;;) {
    const frame = await stream.receive();
    if (frame === undefined) break;
    const answered = await budget.withPlace(async () => {
      await setImmediate(); // All else has its turn between answers, be they of one read or of a queue.
      return await answer(stream, source, budget, frame);
    });
    if (!answered.ok) return answered;
  }
  await stream.finish();
  return ok(undefined);
}

async function answer(
  stream: SyncFrames,
  source: SyncSource,
  budget: AnsweringBudget,
  frame: Uint8Array,
): Promise<Result<void, string>> {
  if (!budget.mayAsk()) return no("more requests than its budget");
  const request = decodeRequest(frame);
  if (!request.ok) return request;
  const lookups =
    request.value.kind === "compare"
      ? Math.ceil(request.value.wanted.length / COMPARED_A_LOOKUP)
      : request.value.wants.length;
  if (!budget.mayLookUp(lookups)) return no("more lookups than its budget");
  const reply = await replyTo(request.value, source);
  if (!budget.maySend(reply.length)) return no("more bytes than its budget");
  await stream.send(reply);
  return ok(undefined);
}

async function replyTo(request: SyncRequest, source: SyncSource): Promise<Uint8Array> {
  if (request.kind === "fetch") return encodeRecords(await source.records(request.wants));
  const entries = source.entries(request.wanted);
  return encodeComparison(
    equalBytes(request.root, syncRoot(entries)) ? { kind: "same" } : { kind: "entries", entries },
  );
}

async function compare(
  stream: SyncFrames,
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

/** Resolves with whether there was time for all of them. */
async function fetchMissing(
  stream: SyncFrames,
  source: SyncSource,
  entries: readonly SyncEntry[],
  onRecords: OnRecords,
  budget: AskingBudget,
  progress: SyncProgress,
): Promise<Result<boolean, string>> {
  const answered = new Set<string>();
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
 * The wants for one fetch, one a domain. Those that have their answer make room: records that the
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

/** What is compared at once, each ascending: what sorts behind this name, then the others. */
function* slicesBehind(
  after: TrustDomain | undefined,
  names: readonly TrustDomain[],
): Generator<readonly TrustDomain[]> {
  const isBehind = (name: TrustDomain): boolean => after === undefined || name > after;
  yield* inSlices(names.filter(isBehind));
  yield* inSlices(names.filter((name) => !isBehind(name)));
}

function* inSlices(names: readonly TrustDomain[]): Generator<readonly TrustDomain[]> {
  for (let start = 0; start < names.length; start += SYNC_COMPARED_DOMAINS_MAX) {
    yield names.slice(start, start + SYNC_COMPARED_DOMAINS_MAX);
  }
}
