/**
 * A process that logs to stderr as many numbered lines as each line of its stdin says, a kilobyte
 * each, and answers on stdout. At the end of stdin it waits for its lines as a daemon that stops.
 */
import { writeSync } from "node:fs";
import process from "node:process";
import { createInterface } from "node:readline";
import { createLogger } from "../../src/telemetry/log.ts";

const STDOUT = 1;
const FLUSH_MS = 2_000;
const log = createLogger({ level: "info", format: "json" });
let number = 0;
for await (const line of createInterface({ input: process.stdin })) {
  for (let left = Number(line); left > 0; left -= 1) {
    number += 1;
    log.info({ number, padding: "x".repeat(1_000) }, "Said");
  }
  writeSync(STDOUT, `${number}\n`);
}
await log.flush(FLUSH_MS);
process.exit(0);
