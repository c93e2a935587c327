/**
 * Command lines as Go's flag package takes them: `-socketPath X`, `-socketPath=X`, and the same with
 * two dashes. Node's parser wants two, so they are written first.
 */
import { parseArgs } from "node:util";

/** What an option takes: a text, nothing, or a text each time it is given. */
export type OptionKind = "text" | "flag" | "list";

export type OptionKinds = Readonly<Record<string, OptionKind>>;

/** The values by name; what was not given is absent. */
export type Options<Kinds extends OptionKinds> = {
  readonly [Name in keyof Kinds]?: Kinds[Name] extends "text"
    ? string
    : Kinds[Name] extends "flag"
      ? boolean
      : readonly string[];
};

const MS_PER_UNIT = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const;

/** Throws an Error for an option that is not declared, or has no value. */
export function readOptions<Kinds extends OptionKinds>(
  args: readonly string[],
  kinds: Kinds,
): Options<Kinds> {
  const { values } = parseArgs({
    args: args.map((word) => word.replace(/^-(?=[a-zA-Z])/, "--")),
    options: Object.fromEntries(
      Object.entries(kinds).map(([name, kind]) => [
        name,
        { type: kind === "flag" ? "boolean" : "string", multiple: kind === "list" },
      ]),
    ),
    allowPositionals: false,
  });
  return values as Options<Kinds>;
}

/** Reads a Go duration such as `24h` or `1h30m` as milliseconds. Throws an Error. */
export function readDuration(text: string): number {
  if (!/^(\d+(ms|s|m|h))+$/.test(text)) throw new Error(`time: invalid duration "${text}"`);
  return [...text.matchAll(/(\d+)(ms|s|m|h)/g)]
    .map(([, count, unit]) => Number(count) * MS_PER_UNIT[unit as keyof typeof MS_PER_UNIT])
    .reduce((sum, part) => sum + part, 0);
}
