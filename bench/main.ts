/**
 * `npm run bench -- [PART …]`: measures, prints a table for each part, writes all values as JSON.
 * See README.md.
 */
import { execFileSync } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { availableParallelism, cpus, loadavg } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { findSpire } from "../peers/site.ts";
import { reasonOf } from "../src/cli/system-error.ts";
import { printable } from "../src/printable.ts";
import { measureApply } from "./apply.ts";
import { measureAttackCost } from "./attack-cost.ts";
import { type Part, showPart } from "./figure.ts";
import { measureFlood } from "./flood.ts";
import { measureIdle } from "./idle.ts";
import { measureRotation } from "./rotation.ts";
import { measureSoak } from "./soak.ts";
import { measureStart } from "./start.ts";
import { measureSync } from "./sync.ts";
import { measureVerify } from "./verify.ts";
import { measureWrites } from "./writes.ts";

const RESULTS = join(import.meta.dirname, "results");
const EXIT_USAGE = 64; // sysexits.h

interface Options {
  readonly spireServer: string | undefined;
  readonly rotations: number;
  readonly runs: number;
  readonly seconds: number;
  readonly minutes: number;
  readonly only: string;
}

const PARTS: Readonly<Record<string, (options: Options) => Promise<Part>>> = {
  verify: async (options) => measureVerify(options),
  apply: measureApply,
  start: measureStart,
  sync: measureSync,
  writes: measureWrites,
  idle: measureIdle,
  rotation: measureRotation,
  flood: measureFlood,
  attacks: measureAttackCost,
  soak: measureSoak,
};
/** Only when named: they take from minutes to three quarters of an hour. */
const LONG: ReadonlySet<string> = new Set(["flood", "attacks", "soak"]);
const USAGE =
  `npm run bench -- [${Object.keys(PARTS).join("|")} …] [--spire real] ` +
  "[--rotations N] [--runs N] [--seconds N] [--minutes N] [--only TEXT]";

// Processes of a part end with this one, however it ends: see peers/child.ts.
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));

const { names, options } = readArguments();
const machine = {
  at: new Date().toISOString(),
  commit: execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim(),
  node: process.version,
  cpu: cpus()[0]?.model,
  cores: availableParallelism(),
  spire: options.spireServer === undefined ? "embedded" : "real",
};
const parts: (Part & { readonly load: readonly number[] })[] = [];
for (const name of names) {
  const before = loadNow();
  const part = await PARTS[name]?.(options);
  if (part === undefined) continue;
  parts.push({ ...part, load: [before, loadNow()] });
  process.stdout.write(`${showPart(part)}- load ${before} before, ${loadNow()} after\n\n`);
}
await mkdir(RESULTS, { recursive: true });
const file = join(RESULTS, `${machine.at.replaceAll(":", "-")}.json`);
await writeFile(file, `${JSON.stringify({ ...machine, parts }, undefined, 2)}\n`);
process.stdout.write(`All values: ${file}\n`);

/** Ends with one line when there is nothing that could be measured. */
function readArguments(): { readonly names: readonly string[]; readonly options: Options } {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        spire: { type: "string", default: "embedded" },
        rotations: { type: "string", default: "60" },
        runs: { type: "string", default: "7" },
        seconds: { type: "string", default: "60" },
        minutes: { type: "string", default: "30" },
        only: { type: "string", default: "" },
      },
    });
    const unknown = positionals.find((name) => PARTS[name] === undefined);
    if (unknown !== undefined) throw new Error(`There is no part ${unknown}`);
    const spireServer = values.spire === "real" ? findSpire("spire-server") : undefined;
    if (values.spire === "real" && spireServer === undefined) {
      throw new Error("There is no spire-server on PATH or in SPIRE_BIN");
    }
    const usual = Object.keys(PARTS).filter((name) => !LONG.has(name));
    return {
      names: positionals.length === 0 ? usual : positionals,
      options: {
        spireServer,
        rotations: readCount(values.rotations),
        runs: readCount(values.runs),
        seconds: readCount(values.seconds),
        minutes: readCount(values.minutes),
        only: values.only,
      },
    };
  } catch (error) {
    process.stderr.write(`USAGE: ${printable(reasonOf(error))}. Next: ${USAGE}.\n`);
    process.exit(EXIT_USAGE);
  }
}

function readCount(text: string): number {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw new Error(`${text} is no whole number above 0`);
}

/** Processes that wanted a core over the last minute; our own are among them afterwards. */
function loadNow(): number {
  return loadavg()[0] ?? 0;
}
