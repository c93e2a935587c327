/** Tables without lines: columns for people, words for grep. */
import Table from "cli-table3";

const COLUMN_GAP = "  ";
const NO_LINES = Object.fromEntries(
  ["top", "bottom", "mid", "left", "right"].flatMap((side) =>
    ["", "-mid", "-left", "-right"].map((place) => [`${side}${place}`, ""]),
  ),
);

/** A head in capitals and one line a row. */
export function table(
  head: readonly string[],
  rows: readonly (readonly (string | number)[])[],
): string {
  const style = { "padding-left": 0, "padding-right": 0, head: [], border: [] };
  const lines = new Table({
    head: head.map((word) => word.toUpperCase()),
    chars: { ...NO_LINES, middle: COLUMN_GAP },
    style,
  });
  for (const row of rows) lines.push([...row]);
  return lines
    .toString()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n");
}
