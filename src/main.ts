/** The process: command line in, exit code out. */
import process from "node:process";
import { runCommandLine } from "./cli/command-line.ts";
import { printDefect, printError, unwritable } from "./cli/output.ts";
import { Fault } from "./fault.ts";

/** EX_SOFTWARE of sysexits.h: a defect of ours. */
const EXIT_DEFECT = 70;
/** For whoever reads stderr. A line that is not read by then is lost; the exit code still tells. */
const LAST_WORDS_MS = 500;

process.stdout.on("error", endUnwritten);
process.stderr.on("error", () => undefined); // Nobody is left to be told; the exit code still tells.

// What nobody caught ends the process; Node's own exit code 1 would mean that the answer is no.
process.on("uncaughtException", (error: unknown) => {
  if (error instanceof Fault) {
    printError(error);
    process.exit(error.exitCode);
  }
  printDefect(error);
  process.exit(EXIT_DEFECT);
});

process.exitCode = await runCommandLine(process.argv.slice(2));
// The end, whatever a library has left open, but not before a slow pipe has taken everything.
process.stdout.write("", (error) => {
  if (error) endUnwritten(process.stdout.errored ?? error);
  process.stderr.write("", () => process.exit());
  setTimeout(() => process.exit(), LAST_WORDS_MS); // A daemon ends though nobody reads its log.
});

/** `spire-mesh … | head` is no error of its own: whoever closed the pipe has read enough. */
function endUnwritten(error: NodeJS.ErrnoException): never {
  if (error.code === "EPIPE") process.exit();
  const fault = unwritable(error);
  printError(fault);
  process.exit(fault.exitCode);
}
