/** A YAML file that knows where each value stands, so that every problem has its line and column. */
import {
  type Document,
  LineCounter,
  type Node,
  type Scalar,
  type YAMLMap,
  isMap,
  isNode,
  isScalar,
  parseDocument,
  visit,
} from "yaml";
import type { z } from "zod";
import { Fault } from "../fault.ts";

interface Problem {
  readonly offset: number;
  readonly message: string;
}

/** Problems shown, the first that are found: who has more has another file. Above: counted. */
const PROBLEMS_MAX = 50;
const VARIABLE = /\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))/g;

export class YamlFile {
  readonly #path: string;
  readonly #lines = new LineCounter();
  readonly #document: Document.Parsed;
  readonly #problems: Problem[] = [];
  #problemsLeft = 0;
  /** Whether the contents are what the file says, so that it makes sense to check them. */
  #isReadable: boolean;

  /** @param path As the operator wrote it; it stands in front of each problem. */
  constructor(path: string, text: string) {
    this.#path = path;
    this.#document = parseDocument(text, {
      lineCounter: this.#lines,
      prettyErrors: false,
      stringKeys: true,
      uniqueKeys: false, // It compares each key with each: 2 s for 16,000 (measured). See below.
    });
    const { errors, warnings } = this.#document;
    this.#isReadable = errors.length === 0;
    for (const { message, pos } of [...errors, ...warnings]) this.#add(message, () => pos[0]);
    visit(this.#document, {
      Alias: (_, alias) => {
        this.#isReadable = false;
        this.#add("aliases are not read, repeat the value", () => offsetOf(alias));
      },
      Map: (_, map) => this.#addRepeatedKeys(map),
    });
  }

  /** Replaces `$NAME` and `${NAME}` in all values; keys and comments stay. */
  expand(environment: Readonly<Record<string, string | undefined>>): void {
    visit(this.#document, {
      Scalar: (key, scalar) => {
        if (key !== "key") this.#expandScalar(scalar, environment);
      },
    });
  }

  /** The checked contents. Throws `CONFIG_INVALID` with one `file:line:column` line a problem. */
  validate<Schema extends z.ZodType>(schema: Schema): z.output<Schema> {
    if (!this.#isReadable) throw this.#invalid();
    const parsed = schema.safeParse(this.#document.toJS() ?? {});
    if (!parsed.success) {
      // What is of another type may have other problems too, which say nothing more.
      const told = new Set<string>();
      for (const issue of parsed.error.issues) {
        const path = issue.path.join(".");
        if (!told.has(path)) this.#addIssue(issue);
        if (issue.code === "invalid_type") told.add(path);
      }
    }
    if (!parsed.success || this.#problems.length > 0) throw this.#invalid();
    return parsed.data;
  }

  #expandScalar(scalar: Scalar, environment: Readonly<Record<string, string | undefined>>): void {
    if (typeof scalar.value !== "string") return;
    const expanded = scalar.value.replaceAll(VARIABLE, (whole, braced, bare) => {
      const name: string = braced ?? bare;
      const value = environment[name];
      if (value === undefined) this.#add(`the variable ${name} is not set`, () => offsetOf(scalar));
      return value ?? whole;
    });
    // Unquoted digits are a number in YAML: `port: $PORT`. No other type is ever wanted here.
    const isNumber = scalar.type === "PLAIN" && /^\d{1,9}$/.test(expanded);
    scalar.value = isNumber ? Number(expanded) : expanded;
  }

  #addRepeatedKeys({ items }: YAMLMap): void {
    const seen = new Set<unknown>();
    for (const { key } of items) {
      if (!isScalar(key)) continue;
      if (seen.has(key.value)) this.#add("this key stands here twice", () => offsetOf(key));
      seen.add(key.value);
    }
  }

  #addIssue(issue: z.core.$ZodIssue): void {
    const path = issue.path.map(String);
    if (issue.code === "unrecognized_keys") {
      const isOurs = issue.message.startsWith("NOT_BUILT");
      for (const key of issue.keys) {
        const at = [...path, key];
        const problem = isOurs ? issue.message : "unknown key";
        this.#add(`${at.join(".")}: ${problem}`, () => this.#keyOffset(at));
      }
      return;
    }
    const found: unknown = this.#document.getIn(path);
    const problem =
      issue.code === "invalid_type" ? typeProblem(issue, found, path.length === 0) : issue.message;
    this.#add(`${path.join(".") || "the file"}: ${problem}`, () => this.#valueOffset(path));
  }

  /** Where a value begins; where it is missing, the nearest thing around it. */
  #valueOffset(path: readonly string[]): number {
    for (let depth = path.length; depth > 0; depth -= 1) {
      const node: unknown = this.#document.getIn(path.slice(0, depth), true);
      if (isNode(node)) return offsetOf(node);
    }
    return this.#document.contents === null ? 0 : offsetOf(this.#document.contents);
  }

  #keyOffset(path: readonly string[]): number {
    const parent: unknown =
      path.length > 1 ? this.#document.getIn(path.slice(0, -1), true) : this.#document.contents;
    if (!isMap(parent)) return this.#valueOffset(path);
    const pair = parent.items.find(({ key }) => isScalar(key) && key.value === path.at(-1));
    return pair !== undefined && isNode(pair.key) ? offsetOf(pair.key) : this.#valueOffset(path);
  }

  /** @param findOffset Looks through the file, so it is asked for what is shown alone. */
  #add(message: string, findOffset: () => number): void {
    if (this.#problems.length === PROBLEMS_MAX) this.#problemsLeft += 1;
    else this.#problems.push({ offset: findOffset(), message });
  }

  #invalid(): Fault {
    const sorted = this.#problems.toSorted((left, right) => left.offset - right.offset);
    const lines = sorted.map(({ offset, message }) => {
      const { line, col } = this.#lines.linePos(offset);
      return `${this.#path}:${Math.max(line, 1)}:${Math.max(col, 1)} ${message}`;
    });
    if (this.#problemsLeft > 0) lines.push(`${this.#path}: and ${this.#problemsLeft} more`);
    return new Fault("CONFIG_INVALID", lines);
  }
}

/** What to write in the place of a value of another type. */
function typeProblem(
  { expected, message }: z.core.$ZodIssueInvalidType,
  found: unknown,
  isWholeFile: boolean,
): string {
  if (isWholeFile) return "is not made of `key: value` lines; is it SPIRE Server's own, or a list?";
  if (found === undefined || found === null) return "is missing: give it a value";
  if (expected === "array") return "write a list, [VALUE, VALUE] or one `- VALUE` a line";
  if (expected === "object") return "write `key: value` lines below it, indented";
  return message;
}

function offsetOf(node: Node): number {
  return node.range?.[0] ?? 0;
}
