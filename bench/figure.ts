/** What a part of the benchmark hands back, and how it is shown. */
import { table } from "../src/cli/table.ts";
import { medianOf, spreadOf } from "./spread.ts";

export interface Figure {
  readonly what: string;
  readonly unit:
    | "ms"
    | "MB"
    | "%"
    | "a second"
    | "calls"
    | "MiB/h"
    | "open"
    | "s"
    | "peers"
    | "bytes";
  /** In the order in which they were measured. */
  readonly values: readonly number[];
  /** Measured in the same run; the medians' ratio is shown. */
  readonly anchor?: Pick<Figure, "what" | "values">;
  readonly target?: Target;
}

export interface Target {
  /** As it stands in the table. */
  readonly text: string;
  readonly met: boolean;
}

export interface Part {
  readonly title: string;
  readonly figures: readonly Figure[];
  /** What a reader must know to judge the figures. */
  readonly notes: readonly string[];
}

const HEAD = ["", "unit", "n", "min", "median", "p99", "max", "ratio", "to", "target", "is"];

export function showPart({ title, figures, notes }: Part): string {
  const rows = figures.map(({ what, unit, values, anchor, target }) => {
    const { n, min, median, p99, max } = spreadOf(values);
    const numbers = [min, median, p99, max].map((value) =>
      value === undefined ? "" : short(value),
    );
    const ratio = anchor === undefined ? "" : `${short(median / medianOf(anchor.values))} ×`;
    const met = target === undefined ? "" : target.met ? "met" : "missed";
    return [what, unit, n, ...numbers, ratio, anchor?.what ?? "", target?.text ?? "", met];
  });
  return [`== ${title}`, table(HEAD, rows), ...notes.map((note) => `- ${note}`), ""].join("\n");
}

/** Three digits say more than a noisy machine knows. */
function short(value: number): string {
  return value >= 1_000 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}
