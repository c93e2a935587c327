import { expect, test } from "vitest";
import { ageOf } from "../../src/cli/age.ts";

const NOW_MS = Date.UTC(2026, 0, 31, 12);

test.each([
  [0, "now"],
  [999, "now"],
  [-500, "now"],
  [1_000, "1 second ago"],
  [59_999, "59 seconds ago"],
  [60_000, "1 minute ago"],
  [3_599_999, "59 minutes ago"],
  [3_600_000, "1 hour ago"],
  [86_399_999, "23 hours ago"],
  [3 * 86_400_000, "3 days ago"],
  [86_400_000, "1 day ago"],
  [400 * 86_400_000, "400 days ago"],
  [1_000 * 86_400_000, "1,000 days ago"],
  [-1_000, "in 1 second"],
  [-20_000, "in 20 seconds"],
  [-7 * 86_400_000, "in 7 days"],
])("what was %d ms ago was %s", (agoMs, words) => {
  expect(ageOf(new Date(NOW_MS - agoMs).toISOString(), NOW_MS)).toBe(words);
});
