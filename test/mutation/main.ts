/**
 * `npm run mutate -- src/core/std src/x509/der.ts`: mutates files, or all files of a room, and runs
 * the tests that mirror the room. Exits with 1 when a room scores below the threshold.
 */
import { spawnSync } from "node:child_process";
import { dirname, extname } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

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

const rooms = Map.groupBy(process.argv.slice(2), (path) =>
  extname(path) === "" ? path : dirname(path),
);
const scores = [...rooms].map(([room, paths]) =>
  mutate(
    room,
    // The limits are data: test/limits provokes each of them.
    paths.flatMap((path) => (path === room ? [`${room}/*.ts`, "!**/limit*.ts"] : path)),
  ),
);
process.exitCode = scores.length > 0 && scores.every(Boolean) ? 0 : 1;
