/**
 * `npm run demo`: three trust domains on this machine, each with a SPIRE Server and a daemon, every
 * one a process of its own. `--keep` leaves them running until Ctrl-C. However it ends, nothing that
 * it started is left behind.
 */
import { rm } from "node:fs/promises";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { catchUp, meet, rotate, start } from "./demo.ts";
import { printInvitation, printSummary } from "./report.ts";
import { say, step } from "./screen.ts";
import {
  type SpireProgram,
  type ThreeSites,
  checkRoom,
  findSpireProgram,
  makeSites,
} from "./three-sites.ts";

const USAGE = `Usage: npm run demo [-- --keep]

  --keep  leave the three trust domains running until Ctrl-C, to try commands on them
`;
const EXIT_FAILED = 1;
const EXIT_USAGE = 64; // sysexits.h
const EXIT_INTERRUPTED = 130; // As a shell says it of SIGINT.
const HOUR_MS = 3_600_000;

async function main(keep: boolean): Promise<number> {
  process.chdir(fileURLToPath(new URL("../..", import.meta.url)));
  try {
    await checkRoom();
    const spire = await findSpireProgram();
    say(`SPIRE Server: ${spire.title}`);
    return await runAndEnd(await makeSites(spire.path), spire, keep);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    process.stderr.write(`\nDEMO_FAILED: ${message.trimEnd()}\n`);
    return EXIT_FAILED;
  }
}

async function runAndEnd(sites: ThreeSites, spire: SpireProgram, keep: boolean): Promise<number> {
  const { promise: interrupted, resolve } = Promise.withResolvers<"interrupted">();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => resolve("interrupted"));
  }
  let isInterrupted = false;
  try {
    isInterrupted = (await Promise.race([interrupted, run(sites, spire)])) === "interrupted";
    if (isInterrupted) say("\nInterrupted.");
    else if (keep) {
      printInvitation(sites, spire);
      const staying = setInterval(() => undefined, HOUR_MS);
      await interrupted;
      clearInterval(staying);
      say();
    }
  } finally {
    await step("all six processes end", async () => {
      await Promise.all(sites.all.map(async (site) => await site.stop()));
    });
  }
  if (keep && !isInterrupted) say(`Logs and state stay in ${sites.state}/.`);
  else await rm(sites.state, { recursive: true });
  return isInterrupted ? EXIT_INTERRUPTED : 0;
}

async function run(sites: ThreeSites, spire: SpireProgram): Promise<"done"> {
  const startMs = performance.now();
  await start(sites);
  await meet(sites);
  const table = await rotate(sites);
  const caughtUpMs = await catchUp(sites);
  printSummary({ spire, table, caughtUpMs, tookMs: performance.now() - startMs });
  return "done";
}

function readKeep(): boolean {
  try {
    const { values } = parseArgs({ options: { keep: { type: "boolean", default: false } } });
    return values.keep;
  } catch (error) {
    process.stderr.write(`USAGE: ${error instanceof Error ? error.message : ""}\n${USAGE}`);
    process.exit(EXIT_USAGE);
  }
}

process.exit(await main(readKeep()));
