/** What is remembered of the heads of one trust domain. */
import { toHex } from "../std/bytes.ts";
import { BoundedMap } from "../std/bounded-map.ts";
import { CLOCK_SKEW_S, NODES_MAX } from "../std/limits.ts";
import { type Version, compareVersions } from "../record/state.ts";

/** Nodes come and go, so twice as many as one record lists. Above: who was heard the longest ago goes. */
const HEARD_MAX = 2 * NODES_MAX;

/** The newest head of one node. */
export interface HeardHead {
  readonly version: Version;
  /** 64 hex digits. */
  readonly recordId: string;
  readonly counter: bigint;
  readonly issuedAtMs: number;
  /** By the receiver's clock that nobody sets. */
  readonly heardUptimeMs: number;
  /**
   * The newest before it that named less, and not more than was held: whoever has the node key may say
   * that it stands higher, and that takes nothing back.
   */
  readonly lower: Pick<HeardHead, "version" | "issuedAtMs"> | undefined;
}

/** How far a node's clock was ahead of ours, what its head took on its way included. */
export interface HeardClock {
  readonly aheadMs: number;
  readonly uptimeMs: number;
}

/** By node in hex. */
export class HeardHeads extends BoundedMap<string, HeardHead> {
  constructor() {
    super(HEARD_MAX);
  }

  /** When any node was heard last. */
  get lastUptimeMs(): number | undefined {
    const times = [...this.values()].map(({ heardUptimeMs }) => heardUptimeMs);
    return times.length === 0 ? undefined : Math.max(...times);
  }
}

/** By node in hex. */
export type HeardClocks = BoundedMap<string, HeardClock>;

export function newClocks(): HeardClocks {
  return new BoundedMap(HEARD_MAX);
}

/**
 * Unix seconds before which a node did not sign a version: it stood on a lower one then, by its own
 * head. Thieves of ended keys date their signatures back.
 */
export function notBeforeS(heads: HeardHeads, node: Uint8Array, version: Version): number {
  const heard = heads.get(toHex(node));
  const lower = [heard, heard?.lower].find(
    (each) => each !== undefined && compareVersions(each.version, version) < 0,
  );
  return lower === undefined ? 0 : Math.floor(lower.issuedAtMs / 1_000) - CLOCK_SKEW_S;
}

/** What a node said before a head, and what still counts when that one turns out to be a lie. */
export function lowerThan(
  version: Version,
  last: HeardHead | undefined,
  held: Version,
): HeardHead["lower"] {
  const isAhead = compareVersions(version, held) > 0;
  const isLower = (each: HeardHead["lower"]): boolean =>
    each !== undefined && compareVersions(each.version, isAhead ? held : version) < Number(isAhead);
  const found = [last, last?.lower].find(isLower);
  return found && { version: found.version, issuedAtMs: found.issuedAtMs };
}
