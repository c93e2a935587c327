/**
 * Text from elsewhere, made safe for a terminal: control characters could rewrite what the reader
 * sees or types, bidirectional ones reorder it.
 */

/** Control, format (bidirectional ones among them), line and paragraph separators, lone surrogates. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** One line without unprintable characters. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, "");
}

/** The same for text of several lines: line ends and tabs stay. */
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

/** JSON in one line that loses nothing: what is unprintable is escaped. */
export function printableJson(data: unknown): string {
  return JSON.stringify(data).replace(UNPRINTABLE, escapeCharacter);
}

function escapeCharacter(character: string): string {
  const units = Array.from({ length: character.length }, (_, index) => character.charCodeAt(index));
  return units.map((unit) => `\\u${unit.toString(16).padStart(4, "0")}`).join("");
}
