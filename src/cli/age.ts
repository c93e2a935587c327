/** How long ago a time was, as people say it. */

const UNITS = [
  ["day", 86_400_000],
  ["hour", 3_600_000],
  ["minute", 60_000],
  ["second", 1_000],
] as const;
const WORDS = new Intl.RelativeTimeFormat("en");

/**
 * `3 days ago`, `in 20 seconds`: in the largest unit of which it is one, rounded towards now; `now`
 * when it is less than a second away.
 */
export function ageOf(timestamp: string, nowMs: number): string {
  const aheadMs = Date.parse(timestamp) - nowMs;
  const largest = UNITS.find(([, ms]) => Math.abs(aheadMs) >= ms);
  if (largest === undefined) return "now";
  const [unit, unitMs] = largest;
  return WORDS.format(Math.trunc(aheadMs / unitMs), unit);
}
