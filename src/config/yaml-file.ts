/** A YAML file that knows where each value stands, so that every problem has its line and column. */
import {
  type Document,
  LineCounter,
  type Node,
  type Scalar,
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

/** Problems shown at once; a file with more is some other file. */
const PROBLEMS_MAX = 50;
const VARIABLE = /\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))/g;

export class YamlFile {
  readonly #path: string;
  readonly #lines = new LineCounter();
  readonly #document: Document.Parsed;
  readonly #problems: Problem[] = [];
  /** Whether the contents are what the file says, so that it makes sense to check them. */
  #isReadable: boolean;

  /** @param path As the operator wrote it; it stands in front of each problem. */
  constructor(path: string, text: string) {
    this.#path = path;
    this.#document = parseDocument(text, {
      lineCounter: this.#lines,
      prettyErrors: false,
      stringKeys: true,
    });
    const { errors, warnings } = this.#document;
    this.#isReadable = errors.every(({ code }) => code === "DUPLICATE_KEY");
    for (const { code, message, pos } of [...errors, ...warnings]) {
      this.#add(pos[0], code === "DUPLICATE_KEY" ? "this key stands here twice" : message);
    }
    visit(this.#document, {
      Alias: (_, alias) => {
        this.#isReadable = false;
        this.#add(offsetOf(alias), "aliases are not read, repeat the value");
      },
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
    if (!parsed.success) for (const issue of parsed.error.issues) this.#addIssue(issue);
    if (!parsed.success || this.#problems.length > 0) throw this.#invalid();
    return parsed.data;
  }

  #expandScalar(scalar: Scalar, environment: Readonly<Record<string, string | undefined>>): void {
    if (typeof scalar.value !== "string") return;
    const expanded = scalar.value.replaceAll(VARIABLE, (whole, braced, bare) => {
      const name: string = braced ?? bare;
      const value = environment[name];
      if (value === undefined) this.#add(offsetOf(scalar), `the variable ${name} is not set`);
      return value ?? whole;
    });
    // Unquoted digits are a number in YAML: `port: $PORT`. No other type is ever wanted here.
    const isNumber = scalar.type === "PLAIN" && /^\d{1,9}$/.test(expanded);
    scalar.value = isNumber ? Number(expanded) : expanded;
  }

  #addIssue(issue: z.core.$ZodIssue): void {
    const path = issue.path.map(String);
    if (issue.code === "unrecognized_keys") {
      const isOurs = issue.message.startsWith("NOT_BUILT");
      for (const key of issue.keys) {
        const at = [...path, key];
        this.#add(
          this.#keyOffset(at),
          `${at.join(".")}: ${isOurs ? issue.message : "unknown key"}`,
        );
      }
      return;
    }
    const found: unknown = this.#document.getIn(path);
    const isMissing = issue.code === "invalid_type" && (found === undefined || found === null);
    const problem = isMissing ? "is missing: give it a value" : issue.message;
    this.#add(this.#valueOffset(path), `${path.join(".") || "the file"}: ${problem}`);
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

  #add(offset: number, message: string): void {
    this.#problems.push({ offset, message });
  }

  #invalid(): Fault {
    const sorted = this.#problems.toSorted((left, right) => left.offset - right.offset);
    const lines = sorted.slice(0, PROBLEMS_MAX).map(({ offset, message }) => {
      const { line, col } = this.#lines.linePos(offset);
      return `${this.#path}:${Math.max(line, 1)}:${Math.max(col, 1)} ${message}`;
    });
    const left = sorted.length - lines.length;
    if (left > 0) lines.push(`${this.#path}: and ${left} more`);
    return new Fault("CONFIG_INVALID", lines.join("\n"));
  }
}

function offsetOf(node: Node): number {
  return node.range?.[0] ?? 0;
}
