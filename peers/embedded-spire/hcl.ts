/**
 * Reads what `server.conf` uses of HCL 1: nested blocks with labels, and strings, numbers, booleans
 * and lists as values. The maintained readers for Node are of HCL 2 and some megabytes of wasm.
 */

export type HclValue = string | number | boolean | readonly HclValue[] | HclBlock;

/** A block's keys. A labelled block, `KeyManager "disk" { … }`, is a block in a block. */
export interface HclBlock {
  readonly [key: string]: HclValue;
}

/** White space and comments, a string, or a word or sign. */
const TOKEN =
  /(?<skip>\s+|(?:#|\/\/)[^\n]*|\/\*[\s\S]*?\*\/)|"(?<text>(?:[^"\\\n]|\\.)*)"|(?<word>[\w.+-]+|[{}[\]=,])/y;

type Token = { readonly text: string; readonly quoted: boolean; readonly line: number };

/** Throws an Error with the line of the first problem. */
export function readHcl(source: string): HclBlock {
  const tokens = tokenize(source);
  let next = 0;

  const take = (): Token => {
    const token = tokens[next];
    if (token === undefined) throw unexpected(token);
    next += 1;
    return token;
  };
  const isSign = (sign: string): boolean =>
    tokens[next]?.text === sign && tokens[next]?.quoted === false;

  function readBody(end: string | undefined): HclBlock {
    const body: Record<string, HclValue> = {};
    while (end === undefined ? next < tokens.length : !isSign(end)) {
      const key = take();
      if (/^[{}[\]=,]$/.test(key.text) && !key.quoted) throw unexpected(key);
      merge(body, key.text, readAfterKey());
      if (isSign(",")) take();
    }
    if (end !== undefined) take();
    return body;
  }

  /** `= value`, `{ … }`, or a label and then a block. */
  function readAfterKey(): HclValue {
    if (isSign("=")) {
      take();
      return readValue();
    }
    if (isSign("{")) return readValue();
    const label = take();
    if (!label.quoted) throw unexpected(label);
    return { [label.text]: readAfterKey() };
  }

  function readValue(): HclValue {
    const token = take();
    if (token.quoted) return token.text;
    if (token.text === "{") return readBody("}");
    if (token.text === "[") return readList();
    if (token.text === "true" || token.text === "false") return token.text === "true";
    const number = Number(token.text);
    if (Number.isNaN(number)) throw unexpected(token);
    return number;
  }

  function readList(): readonly HclValue[] {
    const values: HclValue[] = [];
    while (!isSign("]")) {
      values.push(readValue());
      if (isSign(",")) take();
    }
    take();
    return values;
  }

  return readBody(undefined);
}

/** Blocks of one name add up, as `plugins` may be written twice; a value is replaced. */
function merge(body: Record<string, HclValue>, key: string, value: HclValue): void {
  const held = body[key];
  body[key] = isBlock(held) && isBlock(value) ? { ...held, ...value } : value;
}

function unexpected(token: Token | undefined): Error {
  if (token === undefined) return new Error("unexpected end of file");
  return new Error(`line ${token.line}: unexpected ${token.text}`);
}

export function isBlock(value: HclValue | undefined): value is HclBlock {
  return typeof value === "object" && !Array.isArray(value);
}

function tokenize(source: string): readonly Token[] {
  const tokens: Token[] = [];
  let line = 1;
  for (let at = 0; at < source.length; at = TOKEN.lastIndex) {
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(source);
    if (match === null) throw new Error(`line ${line}: unexpected ${source.charAt(at)}`);
    const { text, word } = match.groups ?? {};
    if (text !== undefined) tokens.push({ text: unescape(text), quoted: true, line });
    if (word !== undefined) tokens.push({ text: word, quoted: false, line });
    line += match[0].split("\n").length - 1;
  }
  return tokens;
}

function unescape(text: string): string {
  return text.replace(/\\(.)/g, (_, character: string) => (character === "n" ? "\n" : character));
}
