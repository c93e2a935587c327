/** docs/limits.md: the table of src/core/std/limit-table.ts to read. */
import { LIMITS, type Limit } from "../../src/core/std/limit-table.ts";

const UNITS = [
  {
    of: /_BYTES/,
    steps: [
      [1_024 * 1_024, "MiB"],
      [1_024, "KiB"],
      [1, "bytes"],
    ],
  },
  {
    of: /_MS$/,
    steps: [
      [60_000, "min"],
      [1_000, "s"],
      [1, "ms"],
    ],
  },
  {
    of: /_S$/,
    steps: [
      [3_600, "h"],
      [60, "min"],
      [1, "s"],
    ],
  },
] as const;

export const LIMITS_PAGE = "docs/limits.md";

/** The page as it must be. */
export function limitsPage(): string {
  const rows = Object.entries<Limit>(LIMITS).map(
    ([name, { value, why, beyond, file }]) =>
      `| \`${name}\` | ${inWords(name, value)} | ${why} | ${beyond} | \`${file}\` |`,
  );
  return [
    "# Limits",
    "",
    "Written from `src/core/std/limit-table.ts` by `npm run docs`; `test/limits` provokes each entry. A limit that",
    "only one file needs to know stands in that file, with its reason above it; those of the admin API are",
    "`src/admin/limits.ts`.",
    "",
    "| limit | value | why | beyond it | kept in `src/` |",
    "|---|---|---|---|---|",
    ...rows,
    "",
  ].join("\n");
}

/** In the largest unit that divides it. */
function inWords(name: string, value: number): string {
  const steps = UNITS.find(({ of }) => of.test(name))?.steps ?? [[1, ""]];
  const [size, unit] = steps.find(([each]) => value % each === 0) ?? [1, ""];
  return `${(value / size).toLocaleString("en")} ${unit}`.trim();
}
