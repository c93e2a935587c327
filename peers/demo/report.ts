/** What the demo says at its end: what it measured, and what to try. */
import { ROTATIONS_MISSED } from "./demo.ts";
import type { RotationTable } from "./rotation-table.ts";
import { formatMs, heading, say } from "./screen.ts";
import { type SpireProgram, type ThreeSites, commandLine } from "./three-sites.ts";

const LABEL_WIDTH = 10;

export interface Measured {
  readonly spire: SpireProgram;
  readonly table: RotationTable;
  readonly caughtUpMs: number;
  readonly tookMs: number;
}

export function printSummary({ spire, table, caughtUpMs, tookMs }: Measured): void {
  heading("Summary: from the call at alpha.test's SPIRE Server to the partner's");
  for (const { step, count, medianMs, slowestMs } of table.summary()) {
    const figures = `median ${formatMs(medianMs)}, slowest ${formatMs(slowestMs)} of ${count}`;
    say(`${step.padEnd(LABEL_WIDTH)}${count === 0 ? "nothing to carry" : figures}`);
  }
  const missed = `after ${ROTATIONS_MISSED} missed rotations, from the start of the daemon`;
  say(`${"catch up".padEnd(LABEL_WIDTH)}${formatMs(caughtUpMs)} ${missed}`);
  say(`SPIRE Server: ${spire.title}. The demo took ${formatMs(tookMs)}.`);
}

/** `--keep`: every command as it is typed at the top of the checkout. */
export function printInvitation({ alpha, bravo, all }: ThreeSites, spire: SpireProgram): void {
  const spireServer = spire.path ?? "npm run --silent spire-server --";
  const atAlpha = `-socketPath ${alpha.spireSocket}`;
  const atBravo = `-socketPath ${bravo.spireSocket}`;
  heading("All of it keeps running. In another terminal, at the top of the checkout:");
  invite("how things stand at bravo", commandLine(bravo, ["status"]));
  invite("each event at bravo, as it comes", commandLine(bravo, ["watch"]));
  invite("rotate at alpha", `${spireServer} localauthority x509 prepare ${atAlpha}`);
  invite("what bravo holds of it", commandLine(bravo, ["bundle", "show", alpha.trustDomain]));
  invite(
    "and what bravo's SPIRE Server holds",
    `${spireServer} bundle list -id spiffe://${alpha.trustDomain} ${atBravo}`,
  );
  invite("part with alpha", commandLine(bravo, ["forget", alpha.trustDomain]));
  invite("stop bravo's daemon", `kill ${bravo.daemon?.pid ?? ""}`);
  invite("and start it again", `node bin/spire-mesh.js run -config ${bravo.daemonConfig}`);
  heading("Files");
  for (const { directory } of all) {
    say(
      `  ${directory}/  {server.conf,spire.sock,spire.log,spire-mesh.yaml,admin.sock,daemon.log}`,
    );
  }
  say("\nCtrl-C here ends all six processes; what you started yourself, you end yourself.");
}

function invite(what: string, command: string): void {
  say(`  # ${what}\n  ${command}`);
}
