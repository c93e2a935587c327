/**
 * The demo, from nothing to the summary: start, meet, rotate, miss some rotations, catch up. What it
 * measures it reads from SPIRE Servers; the daemons are asked nothing but to export and import.
 */
import { join } from "node:path";
import { rotateAtOnce } from "../rotation.ts";
import { ownAuthorities, rowAuthorities, untilRowIs } from "../spire-rows.ts";
import { RotationTable } from "./rotation-table.ts";
import { heading, paint, say, step } from "./screen.ts";
import { type ThreeSites, commandLine, nameOf, runCommand } from "./three-sites.ts";

const ROTATIONS = 5;
export const ROTATIONS_MISSED = 3;
const FINGERPRINT = /[0-9a-f]{4}(?: [0-9a-f]{4}){15}/;

/** Starts everything; each SPIRE Server and each daemon is a process of its own. */
export async function start({ all }: ThreeSites): Promise<void> {
  heading("Three trust domains start");
  await step("three SPIRE Servers", async () => {
    await Promise.all(all.map(async (site) => await site.startSpire()));
  });
  await step("three daemons", async () => {
    await Promise.all(all.map(async (site) => await site.startDaemon()));
  });
  for (const { trustDomain, spire, daemon } of all) {
    say(`${trustDomain.padEnd(14)}SPIRE Server pid ${spire?.pid}, daemon pid ${daemon?.pid}`);
  }
}

/** Each exports its record, and the others import it with the fingerprint that they were told. */
export async function meet({ all, state }: ThreeSites): Promise<void> {
  heading("They meet: a file and a fingerprint each");
  for (const from of all) {
    const file = join(state, `${nameOf(from)}.record`);
    const words = ["export", "-o", file];
    say(`$ ${commandLine(from, words)}`);
    const [fingerprint = ""] = FINGERPRINT.exec((await runCommand(from, words)).stderr) ?? [];
    say(`  fingerprint ${paint("cyan", fingerprint)}`);
    for (const to of all.filter((site) => site !== from)) {
      const words = ["import", file, "-fingerprint", fingerprint];
      say(`$ ${commandLine(to, words)}`);
      await runCommand(to, words);
    }
  }
  await step("each SPIRE Server holds the bundles of the other two", async () => {
    for (const of of all) {
      const wanted = await ownAuthorities(of);
      for (const at of all) if (at !== of) await untilRowIs(at, of, wanted);
    }
  });
}

/** Rotations at alpha with all daemons there. */
export async function rotate({ alpha, bravo, charlie }: ThreeSites): Promise<RotationTable> {
  heading(
    "alpha.test rotates its X.509 authority; time until each partner's SPIRE Server shows it",
  );
  const table = new RotationTable(alpha, [bravo, charlie]);
  table.printHead();
  for (let round = 1; round <= ROTATIONS; round += 1) await table.rotate(round);
  say("-: nothing to carry. Activating changes who signs; SPIRE keeps no taint of other domains.");
  return table;
}

/** Rotations at alpha while charlie's daemon is away. Returns how long it takes to catch up, in ms. */
export async function catchUp({ alpha, bravo, charlie }: ThreeSites): Promise<number> {
  heading("charlie.test's daemon is away, and comes back");
  await step("charlie.test's daemon stops", async () => await charlie.stopDaemon());
  await step(`alpha.test rotates ${ROTATIONS_MISSED} times, and bravo.test follows`, async () => {
    for (let round = 1; round <= ROTATIONS_MISSED; round += 1) {
      await rotateAtOnce(alpha.api);
      await untilRowIs(bravo, alpha, await ownAuthorities(alpha));
    }
  });
  const wanted = await ownAuthorities(alpha);
  const isBehind = (await rowAuthorities(charlie, alpha)) !== wanted;
  if (!isBehind) throw new Error("charlie.test's SPIRE Server has new bundles without its daemon");
  say("charlie.test's SPIRE Server still holds the bundle from before");
  const startMs = performance.now();
  let tookMs = 0;
  await step("charlie.test's daemon starts, and its SPIRE Server is up to date", async () => {
    const caughtUp = async (): Promise<void> => {
      await untilRowIs(charlie, alpha, wanted);
      tookMs = performance.now() - startMs;
    };
    await Promise.all([charlie.startDaemon(), caughtUp()]);
  });
  return tookMs;
}
