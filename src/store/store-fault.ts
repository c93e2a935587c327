/** What goes wrong with the disk below the store, as faults that say what to do. */
import { AssertionError } from "node:assert";
import { toHex } from "../core/std/bytes.ts";
import { Fault, type FaultCode } from "../fault.ts";

/**
 * Longest chain of causes that is looked at; level's own has two links. Causes below are left out.
 */
const CAUSES_MAX = 8;

/**
 * LevelDB passes on the words of strerror(3), not errno, so a failure is known by code or words.
 * The first row that fits decides; what fits none is damage: the store fails closed.
 */
const FAILURES: readonly { code: FaultCode; signs: RegExp; words: string; advice?: string }[] = [
  { code: "ALREADY_RUNNING", signs: /LEVEL_LOCKED/, words: "is in use by another daemon" },
  {
    code: "STORE_FULL",
    signs: /ENOSPC|EDQUOT|EFBIG|No space left on device|Disk quota exceeded|File too large/,
    words: "cannot be written, the disk is full",
  },
  {
    code: "CANNOT_CREATE",
    signs: /EMFILE|ENFILE|Too many open files/,
    words: "cannot be opened, too many files are open",
    advice: "Raise the limit of open files (LimitNOFILE in a systemd unit).",
  },
  {
    code: "CANNOT_CREATE",
    signs: /EACCES|EPERM|EROFS|Permission denied|Read-only file system/,
    words: "cannot be written",
    advice: "Check the owner of every file in data_dir, and that its disk is mounted read-write.",
  },
  // Without a cause: closed by us, while it stops or is opened again after a failed write.
  { code: "NOT_READY", signs: /^LEVEL_\w+_NOT_OPEN: [^:]*$/, words: "is closed" },
];

/**
 * The fault for an error that level or the file system threw. A fault stays as it is, and so does
 * a failed assertion: that is our own mistake, not the disk's.
 */
export function storeFault(path: string, cause: unknown): Error {
  if (cause instanceof Fault || cause instanceof AssertionError) return cause;
  const said = signsOf(cause);
  const failure = FAILURES.find(({ signs }) => signs.test(said));
  if (failure === undefined) {
    return new Fault("STORE_DAMAGED", `The store in ${path} cannot be read: ${said}`, { cause });
  }
  const { code, words, advice } = failure;
  return new Fault(code, `The store in ${path} ${words}`, {
    cause,
    ...(advice === undefined ? {} : { advice }),
  });
}

/** One value that is not what was written. Nothing is repaired, nothing is written. */
export function damagedValue(key: Uint8Array, problem: string): Fault {
  const hex = toHex(key);
  return new Fault("STORE_DAMAGED", `The store's value at key ${hex} ${problem}`, {
    details: { key: hex },
  });
}

/** Something in `data_dir` that an other version of the daemon wrote. */
export function unknownFormat(what: string, format: number | bigint, known: number): Fault {
  return new Fault("STORE_DAMAGED", `${what} is in format ${format}, this version reads ${known}`, {
    advice: `Keep the directory as it is and run a version of spire-mesh that reads format ${format}.`,
    details: { format: Number(format) },
  });
}

/** Whether something is lost. What another version wrote is all there. */
export function isDamage(error: unknown): error is Fault {
  return (
    error instanceof Fault &&
    error.code === "STORE_DAMAGED" &&
    error.details["format"] === undefined
  );
}

function signsOf(error: unknown): string {
  const said: string[] = [];
  let link = error;
  for (let depth = 0; depth < CAUSES_MAX && link instanceof Error; depth += 1) {
    const code = "code" in link && typeof link.code === "string" ? [link.code] : [];
    said.push(...code, link.message);
    link = link.cause;
  }
  return said.length > 0 ? said.join(": ") : String(error);
}
