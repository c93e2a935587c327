/**
 * The kept X509-SVIDs: the newest of each anchor, until it ends. One an anchor, because after a
 * rotation the SVID under the old authority is all that can still speak for it: SPIRE mints no other.
 */
import type { SvidFiles } from "./svid-files.ts";
import { type PublisherSvid, isValidAt } from "./publisher-svid.ts";

/**
 * Anchors in the hour that an SVID lives: two or three rotate at once, and a SPIRE Server with a
 * volatile key manager adds one with each restart. Above, the one of least worth goes.
 */
export const KEPT_SVIDS_MAX = 16;

export class SvidCache {
  /** By anchor, oldest mint first. */
  readonly #kept = new Map<string, PublisherSvid>();
  readonly #files: SvidFiles | undefined;

  constructor(files: SvidFiles | undefined) {
    this.#files = files;
  }

  /** Takes in what files have kept. */
  async load(nowS: number): Promise<void> {
    const svids = (await this.#files?.load()) ?? [];
    const oldestFirst = svids.toSorted((left, right) => left.notBeforeS - right.notBeforeS);
    for (const svid of oldestFirst) this.#kept.set(svid.anchorId, svid);
    await this.#dropEnded(nowS);
  }

  /** Those valid at this time, newest first. */
  validAt(timeS: number): readonly PublisherSvid[] {
    return [...this.#kept.values()].filter((svid) => isValidAt(svid, timeS)).toReversed();
  }

  /**
   * Keeps an SVID that was just minted, instead of an older one of its anchor.
   * @param worth Higher for those that are needed most. Of equal ones the first to end goes first.
   */
  async keep(
    svid: PublisherSvid,
    worth: (svid: PublisherSvid) => number,
    nowS: number,
  ): Promise<void> {
    await this.#dropEnded(nowS);
    this.#kept.delete(svid.anchorId);
    this.#kept.set(svid.anchorId, svid);
    await this.#files?.keep(svid);
    if (this.#kept.size <= KEPT_SVIDS_MAX) return;
    const [least] = [...this.#kept.values()]
      .map((each) => ({ each, worth: worth(each) }))
      .toSorted((a, b) => a.worth - b.worth || a.each.notAfterS - b.each.notAfterS);
    if (least !== undefined) await this.#drop(least.each);
  }

  async #dropEnded(nowS: number): Promise<void> {
    for (const svid of [...this.#kept.values()].filter(({ notAfterS }) => notAfterS < nowS)) {
      await this.#drop(svid);
    }
  }

  async #drop(svid: PublisherSvid): Promise<void> {
    this.#kept.delete(svid.anchorId);
    await this.#files?.forget(svid);
  }
}
