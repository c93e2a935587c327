/** The limits that stand in the file that keeps them, with what is said above each. */
import { repositoryFiles } from "../tidy/source.ts";

export interface OwnLimit {
  readonly path: string;
  readonly name: string;
  /** The doc comment above it; empty when there is none. */
  readonly said: string;
  /** Whether it says how often: so many at once, then so many a second. */
  readonly isRate: boolean;
}

/** A number, or what is reckoned from numbers and other constants. */
const VALUE = /^[\w\s*+-]+$/;
/** How often something may be done: it is a bound under any name. */
const RATE = /^\{ perSecond: [\w\s*]+, burst: [\w\s*]+ \}$/;
/** A bound, a wait, or a time between two of something. */
const NAME = /_(?:MAX|MIN|MS|S|AT_ONCE|BUFFERED)(?:_|$)/;
/** One constant with the doc comment before it, if any. */
const CONSTANT =
  /(?:\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\n)?^(?:export )?const ([A-Z][A-Z0-9_]*)(?:: Rate)? = ([^;]*);$/gm;

/**
 * All constants of src whose name says that they bound something. A constant right below another
 * shares its comment: a number and its window, a first and a last delay.
 */
export function ownLimits(): readonly OwnLimit[] {
  const files = repositoryFiles(/^src\/(?!core\/std\/limit-table\.ts).*(?<!_pb)\.ts$/);
  return files.flatMap(({ path, text }) => {
    const limits: OwnLimit[] = [];
    let before = { end: 0, said: "" };
    for (const match of text.matchAll(CONSTANT)) {
      const [whole, comment, name = "", value = ""] = match;
      const said = comment ?? (match.index === before.end + 1 ? before.said : "");
      before = { end: match.index + whole.length, said };
      const isRate = RATE.test(value);
      const isBound = isRate || (NAME.test(name) && VALUE.test(value));
      if (isBound) limits.push({ path, name, said, isRate });
    }
    return limits;
  });
}
