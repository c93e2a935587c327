/**
 * Log lines in SPIRE Server's form: `time="…" level=info msg="…" key=value`, keys sorted, on stdout
 * (measured: SPIRE Server writes nothing on stderr while it runs).
 */
import process from "node:process";

const LEVELS = ["error", "warning", "info", "debug"] as const;
export type LogLevel = (typeof LEVELS)[number];

export type LogFields = Readonly<Record<string, string | number | boolean>>;

export type Log = (level: LogLevel, message: string, fields?: LogFields) => void;

/** What may stand in a value without quotes (logrus's text formatter). */
const PLAIN_VALUE = /^[\w./@^+-]*$/;

/** Reads a level as `-logLevel` takes it, in any case. Undefined for another word. */
export function readLogLevel(text: string): LogLevel | undefined {
  const lower = text.toLowerCase();
  return LEVELS.find((level) => level === lower || (level === "warning" && lower === "warn"));
}

/** @param write Takes one line with its line end; standard output unless given. */
export function openLog(
  highest: LogLevel,
  write: (line: string) => void = (line) => void process.stdout.write(line),
): Log {
  return (level, message, fields = {}) => {
    if (LEVELS.indexOf(level) > LEVELS.indexOf(highest)) return;
    const time = `${new Date().toISOString().slice(0, 19)}Z`;
    const pairs = Object.entries(fields)
      .sort(([left], [right]) => (left < right ? -1 : 1))
      .map(([key, value]) => ` ${key}=${formatValue(String(value))}`);
    const text = formatValue(message);
    write(`time="${time}" level=${level} msg=${text}${pairs.join("")}\n`);
  };
}

function formatValue(text: string): string {
  return PLAIN_VALUE.test(text) ? text : JSON.stringify(text);
}
