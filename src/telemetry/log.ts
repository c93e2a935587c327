/**
 * The daemon's log on stderr, in SPIRE's form and field names, so that whoever reads SPIRE's logs
 * reads these: `subsystem_name`, `trust_domain_id`, `sequence_number`, `error`. Messages are
 * sentences with a capital and no full stop.
 */
import pino from "pino";
import { LogOutput } from "./log-output.ts";
import { type LogFields, type PlainFields, loggable, plainFields } from "./log-value.ts";
import { logrusLine } from "./logrus-text.ts";

export type LogLevel = "debug" | "info" | "warn" | "error";

export interface Logger {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
  /** The same log with `subsystem_name` on each line, such as `spire` or `p2p.sync`. */
  child(subsystemName: string): Logger;
}

/** The log of a whole process. */
export interface ProcessLogger extends Logger {
  /** Before the process ends: resolves when all lines are written, or after so long. */
  flush(deadlineMs: number): Promise<void>;
}

export interface LoggerOptions {
  /** Lines below it are not written. */
  readonly level: LogLevel;
  readonly format: "text" | "json";
  /** Gets whole lines. Default: stderr. */
  readonly destination?: { write(line: string): void; flush?(deadlineMs: number): Promise<void> };
}

export function createLogger({ level, format, destination }: LoggerOptions): ProcessLogger {
  const lines = destination ?? new LogOutput((count) => sayLost(count));
  const asText = {
    write: (line: string) => lines.write(logrusLine(JSON.parse(line) as PlainFields)),
  };
  const options: pino.LoggerOptions = {
    level,
    base: null,
    messageKey: "msg",
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label) => ({ level: label === "warn" ? "warning" : label }) },
  };
  const log = wrap(pino(options, format === "text" ? asText : lines));
  const sayLost = (count: number): void => log.error({ lines: count }, "Log lines were lost");
  return { ...log, flush: async (deadlineMs) => await lines.flush?.(deadlineMs) };
}

function wrap(target: pino.Logger): Logger {
  const write =
    (level: LogLevel) =>
    (fields: LogFields, message: string): void => {
      if (target.isLevelEnabled(level)) target[level](plainFields(fields), loggable(message));
    };
  return {
    debug: write("debug"),
    info: write("info"),
    warn: write("warn"),
    error: write("error"),
    child: (subsystemName) => wrap(target.child({ subsystem_name: loggable(subsystemName) })),
  };
}
