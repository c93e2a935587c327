/**
 * What we hold, as sync compares it: entries in 256 buckets, a hash of each, and a root over those
 * (docs/protocol.md 5). Two daemons compare what both of them want.
 *
 *     source ── revision changed ──▶ holdings ── a bucket changed ──▶ its hash ──▶ root
 *                                    once for all                  for each connection
 *
 * Law: while the revision stands, nothing here takes time or memory by the number of trust domains.
 */
import type { SyncEntry } from "../core/mesh/sync-entry.ts";
import { compareVersions } from "../core/record/state.ts";
import type { TrustDomain } from "../core/spiffe/trust-domain.ts";
import { concatBytes, equalBytes } from "../core/std/bytes.ts";
import { encodeCbor } from "../core/std/cbor.ts";
import { SYNC_ENTRIES_MAX } from "../core/std/limits.ts";
import { SHA256_BYTES, sha256 } from "../core/std/sha256.ts";
import type { SyncSource } from "../ports/peer-network.ts";
import { encodeEntry } from "./sync-frames.ts";
import { BUCKETS, HASHES_BYTES, bucketOf, hasBit, inSyncOrder } from "./sync-order.ts";

/** The trust domains that we want. The same object for as long as they are the same. */
export interface WantedDomains {
  /** In sync order. */
  readonly names: readonly TrustDomain[];
  /** Where each stands in `names`. */
  readonly places: ReadonlyMap<string, number>;
  /** The bucket of each. */
  readonly buckets: Uint8Array;
}

/** What is held of one trust domain, where that stands among the wanted ones, and its bytes. */
interface HeldEntry {
  readonly entry: SyncEntry;
  readonly place: number;
  readonly bytes: Uint8Array;
}

/** In sync order. The same array for as long as it has the same entries. */
type Bucket = readonly HeldEntry[];

/** What we want and hold at one revision. */
export interface Holdings {
  readonly wanted: WantedDomains;
  readonly buckets: readonly Bucket[];
}

const EMPTY_BUCKET_HASH = sha256(encodeCbor([]));

/** Follows what a source holds. */
export class HeldIndex {
  readonly #source: SyncSource;
  #revision: number | undefined;
  #holdings: Holdings = {
    wanted: { names: [], places: new Map(), buckets: new Uint8Array() },
    buckets: Array.from({ length: BUCKETS }, () => []),
  };

  constructor(source: SyncSource) {
    this.#source = source;
  }

  /** What is held now: the same object until the revision of the source changes. */
  now(): Holdings {
    const revision = this.#source.revision();
    if (revision !== this.#revision) this.#holdings = this.#read();
    this.#revision = revision;
    return this.#holdings;
  }

  #read(): Holdings {
    const { buckets: before } = this.#holdings;
    const known = new Map<string, HeldEntry>();
    for (const bucket of before) for (const each of bucket) known.set(each.entry.trustDomain, each);
    const wanted = this.#readWanted(this.#holdings.wanted);
    const held: HeldEntry[] = [];
    for (const entry of this.#source.entries(wanted.names)) {
      const place = wanted.places.get(entry.trustDomain);
      if (place === undefined) continue;
      const old = known.get(entry.trustDomain);
      const isSaid = old !== undefined && isSame(old.entry, entry);
      const bytes = isSaid ? old.bytes : encodeEntry(entry);
      held.push(isSaid && old.place === place ? old : { entry, place, bytes });
    }
    const buckets: HeldEntry[][] = Array.from({ length: BUCKETS }, () => []);
    for (const each of held.sort((left, right) => left.place - right.place)) {
      buckets[wanted.buckets[each.place] ?? 0]?.push(each);
    }
    return { wanted, buckets: buckets.map((each, index) => unlessSame(before[index], each)) };
  }

  #readWanted(before: WantedDomains): WantedDomains {
    const names = this.#source.wanted();
    const isSameSet =
      names.length === before.names.length && names.every((each) => before.places.has(each));
    if (isSameSet) return before;
    const sorted = inSyncOrder(names, (name) => name);
    return {
      names: sorted,
      places: new Map(sorted.map((name, place) => [name, place])),
      buckets: Uint8Array.from(sorted, bucketOf),
    };
  }
}

