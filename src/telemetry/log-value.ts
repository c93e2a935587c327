/**
 * What may stand in a log line. Names and messages of peers, SPIRE and operators end up there, and
 * somebody reads it in a terminal: nothing may move the cursor, turn text round or start a new line,
 * and no key or token may be written by mistake.
 */
import { Fault } from "../fault.ts";
import { printable } from "../printable.ts";

/** Text, numbers, booleans, errors and lists of those. Anything else is written as `[redacted]`. */
export type LogFields = Readonly<Record<string, unknown>>;
/** What a line holds in the end: JSON keeps all of these as they are. */
export type PlainFields = Record<string, string | number | boolean>;

const REDACTED = "[redacted]";
/** Names that say what their values are. Wide on purpose: a value too few costs less than a key. */
const SECRET_NAME = /secret|token|password|passphrase|seed|private_?key/i;
const PRIVATE_KEY = /-----BEGIN [A-Z ]*PRIVATE KEY-----/;
/** Links of a chain of causes that are told; those below are left out. */
const CAUSES_MAX = 8;
/** Keys of the line itself; a field of such a name is moved aside as logrus does. */
const OWN_NAMES = new Set(["time", "level", "msg"]);

/** Text as a line may hold it: printable, and no private key. */
export function loggable(text: string): string {
  return PRIVATE_KEY.test(text) ? REDACTED : printable(text);
}

/** The fields of a line, each a string, a number or a boolean. Undefined ones are left out. */
export function plainFields(fields: LogFields): PlainFields {
  const plain: PlainFields = {};
  for (const [name, value] of Object.entries(fields)) {
    const told = value instanceof Error ? fieldsOfError(name, value) : { [name]: value };
    for (const [key, each] of Object.entries(told)) {
      const written = plainValue(key, each);
      if (written !== undefined) plain[OWN_NAMES.has(key) ? `fields.${key}` : key] = written;
    }
  }
  return plain;
}

/** An error as SPIRE writes it, `what: why: why`. A fault adds its code, and a bug its stack. */
function fieldsOfError(name: string, error: Error): LogFields {
  const messages: string[] = [];
  let link: unknown = error;
  for (let depth = 0; depth < CAUSES_MAX && link instanceof Error; depth += 1) {
    messages.push(link.message);
    link = link.cause;
  }
  const message = messages.join(": ");
  return error instanceof Fault
    ? { ...error.details, [name]: message, code: error.code, next: error.advice }
    : { [name]: message, stack: error.stack };
}

function plainValue(name: string, value: unknown): PlainFields[string] | undefined {
  if (value === undefined || value === null) return undefined;
  if (SECRET_NAME.test(name)) return REDACTED;
  if (typeof value === "number" || typeof value === "boolean") return value;
  if (typeof value === "bigint") return value.toString(); // JSON numbers lose digits above 2^53.
  if (typeof value === "string") return loggable(value);
  if (!Array.isArray(value)) return REDACTED; // Bytes and objects may be keys; ids come as hex.
  return loggable(value.map((each) => String(plainValue(name, each) ?? "")).join(","));
}
