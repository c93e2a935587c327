/** The root of docs/protocol.md 5 as it is defined there, with nothing remembered. */
import type { SyncEntry } from "../../src/core/mesh/sync-entry.ts";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import { compareBytes, concatBytes, toUtf8 } from "../../src/core/std/bytes.ts";
import { type CborValue, encodeCbor } from "../../src/core/std/cbor.ts";
import { sha256 } from "../../src/core/std/sha256.ts";
import type { SyncSource } from "../../src/ports/peer-network.ts";

const bytesOf = ({ trustDomain, version, recordIds }: SyncEntry): CborValue => {
  return [0, trustDomain, version.epoch, version.rev, version.sequence, recordIds];
};

export function referenceHashes(entries: readonly SyncEntry[]): Uint8Array {
  const hashes = Array.from({ length: 256 }, (_, bucket) => {
    const values = entries
      .filter(({ trustDomain }) => sha256(toUtf8(trustDomain))[0] === bucket)
      .map(bytesOf)
      .sort((left, right) => compareBytes(encodeCbor(left), encodeCbor(right)));
    return sha256(encodeCbor(values));
  });
  return concatBytes(...hashes);
}

export function referenceRoot(entries: readonly SyncEntry[]): Uint8Array {
  return sha256(referenceHashes(entries));
}

/** Who wants and holds what it is told. */
export class TestSource implements SyncSource {
  #wanted: readonly string[];
  #held: ReadonlyMap<string, SyncEntry>;
  #revision = 0;
  /** How often it was asked for what it wants or holds. */
  asked = 0;

  constructor(wanted: readonly string[], held: readonly SyncEntry[]) {
    this.#wanted = wanted;
    this.#held = byName(held);
  }

  want(wanted: readonly string[]): void {
    this.#wanted = wanted;
    this.#revision += 1;
  }

  hold(held: readonly SyncEntry[]): void {
    this.#held = byName(held);
    this.#revision += 1;
  }

  revision(): number {
    return this.#revision;
  }

  wanted(): readonly TrustDomain[] {
    this.asked += 1;
    return this.#wanted.map((name) => name as TrustDomain);
  }

  entries(wanted: readonly string[]): readonly SyncEntry[] {
    this.asked += 1;
    return wanted.flatMap((each) => this.#held.get(each) ?? []);
  }

  missing(): [] {
    return [];
  }

  async records(): Promise<[]> {
    return [];
  }
}

function byName(held: readonly SyncEntry[]): ReadonlyMap<string, SyncEntry> {
  return new Map(held.map((entry) => [entry.trustDomain, entry]));
}

export const nameOf = (index: number): TrustDomain =>
  `d${String(index).padStart(5, "0")}.test` as TrustDomain;

export const entryOf = (trustDomain: string, sequence = 1n): SyncEntry => ({
  trustDomain: trustDomain as TrustDomain,
  version: { epoch: 0, rev: 0, sequence },
  recordIds: [sha256(toUtf8(`${trustDomain} ${sequence}`))],
});
