/**
 * What the command line prints. Results, and nothing else, go to stdout: JSON as the contract has
 * it, or text for people. Everything from elsewhere passes through `printable`.
 */
import { styleText } from "node:util";
import type { ErrorReply } from "../admin-contract/error-reply.ts";
import { Fault } from "../fault.ts";
import { printable, printableData, printableJson, printableLines } from "../printable.ts";
import { reasonOf } from "./system-error.ts";

export type OutputFormat = "json" | "pretty";

/** How often a slow command says that it is still at it. */
const PROGRESS_INTERVAL_MS = 2_000;

/** Prints a command's result; `render` gets it free of unprintable characters. */
export function printResult<Result>(
  format: OutputFormat,
  result: Result,
  render: (result: Result) => string,
): void {
  const text = format === "json" ? printableJson(result) : render(printableData(result));
  process.stdout.write(`${text}\n`);
}

/** A sentence beside the result, on stderr. */
export function note(sentence: string): void {
  process.stderr.write(`${printable(sentence)}\n`);
}

/** `CODE: sentence. Next: command or step.` in one line on stderr. Several problems follow, one a line. */
export function printError(error: {
  readonly code: string;
  readonly message: string;
  readonly advice: string;
  readonly problems?: readonly string[];
}): void {
  const { code, message, advice, problems = [] } = error;
  const isList = problems.length > 1;
  const sentence = isList ? `there are ${problems.length} problems` : message;
  note(`${code}: ${withNext(sentence, advice)}`);
  if (isList) for (const problem of problems) note(`  ${problem}`);
}

/** A defect of ours, which no `Fault` describes, with its stack for who mends it. */
export function printDefect(error: unknown): void {
  const { message, stack = "" } = error instanceof Error ? error : new Error(String(error));
  printError({ code: "INTERNAL", message, advice: "Report this as a defect of spire-mesh" });
  process.stderr.write(`${printableLines(stack)}\n`);
}

/** The fault that stdout, not the command, has: a full disk, a broken one. */
export function unwritable(cause: unknown): Fault {
  return new Fault("CANNOT_CREATE", `stdout cannot be written: ${reasonOf(cause)}.`, {
    advice: "Send it elsewhere and run the command again.",
    cause,
  });
}

/** A fault as the contract has it: the line on stderr, and with `-output json` JSON on stdout. */
export function reportFault(format: OutputFormat, fault: Fault): void {
  printError(fault);
  if (format !== "json") return;
  const { code, message, advice } = fault;
  const reply: ErrorReply = { error: { code, message, next: advice } };
  process.stdout.write(`${printableJson(reply)}\n`);
}

/** A sentence and what to do about it, whether or not either ends with a full stop. */
export function withNext(sentence: string, next: string): string {
  return `${trimStop(sentence)}. Next: ${trimStop(next)}.`;
}

function trimStop(sentence: string): string {
  return sentence.trimEnd().replace(/\.$/, "");
}

/** Waits, and says so every two seconds when somebody looks. `doing`: "importing a.file". */
export async function withProgress<Value>(doing: string, work: Promise<Value>): Promise<Value> {
  if (!process.stderr.isTTY) return await work;
  const startMs = performance.now();
  const timer = setInterval(() => {
    note(`Still ${doing}, ${Math.round((performance.now() - startMs) / 1_000)} s so far ...`);
  }, PROGRESS_INTERVAL_MS);
  try {
    return await work;
  } finally {
    clearInterval(timer);
  }
}

const COLOURS = { good: "green", warning: "yellow", bad: "red" } as const;

/** Colours a word on stdout; not when NO_COLOR is set or nobody looks. */
export function paint(mood: keyof typeof COLOURS, word: string): string {
  return styleText(COLOURS[mood], word, { stream: process.stdout, validateStream: true });
}
