/**
 * Text from elsewhere, made safe to be read: what a peer, SPIRE, a file or an operator can name may
 * move a terminal's cursor, turn text round, hide in it or begin a new line. One set of characters
 * for every way out:
 *
 *     log lines, text for people    without them, and cut off          telemetry/log-value, cli/output
 *     JSON                          escaped, so that nothing is lost   admin, -output json, health pages
 *
 * A document that an operator asked for by name (`bundle show -format`) keeps its lines and length.
 */

/**
 * Controls (C0, DEL, C1), format characters (bidirectional and zero-width ones, tags), line and
 * paragraph separators, lone surrogates, private use, and what else Unicode tells to show nothing.
 */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;
/** Most text is plain; this looks through it ten times as fast. */
const PLAIN = /^[\x20-\x7e]*$/;
/** UTF-16 units of one text: a path, an address or a stack fits, a flood is cut off. */
export const TEXT_LENGTH_MAX = 4_096;

/**
 * One line without unprintable characters, cut off at {@link TEXT_LENGTH_MAX}. Line breaks and tabs
 * become spaces.
 */
export function printable(text: string): string {
  const isLong = text.length > TEXT_LENGTH_MAX;
  const start = isLong ? text.slice(0, TEXT_LENGTH_MAX) : text;
  const plain = PLAIN.test(start)
    ? start
    : start.replaceAll(/[\t\n\r]+/g, " ").replace(UNPRINTABLE, "");
  return isLong ? `${plain}…` : plain;
}

/** Text of several lines, of any length: line ends and tabs stay. */
export function printableLines(text: string): string {
  return text.replace(UNPRINTABLE, (character) =>
    character === "\n" || character === "\t" ? character : "",
  );
}

/** A copy of JSON data in which every string is printable. */
export function printableData<Data>(data: Data): Data {
  return JSON.parse(JSON.stringify(data), (_key, value: unknown) =>
    typeof value === "string" ? printable(value) : value,
  ) as Data;
}

/** JSON in one line that loses nothing: what is unprintable is escaped, so a terminal may show it. */
export function printableJson(data: unknown): string {
  return escapeJson(JSON.stringify(data));
}

/** The same JSON, with escapes for what is unprintable. */
export function escapeJson(json: string): string {
  return PLAIN.test(json) ? json : json.replace(UNPRINTABLE, escapeCharacter);
}

function escapeCharacter(character: string): string {
  const units = Array.from({ length: character.length }, (_, index) => character.charCodeAt(index));
  return units.map((unit) => `\\u${unit.toString(16).padStart(4, "0")}`).join("");
}
