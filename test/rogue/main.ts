/**
 * `node test/rogue/main.ts STRATEGY ADDRESS [--seconds N] [--rate N] [--count N] [--seed HEX]
 * [--from ADDRESS] [--persistent]`: attacks one daemon as a process of its own, says what came of it
 * as one line of JSON, and exits. Without a name it lists the strategies.
 */
import { randomBytes } from "node:crypto";
import process from "node:process";
import { parseArgs } from "node:util";
import { Attack } from "./attack.ts";
import { STRATEGIES, isStrategy } from "./strategies.ts";

const EXIT_USAGE = 64; // sysexits.h
const MICROSECONDS = 1_000_000;

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: "string", default: "10" },
    rate: { type: "string", default: "0" },
    count: { type: "string", default: "Infinity" },
    seed: { type: "string" },
    from: { type: "string" },
    persistent: { type: "boolean", default: false },
  },
});
const [strategy = "", address = ""] = positionals;
if (isStrategy(strategy) && address !== "") {
  const stopping = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => stopping.abort());
  const seconds = Number(values.seconds);
  const timeUp = setTimeout(() => stopping.abort(), seconds * 1_000);
  const attack = new Attack({
    address,
    seconds,
    rate: Number(values.rate),
    count: Number(values.count),
    seed: values.seed === undefined ? randomBytes(32) : Buffer.from(values.seed, "hex"),
    from: values.from,
    persistent: values.persistent,
    signal: stopping.signal,
  });
  const before = process.cpuUsage();
  await STRATEGIES[strategy](attack);
  const { user, system } = process.cpuUsage(before);
  const cpuS = (user + system) / MICROSECONDS;
  const line = { strategy, seconds: attack.secondsGone, cpuS, ...attack.outcome };
  process.stdout.write(`${JSON.stringify(line)}\n`);
  clearTimeout(timeUp);
  stopping.abort();
  await attack.stop();
} else {
  process.stderr.write(`STRATEGY is one of: ${Object.keys(STRATEGIES).join(", ")}\n`);
  process.exitCode = EXIT_USAGE;
}
