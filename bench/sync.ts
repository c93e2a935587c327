/**
 * What two daemons send each other to find what has changed: bytes of all frames of one round, both
 * ways, with their lengths, without the records. Exact, and the same in each run.
 */
import type { SyncEntry } from "../src/core/mesh/sync-entry.ts";
import { compareVersions } from "../src/core/record/state.ts";
import type { TrustDomain } from "../src/core/spiffe/trust-domain.ts";
import { toUtf8 } from "../src/core/std/bytes.ts";
import { sha256 } from "../src/core/std/sha256.ts";
import { type PeerWants, answerPeer } from "../src/p2p/sync-answer.ts";
import { encodeEntry } from "../src/p2p/sync-frames.ts";
import { HeldIndex } from "../src/p2p/sync-holdings.ts";
import { type Agreement, askPeer } from "../src/p2p/sync-round.ts";
import type { SyncSource } from "../src/ports/peer-network.ts";
import { endOf, makeChannel, weightOf } from "../test/p2p/frame-pair.ts";
import type { Figure, Part, Target } from "./figure.ts";

const DOMAINS = 10_000;
/** Of 23 characters. */
const NAMES = Array.from(
  { length: DOMAINS },
  (_, index) => `site-${String(index).padStart(5, "0")}.mesh.example` as TrustDomain,
);
const KB = 1_000;

export async function measureSync(): Promise<Part> {
  const digest = NAMES.reduce((sum, name) => sum + encodeEntry(entryOf(name, 1n)).length, 0);
  const pair = new Pair();
  const first = await pair.round();
  const readings = pair.readings;
  const same = await pair.round();
  const readAgain = pair.readings - readings;
  pair.change(1);
  const one = await pair.round();
  pair.change(100);
  const hundred = await pair.round();
  return {
    title: `sync: bytes of a round over ${DOMAINS} trust domains, without the records`,
    figures: [
      figure("the first of a connection", first, digest),
      figure("nothing changed", same, digest, { text: "≤ 64 bytes", met: same <= 64 }),
      figure("1 changed", one, digest, { text: "≤ 12 KB", met: one <= 12 * KB }),
      figure("100 changed", hundred, digest, { text: "≤ 0.5 ×", met: hundred <= digest / 2 }),
    ],
    notes: [
      "full digest: the entries of all trust domains; the first round says what is wanted",
      `while nothing changed, what is held was read ${readAgain} times`,
    ],
  };
}

/** Two daemons with one connection, of which one asks. */
class Pair {
  readonly #ours = new Site();
  readonly #theirs = new Site();
  readonly #index = new HeldIndex(this.#ours);
  readonly #theirIndex = new HeldIndex(this.#theirs);
  readonly #agreement: Agreement = { shared: undefined };
  readonly #wants: PeerWants = { shared: undefined, saying: undefined };

  /** How often either was asked for all that it holds. */
  get readings(): number {
    return this.#ours.readings + this.#theirs.readings;
  }

  /** So many trust domains, evenly spread, have a newer version at the one who is asked. */
  change(count: number): void {
    const step = DOMAINS / count;
    for (let index = 0; index < DOMAINS; index += step) this.#theirs.advance(NAMES[index]);
  }

  /** Bytes of a round, after which both hold the same. */
  async round(): Promise<number> {
    let bytes = 0;
    const weigh = (frame: Uint8Array): void => void (bytes += weightOf(frame));
    const [there, back] = [makeChannel(), makeChannel()];
    const answered = answerPeer(endOf(back, there, weigh), {
      source: this.#theirs,
      index: this.#theirIndex,
      peer: this.#wants,
      budget: {
        mayAsk: () => true,
        mayLookUp: () => true,
        maySend: () => true,
        withPlace: async (answer) => await answer(),
      },
    });
    const asked = await askPeer(endOf(there, back, weigh), {
      source: this.#ours,
      index: this.#index,
      agreement: this.#agreement,
      onRecords: async (envelopes) =>
        envelopes.map((each) => {
          this.#ours.advance(Buffer.from(each).toString() as TrustDomain);
          return "accept";
        }),
      budget: { mayGoOn: () => true, mayWaste: () => true },
      progress: { after: undefined },
    });
    const answer = await answered;
    if (!asked.ok || !answer.ok || asked.value?.length !== DOMAINS) throw new Error("no round");
    if (!NAMES.every((name) => this.#ours.sequenceOf(name) === this.#theirs.sequenceOf(name))) {
      throw new Error("a round that left something out");
    }
    return bytes;
  }
}

/** Holds all trust domains, each at some sequence number. A record is its trust domain's name. */
class Site implements SyncSource {
  readonly #sequences = new Map(NAMES.map((name) => [name, 1n]));
  #revision = 0;
  readings = 0;

  sequenceOf(name: TrustDomain): bigint {
    return this.#sequences.get(name) ?? 0n;
  }

  advance(name: TrustDomain = NAMES[0] as TrustDomain): void {
    this.#sequences.set(name, this.sequenceOf(name) + 1n);
    this.#revision += 1;
  }

  revision(): number {
    return this.#revision;
  }

  wanted(): readonly TrustDomain[] {
    return NAMES;
  }

  entries(wanted: readonly string[]): readonly SyncEntry[] {
    this.readings += 1;
    return wanted.map((name) => entryOf(name as TrustDomain, this.sequenceOf(name as TrustDomain)));
  }

  missing(entries: readonly SyncEntry[]) {
    return entries.flatMap(({ trustDomain, version }) => {
      const above = { epoch: 0, rev: 1, sequence: this.sequenceOf(trustDomain) };
      return compareVersions(version, above) > 0
        ? [{ trustDomain, above, recordId: undefined }]
        : [];
    });
  }

  async records(wants: Parameters<SyncSource["records"]>[0]): Promise<readonly Uint8Array[]> {
    return wants.map(({ trustDomain }) => toUtf8(trustDomain));
  }
}

function figure(what: string, bytes: number, digest: number, target?: Target): Figure {
  const anchor = { what: "full digest", values: [digest] };
  const base = { what, unit: "bytes", values: [bytes], anchor } as const;
  return target === undefined ? base : { ...base, target };
}

function entryOf(trustDomain: TrustDomain, sequence: bigint): SyncEntry {
  const recordIds = [sha256(toUtf8(`${trustDomain} ${sequence}`))];
  return { trustDomain, version: { epoch: 0, rev: 1, sequence }, recordIds };
}
