/**
 * What the core may not touch, found in its syntax tree: the same inputs must give the same steps on
 * every machine and in the simulator.
 */
import { parseSync, Visitor, type VisitorObject } from "oxc-parser";
import { lineOf, type SourceFile } from "./source.ts";

/** Clocks, timers, randomness, the process, the network, promises, and what depends on a locale. */
const IMPURE_NAMES = new Set(
  [
    ["Date", "performance", "setTimeout", "setInterval", "setImmediate", "queueMicrotask"],
    ["process", "console", "fetch", "crypto", "require", "globalThis", "Worker", "WebSocket"],
    ["Promise", "Intl", "AbortController", "AbortSignal", "WeakRef", "FinalizationRegistry"],
  ].flat(),
);
const IMPURE_MEMBERS = new Set(["random", "localeCompare"]);

/** Each use of something impure, as `file:line uses X, but the core is pure`. */
export function impurities({ path, text }: SourceFile): readonly string[] {
  const found: string[] = [];
  const report = (node: { readonly start: number }, what: string): void => {
    found.push(`${path}:${lineOf(text, node.start)} uses ${what}, but the core is pure`);
  };
  /** Names of members and keys, which mean nothing by themselves. */
  const keys = new Set<unknown>();
  const onFunction = (node: { readonly start: number; readonly async: boolean }): void => {
    if (node.async) report(node, "async");
  };
  const onKey = (node: { readonly key: unknown; readonly computed: boolean }): void => {
    if (node.computed) return;
    keys.add(node.key);
  };
  const visitor: VisitorObject = {
    MemberExpression(node) {
      if (node.computed) return;
      keys.add(node.property);
      const { name } = node.property;
      if (IMPURE_MEMBERS.has(name) || name.startsWith("toLocale")) report(node, name);
    },
    Property(node) {
      onKey(node);
      if (node.key.type === "Identifier" && IMPURE_MEMBERS.has(node.key.name)) {
        report(node, node.key.name);
      }
    },
    PropertyDefinition: onKey,
    MethodDefinition: onKey,
    TSPropertySignature: onKey,
    TSMethodSignature: onKey,
    Identifier(node) {
      if (IMPURE_NAMES.has(node.name) && !keys.has(node)) report(node, node.name);
    },
    FunctionDeclaration: onFunction,
    FunctionExpression: onFunction,
    ArrowFunctionExpression: onFunction,
    AwaitExpression: (node) => report(node, "await"),
    ImportExpression: (node) => report(node, "import()"),
    MetaProperty: (node) => report(node, "import.meta"),
  };
  new Visitor(visitor).visit(parseSync(path, text).program);
  return found;
}
