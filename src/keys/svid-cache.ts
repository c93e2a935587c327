/**
 * The kept X509-SVIDs, each for the hour that it lives: after a rotation the one under the old
 * authority is all that can still speak for it, as SPIRE mints no other.
 *
 * Law: no wall clock takes one away that lives by a clock which nobody sets. Wall clocks say which
 * may sign now, never which go: those whose life is over since they came in, and, where room is
 * needed, those that another of the same anchor stands for, then those of least worth.
 */
import { type PublisherSvid, isValidAt } from "./publisher-svid.ts";
import type { SvidFiles } from "./svid-files.ts";

/**
 * Anchors in the hour that an SVID lives: two or three rotate at once, and a SPIRE Server with a
 * volatile key manager adds one with each restart. Above, the one that is needed least goes.
 */
export const KEPT_SVIDS_MAX = 16;

export class SvidCache {
  /** Each with the moment that its life is over at, oldest mint first. */
  readonly #overAtMs = new Map<PublisherSvid, number>();
  readonly #files: Pick<SvidFiles, "load" | "keep" | "forget"> | undefined;
  readonly #uptimeMs: () => number;

  /** @param uptimeMs A clock that nobody sets: milliseconds since any one moment. */
  constructor(
    files: Pick<SvidFiles, "load" | "keep" | "forget"> | undefined,
    uptimeMs: () => number = () => performance.now(),
  ) {
    this.#files = files;
    this.#uptimeMs = uptimeMs;
  }

  /** Takes in what files have kept: whatever the wall clock says, each lives on from now. */
  async load(nowS: number): Promise<void> {
    const svids = (await this.#files?.load()) ?? [];
    const oldestFirst = svids.toSorted((left, right) => left.notBeforeS - right.notBeforeS);
    for (const svid of oldestFirst) this.#add(svid);
    await this.#makeRoom(() => 0, nowS);
  }

  /** Those valid at this time, newest mint first. */
  validAt(timeS: number): readonly PublisherSvid[] {
    return [...this.#overAtMs.keys()].filter((svid) => isValidAt(svid, timeS)).toReversed();
  }

  /**
   * Keeps an SVID that was just minted.
   * @param worth Higher for those that are needed most.
   */
  async keep(
    svid: PublisherSvid,
    worth: (svid: PublisherSvid) => number,
    nowS: number,
  ): Promise<void> {
    this.#add(svid);
    await this.#files?.keep(svid);
    await this.dropOver();
    await this.#makeRoom(worth, nowS);
  }

  /** Forgets those whose life is over. */
  async dropOver(): Promise<void> {
    for (const [svid, overAtMs] of this.#overAtMs) {
      if (overAtMs < this.#uptimeMs()) await this.#drop(svid);
    }
  }

  #add(svid: PublisherSvid): void {
    const lifeS = svid.notAfterS - svid.notBeforeS;
    this.#overAtMs.set(svid, this.#uptimeMs() + lifeS * 1_000);
  }

  async #makeRoom(worth: (svid: PublisherSvid) => number, nowS: number): Promise<void> {
    while (this.#overAtMs.size > KEPT_SVIDS_MAX) {
      const kept = [...this.#overAtMs.keys()];
      const ofAnchor = Map.groupBy(kept, ({ anchorId }) => anchorId);
      const [least] = kept
        .map((svid) => {
          const isAlone = ofAnchor.get(svid.anchorId)?.length === 1;
          const need = isAlone ? 1 + worth(svid) : 0;
          return { svid, need, valid: Number(isValidAt(svid, nowS)) };
        })
        .toSorted(
          (a, b) => a.need - b.need || a.valid - b.valid || a.svid.notAfterS - b.svid.notAfterS,
        );
      if (least !== undefined) await this.#drop(least.svid);
    }
  }

  async #drop(svid: PublisherSvid): Promise<void> {
    this.#overAtMs.delete(svid);
    await this.#files?.forget(svid);
  }
}
