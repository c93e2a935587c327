/** Durations as Go and SPIRE write them (`time.ParseDuration`), cut to what a configuration needs. */

const MS_PER_UNIT = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1 } as const;
/** Hours, minutes, seconds, milliseconds, each at most once and in this order; decimals as in Go. */
const GO_DURATION =
  /^(?:(\d{1,6}(?:\.\d{1,6})?)h)?(?:(\d{1,6}(?:\.\d{1,6})?)m)?(?:(\d{1,6}(?:\.\d{1,6})?)s)?(?:(\d{1,6})ms)?$/;

/**
 * Reads `250ms`, `10m`, `1h30m`, `1.5s` as whole milliseconds; undefined for anything else.
 *
 * Go also takes signs, nanoseconds and units in any order; nobody means those here.
 */
export function readDurationMs(text: string): number | undefined {
  const [, ...amounts] = GO_DURATION.exec(text) ?? [];
  if (amounts.every((amount) => amount === undefined)) return undefined;
  const ms = Object.values(MS_PER_UNIT).reduce(
    (total, perUnit, index) => total + Number(amounts[index] ?? 0) * perUnit,
    0,
  );
  return Math.round(ms);
}
