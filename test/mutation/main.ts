/**
 * `npm run mutate -- src/core/std src/x509/der.ts`: mutates files, or all files of a room, and runs
 * the tests that mirror the room. Exits with 1 when a room scores below the threshold.
 */
import { spawnSync } from "node:child_process";
import { dirname, extname } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { reasonOf } from "../../src/cli/system-error.ts";
import { printable } from "../../src/printable.ts";

const EXIT_USAGE = 64; // sysexits.h
const USAGE = "npm run mutate -- src/ROOM|src/ROOM/FILE.ts[:FROM-TO] …";
const STRYKER = fileURLToPath(import.meta.resolve("@stryker-mutator/core/package.json")).replace(
  "package.json",
  "bin/stryker.js",
);

/** Mutates the files of one room; whether enough mutants were killed. */
function mutate(room: string, files: readonly string[]): boolean {
  process.stdout.write(`\n=== ${room}\n`);
  const { status } = spawnSync(process.execPath, [STRYKER, "run", "--mutate", files.join(",")], {
    env: { ...process.env, MUTATED_ROOM: room.replace(/^src\//, "") },
    stdio: "inherit",
  });
  return status === 0;
}

/** Ends with one line when there is nothing to mutate: Stryker would take an option for a file. */
function readPaths(): readonly string[] {
  try {
    const { positionals } = parseArgs({ allowPositionals: true });
    if (positionals.length > 0) return positionals;
    throw new Error("There is nothing to mutate");
  } catch (error) {
    process.stderr.write(`USAGE: ${printable(reasonOf(error))}. Next: ${USAGE}.\n`);
    process.exit(EXIT_USAGE);
  }
}

const rooms = Map.groupBy(readPaths(), (path) => (extname(path) === "" ? path : dirname(path)));
const scores = [...rooms].map(([room, paths]) =>
  mutate(
    room,
    // The limits are data: test/limits provokes each of them.
    paths.flatMap((path) => (path === room ? [`${room}/*.ts`, "!**/limit*.ts"] : path)),
  ),
);
process.exitCode = scores.every(Boolean) ? 0 : 1;
