/**
 * The kept X509-SVIDs, each for the hour that it lives: after a rotation the one under the old
 * authority is all that can still speak for it, as SPIRE mints no other.
 *
 * Law: setting the wall clock never removes an SVID. It only decides which may sign now. Removed are:
 * an SVID whose life is over since it came in, by a clock that nobody sets; when room is needed, one
 * that a longer lived one of the same anchor replaces, first where SPIRE's clock was the same when it
 * minted both; then the least useful. So each of SPIRE's clocks, right or wrong, that minted for an
 * anchor keeps one while there is room. Of an SVID that came from a file that clock is not known.
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
  async load(): Promise<void> {
    const svids = (await this.#files?.load()) ?? [];
    const oldestFirst = svids.toSorted((left, right) => left.notBeforeS - right.notBeforeS);
    for (const svid of oldestFirst) this.#add(svid);
    await this.#makeRoom(() => 0);
  }

  /** Those valid at this time, newest mint first. */
  validAt(timeS: number): readonly PublisherSvid[] {
    return [...this.#overAtMs.keys()].filter((svid) => isValidAt(svid, timeS)).toReversed();
  }

  /**
   * Keeps an SVID that was just minted.
   * @param worth Higher for those that are needed most.
   */
  async keep(svid: PublisherSvid, worth: (svid: PublisherSvid) => number): Promise<void> {
    this.#add(svid);
    await this.#files?.keep(svid);
    await this.dropOver();
    await this.#makeRoom(worth);
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

  async #makeRoom(worth: (svid: PublisherSvid) => number): Promise<void> {
    while (this.#overAtMs.size > KEPT_SVIDS_MAX) {
      const kept = [...this.#overAtMs].map(([svid, overAtMs]) => {
        // How far SPIRE's clock was ahead of the one that nobody sets when it minted this.
        const clockMs = svid.notAfterS * 1_000 - overAtMs;
        return { svid, overAtMs, clockMs };
      });
      const [least] = kept
        .map((one) => {
          const standIns = kept.filter(
            (other) =>
              other !== one &&
              other.svid.anchorId === one.svid.anchorId &&
              other.overAtMs >= one.overAtMs,
          );
          const apartMs = standIns.map(({ clockMs }) => Math.abs(clockMs - one.clockMs));
          const need = standIns.length === 0 ? 1 + worth(one.svid) : 0;
          return { svid: one.svid, need, apartMs: Math.min(...apartMs, Number.MAX_VALUE) };
        })
        .toSorted((a, b) => a.need - b.need || a.apartMs - b.apartMs);
      if (least !== undefined) await this.#drop(least.svid);
    }
  }

  async #drop(svid: PublisherSvid): Promise<void> {
    this.#overAtMs.delete(svid);
    await this.#files?.forget(svid);
  }
}
