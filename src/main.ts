/** The process: command line in, exit code out. */
import process from "node:process";
import { runCommandLine } from "./cli/command-line.ts";

/** EX_SOFTWARE of sysexits.h: a defect of ours, which no `Fault` describes. */
const EXIT_DEFECT = 70;

// `spire-mesh … | head` is no error: whoever closed the pipe has read enough.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
    throw error;
  });
}

// bin/hand-over.js holds the other end of this channel: when it closes, the launcher was killed,
// and whoever started it wants this process gone too. SIGTERM stops `run` gracefully.
if (process.channel !== undefined) {
  process.on("disconnect", () => process.kill(process.pid, "SIGTERM"));
  process.channel.unref();
}

try {
  process.exitCode = await runCommandLine(process.argv.slice(2));
} catch (error) {
  const { stack = "", message } = error instanceof Error ? error : new Error(String(error));
  process.stderr.write(
    `INTERNAL: ${message}. Next: report this as a defect of spire-mesh.\n${stack}\n`,
  );
  process.exitCode = EXIT_DEFECT;
}