/** What both sides of a connection want, as one of them asks, and what we hold of it. */
export class SharedDomains {
  readonly #wanted: WantedDomains;
  readonly #bits: Uint8Array;
  readonly #hashes = new Uint8Array(HASHES_BYTES);
  #root: Uint8Array = EMPTY_BUCKET_HASH;
  /** What the hashes and the root are of. */
  #hashed: readonly Bucket[] = [];
  #listed: { readonly of: Holdings; readonly entries: readonly SyncEntry[] } | undefined;

  /** @param bits One for each of the names that we want. */
  constructor(wanted: WantedDomains, bits: Uint8Array) {
    this.#wanted = wanted;
    this.#bits = bits;
  }

  /** Whether what we want is still what it was. */
  isOf({ wanted }: Holdings): boolean {
    return wanted === this.#wanted;
  }

  has(trustDomain: TrustDomain): boolean {
    const place = this.#wanted.places.get(trustDomain);
    return place !== undefined && hasBit(this.#bits, place);
  }

  root(holdings: Holdings): Uint8Array {
    this.#hash(holdings);
    return this.#root;
  }

  /** Of all buckets, one behind the other; of use until they are asked for again. */
  hashes(holdings: Holdings): Uint8Array {
    this.#hash(holdings);
    return this.#hashes;
  }

  /** What we hold, in sync order. */
  entries(holdings: Holdings): readonly SyncEntry[] {
    if (this.#listed?.of !== holdings) {
      const entries = holdings.buckets.flatMap((bucket) => this.#entriesIn(bucket));
      this.#listed = { of: holdings, entries };
    }
    return this.#listed.entries;
  }

  /**
   * What we hold in these buckets, in sync order, as many as one list has.
   *
   * @param after Only what comes behind this name, if it is one that we want.
   */
  list(
    { buckets }: Holdings,
    asked: readonly number[],
    after: TrustDomain | undefined,
  ): readonly SyncEntry[] {
    const from = after === undefined ? -1 : (this.#wanted.places.get(after) ?? -1);
    const entries: SyncEntry[] = [];
    for (const index of asked) {
      if (entries.length >= SYNC_ENTRIES_MAX) break;
      entries.push(...this.#entriesIn(buckets[index] ?? [], from));
    }
    return entries.slice(0, SYNC_ENTRIES_MAX);
  }

  #hash({ buckets }: Holdings): void {
    if (this.#hashed === buckets) return;
    for (const [index, bucket] of buckets.entries()) {
      if (bucket !== this.#hashed[index]) {
        this.#hashes.set(this.#hashOf(bucket), index * SHA256_BYTES);
      }
    }
    this.#root = sha256(this.#hashes);
    this.#hashed = buckets;
  }

  #hashOf(bucket: Bucket): Uint8Array {
    const shared = bucket.filter(({ place }) => hasBit(this.#bits, place));
    if (shared.length === 0) return EMPTY_BUCKET_HASH;
    return sha256(concatBytes(arrayHead(shared.length), ...shared.map(({ bytes }) => bytes)));
  }

  /** @param from Only what comes behind this place. */
  #entriesIn(bucket: Bucket, from = -1): readonly SyncEntry[] {
    return bucket.flatMap(({ entry, place }) =>
      place > from && hasBit(this.#bits, place) ? entry : [],
    );
  }
}

/** How an array of so many items begins; a zero takes one byte. */
function arrayHead(items: number): Uint8Array {
  return encodeCbor(Array.from({ length: items }, () => 0)).subarray(0, -items);
}

function isSame(left: SyncEntry, right: SyncEntry): boolean {
  return (
    compareVersions(left.version, right.version) === 0 &&
    left.recordIds.length === right.recordIds.length &&
    left.recordIds.every((id, index) => {
      const other = right.recordIds[index] ?? id;
      return id === other || equalBytes(id, other);
    })
  );
}

function unlessSame(before: Bucket | undefined, now: Bucket): Bucket {
  return before?.length === now.length && before.every((each, index) => each === now[index])
    ? before
    : now;
}
