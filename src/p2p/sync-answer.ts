/**
 * The answering half of a sync round over one stream: a reply to each request of the peer, from what
 * both sides want, as far as its budget goes. Lists are of what was compared, whatever came since.
 */
import { setImmediate } from "node:timers/promises";
import { equalBytes } from "../core/std/bytes.ts";
import { type Result, no, ok } from "../core/std/result.ts";
import type { SyncSource } from "../ports/peer-network.ts";
import {
  type SyncRequest,
  decodeRequest,
  encodeComparison,
  encodeEntries,
  encodeRecords,
  encodeShared,
} from "./sync-frames.ts";
import { type HeldIndex, type Holdings, SharedDomains } from "./sync-holdings.ts";
import { bytesForBits, setBit } from "./sync-order.ts";
import type { SyncFrames } from "./sync-stream.ts";

/** Names that are read, and entries that are listed, for the price of one record looked up. */
const NAMES_A_LOOKUP = 8;
/** Trust domains compared for the price of one record looked up: 1 ms when one has changed (measured). */
const COMPARED_A_LOOKUP = 1_024;

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

/** What a peer said over one connection that it wants. */
export interface PeerWants {
  shared: SharedDomains | undefined;
  /** So far: which of our own it named, and what comes next. */
  saying: Saying | undefined;
}

interface Saying {
  readonly holdings: Holdings;
  readonly bits: Uint8Array;
  readonly total: number;
  at: number;
}

export interface Answering {
  readonly source: SyncSource;
  readonly index: HeldIndex;
  readonly peer: PeerWants;
  readonly budget: AnsweringBudget;
}

/** What the stream has compared last. */
interface Compared {
  readonly shared: SharedDomains;
  readonly holdings: Holdings;
}

/**
 * Answers one peer until it is done.
 *
 * @returns The reason when the peer did what no proper peer does, or asks for too much.
 */
export async function answerPeer(
  stream: SyncFrames,
  answering: Answering,
): Promise<Result<void, string>> {
  const round = new AnsweredRound(answering);
  const { budget } = answering;
  for (;;) {
    const frame = await stream.receive();
    if (frame === undefined) break;
    const answered = await budget.withPlace(async () => {
      await setImmediate(); // All else has its turn between answers, be they of one read or of a queue.
      const reply = await round.reply(frame);
      if (!reply.ok) return reply;
      if (!budget.maySend(reply.value.length)) return no("more bytes than its budget");
      await stream.send(reply.value);
      return ok(undefined);
    });
    if (!answered.ok) return answered;
  }
  await stream.finish();
  return ok(undefined);
}

class AnsweredRound {
  readonly #answering: Answering;
  #compared: Compared | undefined;

  constructor(answering: Answering) {
    this.#answering = answering;
  }

  async reply(frame: Uint8Array): Promise<Result<Uint8Array, string>> {
    if (!this.#answering.budget.mayAsk()) return no("more requests than its budget");
    const request = decodeRequest(frame);
    if (!request.ok) return request;
    switch (request.value.kind) {
      case "wanted":
        return this.#replyToWanted(request.value);
      case "compare":
        return this.#replyToCompare(request.value.root);
      case "list":
        return this.#replyToList(request.value);
      case "fetch": {
        const { wants } = request.value;
        if (!this.#mayLookUp(wants.length)) return TOO_MANY_LOOKUPS;
        return ok(encodeRecords(await this.#answering.source.records(wants)));
      }
    }
  }

  #replyToWanted({ at, total, names }: RequestOf<"wanted">): Result<Uint8Array, string> {
    if (!this.#mayLookUp(names.length / NAMES_A_LOOKUP)) return TOO_MANY_LOOKUPS;
    const { peer, index } = this.#answering;
    if (at === 0) {
      const holdings = index.now();
      const bits = new Uint8Array(bytesForBits(holdings.wanted.names.length));
      peer.shared = undefined;
      peer.saying = { holdings, bits, total, at: 0 };
    }
    const { saying } = peer;
    if (saying?.at !== at || saying.total !== total) return no("what it wants, out of turn");
    const both = new Uint8Array(bytesForBits(names.length));
    for (const [place, name] of names.entries()) {
      const ours = saying.holdings.wanted.places.get(name);
      if (ours === undefined) continue;
      setBit(saying.bits, ours);
      setBit(both, place);
    }
    saying.at += names.length;
    if (saying.at === total) {
      peer.shared = new SharedDomains(saying.holdings.wanted, saying.bits);
      peer.saying = undefined;
    }
    return ok(encodeShared(both));
  }

  #replyToCompare(root: Uint8Array): Result<Uint8Array, string> {
    const { peer, index } = this.#answering;
    const holdings = index.now();
    const { shared } = peer;
    if (!this.#mayLookUp(1 + holdings.wanted.names.length / COMPARED_A_LOOKUP)) {
      return TOO_MANY_LOOKUPS;
    }
    if (shared?.isOf(holdings) !== true) return ok(encodeComparison({ kind: "unknown" }));
    this.#compared = { shared, holdings };
    return ok(
      encodeComparison(
        equalBytes(root, shared.root(holdings))
          ? { kind: "same" }
          : { kind: "hashes", hashes: shared.hashes(holdings) },
      ),
    );
  }

  #replyToList({ buckets, after }: RequestOf<"list">): Result<Uint8Array, string> {
    if (this.#compared === undefined) return no("a list of what was not compared");
    const { shared, holdings } = this.#compared;
    const entries = shared.list(holdings, buckets, after);
    if (!this.#mayLookUp(1 + entries.length / NAMES_A_LOOKUP)) return TOO_MANY_LOOKUPS;
    return ok(encodeEntries(entries));
  }

  #mayLookUp(records: number): boolean {
    return this.#answering.budget.mayLookUp(Math.ceil(records));
  }
}

type RequestOf<Kind extends SyncRequest["kind"]> = Extract<SyncRequest, { kind: Kind }>;

const TOO_MANY_LOOKUPS = no("more lookups than its budget");
