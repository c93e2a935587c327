/** What many measurements of one thing say. Percentiles by the nearest rank. */

/** Below this a p99 is only the slowest one under another name. */
const P99_VALUES_MIN = 100;

export interface Spread {
  readonly n: number;
  readonly min: number;
  readonly median: number;
  /** Undefined for fewer than 100 values. */
  readonly p99: number | undefined;
  readonly max: number;
}

/** Throws when there are no values: a measurement that measured nothing says nothing. */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((left, right) => left - right);
  const n = sorted.length;
  return {
    n,
    min: atRank(sorted, 1),
    median: medianOf(values),
    p99: n < P99_VALUES_MIN ? undefined : atRank(sorted, Math.ceil(0.99 * n)),
    max: atRank(sorted, n),
  };
}

/** Between the two in the middle when their number is even. */
export function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right);
  const { length: n } = sorted;
  return (atRank(sorted, Math.ceil(n / 2)) + atRank(sorted, Math.floor(n / 2) + 1)) / 2;
}

/** @param rank From 1. */
function atRank(sorted: readonly number[], rank: number): number {
  const value = sorted[rank - 1];
  if (value === undefined) throw new RangeError("nothing was measured");
  return value;
}
