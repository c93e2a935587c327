/**
 * Runs a target: makes inputs from a seed, judges each, and keeps what went wrong.
 *
 * Wrong is: an outcome that was not expected, anything thrown (a crash, or a law that the judge found
 * broken), and more than {@link INPUT_CPU_MS_MAX} of CPU time for one input.
 */
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { sha256Hex } from "../../src/core/std/sha256.ts";
import { Random } from "./random.ts";
import { rawMutant } from "./raw-mutants.ts";
import type { Outcome, Target, TargetSource } from "./target.ts";

/** CPU time of this thread, not wall time: a machine may be busy with much else. */
const INPUT_CPU_MS_MAX = 100;
/** What takes that long takes it each time. */
const TRIES_MAX = 4;
/** Failures that one run keeps of one target: the next ones say the same. */
const FAILURES_MAX = 20;
const RAW = "raw";

const directory = (name: string): string => fileURLToPath(new URL(`${name}/`, import.meta.url));

/** An input as a file: enough to judge it again in another process. */
const keptInput = z.object({
  target: z.string(),
  /** Who made it. */
  maker: z.string(),
  expected: z.array(z.string()),
  setting: z.record(z.string(), z.string()),
  input: z.base64(),
  /** What it did when it was found; for people. */
  problem: z.string(),
  /** Where it still goes wrong, and why that stands for now. */
  open: z.string().exactOptional(),
});

export type KeptInput = z.infer<typeof keptInput>;

export interface Failure {
  readonly maker: string;
  readonly index: number;
  readonly problem: string;
  /** The file in found/. */
  readonly file: string;
}

export interface Report {
  readonly target: string;
  readonly inputs: number;
  readonly failures: readonly Failure[];
  /** How often each outcome was met, by raw mutants and by those from the table. */
  readonly raw: ReadonlyMap<Outcome, number>;
  readonly made: ReadonlyMap<Outcome, number>;
  /** Outcomes that the table expects and no input of it had. */
  readonly unmet: readonly Outcome[];
  readonly slowestCpuMs: number;
}

interface Input {
  readonly maker: string;
  readonly bytes: Uint8Array;
  /** Undefined: any. */
  readonly expected: readonly Outcome[] | undefined;
}

/**
 * Judges the inputs `first` … `first + count − 1` of a seed; every second one is a raw mutant. The
 * choices of an input are its number's alone; keys and nonces are fresh in each process, so it is the
 * kept file that says exactly what was judged.
 */
export async function fuzz(
  { name, open }: TargetSource,
  seed: string,
  first: number,
  count: number,
): Promise<Report> {
  const target = await open();
  const failures: Failure[] = [];
  const raw = new Map<Outcome, number>();
  const made = new Map<Outcome, number>();
  let slowestCpuMs = 0;
  try {
    for (let index = first; index < first + count && failures.length < FAILURES_MAX; index += 1) {
      const input = inputOf(target, index, new Random(seed, name, index));
      const { outcome, problem, cpuMs } = await judged(target, input);
      slowestCpuMs = Math.max(slowestCpuMs, cpuMs);
      const met = input.maker === RAW ? raw : made;
      if (outcome !== undefined) met.set(outcome, (met.get(outcome) ?? 0) + 1);
      if (problem !== undefined) {
        const file = keep({ ...keptOf(name, target, input), problem });
        failures.push({ maker: input.maker, index, problem, file });
      }
    }
  } finally {
    await target.stop?.();
  }
  const expected = new Set(target.makers.flatMap((maker) => maker.expected));
  const unmet = [...expected].filter((outcome) => !made.has(outcome));
  return { target: name, inputs: count, failures, raw, made, unmet, slowestCpuMs };
}

function inputOf(
  { valid, makers, rawExpected, frame }: Target,
  index: number,
  random: Random,
): Input {
  const maker = makers[(index >> 1) % makers.length];
  if (index % 2 === 0 || maker === undefined) {
    const mutant = rawMutant(random.pick(valid), random.pick(valid), random);
    const bytes = frame?.(mutant, random) ?? mutant;
    return { maker: RAW, bytes, expected: rawExpected };
  }
  return { maker: maker.name, bytes: maker.make(random), expected: maker.expected };
}

interface Judged {
  readonly outcome: Outcome | undefined;
  readonly problem: string | undefined;
  readonly cpuMs: number;
}

async function judged(target: Target, input: Input): Promise<Judged> {
  let last = await measured(target, input);
  // The garbage of the inputs before may have fallen into this one, more so while it waits for a second.
  for (let tries = 1; tries < TRIES_MAX && last.cpuMs > INPUT_CPU_MS_MAX; tries += 1) {
    last = await measured(target, input);
  }
  if (last.cpuMs <= INPUT_CPU_MS_MAX) return last;
  return { ...last, problem: last.problem ?? `takes ${last.cpuMs.toFixed(0)} ms of CPU time` };
}

async function measured(target: Target, { bytes, expected }: Input): Promise<Judged> {
  const before = process.threadCpuUsage();
  let outcome: Outcome | undefined;
  let problem: string | undefined;
  try {
    const judging = target.judge(bytes);
    outcome = typeof judging === "string" ? judging : await judging;
    if (expected !== undefined && !expected.includes(outcome)) {
      problem = `is ${outcome}, not ${expected.join(" or ")}`;
    }
  } catch (error) {
    problem = error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
  const { user, system } = process.threadCpuUsage(before);
  return { outcome, problem, cpuMs: (user + system) / 1_000 };
}

function keptOf(target: string, { setting }: Target, input: Input): Omit<KeptInput, "problem"> {
  return {
    target,
    maker: input.maker,
    expected: [...(input.expected ?? [])],
    setting,
    input: Buffer.from(input.bytes).toString("base64"),
  };
}

function keep(kept: KeptInput): string {
  const found = directory("found");
  mkdirSync(found, { recursive: true });
  const text = `${JSON.stringify(kept, null, 2)}\n`;
  const file = join(found, `${kept.target}-${sha256Hex(Buffer.from(text)).slice(0, 16)}.json`);
  writeFileSync(file, text);
  return file;
}

/** Inputs that once went wrong, by file name. */
export function seeds(): ReadonlyMap<string, KeptInput> {
  const names = readdirSync(directory("seeds")).filter((name) => name.endsWith(".json"));
  return new Map(names.sort().map((name) => [name, readKept(join(directory("seeds"), name))]));
}

/** Throws what the system says of a file that cannot be read, or what is wrong with its contents. */
export function readKept(path: string): KeptInput {
  return keptInput.parse(JSON.parse(readFileSync(path, "utf8")));
}

/** Judges one kept input. Returns what is wrong with it, or undefined. */
export async function replay(
  { open }: TargetSource,
  { maker, expected, setting, input }: KeptInput,
): Promise<string | undefined> {
  const target = await open(setting);
  const bytes = Uint8Array.from(Buffer.from(input, "base64"));
  try {
    const right = expected.length === 0 ? undefined : expected;
    return (await judged(target, { maker, bytes, expected: right })).problem;
  } finally {
    await target.stop?.();
  }
}
