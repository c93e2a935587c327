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
import { measureApply } from "./apply.ts";
import { measureAttackCost } from "./attack-cost.ts";
import { type Part, showPart } from "./figure.ts";
import { measureFlood } from "./flood.ts";
import { measureIdle } from "./idle.ts";
import { measureRotation } from "./rotation.ts";
import { measureSoak } from "./soak.ts";
import { measureStart } from "./start.ts";
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
}

const PARTS: Readonly<Record<string, (options: Options) => Promise<Part>>> = {
  verify: async (options) => measureVerify(options),
  apply: measureApply,
  start: measureStart,
  writes: measureWrites,
  idle: measureIdle,
  rotation: measureRotation,
  flood: measureFlood,
  attacks: measureAttackCost,
  soak: measureSoak,
};
/** Only when named: they take from minutes to half an hour. */
const LONG: ReadonlySet<string> = new Set(["flood", "attacks", "soak"]);

// Processes of a part end with this one, however it ends: see peers/child.ts.
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    spire: { type: "string", default: "embedded" },
    rotations: { type: "string", default: "60" },
    runs: { type: "string", default: "7" },
    seconds: { type: "string", default: "60" },
    minutes: { type: "string", default: "30" },
  },
});
const usual = Object.keys(PARTS).filter((name) => !LONG.has(name));
const names = positionals.length === 0 ? usual : positionals;
const unknown = names.filter((name) => PARTS[name] === undefined);
if (unknown.length > 0) {
  process.stderr.write(`No part ${unknown.join(", ")}. Parts: ${Object.keys(PARTS).join(", ")}.\n`);
  process.exit(EXIT_USAGE);
}
const spireServer = values.spire === "real" ? findSpire("spire-server") : undefined;
if (values.spire === "real" && spireServer === undefined) {
  process.stderr.write("No spire-server on PATH or in SPIRE_BIN.\n");
  process.exit(EXIT_USAGE);
}

const options: Options = {
  spireServer,
  rotations: Number(values.rotations),
  runs: Number(values.runs),
  seconds: Number(values.seconds),
  minutes: Number(values.minutes),
};
const machine = {
  at: new Date().toISOString(),
  commit: execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim(),
  node: process.version,
  cpu: cpus()[0]?.model,
  cores: availableParallelism(),
  spire: values.spire,
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

/** Processes that wanted a core over the last minute; our own are among them afterwards. */
function loadNow(): number {
  return loadavg()[0] ?? 0;
}
