/**
 * `npm run fuzz -- --minutes N [--target NAME] [--seed S]`: fuzzes on until the time is over, target
 * by target, and prints what came of it. `--replay FILE` judges one kept input again.
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { isErrno, reasonOf } from "../../src/cli/system-error.ts";
import { printable } from "../../src/printable.ts";
import { type KeptInput, type Report, fuzz, readKept, replay } from "./fuzzing.ts";
import type { TargetSource } from "./target.ts";
import { TARGETS } from "./targets/all.ts";

const EXIT_FAILED = 1;
/** Of sysexits.h. */
const EXIT_CODES = { USAGE: 64, DATA_INVALID: 65, NO_INPUT: 66 } as const;
const MS_PER_MINUTE = 60_000;
/** Of what a target gets in CI, one round of the long form. */
const ROUND_SHARE = 4;

const USAGE =
  "npm run fuzz -- [--minutes N] [--target NAME] [--seed S], or npm run fuzz -- --replay FILE";

const say = (line: string): boolean => process.stdout.write(`${line}\n`);

const values = readOptions();
if (values.replay === undefined) await fuzzOn();
else await replayFile(values.replay);

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        minutes: { type: "string", default: "1" },
        target: { type: "string" },
        seed: { type: "string", default: String(Date.now()) },
        replay: { type: "string" },
        help: { type: "boolean" },
      },
    });
    if (values.help !== true) return values;
  } catch (error) {
    refuse("USAGE", reasonOf(error), USAGE);
  }
  say(USAGE);
  process.exit();
}

/** A fuzzer that was started wrongly must not pass for one that found nothing. */
function refuse(code: keyof typeof EXIT_CODES, problem: string, next: string): never {
  process.stderr.write(`${code}: ${printable(problem)}. Next: ${next}.\n`);
  process.exit(EXIT_CODES[code]);
}

function sourceOf(name: string): TargetSource {
  const source = TARGETS.find((each) => each.name === name);
  const names = TARGETS.map((each) => each.name).join(", ");
  return source ?? refuse("USAGE", `there is no target ${name}`, `name one of ${names}`);
}

function readMinutes(text: string): number {
  const minutes = /^\d{1,5}(?:\.\d{1,3})?$/.test(text) ? Number(text) : 0;
  return minutes > 0 ? minutes : refuse("USAGE", `${text} is no number of minutes above 0`, USAGE);
}

async function replayFile(path: string): Promise<void> {
  const kept = readInput(path);
  const problem = await replay(sourceOf(kept.target), kept);
  say(problem ?? "It is judged right.");
  if (problem !== undefined) process.exitCode = EXIT_FAILED;
}

function readInput(path: string): KeptInput {
  try {
    return readKept(path);
  } catch (error) {
    const next = "name a file of test/fuzz/found or test/fuzz/seeds";
    if (!isErrno(error)) return refuse("DATA_INVALID", `${path} holds no kept input`, next);
    return refuse("NO_INPUT", `${path} cannot be read: ${reasonOf(error)}`, next);
  }
}

async function fuzzOn(): Promise<void> {
  const sources = values.target === undefined ? TARGETS : [sourceOf(values.target)];
  const minutes = readMinutes(values.minutes);
  const until = Date.now() + minutes * MS_PER_MINUTE;
  say(`seed ${values.seed}, ${minutes} min, ${sources.length} targets`);
  let total = 0;
  let failed = 0;
  for (let round = 0; Date.now() < until; round += 1) {
    for (const source of sources) {
      if (round > 0 && Date.now() >= until) break;
      const count = Math.ceil(source.inputs / ROUND_SHARE);
      const report = await fuzz(source, values.seed, round * count, count);
      total += report.inputs;
      failed += report.failures.length;
      say(lineOf(round, report));
      for (const { maker, index, problem, file } of report.failures) {
        const [first, second = ""] = problem.split("\n");
        say(`  FAILED ${maker} (input ${index}): ${first} ${second.trim()}`);
        say(`  replay: npm run fuzz -- --replay ${file}`);
      }
    }
  }
  say(`${total} inputs, ${failed} failed`);
  if (failed > 0) process.exitCode = EXIT_FAILED;
}

function counts(met: ReadonlyMap<string, number>): string {
  const often = [...met].sort(([, left], [, right]) => right - left);
  return often.map((pair) => pair.join(" ")).join(", ");
}

function lineOf(round: number, { target, inputs, raw, made, slowestCpuMs }: Report): string {
  return `${round} ${target}: ${inputs} inputs, slowest ${slowestCpuMs.toFixed(1)} ms
    raw: ${counts(raw)}
    made: ${counts(made)}`;
}
