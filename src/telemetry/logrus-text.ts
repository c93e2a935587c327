/** Log lines in the form that SPIRE writes (logrus' TextFormatter without colours). */
import type { PlainFields } from "./log-value.ts";

/** `time="…" level=info msg="Bundle refreshed" sequence_number=7 subsystem_name=spire` */
export function logrusLine({ time, level, msg, ...fields }: PlainFields): string {
  const sorted = Object.keys(fields).sort();
  const pairs = [
    ["time", time],
    ["level", level],
    ["msg", msg],
    ...sorted.map((name) => [name, fields[name]]),
  ];
  return `${pairs.map(([name, value]) => `${name}=${quoted(String(value))}`).join(" ")}\n`;
}

/** What logrus leaves bare; anything else is quoted as in Go, which JSON's quoting is close to. */
function quoted(text: string): string {
  return /^[A-Za-z0-9\-._/@^+]*$/.test(text) ? text : JSON.stringify(text);
}
